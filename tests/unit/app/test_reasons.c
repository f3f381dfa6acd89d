/* How kinds of reasons read. */
#include "app/reasons.h"
#include "unit/test.h"

static void a_kind_has_one_example(void **state)
{
    (void)state;
    static const struct {
        struct reason_count row;
        const char *text, *json;
    } rows[] = {
        {{"binary", "binary", RECORD_SKIPPED, 3},
         "binary",
         "{\"reason\": \"binary\", \"example\": \"binary\", \"count\": 3}"},
        {{"ungrounded", "ungrounded: 'x' is not in the source", RECORD_DEGRADED, 2},
         "ungrounded, such as: 'x' is not in the source",
         "{\"reason\": \"ungrounded\", \"example\": \"ungrounded: 'x' is not in the source\", \"count\": 2}"},
        {{"ungrounded", "ungrounded: \x1b", RECORD_DEGRADED, 1},
         "ungrounded: \\x1B",
         "{\"reason\": \"ungrounded\", \"example\": \"ungrounded: \\u001b\", \"count\": 1}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffer text = {0}, json = {0};
        struct dobby_error err;
        struct json_writer writer;
        assert_ok(reason_append(&text, &rows[i].row, &err), &err);
        assert_string_equal(text.bytes, rows[i].text);
        json_writer_init(&writer, &json, false);
        json_begin_object(&writer);
        reason_write_json(&rows[i].row, &writer);
        json_end_object(&writer);
        assert_ok(json_writer_end(&writer, &err), &err);
        assert_string_equal(json.bytes, rows[i].json);
        buffer_release(&text);
        buffer_release(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_kind_has_one_example)};
    return cmocka_run_group_tests_name("app, reasons", tests, NULL, NULL);
}
