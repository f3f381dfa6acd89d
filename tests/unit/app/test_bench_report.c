#include "app/bench_report.h"
#include "app/bench_table.h"
#include "base/buffer.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static const struct kernel_figures kernel = {.name = "up",
                                             .isa = "avx2",
                                             .product = "int8",
                                             .weights = "q8_0",
                                             .bound = "compute",
                                             .m = 512,
                                             .n = 4864,
                                             .k = 896,
                                             .achieved = 0.5,
                                             .ceiling = 1,
                                             .percent = 50,
                                             .best_us = 123.5};
static const struct engine_figures engine = {.model = "qwen2.5-0.5b",
                                             .precision = "int8/int8",
                                             .kernels = "amx",
                                             .sessions = 20,
                                             .threads = 2,
                                             .records = 1000,
                                             .seconds = 60,
                                             .records_per_min = 1000,
                                             .prefill_tokens_per_s = 5000,
                                             .decode_tokens_per_s = 500,
                                             .first_token_ms = 10,
                                             .p50_ms = 100,
                                             .p95_ms = 200,
                                             .p99_ms = 300,
                                             .first_1000_rss_mb = 890,
                                             .peak_rss_mb = 900};

static void make_report(struct bench_report *out)
{
    struct dobby_error err;
    struct engine_figures automatic = engine;
    automatic.automatic = true;
    automatic.sessions = 64;
    *out = (struct bench_report){.machine = {.cpu = "A CPU", .threads = 2}};
    out->machine.ceilings[CEILING_INT8_TILE] = 14.5;
    out->machine.ceilings[CEILING_READ_GB_PER_S] = 25;
    for (int i = 0; i < 40; i++) { /* more than the first allocation holds */
        struct kernel_figures row = kernel;
        row.m = (uint32_t)i + 1;
        assert_ok(bench_report_add_kernel(out, &row, &err), &err);
    }
    assert_ok(bench_report_add_engine(out, &engine, &err), &err);
    assert_ok(bench_report_add_engine(out, &automatic, &err), &err);
}

static void a_report_survives_its_json(void **state)
{
    (void)state;
    struct bench_report report, again;
    struct buffer first = {0}, second = {0};
    struct dobby_error err;
    make_report(&report);
    assert_ok(bench_report_append_json(&report, NULL, &first, &err), &err);
    assert_non_null(strstr(first.bytes, "\"int8_tile_tops\": 14.5"));
    assert_non_null(strstr(first.bytes, "\"bf16_tile_tflops\": null"));
    assert_ok(bench_report_parse(first.bytes, first.length, &again, &err), &err);
    assert_int_equal(again.kernel_count, 40);
    assert_int_equal(again.engine_count, 2);
    assert_true(again.machine.ceilings[CEILING_INT8_TILE] == 14.5);
    assert_true(again.machine.ceilings[CEILING_BF16_TILE] == 0);
    assert_ok(bench_report_append_json(&again, NULL, &second, &err), &err);
    assert_string_equal(first.bytes, second.bytes);
    buffer_release(&first);
    buffer_release(&second);
    bench_report_release(&report);
    bench_report_release(&again);
}

static void rows_find_their_counterparts(void **state)
{
    (void)state;
    struct bench_report report;
    make_report(&report);
    struct kernel_figures row = kernel;
    row.m = 7;
    assert_int_equal(bench_report_find_kernel(&report, &row)->m, 7);
    row.m = 512;
    assert_null(bench_report_find_kernel(&report, &row));
    row = report.kernels[0];
    row.product[0] = 'x';
    assert_null(bench_report_find_kernel(&report, &row));
    struct engine_figures other = engine;
    assert_ptr_equal(bench_report_find_engine(&report, &other), &report.engines[0]);
    other.sessions = 21;
    assert_null(bench_report_find_engine(&report, &other));
    other.automatic = true; /* whatever it chose */
    assert_ptr_equal(bench_report_find_engine(&report, &other), &report.engines[1]);
    other.model[0] = 'x';
    assert_null(bench_report_find_engine(&report, &other));
    bench_report_release(&report);
}

static void ratios_are_of_now_to_then(void **state)
{
    (void)state;
    struct bench_report now = {0}, then = {0};
    struct buffer json = {0}, text = {0};
    struct dobby_error err;
    struct kernel_figures old_kernel = kernel;
    struct engine_figures old_engine = engine;
    old_kernel.achieved = 0.25;
    old_kernel.percent = 0; /* nothing to divide by */
    old_engine.records_per_min = 500;
    old_engine.peak_rss_mb = 1000;
    assert_ok(bench_report_add_kernel(&now, &kernel, &err), &err);
    assert_ok(bench_report_add_engine(&now, &engine, &err), &err);
    assert_ok(bench_report_add_kernel(&then, &old_kernel, &err), &err);
    assert_ok(bench_report_add_engine(&then, &old_engine, &err), &err);
    assert_ok(bench_report_append_json(&now, &then, &json, &err), &err);
    assert_non_null(strstr(json.bytes, "\"achieved\": 2,"));
    assert_non_null(strstr(json.bytes, "\"percent\": null"));
    assert_non_null(strstr(json.bytes, "\"records_per_min\": 2,"));
    assert_non_null(strstr(json.bytes, "\"peak_rss_mb\": 0.9"));
    assert_ok(bench_table_kernel(&kernel, &old_kernel, &text, &err), &err);
    assert_non_null(strstr(text.bytes, "2.00x"));
    buffer_clear(&text);
    assert_ok(bench_table_engine(&engine, &old_engine, &text, &err), &err);
    assert_non_null(strstr(text.bytes, "0.90x"));
    buffer_clear(&text);
    assert_ok(bench_table_engine(&engine, NULL, &text, &err), &err);
    assert_null(strstr(text.bytes, "0x"));
    buffer_release(&json);
    buffer_release(&text);
    bench_report_release(&now);
    bench_report_release(&then);
}

