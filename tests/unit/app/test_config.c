#include "app/config.h"
#include "base/buffer.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void forget_environment(void)
{
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++) {
        for (size_t i = 0; i < CONFIG_ENVIRONMENT_MAX && config_keys[key].environment[i] != NULL; i++)
            unsetenv(config_keys[key].environment[i]);
    }
    unsetenv("DOBBY_CONFIG");
}

/* Each test runs in a fresh directory with an environment that says nothing. */
static int enter_directory(void **state)
{
    char *path = strdup("/tmp/dobby-test-config.XXXXXX");
    *state = path;
    forget_environment();
    if (path == NULL || mkdtemp(path) == NULL || chdir(path) != 0)
        return 1;
    return setenv("XDG_CONFIG_HOME", path, 1);
}

static int leave_directory(void **state)
{
    (void)unlink("dobby.toml");
    (void)unlink("other.toml");
    const int failed = chdir("/") != 0 || rmdir(*state) != 0;
    free(*state);
    forget_environment();
    return failed;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void the_table_is_whole(void **state)
{
    (void)state;
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++) {
        assert_non_null(config_keys[key].name);
        assert_non_null(config_keys[key].default_text);
        assert_non_null(config_keys[key].help);
        assert_non_null(config_keys[key].environment[0]);
        assert_int_equal(config_key_find(config_keys[key].name), key);
        for (int other = CONFIG_UNKNOWN + 1; other < key; other++)
            assert_string_not_equal(config_keys[key].environment[0], config_keys[other].environment[0]);
    }
    assert_int_equal(config_key_find("db"), CONFIG_UNKNOWN);
}

static void good_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum config_key key;
        const char *want;
        uint32_t line, column;
    } cases[] = {
        {"[db]\nurl = 'sqlite:a b.db'\n", CONFIG_DB_URL, "sqlite:a b.db", 2, 7},
        {"db.url = \"sqlite:\\u00e9\"\n", CONFIG_DB_URL, "sqlite:\xc3\xa9", 1, 10},
        {"[engine]\nthreads = 256 # all\n", CONFIG_ENGINE_THREADS, "256", 2, 11},
        {"engine = { sessions = 0x10 }\n", CONFIG_ENGINE_SESSIONS, "16", 1, 23},
        {"engine = { sessions = 0 }\n", CONFIG_ENGINE_SESSIONS, "auto", 1, 23},
        {"engine = { sessions = \"auto\" }\n", CONFIG_ENGINE_SESSIONS, "auto", 1, 23},
        {"[engine]\nthreads = 'auto'\n", CONFIG_ENGINE_THREADS, "auto", 2, 11},
        {"[run]\ntop_p = 0.5\n", CONFIG_RUN_TOP_P, "0.5", 2, 9},
        {"[run]\ntemperature = 1\n", CONFIG_RUN_TEMPERATURE, "1", 2, 15},
        {"[run]\nseed = 9007199254740992\n", CONFIG_RUN_SEED, "9007199254740992", 2, 8},
        {"[log]\nlevel = 'debug'\n", CONFIG_LOG_LEVEL, "debug", 2, 9},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config config;
        struct dobby_error err;
        assert_ok(config_init(&config, &err), &err);
        assert_ok(config_parse(&config, "f.toml", cases[i].text, strlen(cases[i].text), &err), &err);
        const struct config_value *value = &config.values[cases[i].key];
        assert_string_equal(value->text, cases[i].want);
        assert_int_equal(value->source.origin, CONFIG_FROM_FILE);
        assert_string_equal(value->source.name, "f.toml");
        assert_int_equal(value->source.line, cases[i].line);
        assert_int_equal(value->source.column, cases[i].column);
        config_release(&config);
    }
}

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want; /* in the detail */
    } cases[] = {
        {"[engine]\nthread = 4\n",
         "f.toml:2:10: there is no key 'engine.thread'; did you mean engine.threads?"},
        {"[zebra]\nx = 1\n", "f.toml:2:5: there is no key 'zebra.x'"},
        {"[zebra]\n", "there is no key 'zebra'"},
        {"threads = 1\n", "there is no key 'threads'"},
        {"[engine]\nthreads = '4'\n",
         "f.toml:2:11: engine.threads must be auto or an integer from 1 to 256, not a value of "
         "type string"},
        {"[engine]\nthreads = 4.5\n", "not a value of type number"},
        {"[engine]\nthreads = true\n", "not a value of type boolean"},
        {"[engine]\nthreads = [4]\n", "not a value of type array"},
        {"[engine]\nthreads = 1979-05-27\n", "not a value of type date or time"},
        {"[engine]\nthreads = 257\n",
         "f.toml:2:11: engine.threads must be auto or an integer from 1 to 256, not '257'"},
        {"[engine]\nthreads = -1\n", "not '-1'"},
        {"[run]\ntop_p = nan\n", "run.top_p must be a number from 0.001 to 1"},
        {"[run]\ntop_p = inf\n", "run.top_p must be"},
        {"[run]\nmax_tokens = 0\n", "run.max_tokens must be an integer from 1 to 4096, not '0'"},
        {"[run]\nseed = 9223372036854775807\n", "run.seed must be"},
        {"[log]\nlevel = 'warn'\n",
         "log.level must be one of: debug, info, warning, error, not 'warn'; did you mean "
         "warning?"},
        {"[db]\nurl = 5\n", "db.url must be text"},
        {"[db]\nurl = 'a\n", "f.toml:2:"},
        {"[db\n", "f.toml:1:"},
        {"[db]\nurl = 'a'\nurl = 'b'\n", "f.toml:3:"},
        {"[db]\nurl = \"a\\u0000b\"\n", "db.url must be text"},
        {"\xff\xfe = 1\n", "f.toml:1:1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config config;
        struct dobby_error err = {0};
        assert_ok(config_init(&config, &err), &err);
        assert_code(config_parse(&config, "f.toml", cases[i].text, strlen(cases[i].text), &err),
                    DOBBY_CONFIG_INVALID);
        if (strstr(err.detail, cases[i].want) == NULL)
            fail_msg("'%s' does not hold '%s'", err.detail, cases[i].want);
        config_release(&config);
    }
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 20000 };
    static const char *const openers[] = {"a.", "[", "a={"};
    for (size_t i = 0; i < COUNT_OF(openers); i++) {
        struct buffer text = {0};
        struct config config;
        struct dobby_error err = {0};
        for (size_t n = 0; n < DEPTH; n++)
            assert_ok(buffer_append_string(&text, openers[i], &err), &err);
        assert_ok(config_init(&config, &err), &err);
        assert_code(config_parse(&config, "f.toml", text.bytes, text.length, &err), DOBBY_CONFIG_INVALID);
        config_release(&config);
        buffer_release(&text);
    }
}

