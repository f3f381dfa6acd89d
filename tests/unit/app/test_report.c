#include "app/app.h"
#include "app/commands.h"
#include "app/report.h"
#include "app/secret.h"
#include "app/stores.h"
#include "unit/test.h"

#include <string.h>

static void passwords_are_masked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"sqlite:dobby.db", "sqlite:dobby.db"},
        {"postgres://host/db", "postgres://host/db"},
        {"postgres://user@host:5432/db", "postgres://user@host:5432/db"},
        {"postgres://user:secret@host:5432/db", "postgres://user:***@host:5432/db"},
        {"postgres://user:se@c:r/et@host/db", "postgres://user:***@host/db"},
        {"postgres://:secret@host", "postgres://:***@host"},
        {"x://h/d?password=secret&a=b", "x://h/d?password=***&a=b"},
        {"x://u:p@h/d?password=secret", "x://u:***@h/d?password=***"},
        {"host=h password=secret user=u", "host=h password=*** user=u"},
        {"cannot open 'x://u:p@h/d': no 'y://v:q@i'", "cannot open 'x://u:***@h/d': no 'y://v:***@i'"},
        {"a:b@c", "a:b@c"},
        {" two  blanks\n", " two  blanks\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        struct dobby_error err;
        assert_ok(secret_append_masked(&out, cases[i].text, &err), &err);
        assert_string_equal(out.bytes != NULL ? out.bytes : "", cases[i].want);
        buffer_release(&out);
    }
}

static void an_error_reads_well(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct dobby_error err = {0}, ignored;
    (void)DOBBY_FAIL(&err, DOBBY_STORE_SCHEMA_NEWER, "x://u:secret@h has version 9\x1b[31m");
    assert_ok(report_format(&out, &err, &ignored), &ignored);
    assert_string_equal(out.bytes, "dobby: error STORE-0004: the database was written by a newer Dobby: "
                                   "x://u:***@h has version 9\\x1B[31m\n"
                                   "  try: upgrade Dobby, or use another database\n");
    buffer_clear(&out);
    (void)DOBBY_FAIL(&err, DOBBY_MODEL_CORRUPT, "tensor 3");
    error_attribute(&err, "model", "%s", "a\n.gguf");
    assert_ok(report_format(&out, &err, &ignored), &ignored);
    assert_string_equal(out.bytes,
                        "dobby: error MODEL-0003: the model file is damaged or truncated: tensor 3\n"
                        "  model: a\\n.gguf\n"
                        "  try: download or copy the model again and compare its checksum\n");
    buffer_clear(&out);
    (void)DOBBY_FAIL(&err, DOBBY_FILE_NOT_FOUND, "opening p");
    (void)DOBBY_WRAP(&err, DOBBY_PROMPT_INVALID, "p cannot be read");
    assert_ok(report_format(&out, &err, &ignored), &ignored);
    assert_string_equal(out.bytes,
                        "dobby: error PROMPT-0001: the prompt template is not valid: p cannot be read\n"
                        "  because OS-0002: no such file or directory: opening p\n"
                        "  try: check the path\n");
    buffer_release(&out);
}

static void exit_statuses(void **state)
{
    (void)state;
    static const struct {
        dobby_code code;
        enum exit_status want;
    } cases[] = {
        {DOBBY_OK, EXIT_STATUS_OK},
        {DOBBY_OUT_OF_MEMORY, EXIT_STATUS_OTHER},
        {DOBBY_OUTPUT_FAILED, EXIT_STATUS_OTHER},
        {DOBBY_OUTPUT_CLOSED, EXIT_STATUS_OTHER},
        {DOBBY_USAGE, EXIT_STATUS_USAGE},
        {DOBBY_CONFIG_INVALID, EXIT_STATUS_USAGE},
        {DOBBY_PROMPT_INVALID, EXIT_STATUS_USAGE},
        {DOBBY_MODEL_NOT_FOUND, EXIT_STATUS_MODEL},
        {DOBBY_TOKENIZER_INVALID, EXIT_STATUS_MODEL},
        {DOBBY_CPU_UNSUPPORTED, EXIT_STATUS_MODEL},
        {DOBBY_STORE_URL_INVALID, EXIT_STATUS_STORE},
        {DOBBY_STORE_MISSING, EXIT_STATUS_STORE},
        {DOBBY_INGEST_NOTHING, EXIT_STATUS_INPUT},
        {DOBBY_FILE_NOT_FOUND, EXIT_STATUS_INPUT},
        {DOBBY_CONTEXT_EXCEEDED, EXIT_STATUS_INPUT},
        {DOBBY_CANCELED, EXIT_STATUS_INTERRUPTED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(exit_status_of(cases[i].code), cases[i].want);
}

static void database_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *path; /* NULL: refused */
        const char *want; /* in the detail */
    } cases[] = {
        {"sqlite:dobby.db", "dobby.db", NULL},
        {"sqlite:/a b/c:d.db", "/a b/c:d.db", NULL},
        {"sqlite:./x", "./x", NULL},
        {"sqlite:", NULL, "names no file"},
        {"sqlite:///a", NULL, "after sqlite: comes a path"},
        {"dobby.db", NULL, "has no scheme: write sqlite:dobby.db"},
        {"/data/dobby.db", NULL, "write sqlite:/data/dobby.db"},
        {"./a:b", NULL, "write sqlite:./a:b"},
        {"", NULL, "write sqlite:PATH"},
        {"postgres://h/d", NULL, "there is no driver"},
        {"SQLITE:a", NULL, "there is no driver"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dobby_error err = {0};
        const char *path = "";
        const dobby_code code = stores_sqlite_path(cases[i].url, &path, &err);
        assert_int_equal(code, cases[i].path != NULL ? DOBBY_OK : DOBBY_STORE_URL_INVALID);
        if (cases[i].path != NULL)
            assert_string_equal(path, cases[i].path);
        else
            assert_null(path);
        if (cases[i].want != NULL && strstr(err.detail, cases[i].want) == NULL)
            fail_msg("'%s' does not hold '%s'", err.detail, cases[i].want);
    }
}

static void commands_are_found_by_their_words(void **state)
{
    (void)state;
    static const struct {
        char *words[3];
        const struct command *want;
        int used;
    } cases[] = {
        {{"run"}, &command_run, 1},
        {{"run", "status"}, &command_run, 1},
        {{"model", "info", "x"}, &command_model_info, 2},
        {{"config", "check"}, &command_config_check, 2},
        {{"config"}, NULL, 0},
        {{"config", "x"}, NULL, 0},
        {{"runs"}, &command_runs, 1},
        {{"runz"}, NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int count = 0, used;
        char *words[3];
        while (count < 3 && cases[i].words[count] != NULL) {
            words[count] = cases[i].words[count];
            count++;
        }
        assert_ptr_equal(command_find(count, words, &used), cases[i].want);
        assert_int_equal(used, cases[i].used);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(an_error_reads_well),
        cmocka_unit_test(exit_statuses),
        cmocka_unit_test(database_urls),
        cmocka_unit_test(commands_are_found_by_their_words),
    };
    return cmocka_run_group_tests_name("app/report", tests, NULL, NULL);
}
