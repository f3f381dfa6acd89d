#include "app/progress.h"
#include "base/utf8.h"
#include "unit/test.h"

#include <string.h>

#define SECOND_NS INT64_C(1000000000)

static void rates(void **state)
{
    (void)state;
    static const struct {
        struct run_progress progress;
        uint64_t done;
        double records_per_s, tokens_per_s;
        int64_t eta_s;
    } cases[] = {
        {{.total = 10}, 0, 0, 0, -1},
        {{.total = 0, .elapsed_ns = SECOND_NS}, 0, 0, 0, 0},
        {{.total = 10, .elapsed_ns = SECOND_NS}, 0, 0, 0, -1},
        {{.total = 10,
          .completed = 2,
          .degraded = 1,
          .failed = 1,
          .skipped = 1,
          .tokens_in = 90,
          .tokens_out = 10,
          .elapsed_ns = 10 * SECOND_NS},
         5,
         0.5,
         10,
         10},
        {{.total = 3, .completed = 3, .elapsed_ns = SECOND_NS}, 3, 3, 0, 0},
        {{.total = 6, .completed = 2, .elapsed_ns = 9 * SECOND_NS, .paused_ns = 8 * SECOND_NS}, 2, 2, 0, 2},
        {{.total = 3, .completed = 4, .elapsed_ns = SECOND_NS}, 4, 4, 0, 0}, /* More came while it ran. */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct progress_rates got = progress_rates_of(&cases[i].progress);
        assert_int_equal(got.done, cases[i].done);
        assert_float_equal(got.records_per_s, cases[i].records_per_s, 1e-9);
        assert_float_equal(got.tokens_per_s, cases[i].tokens_per_s, 1e-9);
        assert_int_equal(got.eta_s, cases[i].eta_s);
    }
}

static void styles(void **state)
{
    (void)state;
    static const struct {
        bool terminal;
        const char *term, *no_color;
        bool redraw, colour;
    } cases[] = {
        {true, "xterm", NULL, true, true},    {true, "xterm", "", true, true},
        {true, "xterm", "1", true, false},    {true, "dumb", NULL, false, false},
        {true, NULL, NULL, false, false},     {true, "", NULL, false, false},
        {false, "xterm", NULL, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct progress_style got =
            progress_style_of(cases[i].terminal, cases[i].term, cases[i].no_color);
        assert_int_equal(got.redraw, cases[i].redraw);
        assert_int_equal(got.colour, cases[i].colour);
    }
}

static void the_bar_fits_any_width(void **state)
{
    (void)state;
    static const struct run_progress states[] = {
        {.total = 0},
        {.total = 200, .completed = 50, .tokens_in = 1000, .elapsed_ns = 10 * SECOND_NS},
        {.total = 200, .completed = 300, .failed = 7, .elapsed_ns = 10 * SECOND_NS},
        {.total = UINT64_MAX, .completed = UINT64_MAX / 2, .elapsed_ns = 1},
        {.total = UINT64_MAX, .completed = 1, .elapsed_ns = INT64_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        for (uint32_t columns = 1; columns < 200; columns++) {
            struct buffer out = {0};
            struct dobby_error err;
            assert_ok(progress_append_bar(&out, &states[i], columns, false, &err), &err);
            assert_true(out.length < columns);
            assert_true(out.length == 0 || utf8_is_valid(out.bytes, out.length));
            buffer_release(&out);
        }
    }
}

static void what_it_says(void **state)
{
    (void)state;
    const struct run_progress half = {.total = 200,
                                      .completed = 99,
                                      .failed = 1,
                                      .tokens_in = 900,
                                      .tokens_out = 100,
                                      .elapsed_ns = 10 * SECOND_NS};
    struct buffer out = {0};
    struct dobby_error err;
    assert_ok(progress_append_bar(&out, &half, 80, false, &err), &err);
    assert_string_equal(out.bytes,
                        "[###########            ]  100/200  10.0 rec/s  100 tok/s  ETA 0:10  1 failed");
    buffer_clear(&out);
    assert_ok(progress_append_bar(&out, &half, 80, true, &err), &err);
    assert_non_null(strstr(out.bytes, "\x1b[33m100/200"));
    buffer_clear(&out);
    assert_ok(progress_append_line(&out, &half, &err), &err);
    assert_string_equal(out.bytes,
                        "dobby: 100 of 200 records, 10.0 records/s, 100 tokens/s, ETA 0:10, 1 failed\n");
    buffer_release(&out);
}

static void it_says_why_it_waits(void **state)
{
    (void)state;
    static const struct {
        enum run_phase phase;
        const char *note; /* "": none */
        dobby_code outage;
    } rows[] = {
        {RUN_PHASE_RUNNING, "", DOBBY_OK},
        {RUN_PHASE_WAITING, "waiting for later tries and other runs", DOBBY_OK},
        {RUN_PHASE_STORE_OUTAGE, "STORE-0007 the database's disk is full: trying again", DOBBY_STORE_FULL},
        {RUN_PHASE_ENGINE_OUTAGE, "BASE-0001 out of memory: trying again", DOBBY_OUT_OF_MEMORY},
        {RUN_PHASE_PAUSED, "paused: dobby resume", DOBBY_OK},
        {RUN_PHASE_DRAINING, "finishing what is running", DOBBY_OK},
        {RUN_PHASE_STOPPING, "stopping", DOBBY_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct run_progress progress = {
            .total = 9, .completed = 4, .phase = rows[i].phase, .outage = rows[i].outage};
        struct buffer bar = {0}, line = {0};
        struct dobby_error err;
        assert_ok(progress_append_bar(&bar, &progress, 80, false, &err), &err);
        assert_ok(progress_append_line(&line, &progress, &err), &err);
        assert_non_null(strstr(bar.bytes, "4/9  "));
        assert_non_null(strstr(bar.bytes, rows[i].note));
        assert_non_null(strstr(line.bytes, rows[i].note));
        assert_int_equal(strstr(bar.bytes, "rec/s") != NULL, rows[i].note[0] == '\0');
        assert_int_equal(strstr(line.bytes, "; ") != NULL, rows[i].note[0] != '\0');
        assert_int_equal(strstr(line.bytes, "ETA") != NULL, rows[i].note[0] == '\0');
        buffer_release(&bar);
        buffer_release(&line);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(styles),
        cmocka_unit_test(the_bar_fits_any_width),
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(it_says_why_it_waits),
    };
    return cmocka_run_group_tests_name("app/progress", tests, NULL, NULL);
}
