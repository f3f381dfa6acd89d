#include "app/export.h"
#include "app/record_fields.h"
#include "app/table.h"
#include "base/json.h"
#include "base/utf8.h"
#include "os/file.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char hostile[] = "a \"quoted\", comma\r\nnewline \x1b[31m \xff *bold* <b> caf\xc3\xa9";

static const struct summary plain_summary = {
    .id = "0190a000-0000-7000-8000-000000000001",
    .text = "Adds two numbers.",
    .confidence = 0.5,
    .model = "nano",
    .model_fingerprint = "f00",
    .precision = "q8_0",
    .sampling = "greedy",
    .template_id = "nano@1",
    .engine = "native",
    .tokens_in = 40,
    .tokens_out = 5,
    .inference_ms = 12,
};

/* Two chunks of one file, one skipped file, and one whose texts are as bad as they can be. */
static size_t make_rows(struct record_row rows[4], struct summary *bad_summary)
{
    const struct record_row completed = {.id = "aaaaaaaaaaaaaaaaaaaa",
                                         .source = "/src",
                                         .path = "a.c",
                                         .language = "c",
                                         .first_line = 1,
                                         .last_line = 9,
                                         .state = RECORD_COMPLETED,
                                         .attempt = 1,
                                         .content_length = 10,
                                         .summary = &plain_summary,
                                         .summary_unix_us = 1700000000123456};
    *bad_summary = plain_summary;
    bad_summary->text = hostile;
    rows[0] = completed;
    rows[1] = completed;
    rows[1].id = "bbbb";
    rows[1].first_line = 10;
    rows[1].last_line = 12;
    rows[2] = (struct record_row){.id = "cccc",
                                  .source = "/src",
                                  .path = "b.bin",
                                  .language = "",
                                  .state = RECORD_SKIPPED,
                                  .reason = "binary"};
    rows[3] = completed;
    rows[3].source = "/other";
    rows[3].path = "x\n\x1b]0;y\x07\xff.c";
    rows[3].summary = bad_summary;
    return 4;
}

/* Exports the rows into a file and reads it back. */
static void export_rows(enum export_format format, size_t count, struct buffer *out)
{
    struct record_row rows[4];
    struct summary bad;
    struct output output;
    struct exporter exporter;
    struct dobby_error err;
    char path[] = "/tmp/dobby-test-export.XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(close(file), 0);
    (void)make_rows(rows, &bad);
    assert_ok(output_open(&output, path, &err), &err);
    assert_ok(export_begin(&exporter, format, &output, &err), &err);
    for (size_t i = 0; i < count; i++)
        assert_ok(export_row(&exporter, &rows[i], &err), &err);
    assert_ok(export_end(&exporter, &err), &err);
    assert_ok(output_finish(&output, &err), &err);
    export_release(&exporter);
    output_release(&output);
    assert_ok(file_read(path, false, 1 << 20, out, &err), &err);
    assert_int_equal(unlink(path), 0);
    if (out->length > 0)
        assert_true(utf8_is_valid(out->bytes, out->length));
}

static void jsonl_has_the_promised_members(void **state)
{
    (void)state;
    static const char *const names[] = {
        "id",         "path",         "language",       "first_line", "last_line",
        "state",      "summary",      "confidence",     "model",      "tokens_in",
        "tokens_out", "inference_ms", "content_sha256", "created_at", "source",
        "error_id",   "reason",       "content_bytes",
    };
    struct buffer out = {0};
    struct dobby_error err;
    export_rows(EXPORT_JSONL, 4, &out);
    size_t lines = 0;
    for (const char *line = out.bytes; *line != '\0'; lines++) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        struct json *object;
        assert_ok(json_parse(line, (size_t)(end - line), &object, &err), &err);
        assert_int_equal(json_count(object), COUNT_OF(names));
        for (size_t i = 0; i < COUNT_OF(names); i++)
            assert_true(json_member(object, names[i]) != NULL);
        if (lines == 0) {
            int64_t number;
            assert_string_equal(json_to_text(json_member(object, "created_at"), NULL),
                                "2023-11-14T22:13:20.123Z");
            assert_true(json_to_integer(json_member(object, "last_line"), &number) && number == 9);
        }
        if (lines == 2) {
            assert_true(json_kind_of(json_member(object, "summary")) == JSON_KIND_NULL);
            assert_true(json_kind_of(json_member(object, "first_line")) == JSON_KIND_NULL);
            assert_true(json_kind_of(json_member(object, "created_at")) == JSON_KIND_NULL);
            assert_string_equal(json_to_text(json_member(object, "reason"), NULL), "binary");
        }
        json_free(object);
        line = end + 1;
    }
    assert_int_equal(lines, 4);
    buffer_release(&out);
}

static void json_is_one_array(void **state)
{
    (void)state;
    for (size_t count = 0; count <= 4; count++) {
        struct buffer out = {0};
        struct dobby_error err;
        struct json *array;
        export_rows(EXPORT_JSON, count, &out);
        assert_ok(json_parse(out.bytes, out.length, &array, &err), &err);
        assert_true(json_kind_of(array) == JSON_KIND_ARRAY);
        assert_int_equal(json_count(array), count);
        json_free(array);
        buffer_release(&out);
    }
}

