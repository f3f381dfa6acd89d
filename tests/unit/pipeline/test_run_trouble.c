/* What fails and may pass: single records, and the engine as a whole. */
#include "os/clock.h"
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

#include <string.h>

enum { RECORDS = 100 };

/* Records with other contents than these have their own good one. */
static void put_among(struct fixture *fixture, const char *content, size_t first, size_t count)
{
    static char texts[RECORDS][32];
    const char *all[RECORDS];
    for (size_t i = 0; i < RECORDS; i++) {
        bool chosen = i >= first && i < first + count;
        snprintf(texts[i], sizeof(texts[i]), "record %zu %s", i, chosen ? content : "");
        all[i] = texts[i];
    }
    fixture_put(fixture, RECORDS, all);
}

static void each_record_has_its_attempts(void **state)
{
    (void)state;
    static const struct {
        const char *name, *content;
        size_t count;
        uint32_t attempts_max, results_to_fail;
        uint64_t failed, retried;
        uint32_t tries; /* of those that failed */
        const char *error_id, *reason;
    } rows[] = {
        {"always, three attempts", FAKE_RETRY, 1, 0, 0, 1, 2, 3, "BASE-0001",
         "out of memory: told to (attempt 3 of 3)"},
        {"always, five attempts", FAKE_RETRY, 3, 5, 0, 3, 12, 5, "BASE-0001",
         "out of memory: told to (attempt 5 of 5)"},
        {"always, one attempt", FAKE_RETRY, 2, 1, 0, 2, 0, 1, "BASE-0001", "out of memory: told to"},
        {"an error that does not pass", FAKE_ERROR, 2, 0, 0, 2, 0, 1, "INFER-0005",
         "the model produced a value that is no number: a logit at step 3"},
        {"no tokens can be made of it", FAKE_BYTES, 2, 0, 0, 2, 0, 1, "BASE-0003",
         "an argument is not valid: strange text"},
        {"the engine does not take it", FAKE_REFUSED, 3, 0, 0, 3, 0, 1, "INFER-0005",
         "the model produced a value that is no number: refused"},
        {"the engine does not take it now, every time", FAKE_BUSY, 1, 0, 0, 1, 2, 3, "BASE-0001",
         "out of memory: refused (attempt 3 of 3)"},
        {"once", "", 0, 0, 1, 0, 1, 0, "", ""},
        {"several, once", "", 0, 0, 6, 0, 6, 0, "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture.options.attempts_max = rows[i].attempts_max;
        fixture.engine.results_to_fail = rows[i].results_to_fail;
        put_among(&fixture, rows[i].content, 40, rows[i].count);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, RECORDS - rows[i].failed);
        assert_int_equal(fixture.progress.failed, rows[i].failed);
        assert_int_equal(fixture.progress.retried, rows[i].retried);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), RECORDS - rows[i].failed);
        assert_int_equal(fixture_count(&fixture, RECORD_FAILED), rows[i].failed);
        for (size_t k = 40; k < 40 + rows[i].count; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            assert_int_equal(row.state, RECORD_FAILED);
            assert_int_equal(row.tries, rows[i].tries);
            assert_string_equal(row.error_id, rows[i].error_id);
            assert_string_equal(row.reason, rows[i].reason);
        }
        struct run_copy run;
        fixture_run_row(&fixture, &run);
        assert_int_equal(run.state, RUN_FINISHED);
        assert_int_equal(run.counts.retried, rows[i].retried);
        assert_true(rows[i].count == 0 || strstr(run.metrics, rows[i].error_id) != NULL);
        assert_non_null(strstr(run.metrics, "\"engine\": {\"state\": \"closed\", \"opened\": 0"));
        fixture_close(&fixture);
    }
}

/* When only later tries are left the run waits for them, and says so. */
static void waits_for_later_tries(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture.options.retry_first_ms = 1000;
    fixture.options.attempts_max = 2;
    put_among(&fixture, FAKE_RETRY, 99, 1);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.completed, RECORDS - 1);
    assert_int_equal(fixture.progress.failed, 1);
    assert_true(fixture.phases & 1u << RUN_PHASE_WAITING);
    fixture_close(&fixture);
}

