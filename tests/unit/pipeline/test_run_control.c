/* Caps, commands from elsewhere, and the run's row. */
#include "base/json.h"
#include "os/clock.h"
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

#include <string.h>

enum { RECORDS = 200 };

static void each_cap_ends_the_run_cleanly(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t records, tokens, failures;
        int64_t time_ms;
        enum run_state end;
        enum run_cap cap;
        const char *reason;
    } rows[] = {
        {"records", 30, 0, 0, 0, RUN_CAPPED, RUN_CAP_RECORDS, "--max-records was reached"},
        {"all the records there are", RECORDS, 0, 0, 0, RUN_FINISHED, RUN_CAP_NONE, ""},
        {"tokens", 0, 300, 0, 0, RUN_CAPPED, RUN_CAP_TOKENS, "--max-tokens was reached"},
        {"more tokens than there are", 0, 1000000, 0, 0, RUN_FINISHED, RUN_CAP_NONE, ""},
        {"failures", 0, 0, 2, 0, RUN_CAPPED, RUN_CAP_FAILURES, "--max-failures was reached"},
        {"more failures than there are", 0, 0, 11, 0, RUN_FINISHED, RUN_CAP_NONE, ""},
        {"time", 0, 0, 0, 50, RUN_CAPPED, RUN_CAP_TIME, "--max-time was reached"},
        {"more time than it takes", 0, 0, 0, 60000, RUN_FINISHED, RUN_CAP_NONE, ""},
    };
    static char texts[RECORDS][32];
    const char *contents[RECORDS];
    for (size_t i = 0; i < RECORDS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%zu %s", i, i % 20 == 19 ? FAKE_ERROR : "good");
        contents[i] = texts[i];
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        struct run_copy run;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 2);
        fixture.engine.per_wait = 2;
        fixture.engine.wait_ms = rows[i].time_ms > 0 || rows[i].failures > 0 ? 2 : 0;
        fixture_put(&fixture, RECORDS, contents);
        fixture.options.records_max = rows[i].records;
        fixture.options.tokens_inferred_max = rows[i].tokens;
        fixture.options.failures_max = rows[i].failures;
        fixture.options.time_ms_max = rows[i].time_ms;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.end, rows[i].end);
        assert_int_equal(fixture.progress.cap, rows[i].cap);
        uint64_t pending = fixture_count(&fixture, RECORD_PENDING);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_int_equal(pending > 0, rows[i].end == RUN_CAPPED);
        assert_int_equal(fixture.progress.completed + fixture.progress.failed, RECORDS - pending);
        assert_true(rows[i].failures == 0 || fixture.progress.failed >= rows[i].failures ||
                    rows[i].end == RUN_FINISHED);
        fixture_run_row(&fixture, &run);
        assert_int_equal(run.state, rows[i].end);
        assert_string_equal(run.reason, rows[i].reason);

        fixture.options.records_max = fixture.options.tokens_inferred_max = fixture.options.failures_max = 0;
        fixture.options.time_ms_max = 0;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), RECORDS - RECORDS / 20);
        fixture_close(&fixture);
    }
}

/* A store that fails when the time is over is not waited for as long as it would be before. */
static void a_cap_on_time_bounds_outages(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum faulty_call call;
    } rows[] = {{"when results are to be saved", FAULTY_SETTLE}, {"before there is a loop", FAULTY_COUNT}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 2);
        fixture_put(&fixture, 20, NULL);
        fixture.options.time_ms_max = 100;
        fixture.options.outage_ms_max = 60000;
        fixture.store.of[rows[i].call].fail = UINT32_MAX;
        fixture.store.of[rows[i].call].code = DOBBY_STORE_BUSY;
        const int64_t since_ns = clock_monotonic_ns();
        assert_code(fixture_run(&fixture), DOBBY_STORE_BUSY);
        assert_in_range((clock_monotonic_ns() - since_ns) / 1000000, 2000, 20000);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        fixture_close(&fixture);
    }
}

/* What waits for its second try when the run is stopped is in no engine: it goes back at once. */
static void a_stop_does_not_wait_for_second_tries(void **state)
{
    (void)state;
    const char *contents[RECORDS];
    static char texts[RECORDS][32];
    for (size_t i = 0; i < RECORDS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%zu %s", i, FAKE_ONCE);
        contents[i] = texts[i];
    }
    for (uint32_t stop_at = 3; stop_at < 60; stop_at++) {
        struct fixture fixture;
        fixture_open(&fixture, 4);
        fixture.engine.per_wait = 3;
        fixture.engine.queue_max = 7; /* too few for all: some wait for room */
        fixture.stop_at = stop_at;
        fixture_put(&fixture, RECORDS, contents);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.end, RUN_INTERRUPTED);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_int_equal(fixture_count(&fixture, RECORD_DEGRADED), 0);
        assert_int_equal(fixture_count(&fixture, RECORD_PENDING), RECORDS - fixture.progress.completed);
        fixture_close(&fixture);
    }
}

static void command(struct fixture *fixture, enum run_command chosen)
{
    assert_ok(store_run_command(fixture->memory, fixture->run_id, chosen, 1, &fixture->err), &fixture->err);
}

