/* Each check of dobby doctor, with something wrong and with nothing. */
#include "app/doctor.h"
#include "app/stores.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/temporary.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"

struct fixture {
    struct dobby_error err;
    struct config config;
    struct findings findings;
    struct buffer directory, database, url;
};

static void set(struct fixture *fixture, enum config_key key, const char *text)
{
    const struct config_source source = {.origin = CONFIG_FROM_FLAG, .name = "test"};
    assert_ok(config_set(&fixture->config, key, text, &source, &fixture->err), &fixture->err);
}

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    *state = fixture;
    struct dobby_error *err = &fixture->err;
    assert_ok(config_init(&fixture->config, err), err);
    assert_ok(temporary_directory_make("/tmp", &fixture->directory, err), err);
    assert_ok(buffer_append_format(&fixture->database, err, "%s/doctor.db", fixture->directory.bytes), err);
    assert_ok(buffer_append_format(&fixture->url, err, "sqlite:%s", fixture->database.bytes), err);
    set(fixture, CONFIG_DB_URL, fixture->url.bytes);
    set(fixture, CONFIG_MODEL_PATH, NANO);
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    temporary_directory_remove(fixture->directory.bytes);
    buffer_release(&fixture->directory);
    buffer_release(&fixture->database);
    buffer_release(&fixture->url);
    config_release(&fixture->config);
    free(fixture);
    return 0;
}

typedef void doctor_function(const struct doctor_options *options, struct findings *findings);

static void examine(struct fixture *fixture, doctor_function *doctor, bool quick)
{
    const struct doctor_options options = {.config = &fixture->config, .quick = quick};
    fixture->findings = (struct findings){.count = 0};
    doctor(&options, &fixture->findings);
}

/* The finding is in that state, and what is not well says what to do. */
static const struct finding *expect(const struct fixture *fixture, const char *group, const char *name,
                                    enum finding_state state)
{
    const struct finding *finding = finding_find(&fixture->findings, group, name);
    if (finding == NULL)
        fail_msg("%s has no finding %s", group, name);
    if (finding->state != state)
        fail_msg("%s %s is %s: %s", group, name, finding_state_name(finding->state), finding->text);
    if (finding->text[0] == '\0' || (state >= FINDING_WARNING && finding->remedy[0] == '\0'))
        fail_msg("%s %s says nothing", group, name);
    return finding;
}

static void values_must_go_together(void **state)
{
    static const struct {
        enum config_key key;
        const char *value, *check;
        enum finding_state want;
    } rows[] = {
        {CONFIG_ENGINE_CONTEXT_TOKENS, "0", "context", FINDING_OK},
        {CONFIG_ENGINE_CONTEXT_TOKENS, "700", "context", FINDING_OK},
        {CONFIG_ENGINE_CONTEXT_TOKENS, "647", "context", FINDING_WARNING},
        {CONFIG_ENGINE_CONTEXT_TOKENS, "0", "context", FINDING_OK},
        {CONFIG_INGEST_CHUNK_TOKENS, "2000", "context", FINDING_WARNING}, /* of the model's 2048 */
        {CONFIG_INGEST_CHUNK_TOKENS, "600", "context", FINDING_OK},
        {CONFIG_STORE_BUSY_TIMEOUT_MS, "1000", "lease", FINDING_OK},
        {CONFIG_STORE_BUSY_TIMEOUT_MS, "3600000", "lease", FINDING_WARNING},
        {CONFIG_ENGINE_KIND, "native", "engine", FINDING_OK},
        {CONFIG_ENGINE_KIND, "null", "engine", FINDING_WARNING},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        set(fixture, rows[i].key, rows[i].value);
        examine(fixture, doctor_settings, true);
        (void)expect(fixture, "settings", rows[i].check, rows[i].want);
    }
}

static void misspelt_variables_are_named(void **state)
{
    struct fixture *fixture = *state;
    examine(fixture, doctor_settings, true);
    (void)expect(fixture, "settings", "environment", FINDING_OK);
    assert_int_equal(setenv("DOBBY_ENGINE_SESION", "4", 1), 0);
    examine(fixture, doctor_settings, true);
    assert_int_equal(unsetenv("DOBBY_ENGINE_SESION"), 0);
    const struct finding *finding = expect(fixture, "settings", "environment", FINDING_WARNING);
    assert_non_null(strstr(finding->text, "DOBBY_ENGINE_SESION"));
    assert_non_null(strstr(finding->remedy, "DOBBY_ENGINE_SESSIONS"));
}

