/* What a run does with records, with results and with what it is asked for. */
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

#include "os/process.h"

#include <string.h>

static char long_content[FAKE_CONTEXT_TOKENS + 1]; /* filled by main */
static char longest_content[FAKE_CONTEXT_TOKENS - FIXTURE_TOKENS_MAX + 1];

static void ends_each_record_rightly(void **state)
{
    (void)state;
    static const struct {
        const char *name, *content;
        enum record_state state;
        const char *error_id, *reason, *text; /* text: its beginning */
    } rows[] = {
        {"plain", "int x;", RECORD_COMPLETED, "", "", "Says "},
        {"as long as fits", longest_content, RECORD_COMPLETED, "", "", "Says "},
        {"empty", "", RECORD_SKIPPED, "", "empty", ""},
        {"white space", " \n\t\r\n", RECORD_SKIPPED, "", "empty", ""},
        {"too long", long_content, RECORD_SKIPPED, "",
         "content too long: 200 tokens with the prompt, context is 200 of which 20 are kept for the summary",
         ""},
        {"too long for the engine", FAKE_LONG, RECORD_SKIPPED, "", "content too long: told to", ""},
        {"too long for the cache", FAKE_LOST_KV, RECORD_SKIPPED, "", "content too long: told to", ""},
        {"too long for the tokenizer", FAKE_HUGE, RECORD_SKIPPED, "", "content too long: huge text", ""},
        {"no summary", FAKE_BLANK, RECORD_DEGRADED, "", "empty summary", ""},
        {"no end", "x " FAKE_LENGTH, RECORD_DEGRADED, "", "cut off at 7 tokens", "Says "},
        {"neither", FAKE_BLANK FAKE_LENGTH, RECORD_DEGRADED, "", "empty summary", ""},
        {"no summary, but with other sampling", FAKE_ONCE, RECORD_COMPLETED, "", "", "Says "},
        {"no summary, and an error then", FAKE_BROKEN, RECORD_DEGRADED, "", "empty summary", ""},
        {"a NUL in the summary", FAKE_NUL, RECORD_COMPLETED, "", "", "a b"},
        {"engine error", FAKE_ERROR, RECORD_FAILED, "INFER-0005",
         "the model produced a value that is no number: a logit at step 3", ""},
    };
    struct fixture fixture;
    const char *contents[COUNT_OF(rows)];
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        contents[i] = rows[i].content;
    fixture_open(&fixture, 2);
    fixture_put(&fixture, COUNT_OF(rows), contents);
    assert_ok(fixture_run(&fixture), &fixture.err);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct row_copy row;
        print_message("    %s\n", rows[i].name);
        fixture_row(&fixture, i, &row);
        assert_string_equal(record_state_name(row.state), record_state_name(rows[i].state));
        assert_string_equal(row.reason, rows[i].reason);
        assert_string_equal(row.error_id, rows[i].error_id);
        assert_int_equal(strncmp(row.text, rows[i].text, strlen(rows[i].text)), 0);
        assert_int_equal(row.attempt, 1);
    }
    const struct run_progress *progress = &fixture.progress;
    assert_int_equal(progress->total, COUNT_OF(rows));
    assert_int_equal(progress->completed, 4);
    assert_int_equal(progress->degraded, 4);
    assert_int_equal(progress->failed, 1);
    assert_int_equal(progress->skipped, 6);
    assert_int_equal(progress->stale, 0);
    assert_int_equal(progress->reused, 0);
    assert_int_equal(progress->tokens_out, 8 * 7);
    /* Five fail a gate, and are tried once more; a probe says that the error is the last record's own. */
    assert_int_equal(fixture.engine.submitted, 9 + 5 + 1);
    fixture_close(&fixture);
}

