#include "base/json.h"
#include "observe/log.h"
#include "unit/test.h"

#include <string.h>
#include <unistd.h>

/* Runs write with standard error going to a file, and returns what it wrote. */
static char captured[8192];
static const char *capture(void (*write_lines)(void))
{
    FILE *file = tmpfile();
    assert_non_null(file);
    (void)fflush(stderr);
    int saved = dup(2);
    assert_true(dup2(fileno(file), 2) >= 0);
    write_lines();
    (void)fflush(stderr);
    assert_true(dup2(saved, 2) >= 0);
    (void)close(saved);
    rewind(file);
    captured[fread(captured, 1, sizeof captured - 1, file)] = '\0';
    (void)fclose(file);
    return captured;
}

static void write_three(void)
{
    log_message(LOG_DEBUG, "test.debug", "not shown");
    log_write(LOG_INFO, "test.info", "shown", LOG_INTEGER("records", -7), LOG_TEXT("path", "a\x1B\"\xFF"));
    log_message(LOG_WARNING, "test.warning", "shown too");
}

static void write_error(void)
{
    struct dobby_error err = {0};
    (void)DOBBY_FAIL(&err, DOBBY_IO_FAILED, "the first");
    error_attribute(&err, "file", "x");
    (void)DOBBY_WRAP(&err, DOBBY_STORE_FAILED, "the second");
    log_error("test.error", &err);
}

static void json_lines_hold_every_field(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_FORMAT_JSON);
    const char *text = capture(write_three);
    const char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_non_null(strstr(end, "test.warning"));
    assert_null(strstr(text, "not shown"));
    struct json *line = NULL;
    struct dobby_error err;
    assert_ok(json_parse(text, (size_t)(end - text), &line, &err), &err);
    int64_t records;
    assert_true(json_to_integer(json_member(line, "records"), &records) && records == -7);
    assert_string_equal(json_to_text(json_member(line, "path"), NULL), "a\x1B\"\xEF\xBF\xBD");
    assert_string_equal(json_to_text(json_member(line, "level"), NULL), "info");
    assert_non_null(json_to_text(json_member(line, "time"), NULL));
    json_free(line);
}

static void text_lines_cannot_move_the_terminal(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_FORMAT_TEXT);
    assert_string_equal(capture(write_three), "dobby: shown (records -7, path a\\x1B\"\\xFF)\n"
                                              "dobby: warning: shown too\n");
}

static void errors_show_id_attributes_and_causes(void **state)
{
    (void)state;
    log_init(LOG_ERROR, LOG_FORMAT_TEXT);
    const char *text = capture(write_error);
    assert_non_null(strstr(text, "STORE-0008"));
    assert_non_null(strstr(text, "file x"));
    assert_non_null(strstr(text, "cause the first"));
    assert_string_equal(capture(write_three), "");
}

static void level_names_parse(void **state)
{
    (void)state;
    assert_int_equal(log_level_parse("debug"), LOG_DEBUG);
    assert_int_equal(log_level_parse("error"), LOG_ERROR);
    assert_int_equal(log_level_parse("unknown"), LOG_LEVEL_UNKNOWN);
    assert_int_equal(log_level_parse("loud"), LOG_LEVEL_UNKNOWN);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_hold_every_field),
        cmocka_unit_test(text_lines_cannot_move_the_terminal),
        cmocka_unit_test(errors_show_id_attributes_and_causes),
        cmocka_unit_test(level_names_parse),
    };
    return cmocka_run_group_tests_name("observe/log", tests, NULL, NULL);
}
