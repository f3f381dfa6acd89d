#include "app/run_view.h"

#include "unit/test.h"

#include <string.h>

#define SECOND_US INT64_C(1000000)
#define START_US (INT64_C(1764200000) * SECOND_US) /* 2025-11-26T23:33:20Z */

#define NOW_US (START_US + 61 * SECOND_US)

static const char elsewhere[] = "host=far.example;boot=b;ns=1;pid=12;start=4;id=1";

static struct run_row sample(void)
{
    return (struct run_row){
        .id = "019ac111-2222-7333-8444-555555555555",
        .owner = elsewhere,
        .state = RUN_RUNNING,
        .started_unix_us = START_US,
        .heartbeat_unix_us = START_US + 60 * SECOND_US,
        .settings = "{\"model\": \"dobby-nano\", \"fingerprint\": "
                    "\"4131fc8685b483876dfc858381516b6b15ca9d12fd31d967aee87d480432d21d\", \"max_time\": 0,"
                    " \"nested\": {\"not\": \"shown\"}}",
        .metrics =
            "{\"latency_ms\": {\"p50\": 12.5, \"p95\": 30, \"p99\": 55}, \"peak_rss_mb\": 3,"
            " \"phase\": \"store_outage\", \"cap\": null, \"peak_rss_bytes\": 12345678,"
            " \"breakers\": {\"store\": {\"state\": \"open\", \"opened\": 1, \"last_error\": \"STORE-0003\"},"
            " \"engine\": {\"state\": \"closed\", \"opened\": 0, \"last_error\": null}},"
            " \"errors\": [{\"id\": \"INFER-0005\", \"count\": 3, \"retryable\": false}]}",
        .counts = {.total = 100, .completed = 20, .degraded = 3, .failed = 1, .skipped = 1, .stale = 2},
        .command = RUN_COMMAND_NONE,
    };
}

static void figures(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum run_state state;
        int64_t heartbeat_s, ended_s;
        uint64_t total, completed;
        double seconds, records_per_min;
        int64_t eta_s;
    } cases[] = {
        {"in the midst", RUN_RUNNING, 60, 0, 100, 20, 60, 20, 240},
        {"nothing done yet", RUN_RUNNING, 60, 0, 100, 0, 60, 0, -1},
        {"just begun", RUN_RUNNING, 0, 0, 100, 0, 0, 0, -1},
        {"ended", RUN_FINISHED, 60, 30, 20, 20, 30, 40, -1},
        {"paused", RUN_PAUSED, 60, 0, 100, 20, 60, 20, -1},
        {"the clock was set back", RUN_RUNNING, -3600, 0, 100, 20, 0, 0, -1},
        {"more came while it ran", RUN_RUNNING, 60, 0, 10, 20, 60, 20, -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct run_row row = sample();
        row.state = cases[i].state;
        row.heartbeat_unix_us = START_US + cases[i].heartbeat_s * SECOND_US;
        row.ended_unix_us = cases[i].ended_s != 0 ? START_US + cases[i].ended_s * SECOND_US : 0;
        row.counts = (struct run_counts){.total = cases[i].total, .completed = cases[i].completed};
        struct run_view view;
        run_view_init(&view, &row, NOW_US);
        if (view.done != cases[i].completed || view.seconds != cases[i].seconds ||
            view.records_per_min != cases[i].records_per_min || view.eta_s != cases[i].eta_s)
            fail_msg("%s: %g s, %g records/min, ETA %lld", cases[i].name, view.seconds, view.records_per_min,
                     (long long)view.eta_s);
        run_view_release(&view);
    }
}

static void what_is_left_at_the_present_rate(void **state)
{
    (void)state;
    static const struct {
        const char *metrics;
        int64_t eta_s;
    } cases[] = {
        {"{\"records_per_min_now\": 150}", 30},
        {"{\"records_per_min_now\": 0}", 180}, /* a moment without results: then over all of its time */
        {"{}", 180},
        {"[]", 180},
        {"{\"paused_s\": 30}", 90}, /* 25 in half a minute */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct run_row row = sample(); /* 25 of 100 in a minute */
        struct run_view view;
        row.metrics = cases[i].metrics;
        run_view_init(&view, &row, NOW_US);
        assert_int_equal(view.eta_s, cases[i].eta_s);
        run_view_release(&view);
    }
}

