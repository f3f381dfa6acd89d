/* Equal prompts are inferred once: in a run, across runs, and for versions that are there. */
#include "store/store_versions.h"
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

#include <string.h>

enum { RECORDS = 300 };

static void put_in_turn(struct fixture *fixture, const char *const *contents, size_t different)
{
    const char *all[RECORDS];
    for (size_t i = 0; i < RECORDS; i++)
        all[i] = contents[i % different];
    fixture_put(fixture, RECORDS, all);
}

static void equal_prompts_are_inferred_once(void **state)
{
    (void)state;
    static const char *const contents[] = {"int a;", "int b;", "int c;"};
    static const struct {
        const char *name;
        uint32_t sessions;
        size_t per_wait;
        size_t cache_bytes; /* 0: as usual; 1: keeps nothing */
    } rows[] = {{"at once", 64, 0, 0}, {"one after the other", 1, 1, 0}, {"without a cache", 2, 1, 1}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        struct row_copy first[COUNT_OF(contents)];
        uint64_t inferred = 0;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, rows[i].sessions);
        fixture.engine.per_wait = rows[i].per_wait;
        fixture.options.cache_bytes_max = rows[i].cache_bytes;
        put_in_turn(&fixture, contents, COUNT_OF(contents));
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, RECORDS);
        /* Without a cache, the store has them half a second after they are done. */
        assert_in_range(fixture.engine.submitted, 3, rows[i].cache_bytes == 1 ? RECORDS - 1 : 3);
        assert_int_equal(fixture.progress.reused, RECORDS - fixture.engine.submitted);
        assert_int_equal(fixture.progress.tokens_out, 7 * fixture.engine.submitted);
        for (size_t k = 0; k < RECORDS; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            if (k < COUNT_OF(contents))
                first[k] = row;
            assert_string_equal(row.text, first[k % COUNT_OF(contents)].text);
            assert_memory_equal(row.key, first[k % COUNT_OF(contents)].key, SHA256_BYTES);
            assert_int_equal(row.summary.tokens_out, 7);
            assert_true(k < COUNT_OF(contents) ||
                        strcmp(row.summary.id, first[k % COUNT_OF(contents)].summary.id) != 0);
            inferred += !row.summary.reused;
        }
        assert_int_equal(inferred, fixture.engine.submitted);
        fixture_close(&fixture);
    }
}

/* Whatever becomes of the one that is inferred becomes of the others too. */
static void equal_prompts_end_alike(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        enum record_state state;
        const char *error_id, *reason;
        uint32_t submitted;
    } rows[] = {
        {"x " FAKE_LENGTH, RECORD_DEGRADED, "", "cut off at 7 tokens", 2},
        {FAKE_BLANK, RECORD_DEGRADED, "", "empty summary", 2},
        {FAKE_ONCE, RECORD_COMPLETED, "", "", 2},
        {FAKE_ERROR, RECORD_FAILED, "INFER-0005",
         "the model produced a value that is no number: a logit at step 3", 0},
        {FAKE_RETRY, RECORD_FAILED, "BASE-0001", "out of memory: told to (attempt 3 of 3)", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].content);
        fixture_open(&fixture, 64);
        put_in_turn(&fixture, &rows[i].content, 1);
        assert_ok(fixture_run(&fixture), &fixture.err);
        if (rows[i].submitted > 0)
            assert_int_equal(fixture.engine.submitted, rows[i].submitted);
        for (size_t k = 0; k < RECORDS; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            assert_int_equal(row.state, rows[i].state);
            assert_string_equal(row.reason, rows[i].reason);
            assert_string_equal(row.error_id, rows[i].error_id);
        }
        fixture_close(&fixture);
    }
}