static void a_machine_is_described(void **state)
{
    struct fixture *fixture = *state;
    examine(fixture, doctor_machine, true);
    (void)expect(fixture, "machine", "threads", FINDING_OK);
    assert_non_null(finding_find(&fixture->findings, "machine", "processor"));
    assert_non_null(finding_find(&fixture->findings, "machine", "memory"));
    assert_int_equal(finding_count(&fixture->findings, FINDING_BROKEN), 0);
    set(fixture, CONFIG_ENGINE_THREADS, "256");
    examine(fixture, doctor_machine, true);
    (void)expect(fixture, "machine", "threads", FINDING_WARNING);
}

static void a_model_is_tried(void **state)
{
    struct fixture *fixture = *state;
    examine(fixture, doctor_model, false);
    static const char *const checks[] = {"file", "fingerprint", "engine", "prompt", "answer"};
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        (void)expect(fixture, "model", checks[i], FINDING_OK);
    examine(fixture, doctor_model, true);
    (void)expect(fixture, "model", "file", FINDING_OK);
    assert_null(finding_find(&fixture->findings, "model", "answer"));
    set(fixture, CONFIG_ENGINE_KIND, "null");
    examine(fixture, doctor_model, false);
    (void)expect(fixture, "model", "file", FINDING_NOTE);
    (void)expect(fixture, "model", "answer", FINDING_OK);
}

static void a_model_that_is_no_good_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct dobby_error *err = &fixture->err;
    struct buffer file = {0};
    set(fixture, CONFIG_MODEL_PATH, "/nonexistent/model.gguf");
    examine(fixture, doctor_model, false);
    const struct finding *finding = expect(fixture, "model", "file", FINDING_BROKEN);
    assert_string_equal(finding->error_id, dobby_code_id(DOBBY_MODEL_NOT_FOUND));
    assert_int_equal(fixture->findings.count, 1);

    assert_ok(buffer_append_format(&file, err, "%s/cut.gguf", fixture->directory.bytes), err);
    assert_ok(file_write_atomic(file.bytes, "GGUF\3\0\0\0", 8, err), err);
    set(fixture, CONFIG_MODEL_PATH, file.bytes);
    examine(fixture, doctor_model, false);
    finding = expect(fixture, "model", "file", FINDING_BROKEN);
    assert_string_equal(finding->error_id, dobby_code_id(DOBBY_MODEL_CORRUPT));
    buffer_release(&file);

    set(fixture, CONFIG_MODEL_PATH, NANO);
    set(fixture, CONFIG_RUN_PROMPT_FILE, "/nonexistent/prompt.txt");
    examine(fixture, doctor_model, false);
    (void)expect(fixture, "model", "prompt", FINDING_BROKEN);
    set(fixture, CONFIG_RUN_SESSIONS_MIN, "4096");
    examine(fixture, doctor_model, false);
    (void)expect(fixture, "model", "engine", FINDING_BROKEN);
}

static struct store *make_database(struct fixture *fixture)
{
    struct store *store;
    struct dobby_error *err = &fixture->err;
    struct put_counts counts = {0};
    const struct record_input input = {
        .id = "a", .path = "a.c", .language = "c", .content = "x", .content_length = 1};
    assert_ok(stores_open(&fixture->config, SQLITE_ACCESS_CREATE, &store, err), err);
    assert_ok(store_sync_begin(store, "s", 1, err), err);
    assert_ok(store_put(store, &input, 1, 1, &counts, err), err);
    assert_ok(store_sync_end(store, "", &counts, err), err);
    return store;
}