static void columns_line_up(void **state)
{
    (void)state;
    struct buffer header = {0}, row = {0};
    struct dobby_error err;
    assert_ok(bench_table_kernel_header(false, &header, &err), &err);
    assert_ok(bench_table_kernel(&kernel, NULL, &row, &err), &err);
    assert_int_equal(header.length, row.length);
    buffer_clear(&header);
    buffer_clear(&row);
    assert_ok(bench_table_engine_header(true, &header, &err), &err);
    assert_ok(bench_table_engine(&engine, &engine, &row, &err), &err);
    assert_int_equal(header.length, row.length);
    buffer_clear(&row);
    struct engine_figures hostile = engine;
    memcpy(hostile.model, "\x1b[31m", 6);
    assert_ok(bench_table_engine(&hostile, NULL, &row, &err), &err);
    assert_null(strchr(row.bytes, '\x1b'));
    buffer_release(&header);
    buffer_release(&row);
}

static void other_documents_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        dobby_code want;
        const char *detail;
    } cases[] = {
        {"{}", DOBBY_OK, ""},
        {"{\"machine\": {}, \"kernels\": [], \"engine\": [{}], \"more\": 1}", DOBBY_OK, ""},
        {"{\"machine\": {\"cpu\": null, \"ceilings\": null}}", DOBBY_OK, ""},
        {"", DOBBY_JSON_INVALID, ""},
        {"{", DOBBY_JSON_INVALID, ""},
        {"[]", DOBBY_INVALID_ARGUMENT, "a report is an object"},
        {"{\"machine\": 1}", DOBBY_INVALID_ARGUMENT, "a row is no object"},
        {"{\"machine\": {\"threads\": -1}}", DOBBY_INVALID_ARGUMENT, "\"threads\""},
        {"{\"machine\": {\"threads\": 4294967296}}", DOBBY_INVALID_ARGUMENT, "\"threads\""},
        {"{\"machine\": {\"cpu\": \"a\\u0000b\"}}", DOBBY_INVALID_ARGUMENT, "\"cpu\""},
        {"{\"kernels\": {}}", DOBBY_INVALID_ARGUMENT, "\"kernels\" is no array"},
        {"{\"kernels\": [1]}", DOBBY_INVALID_ARGUMENT, "a row is no object"},
        {"{\"kernels\": [{\"m\": 1.5}]}", DOBBY_INVALID_ARGUMENT, "\"m\""},
        {"{\"kernels\": [{\"isa\": \"an instruction set with a long name\"}]}", DOBBY_INVALID_ARGUMENT,
         "\"isa\""},
        {"{\"kernels\": [{}, {\"name\": 5}]}", DOBBY_INVALID_ARGUMENT, "\"name\""},
        {"{\"engine\": [{\"automatic\": 1}]}", DOBBY_INVALID_ARGUMENT, "\"automatic\""},
        {"{\"engine\": [{\"records\": -1}]}", DOBBY_INVALID_ARGUMENT, "\"records\""},
        {"{\"engine\": [{\"p50_ms\": \"1\"}]}", DOBBY_INVALID_ARGUMENT, "\"p50_ms\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench_report report;
        struct dobby_error err = {0};
        assert_code(bench_report_parse(cases[i].text, strlen(cases[i].text), &report, &err), cases[i].want);
        if (cases[i].want != DOBBY_OK) {
            assert_non_null(strstr(err.detail, cases[i].detail));
            assert_null(report.kernels);
            assert_null(report.engines);
        }
        bench_report_release(&report);
    }
}

static void too_many_rows_are_refused(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct bench_report report;
    struct dobby_error err;
    assert_ok(buffer_append_string(&text, "{\"kernels\": [{}", &err), &err);
    for (int i = 0; i < 20000; i++)
        assert_ok(buffer_append_string(&text, ",{}", &err), &err);
    assert_ok(buffer_append_string(&text, "]}", &err), &err);
    assert_code(bench_report_parse(text.bytes, text.length, &report, &err), DOBBY_LIMIT_EXCEEDED);
    buffer_release(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_survives_its_json),  cmocka_unit_test(rows_find_their_counterparts),
        cmocka_unit_test(ratios_are_of_now_to_then),   cmocka_unit_test(columns_line_up),
        cmocka_unit_test(other_documents_are_refused), cmocka_unit_test(too_many_rows_are_refused),
    };
    return cmocka_run_group_tests_name("app/bench_report", tests, NULL, NULL);
}