static void the_stronger_source_wins(void **state)
{
    (void)state;
    struct config config;
    struct dobby_error err;
    const struct config_source flag = {.origin = CONFIG_FROM_FLAG, .name = "--db"};
    write_file("dobby.toml", "[db]\nurl = 'sqlite:file'\n[model]\npath = 'file'\n[run]\nseed = 7\n");
    assert_int_equal(setenv("DATABASE_URL", "sqlite:second", 1), 0);
    assert_int_equal(setenv("MODEL_PATH", "environment", 1), 0);
    assert_int_equal(setenv("DOBBY_RUN_SEED", "", 1), 0); /* Empty is as good as unset. */
    assert_ok(config_init(&config, &err), &err);
    assert_string_equal(config_text(&config, CONFIG_DB_URL), "sqlite:dobby.db");
    assert_ok(config_load(&config, NULL, &err), &err);
    assert_string_equal(config.file, "dobby.toml");
    assert_string_equal(config_text(&config, CONFIG_DB_URL), "sqlite:second");
    assert_string_equal(config.values[CONFIG_DB_URL].source.name, "DATABASE_URL");
    assert_string_equal(config_text(&config, CONFIG_MODEL_PATH), "environment");
    assert_int_equal(config_integer(&config, CONFIG_RUN_SEED), 7);

    assert_int_equal(setenv("DOBBY_DB", "sqlite:first", 1), 0);
    assert_ok(config_load(&config, NULL, &err), &err);
    assert_string_equal(config_text(&config, CONFIG_DB_URL), "sqlite:first");
    assert_ok(config_set(&config, CONFIG_DB_URL, "sqlite:flag", &flag, &err), &err);
    assert_ok(config_load(&config, NULL, &err), &err);
    assert_string_equal(config_text(&config, CONFIG_DB_URL), "sqlite:flag");
    config_release(&config);
}

static void files_are_found_in_order(void **state)
{
    (void)state;
    struct config config;
    struct dobby_error err;
    assert_ok(config_init(&config, &err), &err);
    assert_ok(config_load(&config, NULL, &err), &err); /* No file is fine. */
    assert_null(config.file);
    write_file("dobby.toml", "[run]\nseed = 1\n");
    write_file("other.toml", "[run]\nseed = 2\n");
    assert_ok(config_load(&config, NULL, &err), &err);
    assert_int_equal(config_integer(&config, CONFIG_RUN_SEED), 1);
    assert_int_equal(setenv("DOBBY_CONFIG", "other.toml", 1), 0);
    assert_ok(config_load(&config, NULL, &err), &err);
    assert_int_equal(config_integer(&config, CONFIG_RUN_SEED), 2);
    assert_ok(config_load(&config, "dobby.toml", &err), &err);
    assert_int_equal(config_integer(&config, CONFIG_RUN_SEED), 1);
    assert_code(config_load(&config, "missing.toml", &err), DOBBY_CONFIG_INVALID);
    assert_int_equal(err.causes[0].code, DOBBY_FILE_NOT_FOUND);
    config_release(&config);
}

static void bad_environment_is_named(void **state)
{
    (void)state;
    struct config config;
    struct dobby_error err;
    assert_int_equal(setenv("DOBBY_RUN_SEED", "1e3", 1), 0);
    assert_ok(config_init(&config, &err), &err);
    assert_code(config_load(&config, NULL, &err), DOBBY_CONFIG_INVALID);
    assert_non_null(strstr(err.detail, "DOBBY_RUN_SEED must be an integer"));
    config_release(&config);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_whole),
        cmocka_unit_test(good_files),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(deep_nesting_is_refused),
        IN_DIRECTORY(the_stronger_source_wins),
        IN_DIRECTORY(files_are_found_in_order),
        IN_DIRECTORY(bad_environment_is_named),
    };
    return cmocka_run_group_tests_name("app/config", tests, NULL, NULL);
}