static void told_and_not_done_yet(void **state)
{
    (void)state;
    static const struct {
        enum run_command command;
        enum run_state state;
        const char *want; /* NULL: nothing is said */
    } cases[] = {
        {RUN_COMMAND_NONE, RUN_RUNNING, NULL},    {RUN_COMMAND_PAUSE, RUN_RUNNING, "; told to pause\n"},
        {RUN_COMMAND_PAUSE, RUN_PAUSED, NULL},    {RUN_COMMAND_RESUME, RUN_PAUSED, "; told to resume\n"},
        {RUN_COMMAND_RESUME, RUN_RUNNING, NULL},  {RUN_COMMAND_CANCEL, RUN_RUNNING, "; told to cancel\n"},
        {RUN_COMMAND_CANCEL, RUN_CANCELED, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct run_row row = sample();
        struct run_view view;
        struct buffer out = {0};
        row.command = cases[i].command;
        row.state = cases[i].state;
        run_view_init(&view, &row, NOW_US);
        assert_int_equal(run_view_append_block(&out, &view, NULL), DOBBY_OK);
        if (cases[i].want != NULL)
            assert_non_null(strstr(out.bytes, cases[i].want));
        else
            assert_null(strstr(out.bytes, "told to"));
        buffer_release(&out);
        run_view_release(&view);
    }
}

static void a_dead_process_means_lost(void **state)
{
    (void)state;
    struct process_identity self;
    char living[PROCESS_IDENTITY_TEXT_BYTES], dead[PROCESS_IDENTITY_TEXT_BYTES];
    assert_int_equal(process_identity_self(&self, NULL), DOBBY_OK);
    process_identity_format(&self, living);
    self.start_ticks++; /* another process had this pid then */
    process_identity_format(&self, dead);
    const struct {
        const char *owner;
        enum run_state state, want;
    } cases[] = {
        {living, RUN_RUNNING, RUN_RUNNING},    {dead, RUN_RUNNING, RUN_LOST},
        {dead, RUN_PAUSED, RUN_LOST},          {dead, RUN_FINISHED, RUN_FINISHED},
        {elsewhere, RUN_RUNNING, RUN_RUNNING}, {"somebody", RUN_RUNNING, RUN_RUNNING},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct run_row row = sample();
        row.owner = cases[i].owner;
        row.state = cases[i].state;
        struct run_view view;
        run_view_init(&view, &row, NOW_US);
        assert_int_equal(view.state, cases[i].want);
        run_view_release(&view);
    }
}

static void silence(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings;
        enum run_state state;
        int64_t now_s; /* after the last sign of life */
        bool silent;
    } cases[] = {
        {"just now", "{\"lease_ms\": 30000}", RUN_RUNNING, 0, false},
        {"two seconds ago", "{\"lease_ms\": 30000}", RUN_RUNNING, 2, false},
        {"three seconds ago", "{\"lease_ms\": 30000}", RUN_RUNNING, 3, false},
        {"as long as its leases last", "{\"lease_ms\": 30000}", RUN_RUNNING, 30, false},
        {"longer", "{\"lease_ms\": 30000}", RUN_RUNNING, 31, true},
        {"longer, and paused", "{\"lease_ms\": 30000}", RUN_PAUSED, 31, true},
        {"longer, but ended", "{\"lease_ms\": 30000}", RUN_FINISHED, 31, false},
        {"longer leases", "{\"lease_ms\": 90000}", RUN_RUNNING, 31, false},
        {"very short leases", "{\"lease_ms\": 1}", RUN_RUNNING, 10, false},
        {"very short leases, longer", "{\"lease_ms\": 1}", RUN_RUNNING, 11, true},
        {"no settings", "not JSON", RUN_RUNNING, 11, true},
        {"a clock behind", "{}", RUN_RUNNING, -3600, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct run_row row = sample();
        struct run_view view;
        struct buffer out = {0};
        row.state = cases[i].state;
        row.settings = cases[i].settings;
        row.ended_unix_us = cases[i].state == RUN_FINISHED ? row.heartbeat_unix_us : 0;
        run_view_init(&view, &row, row.heartbeat_unix_us + cases[i].now_s * SECOND_US);
        if (view.silent_since_us != (cases[i].silent ? row.heartbeat_unix_us : 0) ||
            (cases[i].silent && view.eta_s != -1))
            fail_msg("%s: %lld", cases[i].name, (long long)view.silent_since_us);
        assert_int_equal(run_view_append_block(&out, &view, NULL), DOBBY_OK);
        assert_int_equal(run_view_append_row(&out, &view, NULL), DOBBY_OK);
        assert_int_equal(run_view_append_line(&out, &view, NULL), DOBBY_OK);
        int told = 0;
        for (const char *at = out.bytes; (at = strstr(at, "silent since 2025-11-26T23:34:20.000Z")) != NULL;
             at++)
            told++;
        assert_int_equal(told, cases[i].silent ? 3 : 0);
        /* Before that, from three seconds on, it is said to be held up. */
        const bool quiet = cases[i].now_s >= 3 && cases[i].state != RUN_FINISHED;
        assert_int_equal(view.quiet_s, quiet ? cases[i].now_s : 0);
        assert_true((strstr(out.bytes, "no sign of life for") != NULL) == (quiet && !cases[i].silent));
        assert_true(!quiet || view.eta_s == -1);
        run_view_release(&view);
        buffer_release(&out);
    }
}

static void metrics_by_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool found;
        double want;
    } cases[] = {
        {"latency_ms.p50", true, 12.5},
        {"peak_rss_mb", true, 3},
        {"latency_ms", false, 0},
        {"latency_ms.p42", false, 0},
        {"none.p50", false, 0},
        {"peak_rss_mb.p50", false, 0},
        {"a_name_longer_than_any_that_a_snapshot_has.p50", false, 0},
    };
    struct run_row row = sample();
    struct run_view view;
    run_view_init(&view, &row, NOW_US);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double got = 0;
        assert_int_equal(run_view_metric(&view, cases[i].path, &got), cases[i].found);
        assert_float_equal(got, cases[i].want, 0);
    }
    run_view_release(&view);
}