static void records_provenance(void **state)
{
    (void)state;
    struct fixture fixture;
    struct row_copy row;
    fixture_open(&fixture, 2);
    fixture_put(&fixture, 1, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    fixture_row(&fixture, 0, &row);
    assert_string_equal(row.model, "fake");
    assert_string_equal(row.engine, "fake/1 none");
    assert_string_equal(row.sampling, "greedy repetition_penalty=1 tokens_max=20");
    assert_string_equal(row.template_id, prompt_template_id(fixture.prompt));
    assert_int_equal(row.summary.tokens_in, strlen("content of r000"));
    assert_int_equal(row.summary.inference_ms, 2);
    assert_int_equal(strlen(row.summary.id), 36);
    assert_true(row.summary.confidence == 0.5);
    assert_int_equal(fixture.progress.tokens_in, row.summary.tokens_in);
    fixture_close(&fixture);
}

/* Text, key and seed depend on the record alone. */
static void results_do_not_depend_on_concurrency(void **state)
{
    (void)state;
    enum { RECORDS = 300 };
    static const struct {
        uint32_t sessions;
        size_t per_wait, queue_max;
        bool newest_first;
    } rows[] = {
        {1, 1, 100, false}, {2, 1, 3, true}, {7, 5, 100, true}, {64, 0, 100, false}, {4096, 0, 5, true},
    };
    static struct row_copy first[RECORDS];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        fixture_open(&fixture, rows[i].sessions);
        fixture.options.sampling.temperature = 0.5f;
        fixture.engine.per_wait = rows[i].per_wait;
        fixture.engine.queue_max = rows[i].queue_max;
        fixture.engine.newest_first = rows[i].newest_first;
        fixture_put(&fixture, RECORDS, NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.completed, RECORDS);
        assert_int_equal(fixture.progress.total, RECORDS);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), RECORDS);
        assert_int_equal(fixture.engine.submitted, RECORDS);
        assert_true(fixture.engine.count_max <= rows[i].sessions + rows[i].sessions / 4 + 4);
        for (size_t k = 0; k < RECORDS; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            if (i == 0)
                first[k] = row;
            assert_string_equal(row.text, first[k].text);
            assert_memory_equal(row.key, first[k].key, sizeof(row.key));
            assert_true(k == 0 || strcmp(row.text, first[0].text) != 0);
        }
        fixture_close(&fixture);
    }
}

static void keeps_the_caps_on_records(void **state)
{
    (void)state;
    static const struct {
        uint64_t records_max, want;
    } rows[] = {{1, 1}, {5, 5}, {8, 8}, {30, 30}, {99, 99}, {100, 100}, {1000, 100}, {0, 100}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        fixture_open(&fixture, 4);
        fixture.options.records_max = rows[i].records_max;
        fixture_put(&fixture, 100, NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.total, rows[i].want);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), rows[i].want);
        assert_int_equal(fixture_count(&fixture, RECORD_PENDING), 100 - rows[i].want);
        assert_int_equal(fixture.engine.submitted, rows[i].want);
        fixture_close(&fixture);
    }
}

static void drains_and_stops(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t drain_at, stop_at;
        size_t queue_max;
        bool saves_some, cancels;
    } rows[] = {
        {"drained before the first claim", 1, 0, 1000, false, false},
        {"drained while submitting", 4, 0, 1000, true, false},
        {"drained later: what is only queued is given back", 60, 0, 1000, true, true},
        {"drained with a full queue", 8, 0, 2, true, false},
        {"stopped before the first claim", 0, 1, 1000, false, false},
        {"stopped while submitting", 0, 4, 1000, false, true},
        {"stopped later", 0, 60, 1000, true, true},
        {"drained, then stopped", 50, 51, 1000, true, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 4);
        fixture.drain_at = rows[i].drain_at;
        fixture.stop_at = rows[i].stop_at;
        fixture.engine.per_wait = 1;
        fixture.engine.queue_max = rows[i].queue_max;
        fixture_put(&fixture, 200, NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        uint64_t completed = fixture_count(&fixture, RECORD_COMPLETED);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_int_equal(fixture_count(&fixture, RECORD_PENDING), 200 - completed);
        assert_int_equal(fixture.progress.completed, completed);
        assert_int_equal(completed > 0, rows[i].saves_some);
        assert_int_equal(fixture.engine.cancels > 0, rows[i].stop_at > 0);
        assert_int_equal(fixture.engine.queued_cancels > 0, rows[i].drain_at > 0);
        assert_int_equal(fixture.engine.submitted > completed, rows[i].cancels);
        assert_true(completed < 200);

        /* The next run does what is missing, and nothing else. */
        uint32_t submitted = fixture.engine.submitted;
        fixture.drain_at = fixture.stop_at = 0;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), 200);
        assert_int_equal(fixture.engine.submitted - submitted, 200 - completed);
        for (size_t k = 0; k < 200; k++) {
            struct row_copy row;
            fixture_row(&fixture, k, &row);
            assert_int_equal(row.tries, 1);
        }
        fixture_close(&fixture);
    }
}

static void an_engine_that_cancels_ends_the_run(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture.engine.cancels_by_itself = true;
    fixture_put(&fixture, 100, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture_count(&fixture, RECORD_PENDING), 100);
    fixture_close(&fixture);
}