static void a_database_is_examined(void **state)
{
    struct fixture *fixture = *state;
    struct dobby_error *err = &fixture->err;
    struct record_batch batch;
    examine(fixture, doctor_store, false);
    (void)expect(fixture, "store", "file", FINDING_WARNING); /* there is none yet */
    struct store *store = make_database(fixture);
    examine(fixture, doctor_store, false);
    static const char *const checks[] = {"writable", "file", "schema", "integrity", "log", "records", "runs"};
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        (void)expect(fixture, "store", checks[i], FINDING_OK);
    assert_null(finding_find(&fixture->findings, "store", "failed"));

    /* A record that failed, and one whose owner is of a boot that is over. */
    assert_ok(store_claim(store, "me", 1, clock_unix_us() * 2, 1, &batch, err), err);
    struct outcome outcome = {.record_id = "a",
                              .attempt = batch.records[0].attempt,
                              .kind = OUTCOME_FAILED,
                              .error_id = "INFER-0005",
                              .reason = "test"};
    assert_ok(store_settle(store, &outcome, 1, 2, err), err);
    record_batch_release(&batch);
    store_close(store);
    examine(fixture, doctor_store, false);
    const struct finding *finding = expect(fixture, "store", "failed", FINDING_WARNING);
    assert_non_null(strstr(finding->remedy, "dobby retry"));
}

static void a_database_that_is_none_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct dobby_error *err = &fixture->err;
    assert_ok(
        file_write_atomic(fixture->database.bytes, "no database at all, but text of some length", 43, err),
        err);
    examine(fixture, doctor_store, false);
    const struct finding *finding = expect(fixture, "store", "file", FINDING_BROKEN);
    assert_string_equal(finding->error_id, dobby_code_id(DOBBY_STORE_CORRUPT));
    set(fixture, CONFIG_DB_URL, "postgres://somewhere");
    examine(fixture, doctor_store, false);
    (void)expect(fixture, "store", "url", FINDING_BROKEN);
    set(fixture, CONFIG_DB_URL, "sqlite:/nonexistent/place/a.db");
    examine(fixture, doctor_store, false);
    (void)expect(fixture, "store", "writable", FINDING_BROKEN);
}

/* Not ready to be read, but nothing is broken: the next command that writes makes it so. */
static void a_database_that_a_run_makes_ready_is_not_broken(void **state)
{
    struct fixture *fixture = *state;
    struct dobby_error *err = &fixture->err;
    assert_ok(file_write_atomic(fixture->database.bytes, "", 0, err), err);
    examine(fixture, doctor_store, false);
    const struct finding *finding = expect(fixture, "store", "file", FINDING_WARNING);
    assert_string_equal(finding->error_id, dobby_code_id(DOBBY_STORE_MISSING));
}

/* A page in the middle overwritten: opening does not see it, reading the whole does. */
static void damage_inside_is_found(void **state)
{
    enum { PAGE = 4096, CONTENT = 60000 };
    struct fixture *fixture = *state;
    struct dobby_error *err = &fixture->err;
    struct put_counts counts = {0};
    struct buffer bytes = {0};
    char *content = malloc(CONTENT);
    assert_non_null(content);
    memset(content, 'x', CONTENT);
    struct store *store = make_database(fixture);
    const struct record_input input = {
        .id = "b", .path = "b.c", .language = "c", .content = content, .content_length = CONTENT};
    assert_ok(store_sync_begin(store, "t", 1, err), err);
    assert_ok(store_put(store, &input, 1, 1, &counts, err), err);
    assert_ok(store_sync_end(store, "", &counts, err), err);
    store_close(store); /* folds the log back */
    assert_ok(file_read(fixture->database.bytes, false, (size_t)64 << 20, &bytes, err), err);
    assert_true(bytes.length > 20 * PAGE);
    for (size_t page = 2; page * PAGE < bytes.length; page++)
        if (bytes.bytes[page * PAGE] == 13) /* leaves of tables: their cells begin with nonsense */
            memset(bytes.bytes + page * PAGE + 1, 0xA5, 64);
    assert_ok(file_write_atomic(fixture->database.bytes, bytes.bytes, bytes.length, err), err);
    examine(fixture, doctor_store, false);
    assert_true(finding_count(&fixture->findings, FINDING_BROKEN) > 0);
    buffer_release(&bytes);
    free(content);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(values_must_go_together),
        WITH_FIXTURE(misspelt_variables_are_named),
        WITH_FIXTURE(a_machine_is_described),
        WITH_FIXTURE(a_model_is_tried),
        WITH_FIXTURE(a_model_that_is_no_good_is_named),
        WITH_FIXTURE(a_database_is_examined),
        WITH_FIXTURE(a_database_that_is_none_is_named),
        WITH_FIXTURE(damage_inside_is_found),
        WITH_FIXTURE(a_database_that_a_run_makes_ready_is_not_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