static void texts(void **state)
{
    (void)state;
    struct run_row row = sample();
    struct run_view view;
    struct buffer out = {0};
    run_view_init(&view, &row, NOW_US);
    assert_int_equal(run_view_append_block(&out, &view, NULL), DOBBY_OK);
    assert_string_equal(out.bytes,
                        "run 019ac111-2222-7333-8444-555555555555  running, store outage for 1:00, since "
                        "2025-11-26T23:33:20.000Z, pid 12 on far.example\n"
                        "  done          25 of 100, 25 records/min, ETA 3:00\n"
                        "  of these      20 completed, 3 degraded, 1 failed, 1 skipped; 0 reused\n"
                        "  also          0 to be tried again, 2 came too late\n"
                        "  tokens        0 read, 0 written, reused results not counted\n"
                        "  latency ms    p50 12.5, p95 30, p99 55\n"
                        "  breakers      store open (opened 1, last error STORE-0003), engine closed\n"
                        "  errors        id INFER-0005, count 3, retryable no\n"
                        "  more          peak rss mb 3, peak rss bytes 12 MB\n"
                        "  settings      model dobby-nano, fingerprint 4131fc8685b4\n");
    buffer_clear(&out);
    assert_int_equal(run_view_append_line(&out, &view, NULL), DOBBY_OK);
    assert_string_equal(out.bytes,
                        "run 019ac111-2222-7333 running: 25 of 100 records, 25 records/min, ETA 3:00, 1 "
                        "failed, p50 12 ms, p95 30 ms, p99 55 ms\n");
    run_view_release(&view);

    row.state = RUN_PAUSED; /* for how long, and so when it ends, nobody knows */
    run_view_init(&view, &row, NOW_US);
    buffer_clear(&out);
    assert_int_equal(run_view_append_line(&out, &view, NULL), DOBBY_OK);
    assert_string_equal(out.bytes,
                        "run 019ac111-2222-7333 paused: 25 of 100 records, 1 failed, p50 12 ms, p95 30 ms, "
                        "p99 55 ms\n");
    assert_int_equal(view.eta_s, -1);
    run_view_release(&view);

    row.state = RUN_FAILED;
    row.ended_unix_us = START_US + 3723 * SECOND_US;
    row.end_reason = "STORE-0007: \x1b[31mfull";
    row.settings = row.metrics = "not JSON";
    run_view_init(&view, &row, NOW_US);
    buffer_clear(&out);
    assert_int_equal(run_view_append_row(&out, &view, NULL), DOBBY_OK);
    assert_string_equal(out.bytes,
                        "019ac111-2222-7333  failed       2025-11-26 23:33   1:02:03         25/100       1"
                        "        0  STORE-0007: \\x1B[31mfull\n");
    buffer_clear(&out);
    assert_int_equal(run_view_append_block(&out, &view, NULL), DOBBY_OK);
    assert_non_null(strstr(out.bytes, "  failed after 1:02:03, begun 2025-11-26T23:33:20.000Z"));
    assert_non_null(strstr(out.bytes, "\n  ended         STORE-0007: \\x1B[31mfull\n"));
    assert_null(strstr(out.bytes, "settings"));
    run_view_release(&view);
    buffer_release(&out);
}

static void json(void **state)
{
    (void)state;
    struct run_row row = sample();
    struct run_view view;
    struct buffer out = {0};
    struct json_writer writer;
    struct json *root = NULL;
    int64_t integer = 0;
    run_view_init(&view, &row, NOW_US);
    json_writer_init(&writer, &out, true);
    run_view_write_json(&view, &writer);
    assert_int_equal(json_writer_end(&writer, NULL), DOBBY_OK);
    assert_int_equal(json_parse(out.bytes, out.length, &root, NULL), DOBBY_OK);
    assert_string_equal(json_to_text(json_member(root, "state"), NULL), "running");
    assert_int_equal(json_kind_of(json_member(root, "ended_at")), JSON_KIND_NULL);
    assert_true(json_to_integer(json_member(root, "done"), &integer) && integer == 25);
    assert_int_equal(json_count(json_member(json_member(root, "metrics"), "errors")), 1);
    assert_string_equal(json_to_text(json_member(json_member(root, "settings"), "model"), NULL),
                        "dobby-nano");
    json_free(root);
    buffer_release(&out);
    run_view_release(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_at_the_present_rate),
        cmocka_unit_test(told_and_not_done_yet),
        cmocka_unit_test(figures),
        cmocka_unit_test(a_dead_process_means_lost),
        cmocka_unit_test(silence),
        cmocka_unit_test(metrics_by_path),
        cmocka_unit_test(texts),
        cmocka_unit_test(json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