/* Unless so many attempts were asked for. */
static void a_record_that_kills_its_workers_is_given_up(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t deaths, attempts_max;
        const char *reason; /* NULL: it is done */
    } rows[] = {
        {"fifteen deaths", 15, 0, NULL},
        {"sixteen deaths", 16, 0, "16 times"},
        {"few attempts", 16, 1, "16 times"},
        {"more attempts", 16, 20, NULL},
        {"more deaths than attempts", 20, 20, "20 times"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 2);
        fixture.options.attempts_max = rows[i].attempts_max;
        put_among(&fixture, "", 0, 0);
        for (int64_t now_us = 10; now_us < 10 + rows[i].deaths; now_us++) {
            struct record_batch batch = {0};
            assert_ok(store_claim(fixture.memory, "killed", now_us, now_us + 1, 1, &batch, &fixture.err),
                      &fixture.err);
            assert_int_equal(batch.count, 1);
            record_batch_release(&batch);
            uint64_t released;
            assert_ok(store_release_owner(fixture.memory, "killed", now_us, &released, &fixture.err),
                      &fixture.err);
        }
        assert_ok(fixture_run(&fixture), &fixture.err);
        struct row_copy row;
        fixture_row(&fixture, 0, &row);
        assert_int_equal(row.state, rows[i].reason != NULL ? RECORD_FAILED : RECORD_COMPLETED);
        assert_string_equal(row.error_id, rows[i].reason != NULL ? "RUN-0001" : "");
        if (rows[i].reason != NULL)
            assert_non_null(strstr(row.reason, rows[i].reason));
        assert_int_equal(fixture.progress.completed, RECORDS - (rows[i].reason != NULL));
        fixture_close(&fixture);
    }
}

/* The engine fails as a whole for a while: the run pauses, and no record is charged for it. */
static void an_engine_that_comes_back_costs_no_attempt(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t waits, submits, failures, results;
        size_t per_wait;
        dobby_code result; /* of the results that fail; DOBBY_OK: OUT_OF_MEMORY */
        uint32_t attempts_max;
    } rows[] = {
        {"the first wait", 1, 0, 1, 0, 1, DOBBY_OK, 0},
        {"a later wait", 40, 0, 2, 0, 1, DOBBY_OK, 0},
        {"the first submits, and the probe", 0, 1, 9, 0, 1, DOBBY_OK, 0},
        {"later submits, and a probe", 0, 40, 12, 0, 0, DOBBY_OK, 0},
        {"many results in a row, then good ones", 0, 0, 0, 9, 0, DOBBY_OK, 0},
        {"all results in flight", 0, 0, 0, 8 + 8 / 4 + 4, 0, DOBBY_OK, 0},
        {"and the probe too", 0, 0, 0, 8 + 8 / 4 + 5, 0, DOBBY_OK, 0},
        {"all results, with an error that does not pass", 0, 0, 0, 8 + 8 / 4 + 4, 0, DOBBY_NUMERIC_FAILURE,
         0},
        {"all results, of records with one attempt", 0, 0, 0, 8 + 8 / 4 + 4, 0, DOBBY_OK, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 8);
        fixture.engine.per_wait = rows[i].per_wait;
        fixture.engine.waits_before_failure = rows[i].waits;
        fixture.engine.submits_before_failure = rows[i].submits;
        fixture.engine.failures = rows[i].failures;
        fixture.engine.failure = DOBBY_OUT_OF_MEMORY;
        fixture.engine.results_to_fail = rows[i].results;
        fixture.engine.result_failure = rows[i].result;
        fixture.options.attempts_max = rows[i].attempts_max;
        put_among(&fixture, "", 0, 0);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, RECORDS);
        assert_int_equal(fixture.progress.retried, 0);
        assert_true(fixture.phases & 1u << RUN_PHASE_ENGINE_OUTAGE);
        const dobby_code result = rows[i].result != DOBBY_OK ? rows[i].result : DOBBY_OUT_OF_MEMORY;
        assert_int_equal(fixture.outage, result);
        assert_int_equal(fixture.progress.engine_breaker, BREAKER_CLOSED);
        for (size_t k = 0; k < RECORDS; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            assert_int_equal(row.tries, 1);
        }
        struct run_copy run;
        fixture_run_row(&fixture, &run);
        assert_non_null(strstr(run.metrics, "\"engine\": {\"state\": \"closed\", \"opened\": 1"));
        fixture_close(&fixture);
    }
}

