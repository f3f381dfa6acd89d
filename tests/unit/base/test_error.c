#include "unit/test.h"

#include <errno.h>
#include <string.h>

static void every_code_has_a_unique_id_a_message_and_a_remedy(void **state)
{
    (void)state;
    for (int a = 1; a < DOBBY_CODE_COUNT; a++) {
        dobby_code code = (dobby_code)a;
        assert_true(strlen(dobby_code_message(code)) > 0);
        assert_true(strlen(dobby_code_remedy(code)) > 0);
        assert_int_not_equal(dobby_code_severity(code), DOBBY_SEVERITY_NONE);
        const char *dash = strchr(dobby_code_id(code), '-');
        assert_non_null(dash);
        assert_int_equal(strlen(dash), 5);
        for (int b = a + 1; b < DOBBY_CODE_COUNT; b++)
            assert_string_not_equal(dobby_code_id(code), dobby_code_id((dobby_code)b));
    }
}

static void unknown_codes_read_as_internal(void **state)
{
    (void)state;
    assert_string_equal(dobby_code_name((dobby_code)9999), "INTERNAL");
    assert_string_equal(dobby_code_name((dobby_code)-1), "INTERNAL");
    assert_string_equal(dobby_code_name(DOBBY_OK), "OK");
}

static void fill_records_place_time_and_detail(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    assert_code(DOBBY_FAIL(&err, DOBBY_STORE_BUSY, "waited %d ms", 250), DOBBY_STORE_BUSY);
    assert_string_equal(err.detail, "waited 250 ms");
    assert_non_null(strstr(err.file, "test_error.c"));
    assert_true(err.line > 0);
    assert_true(err.time_unix_us > INT64_C(1600000000000000));
    assert_true(dobby_code_retryable(err.code));
    assert_code(DOBBY_FAIL(NULL, DOBBY_INTERNAL, "nobody listens"), DOBBY_INTERNAL);
}

static void wrap_keeps_causes_and_attributes(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    (void)DOBBY_FAIL(&err, DOBBY_IO_FAILED, "first");
    error_attribute(&err, "path", "%s", "/tmp/x");
    (void)DOBBY_WRAP(&err, DOBBY_STORE_FAILED, "second");
    (void)DOBBY_WRAP(&err, DOBBY_CANCELED, "third");
    assert_int_equal(err.code, DOBBY_CANCELED);
    assert_int_equal(err.cause_count, 2);
    assert_string_equal(err.causes[0].detail, "second");
    assert_string_equal(err.causes[1].detail, "first");
    assert_int_equal(err.causes[1].code, DOBBY_IO_FAILED);
    assert_string_equal(err.attributes[0].value, "/tmp/x");
    for (int i = 0; i < 2 * DOBBY_ERROR_CAUSES; i++)
        (void)DOBBY_WRAP(&err, DOBBY_INTERNAL, "again %d", i);
    assert_int_equal(err.cause_count, DOBBY_ERROR_CAUSES);
    assert_string_equal(err.causes[0].detail, "again 4");
}

static void details_are_cut_and_valid_utf8(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    char text[2 * DOBBY_ERROR_DETAIL_BYTES];
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 2); /* e with acute: 2 bytes, so that the cut falls inside one */
    text[sizeof text - 1] = '\0';
    (void)DOBBY_FAIL(&err, DOBBY_INTERNAL, "x%s", text);
    assert_int_equal(strlen(err.detail), DOBBY_ERROR_DETAIL_BYTES - 1);
    (void)DOBBY_FAIL(&err, DOBBY_INTERNAL, "a\xFF%s", "b");
    assert_string_equal(err.detail, "a?b");
}

static void attributes_beyond_the_last_are_dropped(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    for (int i = 0; i < DOBBY_ERROR_ATTRIBUTES + 3; i++)
        error_attribute(&err, "key", "%d", i);
    assert_int_equal(err.attribute_count, DOBBY_ERROR_ATTRIBUTES);
    error_attribute(NULL, "key", "nobody listens");
}

static void errno_values_get_fitting_codes(void **state)
{
    (void)state;
    static const struct {
        int errnum;
        dobby_code want;
    } cases[] = {
        {ENOENT, DOBBY_FILE_NOT_FOUND}, {EACCES, DOBBY_PERMISSION_DENIED}, {ENOSPC, DOBBY_DISK_FULL},
        {ENOMEM, DOBBY_OUT_OF_MEMORY},  {EMFILE, DOBBY_TOO_MANY_FILES},    {EISDIR, DOBBY_WRONG_FILE_TYPE},
        {EIO, DOBBY_IO_FAILED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dobby_error err = {0};
        assert_code(DOBBY_FAIL_ERRNO(&err, cases[i].errnum, "opening %s", "f"), cases[i].want);
        assert_int_equal(strncmp(err.detail, "opening f: ", 11), 0);
        assert_code(DOBBY_FAIL_ERRNO(NULL, cases[i].errnum, "opening"), cases[i].want);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_unique_id_a_message_and_a_remedy),
        cmocka_unit_test(unknown_codes_read_as_internal),
        cmocka_unit_test(fill_records_place_time_and_detail),
        cmocka_unit_test(wrap_keeps_causes_and_attributes),
        cmocka_unit_test(details_are_cut_and_valid_utf8),
        cmocka_unit_test(attributes_beyond_the_last_are_dropped),
        cmocka_unit_test(errno_values_get_fitting_codes),
    };
    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
