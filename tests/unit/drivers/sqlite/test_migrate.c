/* Bringing files of earlier schemas to the newest one. */
#include "contract/store_testing.h"
#include "sqlite_helper.h"

struct fixture {
    char *directory;
    char path[256];
    int version; /* of the file's schema */
};

static int make_old_file(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    static char sql[16384];
    char script[256];
    assert_non_null(fixture);
    fixture->directory = test_directory_open();
    (void)snprintf(fixture->path, sizeof fixture->path, "%s", test_path(fixture->directory, "old.db"));
    fixture->version = *(int *)*state;
    (void)snprintf(script, sizeof script, DOBBY_SOURCE_DIR "/tests/unit/drivers/sqlite/schema_%d.sql",
                   fixture->version);
    FILE *file = fopen(script, "rb");
    assert_non_null(file);
    size_t length = fread(sql, 1, sizeof sql - 1, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(length, 1, sizeof sql - 2);
    sql[length] = '\0';
    test_execute(fixture->path, sql);
    *state = fixture;
    return 0;
}

static int remove_file(void **state)
{
    struct fixture *fixture = *state;
    test_directory_close(fixture->directory);
    free(fixture);
    return 0;
}

static dobby_code open_file(const char *path, enum sqlite_access access, struct store **store,
                            struct dobby_error *err)
{
    struct store_sqlite_options options = {.path = path, .access = access, .busy_timeout_ms = 20};
    return store_sqlite_open(&options, store, err);
}

/* Whatever way a file came to its schema, it is the same. */
static void an_old_file_gets_the_schema_of_a_new_one(void **state)
{
    static const char *const parts[] = {"type", "name", "sql"};
    struct fixture *fixture = *state;
    struct store *store = NULL;
    char new_path[256];
    char attach[300];
    (void)snprintf(new_path, sizeof new_path, "%s", test_path(fixture->directory, "new.db"));
    (void)snprintf(attach, sizeof attach, "ATTACH '%s' AS new", new_path);
    ASSERT_OK(open_file(new_path, SQLITE_ACCESS_CREATE, &store, err));
    store_close(store);
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_WRITE, &store, err));
    store_close(store);
    sqlite3 *db = test_connect(fixture->path);
    assert_int_equal(sqlite3_exec(db, attach, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(test_query(db, "SELECT count(*) FROM main.sqlite_schema"),
                     test_query(db, "SELECT count(*) FROM new.sqlite_schema"));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char query[300];
        /* But for the spaces: the old file's schema was reformatted. */
        (void)snprintf(query, sizeof query,
                       "SELECT count(*) FROM (SELECT replace(%s, ' ', '') FROM main.sqlite_schema"
                       " EXCEPT SELECT replace(%s, ' ', '') FROM new.sqlite_schema)",
                       parts[i], parts[i]);
        if (test_query(db, query) != 0)
            fail_msg("the %s of the schema differs", parts[i]);
    }
    assert_int_equal(test_query(db, "PRAGMA main.user_version"), test_query(db, "PRAGMA new.user_version"));
    assert_int_equal(test_query(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(test_query(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    sqlite3_close(db);
}

static void nothing_is_lost(void **state)
{
    static const char *const wanted[] = {
        "pending|/src|a.c|c|1-9@0|pending|a2 t1|-|-|",
        "leased|/src|b.c|c|1-9@0|leased|a1 t1|-|-|",
        "completed|/src|c.c|c|1-9@0|completed|a1 t1|-|-|",
        "It completes. 0.5 nano f00d q8_0 greedy nano@1 0.1.0 avx2 103 13 7 23 current -",
        "degraded|/src|d.c|c|1-9@0|degraded|a1 t1|-|cut off|",
        "It is 0.25 nano f00d q8_0 greedy nano@2 0.1.0 avx2 104 14 7 24 current cut off",
        "failed|/src|e.c|c|1-9@0|failed|a3 t3|INFER-0005|why|",
        "skipped|/src|f.c|c|1-9@0|skipped|a1 t1|-|empty|",
        "excluded|/src|g.c|c|1-9@0|skipped|a0 t0|-|binary|",
        "pending=1 leased=1 completed=1 degraded=1 failed=1 skipped=2 total=7 summaries=2 tokens=207+27",
        "owner w",
        "cut /src||6 2\n", /* how they were cut is not known; what was not summarised was not cut */
    };
    struct fixture *fixture = *state;
    struct store *store = NULL;
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_WRITE, &store, err));
    char *text = dump_store(store);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strstr(text, wanted[i]) == NULL)
            fail_msg("no '%s' in\n%s", wanted[i], text);
    }
    free(text);
    store_close(store);
}