static void pause_at_the_tenth(void *context)
{
    struct fixture *fixture = context;
    if (fixture->engine.waits == 10)
        command(fixture, RUN_COMMAND_PAUSE);
}

static void resume_when_paused(struct fixture *fixture)
{
    if (fixture->told.phase != RUN_PHASE_PAUSED || fixture->told.running > 0 || fixture->told.outbox > 0)
        return;
    struct run_copy run;
    fixture_run_row(fixture, &run);
    if (run.state != RUN_PAUSED) /* told a moment before it is written */
        return;
    assert_int_equal(fixture_count(fixture, RECORD_LEASED), 0);
    command(fixture, RUN_COMMAND_RESUME);
}

static void a_paused_run_holds_nothing_and_goes_on(void **state)
{
    (void)state;
    struct fixture fixture;
    struct run_copy run;
    fixture_open(&fixture, 4);
    fixture.engine.per_wait = 1;
    fixture.engine.wait_ms = 2;
    fixture.engine.on_wait = pause_at_the_tenth;
    fixture.engine.context = &fixture;
    fixture.on_told = resume_when_paused;
    fixture_put(&fixture, RECORDS, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_true(fixture.phases & 1u << RUN_PHASE_PAUSED);
    assert_int_equal(fixture.progress.end, RUN_FINISHED);
    assert_int_equal(fixture.progress.completed, RECORDS);
    fixture_run_row(&fixture, &run);
    assert_int_equal(run.state, RUN_FINISHED);
    for (size_t k = 0; k < RECORDS; k++) {
        struct row_copy row;
        fixture_row(&fixture, k, &row);
        assert_int_equal(row.tries, 1);
    }
    fixture_close(&fixture);
}

/* Another run, when this one is paused: it takes all that is left and settles it. */
static void do_the_rest_when_paused(struct fixture *fixture)
{
    struct record_batch batch = {0};
    static struct outcome outcomes[2 * RECORDS];
    struct dobby_error *err = &fixture->err;
    if (fixture->told.phase != RUN_PHASE_PAUSED || fixture->told.running > 0 || fixture->told.outbox > 0)
        return;
    assert_ok(store_claim(fixture->memory, "another", 1, INT64_MAX, COUNT_OF(outcomes), &batch, err), err);
    for (size_t i = 0; i < batch.count; i++)
        outcomes[i] = (struct outcome){.record_id = batch.records[i].id,
                                       .attempt = batch.records[i].attempt,
                                       .kind = OUTCOME_SKIPPED,
                                       .reason = "by another run"};
    if (batch.count > 0)
        assert_ok(store_settle(fixture->memory, outcomes, batch.count, 2, err), err);
    record_batch_release(&batch);
}

static void a_paused_run_ends_when_nothing_is_left(void **state)
{
    (void)state;
    struct fixture fixture;
    struct run_copy run;
    fixture_open(&fixture, 4);
    fixture.engine.per_wait = 1;
    fixture.engine.wait_ms = 2;
    fixture.engine.on_wait = pause_at_the_tenth;
    fixture.engine.context = &fixture;
    fixture.on_told = do_the_rest_when_paused;
    fixture_put(&fixture, RECORDS, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.end, RUN_FINISHED);
    assert_true(fixture.progress.ended_paused);
    assert_true(fixture.progress.paused_ns > 0 && fixture.progress.paused_ns < fixture.progress.elapsed_ns);
    assert_int_equal(fixture.progress.total, fixture.progress.completed);
    assert_int_equal(fixture_count(&fixture, RECORD_SKIPPED), RECORDS - fixture.progress.completed);
    fixture_run_row(&fixture, &run);
    assert_int_equal(run.state, RUN_FINISHED);
    assert_string_equal(run.reason, "paused, and nothing was left to do");
    fixture_close(&fixture);
}

static void cancel_when_paused(struct fixture *fixture)
{
    if (fixture->told.phase == RUN_PHASE_PAUSED)
        command(fixture, RUN_COMMAND_CANCEL);
}

static void cancel_at_the_tenth(void *context)
{
    struct fixture *fixture = context;
    if (fixture->engine.waits == 10)
        command(fixture, RUN_COMMAND_CANCEL);
}

static void a_canceled_run_ends(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*on_wait)(void *context);
        void (*on_told)(struct fixture *fixture);
    } rows[] = {{"while it runs", cancel_at_the_tenth, NULL},
                {"while it is paused", pause_at_the_tenth, cancel_when_paused}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        struct run_copy run;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture.engine.per_wait = 1;
        fixture.engine.wait_ms = 2;
        fixture.engine.on_wait = rows[i].on_wait;
        fixture.engine.context = &fixture;
        fixture.on_told = rows[i].on_told;
        fixture_put(&fixture, 2 * RECORDS, NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.end, RUN_CANCELED);
        assert_true(fixture.progress.completed > 0);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_int_equal(fixture_count(&fixture, RECORD_PENDING), 2 * RECORDS - fixture.progress.completed);
        fixture_run_row(&fixture, &run);
        assert_int_equal(run.state, RUN_CANCELED);
        fixture_close(&fixture);
    }
}