static void results_of_the_store_are_found(void **state)
{
    (void)state;
    static const char *const before[] = {"int a;", "int b;", FAKE_LENGTH " x"};
    static const char *const after[] = {"int b;", "int a;", "int c;", "int b;", FAKE_LENGTH " x", "int c;"};
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture_put(&fixture, COUNT_OF(before), before);
    assert_ok(fixture_run(&fixture), &fixture.err);
    uint32_t submitted = fixture.engine.submitted;
    fixture_put(&fixture, COUNT_OF(after), after); /* under the same ids: new content */
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.engine.submitted - submitted, 1); /* int c; */
    assert_int_equal(fixture.progress.completed, 5);
    assert_int_equal(fixture.progress.degraded, 1);
    assert_int_equal(fixture.progress.reused, 5);
    struct row_copy row;
    fixture_row(&fixture, 4, &row);
    assert_string_equal(row.reason, "cut off at 7 tokens");
    assert_true(row.summary.reused);
    assert_string_equal(row.engine, "fake/1 none");
    fixture_close(&fixture);
}

static void use_prompt(struct fixture *fixture, const char *text)
{
    prompt_template_free(fixture->prompt);
    assert_ok(prompt_template_parse("test", text, strlen(text), false, &fixture->prompt, &fixture->err),
              &fixture->err);
}

/* Cold, warm, other prompt kept, other prompt redone, back again: what each infers. */
static void stale_summaries_are_kept_or_redone(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    static const struct {
        const char *name, *prompt;
        bool redo;
        uint32_t inferred;
        uint64_t kept, redone, restored, total;
    } steps[] = {
        {"cold", "{content}", false, COUNT, 0, 0, 0, COUNT},
        {"warm", "{content}", false, 0, 0, 0, 0, 0},
        {"warm, with redo", "{content}", true, 0, 0, 0, 0, 0},
        {"another prompt, kept", "of {content}", false, 0, COUNT, 0, 0, 0},
        {"another prompt, redone", "of {content}", true, COUNT, 0, COUNT, 0, COUNT},
        {"warm with it", "of {content}", false, 0, 0, 0, 0, 0},
        {"back again", "{content}", true, 0, 0, 0, COUNT, 0},
    };
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture_put(&fixture, COUNT, NULL);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        uint32_t submitted = fixture.engine.submitted;
        print_message("    %s\n", steps[i].name);
        use_prompt(&fixture, steps[i].prompt);
        fixture.options.stale_redo = steps[i].redo;
        assert_ok(fixture_run(&fixture), &fixture.err);
        const struct run_progress *progress = &fixture.progress;
        assert_int_equal(fixture.engine.submitted - submitted, steps[i].inferred);
        assert_int_equal(progress->stale_kept, steps[i].kept);
        assert_int_equal(progress->stale_redone, steps[i].redone);
        assert_int_equal(progress->stale_restored, steps[i].restored);
        assert_int_equal(progress->total, steps[i].total);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), COUNT);
        struct row_copy row;
        fixture_row(&fixture, 7, &row);
        assert_int_equal(strcmp(row.template_id, prompt_template_id(fixture.prompt)) == 0,
                         steps[i].kept == 0);
    }
    fixture_close(&fixture);
}