/* Another owner takes all leases away while the engine works. */
static void take_leases(void *context)
{
    struct fixture *fixture = context;
    struct record_batch batch = {0};
    uint64_t released = 0;
    fixture->engine.on_wait = NULL;
    assert_ok(store_release_owner(fixture->memory, "test", 2, &released, &fixture->err), &fixture->err);
    assert_true(released > 0);
    assert_ok(store_claim(fixture->memory, "other", INT64_C(1) << 60, INT64_C(1) << 61, (size_t)released,
                          &batch, &fixture->err),
              &fixture->err);
    assert_int_equal(batch.count, released);
    record_batch_release(&batch);
}

static void results_of_lost_leases_are_not_stored(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 4);
    fixture.engine.on_wait = take_leases;
    fixture.engine.context = &fixture;
    fixture.options.time_ms_max = 300; /* the other owner never answers */
    fixture_put(&fixture, 100, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_int_equal(fixture.progress.stale, 4 + 1 + 4); /* what was in flight */
    assert_int_equal(fixture.progress.completed, 100 - 9);
    assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 9);
    for (size_t i = 0; i < 9; i++) {
        struct row_copy row;
        fixture_row(&fixture, i, &row);
        assert_int_equal(row.state, RECORD_LEASED);
        assert_int_equal(row.attempt, 2);
        assert_string_equal(row.text, "");
    }
    fixture_close(&fixture);
}

static void renews_its_leases(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 1);
    fixture.options.lease_ms = 60; /* a third of it passes within a few waits */
    fixture.engine.per_wait = 1;
    fixture.engine.wait_ms = 10;
    fixture_put(&fixture, 12, NULL);
    assert_ok(fixture_run(&fixture), &fixture.err);
    assert_true(fixture.store.of[FAULTY_RENEW].calls > 0);
    fixture_close(&fixture);
}

static void takes_back_what_the_dead_hold(void **state)
{
    (void)state;
    struct process_identity self, earlier_boot, reused_pid, other_host;
    struct dobby_error err = {0};
    assert_ok(process_identity_self(&self, &err), &err);
    earlier_boot = reused_pid = other_host = self;
    snprintf(earlier_boot.boot_id, sizeof(earlier_boot.boot_id), "00000000-0000-0000-0000-000000000000");
    reused_pid.start_ticks = self.start_ticks + 1;
    snprintf(other_host.host, sizeof(other_host.host), "elsewhere.invalid");
    other_host.start_ticks = self.start_ticks + 1;
    const struct {
        const char *name;
        const struct process_identity *identity; /* NULL: an owner of another kind */
        bool dead;
    } rows[] = {
        {"earlier boot", &earlier_boot, true}, {"pid used again", &reused_pid, true},
        {"this process", &self, false},        {"another host", &other_host, false},
        {"not a process", NULL, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        struct record_batch batch = {0};
        char text[PROCESS_IDENTITY_TEXT_BYTES] = "someone", owner[PROCESS_IDENTITY_TEXT_BYTES + 64];
        print_message("    %s\n", rows[i].name);
        fixture_open(&fixture, 2);
        fixture_put(&fixture, 10, NULL);
        if (rows[i].identity != NULL)
            process_identity_format(rows[i].identity, text);
        snprintf(owner, sizeof(owner), "%s;id=01890a5d-ac96-774b-bcce-b302099a8057", text);
        assert_ok(store_claim(fixture.memory, owner, 1, INT64_C(1) << 60, 4, &batch, &fixture.err),
                  &fixture.err);
        record_batch_release(&batch);
        fixture.options.time_ms_max = 300; /* it waits for those who live */
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture.progress.total, 10);
        assert_int_equal(fixture.progress.end, rows[i].dead ? RUN_FINISHED : RUN_CAPPED);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), rows[i].dead ? 10 : 6);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), rows[i].dead ? 0 : 4);
        fixture_close(&fixture);
    }
}

int main(void)
{
    memset(long_content, 'x', sizeof(long_content) - 1);
    memset(longest_content, 'y', sizeof(longest_content) - 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_each_record_rightly),
        cmocka_unit_test(records_provenance),
        cmocka_unit_test(results_do_not_depend_on_concurrency),
        cmocka_unit_test(keeps_the_caps_on_records),
        cmocka_unit_test(drains_and_stops),
        cmocka_unit_test(an_engine_that_cancels_ends_the_run),
        cmocka_unit_test(results_of_lost_leases_are_not_stored),
        cmocka_unit_test(renews_its_leases),
        cmocka_unit_test(takes_back_what_the_dead_hold),
    };
    return cmocka_run_group_tests_name("pipeline run", tests, NULL, NULL);
}