static void slowly_while_it_fails(void *context)
{
    const struct fake_engine *engine = context;
    if (engine->results_to_fail > 0)
        clock_sleep_ms(120);
}

/* A failure costs a try only when it is clear that it is not the engine's: however slowly the failures come,
 * and however few records there are to tell. */
static void failures_wait_until_it_is_known_whose_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t records;
        uint32_t results; /* that fail; the probe's is one of them where they are more than the records */
        uint32_t drain_at;
        size_t per_wait;
        uint64_t retried;
    } rows[] = {
        {"an outage, result by result, and the probe", RECORDS, 9, 0, 1, 0},
        {"an outage with few records left", 3, 4, 0, 0, 0},
        {"and with one", 1, 2, 0, 0, 0},
        {"a record's failure, and the probe is answered", 1, 1, 0, 0, 1},
        {"records' failures, and others are answered", RECORDS, 5, 0, 1, 5},
        {"nobody asks after a drain", RECORDS, 5, 6, 1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 8);
        fixture_put(&fixture, rows[i].records, NULL);
        fixture.engine.per_wait = rows[i].per_wait;
        fixture.engine.results_to_fail = rows[i].results;
        fixture.engine.on_wait = slowly_while_it_fails;
        fixture.engine.context = &fixture.engine;
        fixture.options.retry_first_ms = 1;
        fixture.options.probe_first_ms = 1;
        fixture.drain_at = rows[i].drain_at;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.retried, rows[i].retried);
        assert_int_equal(fixture.progress.failed, 0);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        for (size_t k = 0; k < rows[i].records; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            assert_true(rows[i].drain_at > 0 || row.state == RECORD_COMPLETED);
            const uint32_t charged = k < rows[i].retried; /* the first ones */
            assert_int_equal(row.tries, charged + (row.state == RECORD_COMPLETED));
        }
        fixture_close(&fixture);
    }
}

/* Bad records side by side look like a bad engine; the probe, which is no record, tells them apart. Without a
 * good one among them, too: they have their attempts and end. */
static void bad_records_in_a_row_do_not_end_the_run(void **state)
{
    (void)state;
    static const struct {
        const char *name, *content;
        size_t first, count;
        uint32_t tries_max;
    } rows[] = {
        {"an error that does not pass", FAKE_ERROR, 30, 20, 1},
        {"one that may, every time", FAKE_RETRY, 30, 20, 3},
        {"no tokens can be made of them", FAKE_BYTES, 30, 20, 1},
        {"the engine does not take them", FAKE_REFUSED, 0, RECORDS, 1},
        {"nor them, each time", FAKE_BUSY, 30, 20, 3},
        {"the last ones", FAKE_RETRY, 60, 40, 3},
        {"all of them", FAKE_RETRY, 0, RECORDS, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 8);
        fixture.options.retry_first_ms = 1;
        fixture.options.probe_first_ms = 1;
        put_among(&fixture, rows[i].content, rows[i].first, rows[i].count);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, RECORDS - rows[i].count);
        assert_int_equal(fixture.progress.failed, rows[i].count);
        assert_int_equal(fixture.progress.engine_breaker, BREAKER_CLOSED);
        for (size_t k = 0; k < RECORDS; k++) {
            struct row_copy row;
            bool bad = k >= rows[i].first && k < rows[i].first + rows[i].count;
            fixture_row(&fixture, k, &row);
            assert_int_equal(row.state, bad ? RECORD_FAILED : RECORD_COMPLETED);
            assert_int_equal(row.tries, bad ? rows[i].tries_max : 1);
        }
        fixture_close(&fixture);
    }
}