/* A redo that ends early leaves what it did not come to as it was: done, and stale. */
static void a_redo_that_ends_early_leaves_the_rest(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static const struct {
        const char *name;
        uint64_t records_max;
        const char *word; /* that the new prompt holds: how the engine fails */
        uint32_t drain_at, submits_before_failure;
        dobby_code code;
        uint64_t queued_max; /* and not done */
    } rows[] = {
        {"capped at one", .records_max = 1},
        {"capped at many", .records_max = 700},
        {"drained", .drain_at = 30, .queued_max = 512},
        {"the engine refuses all", .word = FAKE_BUSY, .code = DOBBY_OUT_OF_MEMORY, .queued_max = 512},
        {"the engine fails", .submits_before_failure = 40, .code = DOBBY_THREAD_FAILED, .queued_max = 512},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        char prompt[64];
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture_put(&fixture, COUNT, NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        snprintf(prompt, sizeof(prompt), "of %s {content}", rows[i].word == NULL ? "" : rows[i].word);
        use_prompt(&fixture, prompt);
        fixture.engine.per_wait = 1;
        fixture.engine.submits_before_failure =
            rows[i].submits_before_failure > 0 ? fixture.engine.submits + rows[i].submits_before_failure : 0;
        fixture.engine.failure = rows[i].code;
        fixture.asked = 0;
        fixture.drain_at = rows[i].drain_at;
        fixture.options.stale_redo = true;
        fixture.options.outage_ms_max = 30;
        fixture.options.records_max = rows[i].records_max;
        assert_code(fixture_run(&fixture), rows[i].code);
        const struct run_progress *progress = &fixture.progress;
        const uint64_t pending = fixture_count(&fixture, RECORD_PENDING);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_in_range(pending, 0, rows[i].queued_max);
        assert_int_equal(progress->completed + pending, progress->stale_redone);
        assert_int_equal(progress->stale_kept, COUNT - progress->stale_redone);
        assert_int_equal(progress->total, rows[i].records_max > 0 ? rows[i].records_max : COUNT);
        if (rows[i].records_max > 0)
            assert_int_equal(progress->completed, rows[i].records_max);

        /* What a default run with the settings of before makes of it is bounded by what was queued. */
        use_prompt(&fixture, "{content}");
        fixture.engine.submits_before_failure = 0;
        fixture.drain_at = 0;
        fixture.options.stale_redo = false;
        fixture.options.records_max = 0;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, pending);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), COUNT);
        fixture_close(&fixture);
    }
}

/* What is pending is done first, and what is stale is work too: queued in portions, and all of it. */
static void a_redo_queues_in_portions_and_last(void **state)
{
    (void)state;
    enum { COUNT = 1500 };
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture_put(&fixture, COUNT, NULL);
    fixture.options.records_max = COUNT - 100;
    assert_ok(fixture_run(&fixture), &fixture.err);
    use_prompt(&fixture, "of {content}");
    fixture.options.stale_redo = true;
    fixture.options.records_max = 100;
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.stale_redone, 0);
    assert_int_equal(fixture.progress.end, RUN_CAPPED); /* the stale ones are left */
    fixture.options.records_max = COUNT - 100;
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.stale_redone, COUNT - 100);
    assert_int_equal(fixture.progress.completed, COUNT - 100);
    assert_int_equal(fixture.progress.end, RUN_FINISHED);
    assert_true(fixture.store.of[FAULTY_REQUEUE_STALE].calls > 3);
    fixture_close(&fixture);
}

/* A store that does not take what is queued is waited for, and not for ever. */
static void a_redo_waits_for_the_store(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture_put(&fixture, COUNT, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    use_prompt(&fixture, "of {content}");
    fixture.options.stale_redo = true;
    fixture.options.outage_ms_max = 30;
    fixture.store.of[FAULTY_REQUEUE_STALE].fail = UINT32_MAX;
    fixture.store.of[FAULTY_REQUEUE_STALE].code = DOBBY_STORE_FULL;
    assert_code(fixture_run(&fixture), DOBBY_STORE_FULL);
    assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), COUNT);
    fixture.store.of[FAULTY_REQUEUE_STALE].fail = fixture.store.of[FAULTY_REQUEUE_STALE].calls + 2;
    fixture.options.outage_ms_max = 0;
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.stale_redone, COUNT);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_prompts_are_inferred_once),
        cmocka_unit_test(equal_prompts_end_alike),
        cmocka_unit_test(results_of_the_store_are_found),
        cmocka_unit_test(stale_summaries_are_kept_or_redone),
        cmocka_unit_test(a_redo_that_ends_early_leaves_the_rest),
        cmocka_unit_test(a_redo_queues_in_portions_and_last),
        cmocka_unit_test(a_redo_waits_for_the_store),
    };
    return cmocka_run_group_tests_name("pipeline run, reuse", tests, NULL, NULL);
}