/* What the new columns hold of old rows serves what they are there for. */
static void old_rows_are_worked_on(void **state)
{
    static const struct provenance_key first = {"f00d", "q8_0", "greedy", "nano@1"};
    struct fixture *fixture = *state;
    struct store *store = NULL;
    struct record_batch batch;
    struct stale_counts redone;
    uint64_t count = 0;
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_WRITE, &store, err));
    ASSERT_OK(store_claim(store, "v", 1, 100, 8, &batch, err));
    assert_int_equal(batch.count, 1);
    assert_string_equal(batch.records[0].id, "pending");
    assert_int_equal(batch.records[0].tries, 2);
    assert_int_equal(batch.next_unix_us, 60000000);
    record_batch_release(&batch);
    ASSERT_OK(store_stale_count(store, &first, &count, err));
    assert_int_equal(count, 1);
    ASSERT_OK(store_requeue_stale(store, &first, 50, 0, &redone, err));
    assert_int_equal(redone.requeued, 1);
    ASSERT_OK(store_requeue(store, &(struct record_filter){0}, 50, &count, err));
    assert_int_equal(count, 2); /* the failed one and the one that a run skipped */
    ASSERT_OK(store_claim(store, "v", 60000000, 60000100, 8, &batch, err));
    assert_int_equal(batch.count, 5);
    record_batch_release(&batch);
    store_close(store);
}

/* An old record that is removed and put again goes on counting its attempts. */
static void old_attempts_are_not_given_again(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = NULL;
    struct record_batch batch;
    struct record_input again = make_input("failed", "e.c", "new");
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_WRITE, &store, err));
    (void)sync_source(store, "/src", NULL, 0, "", 50);
    (void)sync_source(store, "/src", &again, 1, "", 50);
    ASSERT_OK(store_claim(store, "v", 60, 100, 8, &batch, err));
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.records[0].attempt, 4);
    assert_int_equal(batch.records[0].tries, 1);
    record_batch_release(&batch);
    store_close(store);
}

static void readers_leave_an_old_file_alone(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = NULL;
    uint64_t before = test_hash(fixture->path);
    ASSERT_FAILS(open_file(fixture->path, SQLITE_ACCESS_READ, &store, err), DOBBY_STORE_SCHEMA_OLDER);
    assert_int_equal(test_hash(fixture->path), before);
}

/* A migration that another process holds up or that fails half through changes nothing; a later one finishes.
 */
static void a_migration_applies_wholly_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = NULL;
    sqlite3 *other = test_connect(fixture->path);
    assert_int_equal(sqlite3_exec(other, "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    ASSERT_FAILS(open_file(fixture->path, SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_BUSY);
    assert_int_equal(test_query(other, "PRAGMA user_version"), fixture->version);
    /* An index of the name that it is to make last stands in its way. */
    assert_int_equal(
        sqlite3_exec(other, "CREATE INDEX record_cut ON record(state); COMMIT", NULL, NULL, NULL), SQLITE_OK);
    ASSERT_FAILS(open_file(fixture->path, SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_FAILED);
    assert_int_equal(test_query(other, "PRAGMA user_version"), fixture->version);
    assert_int_equal(
        test_query(other, "SELECT count(*) FROM pragma_table_info('record') WHERE name = 'cut_id'"), 0);
    assert_int_equal(
        test_query(other, "SELECT count(*) FROM pragma_table_info('record') WHERE name = 'tokens_in'"),
        fixture->version >= 2);
    assert_int_equal(sqlite3_exec(other, "DROP INDEX record_cut", NULL, NULL, NULL), SQLITE_OK);
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_WRITE, &store, err));
    store_close(store);
    sqlite3_close(other);
}

static int versions[] = {1, 2};
#define TEST_OF(function, version)                                                                           \
    {                                                                                                        \
#function ", schema " #version, function, make_old_file, remove_file, &versions[(version)-1]         \
    }
#define TEST(function) TEST_OF(function, 1), TEST_OF(function, 2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_old_file_gets_the_schema_of_a_new_one),
        TEST(nothing_is_lost),
        TEST(old_rows_are_worked_on),
        TEST(old_attempts_are_not_given_again),
        TEST(readers_leave_an_old_file_alone),
        TEST(a_migration_applies_wholly_or_not_at_all),
    };
    return cmocka_run_group_tests_name("sqlite migrations", tests, NULL, NULL);
}