/* Not even when all are bad, and then it does not take for ever: the engine is asked ever more rarely. */
static void only_bad_records_are_failed_soon(void **state)
{
    (void)state;
    struct fixture fixture;
    struct run_copy run;
    fixture_open(&fixture, 8);
    fixture.options.probe_first_ms = 1;
    put_among(&fixture, FAKE_ERROR, 0, RECORDS);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.failed, RECORDS);
    fixture_run_row(&fixture, &run);
    assert_non_null(
        strstr(run.metrics, "\"engine\": {\"state\": \"closed\", \"opened\": 3")); /* 8, 16, 32, 64 */
    fixture_close(&fixture);
}

/* What looks like an outage is inferred again, but not again and again: a cluster among good ones costs one
 * more try a record, and what its probes cost. */
static void a_cluster_of_bad_records_is_inferred_about_twice(void **state)
{
    (void)state;
    enum { COUNT = 520, BAD = 20, FIRST = 200 };
    static const struct {
        const char *name, *content;
        uint32_t sessions;
        size_t per_wait; /* the good ones among them are answered in the outage that the bad ones begin */
        bool newest_first;
        uint32_t tries_max;
    } rows[] = {
        {"final, one by one", FAKE_ERROR, 8, 1, false, 1},
        {"final, all at once", FAKE_ERROR, 8, 0, false, 1},
        {"final, in another order", FAKE_ERROR, 8, 3, true, 1},
        {"final, many sessions, one by one", FAKE_ERROR, 128, 1, false, 1},
        {"final, many sessions, some at once", FAKE_ERROR, 128, 12, false, 1},
        {"final, many sessions, all at once", FAKE_ERROR, 128, 0, false, 1},
        {"final, many sessions, in another order", FAKE_ERROR, 128, 12, true, 1},
        {"may pass, one by one", FAKE_RETRY, 8, 1, false, 3},
        {"may pass, many sessions, some at once", FAKE_RETRY, 128, 12, false, 3},
        {"may pass, many sessions, all at once", FAKE_RETRY, 128, 0, false, 3},
        {"may pass, many sessions, in another order", FAKE_RETRY, 128, 12, true, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static char texts[COUNT][32];
        const char *all[COUNT];
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, rows[i].sessions);
        fixture.options.probe_first_ms = 1;
        fixture.engine.per_wait = rows[i].per_wait;
        fixture.engine.newest_first = rows[i].newest_first;
        for (size_t k = 0; k < COUNT; k++) {
            bool bad = k >= FIRST && k < FIRST + BAD;
            snprintf(texts[k], sizeof(texts[k]), "record %zu %s", k, bad ? rows[i].content : "");
            all[k] = texts[k];
        }
        fixture_put(&fixture, COUNT, all);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, COUNT - BAD);
        assert_int_equal(fixture.progress.failed, BAD);
        uint64_t inferred = 0;
        for (size_t k = 0; k < fixture.progress.errors.count; k++)
            inferred += fixture.progress.errors.rows[k].count;
        print_message("      %u tries of bad\n", (unsigned)inferred);
        /* Each try may have been pardoned once, by an outage that it began. */
        assert_in_range(inferred, BAD * rows[i].tries_max, 2 * BAD * rows[i].tries_max);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_record_has_its_attempts),
        cmocka_unit_test(waits_for_later_tries),
        cmocka_unit_test(a_record_that_kills_its_workers_is_given_up),
        cmocka_unit_test(an_engine_that_comes_back_costs_no_attempt),
        cmocka_unit_test(failures_wait_until_it_is_known_whose_they_are),
        cmocka_unit_test(bad_records_in_a_row_do_not_end_the_run),
        cmocka_unit_test(only_bad_records_are_failed_soon),
        cmocka_unit_test(a_cluster_of_bad_records_is_inferred_about_twice),
    };
    return cmocka_run_group_tests_name("pipeline run, trouble", tests, NULL, NULL);
}
