/* What a run does when the store or the engine does not do its part. */
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

static void waits_for_a_store_that_fails_for_a_while(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum faulty_call call;
        dobby_code code;
        uint32_t pass, fail;
    } rows[] = {
        {"begin", FAULTY_RUN_BEGIN, DOBBY_STORE_BUSY, 0, 2},
        {"owners", FAULTY_OWNERS, DOBBY_STORE_BUSY, 0, 2},
        {"stale", FAULTY_STALE_COUNT, DOBBY_STORE_BUSY, 0, 2},
        {"count", FAULTY_COUNT, DOBBY_STORE_FAILED, 0, 2},
        {"first claim", FAULTY_CLAIM, DOBBY_STORE_BUSY, 0, 3},
        {"later claim", FAULTY_CLAIM, DOBBY_STORE_FAILED, 2, 3},
        {"first look-up", FAULTY_FIND_RESULTS, DOBBY_STORE_BUSY, 0, 3},
        {"later look-up", FAULTY_FIND_RESULTS, DOBBY_OUT_OF_MEMORY, 2, 3},
        {"first settle", FAULTY_SETTLE, DOBBY_STORE_FULL, 0, 3},
        {"later settle", FAULTY_SETTLE, DOBBY_STORE_BUSY, 1, 3},
        {"end", FAULTY_RUN_UPDATE, DOBBY_STORE_BUSY, 0, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture_put(&fixture, 200, NULL);
        fixture.store.of[rows[i].call].pass = rows[i].pass;
        fixture.store.of[rows[i].call].fail = rows[i].fail;
        fixture.store.of[rows[i].call].code = rows[i].code;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_true(fixture.store.of[rows[i].call].calls > rows[i].pass + rows[i].fail);
        assert_int_equal(fixture.progress.completed, 200);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), 200);
        assert_int_equal(fixture.engine.submitted, 200);
        fixture_close(&fixture);
    }
}

/* The failures of a store that end the run; leases return as far as the store lets them. */
static void ends_when_the_store_fails(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum faulty_call call;
        dobby_code code;
        uint32_t pass, fail;
        bool saves_some;
    } rows[] = {
        {"begin", FAULTY_RUN_BEGIN, DOBBY_STORE_READ_ONLY, 0, 1, false},
        {"owners", FAULTY_OWNERS, DOBBY_STORE_CORRUPT, 0, 1, false},
        {"count, for good", FAULTY_COUNT, DOBBY_STORE_FAILED, 0, UINT32_MAX, false},
        {"first claim", FAULTY_CLAIM, DOBBY_STORE_READ_ONLY, 0, 1, false},
        {"later claim", FAULTY_CLAIM, DOBBY_STORE_CORRUPT, 3, 1, true},
        {"later look-up", FAULTY_FIND_RESULTS, DOBBY_STORE_CORRUPT, 3, 1, true},
        {"first settle, for good", FAULTY_SETTLE, DOBBY_STORE_FULL, 0, UINT32_MAX, false},
        {"first settle, only once", FAULTY_SETTLE, DOBBY_STORE_READ_ONLY, 0, 1, true},
        {"later settle, for good", FAULTY_SETTLE, DOBBY_STORE_FULL, 1, UINT32_MAX, true},
        {"busy for good", FAULTY_SETTLE, DOBBY_STORE_BUSY, 0, UINT32_MAX, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture.engine.per_wait = 1;
        fixture.options.outage_ms_max = 30;
        fixture_put(&fixture, 200, NULL);
        fixture.store.of[rows[i].call].pass = rows[i].pass;
        fixture.store.of[rows[i].call].fail = rows[i].fail;
        fixture.store.of[rows[i].call].code = rows[i].code;
        assert_code(fixture_run(&fixture), rows[i].code);
        assert_int_equal(fixture.progress.completed, fixture_count(&fixture, RECORD_COMPLETED));
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_int_equal(fixture.engine.count, 0); /* nothing is left in it for the next run */
        assert_int_equal(fixture.progress.completed > 0, rows[i].saves_some);

        fixture.store.of[rows[i].call].fail = 0;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), 200);
        fixture_close(&fixture);
    }
}

/* Nothing can be returned to a store that is gone: the leases expire by themselves. */
static void a_store_that_is_gone_ends_the_run(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture.options.outage_ms_max = 50;
    fixture_put(&fixture, 100, NULL);
    for (size_t i = 0; i < FAULTY_CALLS; i++) {
        fixture.store.of[i].pass = 1;
        fixture.store.of[i].fail = UINT32_MAX;
        fixture.store.of[i].code = DOBBY_STORE_FAILED;
    }
    fixture.store.of[FAULTY_SETTLE].pass = fixture.store.of[FAULTY_RELEASE].pass = 0;
    assert_code(fixture_run(&fixture), DOBBY_STORE_FAILED);
    assert_true(fixture_count(&fixture, RECORD_LEASED) > 0);
    assert_true(fixture.store.of[FAULTY_RELEASE].calls > 0);
    fixture_close(&fixture);
}