static void csv_follows_rfc_4180(void **state)
{
    (void)state;
    struct buffer out = {0};
    export_rows(EXPORT_CSV, 4, &out);
    assert_int_equal(
        strncmp(out.bytes, "id,path,language,first_line,last_line,state,summary,confidence,", 63), 0);
    assert_non_null(strstr(out.bytes, "\r\nbbbb,a.c,c,10,12,completed,Adds two numbers.,0.5,nano,40,5,12,"));
    assert_non_null(strstr(out.bytes, "\r\ncccc,b.bin,,,,skipped,,,,,,,"));
    assert_non_null(strstr(out.bytes, "\"a \"\"quoted\"\", comma\r\nnewline \x1b[31m \xef\xbf\xbd *bold*"));
    assert_int_equal(memcmp(out.bytes + out.length - 2, "\r\n", 2), 0);
    buffer_release(&out);
}

static void markdown_groups_by_file(void **state)
{
    (void)state;
    struct buffer out = {0};
    export_rows(EXPORT_MARKDOWN, 4, &out);
    static const char begin[] = "# /src\n\n## a.c\n\n- lines 1-9: Adds two numbers.\n"
                                "- lines 10-12: Adds two numbers.\n\n## b.bin\n\n- *skipped*: binary\n\n"
                                "# /other\n\n## x";
    if (strncmp(out.bytes, begin, sizeof begin - 1) != 0)
        fail_msg("it begins otherwise:\n%s", out.bytes);
    assert_null(strchr(out.bytes, '\x1b'));
    assert_null(strchr(out.bytes, '\x07'));
    assert_non_null(strstr(out.bytes, "\\*bold\\* \\<b\\>"));
    buffer_release(&out);
}

static bool always(void)
{
    return true;
}

static void an_interrupt_leaves_no_file(void **state)
{
    (void)state;
    struct record_row rows[4];
    struct summary bad;
    struct output output;
    struct exporter exporter;
    struct dobby_error err;
    const char *path = "/tmp/dobby-test-export-interrupted";
    (void)make_rows(rows, &bad);
    assert_ok(output_open(&output, path, &err), &err);
    assert_ok(export_begin(&exporter, EXPORT_JSONL, &output, &err), &err);
    assert_ok(export_row(&exporter, &rows[0], &err), &err);
    exporter.canceled = always;
    assert_code(export_row(&exporter, &rows[1], &err), DOBBY_CANCELED);
    export_release(&exporter);
    output_release(&output);
    assert_false(file_exists(path));
}

static void output_failures_are_told(void **state)
{
    (void)state;
    struct output output;
    struct dobby_error err;
    assert_code(output_open(&output, "/nowhere/at/all", &err), DOBBY_OUTPUT_FAILED);
    assert_int_equal(err.causes[0].code, DOBBY_FILE_NOT_FOUND);
    assert_ok(output_open(&output, "/dev/full", &err), &err);
    assert_ok(buffer_append_string(&output.text, "x", &err), &err);
    assert_code(output_finish(&output, &err), DOBBY_OUTPUT_FAILED);
    assert_int_equal(err.causes[0].code, DOBBY_DISK_FULL);
    output_release(&output);
}

/* ---- the table ---------------------------------------------------------------------------------- */

static void cells_are_cut_by_columns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t columns;
        bool from_end;
        const char *want;
    } cases[] = {
        {"", 5, false, ""},
        {"short", 0, false, "short"},
        {"short", 5, false, "short"},
        {"longer", 5, false, "long\xe2\x80\xa6"},
        {"longer", 5, true, "\xe2\x80\xa6nger"},
        {"\x1b[31mred", 0, false, "\\x1B[31mred"},
        {"a\nb", 0, false, "a\\nb"},
        {"\xff", 0, false, "\\xFF"},
        /* A wide character never straddles the edge. */
        {"\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 4, false, "\xe4\xb8\xad\xe2\x80\xa6"},
        {"\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 6, false, "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        struct dobby_error err;
        uint32_t used;
        assert_ok(table_append_cell(&out, cases[i].text, cases[i].columns, cases[i].from_end, &used, &err),
                  &err);
        assert_string_equal(out.bytes != NULL ? out.bytes : "", cases[i].want);
        assert_int_equal(used, out.bytes != NULL ? utf8_display_width(out.bytes, out.length) : 0);
        buffer_release(&out);
    }
}

static void rows_fit_the_terminal(void **state)
{
    (void)state;
    struct record_row rows[4];
    struct summary bad;
    const size_t count = make_rows(rows, &bad);
    static const uint32_t widths[] = {80, 100, 132, 60};
    for (size_t w = 0; w < COUNT_OF(widths); w++) {
        for (size_t i = 0; i < count; i++) {
            const struct table_style style = {.columns = widths[w]};
            struct buffer out = {0};
            struct dobby_error err;
            assert_ok(table_append_row(&out, &rows[i], &style, &err), &err);
            assert_int_equal(out.bytes[out.length - 1], '\n');
            assert_true(utf8_display_width(out.bytes, out.length) <= widths[w]);
            assert_null(strchr(out.bytes, '\x1b'));
            assert_ptr_equal(strchr(out.bytes, '\n'), out.bytes + out.length - 1);
            buffer_release(&out);
        }
    }
    struct buffer out = {0};
    struct dobby_error err;
    assert_ok(table_append_row(&out, &rows[1], &(struct table_style){0}, &err), &err);
    assert_string_equal(
        out.bytes, "bbbb          completed  a.c:10-12                                 Adds two numbers.\n");
    buffer_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsonl_has_the_promised_members), cmocka_unit_test(json_is_one_array),
        cmocka_unit_test(csv_follows_rfc_4180),           cmocka_unit_test(markdown_groups_by_file),
        cmocka_unit_test(an_interrupt_leaves_no_file),    cmocka_unit_test(output_failures_are_told),
        cmocka_unit_test(cells_are_cut_by_columns),       cmocka_unit_test(rows_fit_the_terminal),
    };
    return cmocka_run_group_tests_name("app/export", tests, NULL, NULL);
}