static void the_row_tells_what_the_tables_hold(void **state)
{
    (void)state;
    static const char *const contents[] = {"a",        "b",       "a", "",        FAKE_ERROR,
                                           FAKE_BLANK, FAKE_ONCE, "a", FAKE_RETRY};
    static const char *const keys[] = {"phase",  "records_per_min", "latency_ms", "settle_ms",
                                       "queues", "sessions",        "breakers",   "reuse",
                                       "cache",  "gates",           "errors",     "peak_rss_bytes"};
    struct fixture fixture;
    struct run_copy run;
    struct json *json;
    int64_t number;
    fixture_open(&fixture, 4);
    fixture_put(&fixture, COUNT_OF(contents), contents);
    assert_ok(fixture_run(&fixture), &fixture.err);
    fixture_run_row(&fixture, &run);
    assert_true(run.ended);
    assert_int_equal(run.state, RUN_FINISHED);
    assert_int_equal(run.counts.total, COUNT_OF(contents));
    assert_int_equal(run.counts.completed, fixture_count(&fixture, RECORD_COMPLETED));
    assert_int_equal(run.counts.degraded, fixture_count(&fixture, RECORD_DEGRADED));
    assert_int_equal(run.counts.failed, fixture_count(&fixture, RECORD_FAILED));
    assert_int_equal(run.counts.skipped, fixture_count(&fixture, RECORD_SKIPPED));
    assert_int_equal(run.counts.retried, 2);
    assert_int_equal(run.counts.reused, 2);
    assert_int_equal(run.counts.stale, 0);
    assert_ok(json_parse(run.metrics, strlen(run.metrics), &json, &fixture.err), &fixture.err);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (json_member(json, keys[i]) == NULL)
            fail_msg("no %s", keys[i]);
    assert_true(json_to_integer(json_member(json_member(json, "gates"), "empty"), &number) && number == 2);
    assert_true(json_to_integer(json_member(json_member(json, "gates"), "rescued"), &number) && number == 1);
    assert_int_equal(json_count(json_member(json, "errors")), 2);
    json_free(json);
    assert_ok(json_parse(run.settings, strlen(run.settings), &json, &fixture.err), &fixture.err);
    assert_string_equal(json_to_text(json_member(json, "stale"), NULL), "keep");
    json_free(json);
    fixture_close(&fixture);
}

/* A failed run's row says with which error. */
static void the_row_of_a_failed_run(void **state)
{
    (void)state;
    struct fixture fixture;
    struct run_copy run;
    fixture_open(&fixture, 4);
    fixture_put(&fixture, 10, NULL);
    fixture.store.of[FAULTY_CLAIM].fail = 1;
    fixture.store.of[FAULTY_CLAIM].code = DOBBY_STORE_CORRUPT;
    assert_code(fixture_run(&fixture), DOBBY_STORE_CORRUPT);
    fixture_run_row(&fixture, &run);
    assert_int_equal(run.state, RUN_FAILED);
    assert_non_null(strstr(run.reason, "STORE-0006"));
    fixture_close(&fixture);
}

/* Who removes a run's row from the table does not stop the run. */
static void a_run_goes_on_without_its_row(void **state)
{
    (void)state;
    static const enum faulty_call calls[] = {FAULTY_RUN_POLL, FAULTY_RUN_UPDATE};
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct fixture fixture;
        fixture_open(&fixture, 2);
        fixture.engine.per_wait = 1;
        fixture.engine.wait_ms = 5;
        fixture.store.of[calls[i]].fail = 1;
        fixture.store.of[calls[i]].code = DOBBY_STORE_NOT_FOUND;
        fixture_put(&fixture, RECORDS, NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, RECORDS);
        assert_int_equal(fixture.store.of[calls[i]].calls, 1);
        fixture_close(&fixture);
    }
}

/* Fewer sessions are used when more are no faster; the outputs are those of any other number. */
static void the_number_of_sessions_is_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 8);
    fixture.options.sessions_min = 9;
    assert_code(fixture_run(&fixture), DOBBY_INVALID_ARGUMENT);
    fixture.options.sessions_min = 2;
    fixture_put(&fixture, 100, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_in_range(fixture.progress.sessions, 2, 8);
    assert_int_equal(fixture.progress.completed, 100);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cap_ends_the_run_cleanly),
        cmocka_unit_test(a_cap_on_time_bounds_outages),
        cmocka_unit_test(a_stop_does_not_wait_for_second_tries),
        cmocka_unit_test(a_paused_run_holds_nothing_and_goes_on),
        cmocka_unit_test(a_paused_run_ends_when_nothing_is_left),
        cmocka_unit_test(a_canceled_run_ends),
        cmocka_unit_test(the_row_tells_what_the_tables_hold),
        cmocka_unit_test(the_row_of_a_failed_run),
        cmocka_unit_test(a_run_goes_on_without_its_row),
        cmocka_unit_test(the_number_of_sessions_is_bounded),
    };
    return cmocka_run_group_tests_name("pipeline run, control", tests, NULL, NULL);
}