static void ends_when_the_engine_fails(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t waits, submits;
        dobby_code code;
        int64_t outage_ms_max;
    } rows[] = {
        {"first wait", 1, 0, DOBBY_THREAD_FAILED, 30},
        {"first wait, and none is waited for", 1, 0, DOBBY_THREAD_FAILED, -1},
        {"later wait", 40, 0, DOBBY_INTERNAL, 30},
        {"first submit", 0, 1, DOBBY_OUT_OF_MEMORY, 30},
        {"later submit", 0, 40, DOBBY_INVALID_ARGUMENT, 30},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture.options.outage_ms_max = rows[i].outage_ms_max;
        fixture.engine.per_wait = 1;
        fixture.engine.waits_before_failure = rows[i].waits;
        fixture.engine.submits_before_failure = rows[i].submits;
        fixture.engine.failure = rows[i].code;
        fixture_put(&fixture, 100, NULL);
        assert_code(fixture_run(&fixture), rows[i].code);
        uint64_t completed = fixture_count(&fixture, RECORD_COMPLETED);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_int_equal(fixture_count(&fixture, RECORD_PENDING), 100 - completed);
        assert_int_equal(fixture.progress.completed, completed);
        assert_int_equal(completed > 0, rows[i].waits > 1 || rows[i].submits > 1);
        for (size_t k = 0; k < 100; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            assert_int_equal(row.tries, row.state == RECORD_COMPLETED ? 1 : 0);
        }
        fixture_close(&fixture);
    }
}

/* Answers that break the engine's contract end the run, not the process, and cost no other record. */
static void ends_when_the_engine_is_broken(void **state)
{
    (void)state;
    static const char *const rows[] = {FAKE_TAG, FAKE_FINISH, FAKE_MUTE};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        const char *contents[] = {"a", "b", rows[i], "c"};
        print_message("    %s\n", rows[i]);
        fixture_open(&fixture, 4);
        fixture_put(&fixture, COUNT_OF(contents), contents);
        assert_code(fixture_run(&fixture), DOBBY_INTERNAL);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), 3);
        assert_int_equal(fixture_count(&fixture, RECORD_PENDING), 1);
        fixture_close(&fixture);
    }
}

static void refuses_bad_options(void **state)
{
    (void)state;
    static const struct {
        const char *name, *owner;
        uint32_t tokens_max;
        int64_t lease_ms;
    } rows[] = {
        {"no owner", NULL, 10, 1000},
        {"empty owner", "", 10, 1000},
        {"no tokens", "test", 0, 1000},
        {"no room in the context", "test", FAKE_CONTEXT_TOKENS, 1000},
        {"too many tokens", "test", 5000, 1000},
        {"no lease", "test", 10, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture_put(&fixture, 1, NULL);
        fixture.options.owner = rows[i].owner;
        fixture.options.tokens_max = rows[i].tokens_max;
        fixture.options.lease_ms = rows[i].lease_ms;
        assert_code(fixture_run(&fixture), DOBBY_INVALID_ARGUMENT);
        assert_int_equal(fixture_count(&fixture, RECORD_PENDING), 1);
        fixture_close(&fixture);
    }
}

static void does_nothing_where_nothing_is_to_do(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture.options.request = NULL;
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.total, 0);
    assert_int_equal(fixture.engine.waits, 0);
    fixture.options.progress = NULL;
    fixture.options.run_id = NULL; /* no row is kept */
    assert_ok(pipeline_run(&fixture.store.base, &fixture.engine.base, fixture.prompt, &fixture.options,
                           &fixture.progress, NULL),
              &fixture.err);
    assert_true(fixture.progress.finished);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_a_store_that_fails_for_a_while),
        cmocka_unit_test(ends_when_the_store_fails),
        cmocka_unit_test(a_store_that_is_gone_ends_the_run),
        cmocka_unit_test(ends_when_the_engine_fails),
        cmocka_unit_test(ends_when_the_engine_is_broken),
        cmocka_unit_test(refuses_bad_options),
        cmocka_unit_test(does_nothing_where_nothing_is_to_do),
    };
    return cmocka_run_group_tests_name("pipeline run failures", tests, NULL, NULL);
}
