/* Opening: what a path may be, the schema's versions, locks, read-only places. */
#include "contract/store_testing.h"
#include "sqlite_helper.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_directory(void **state)
{
    *state = test_directory_open();
    return 0;
}

static int close_directory(void **state)
{
    test_directory_close(*state);
    return 0;
}

static dobby_code open_code(const char *path, enum sqlite_access access, struct store **store,
                            struct dobby_error *err)
{
    struct store_sqlite_options options = {.path = path, .access = access, .busy_timeout_ms = 50};
    return store_sqlite_open(&options, store, err);
}

static void opens_only_what_is_there(void **state)
{
    struct store *store = NULL;
    const char *path = test_path(*state, "a.db");
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_READ, &store, err), DOBBY_STORE_OPEN_FAILED);
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_OPEN_FAILED);
    assert_null(store);
    assert_int_equal(access(path, F_OK), -1);
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    store_close(store);
    ASSERT_OK(open_code(path, SQLITE_ACCESS_WRITE, &store, err));
    store_close(store);
    ASSERT_OK(open_code(path, SQLITE_ACCESS_READ, &store, err));
    store_close(store);
    store_close(NULL);
}

static void refuses_paths_that_cannot_be_databases(void **state)
{
    struct store *store = NULL;
    ASSERT_FAILS(open_code("", SQLITE_ACCESS_CREATE, &store, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(open_code(NULL, SQLITE_ACCESS_CREATE, &store, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(open_code("x", SQLITE_ACCESS_UNKNOWN, &store, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(open_code(*state, SQLITE_ACCESS_CREATE, &store, err), DOBBY_STORE_OPEN_FAILED);
    ASSERT_FAILS(open_code(test_path(*state, "no/a.db"), SQLITE_ACCESS_CREATE, &store, err),
                 DOBBY_STORE_OPEN_FAILED);
    ASSERT_FAILS(open_code("/dev/null", SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_OPEN_FAILED);
    assert_null(store);
}

/* Names that SQLite would take for something else than a file's. */
static void any_name_is_a_files_name(void **state)
{
    static const char *const names[] = {":memory:", "file:x?mode=memory", "a b%20#?.db", "\xff\n.db"};
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(*state), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct store *store = NULL;
        ASSERT_OK(open_code(names[i], SQLITE_ACCESS_CREATE, &store, err));
        store_close(store);
        assert_int_equal(access(names[i], F_OK), 0);
        assert_int_equal(unlink(names[i]), 0);
    }
    assert_int_equal(chdir(before), 0);
}

static void refuses_what_is_not_a_database(void **state)
{
    static const enum sqlite_access accesses[] = {SQLITE_ACCESS_READ, SQLITE_ACCESS_WRITE,
                                                  SQLITE_ACCESS_CREATE};
    const char *path = test_path(*state, "notes.txt");
    test_write(path, "These are notes, and no database at all; they are long enough to have a header.", 80);
    for (size_t i = 0; i < 3; i++) {
        struct store *store = NULL;
        ASSERT_FAILS(open_code(path, accesses[i], &store, err), DOBBY_STORE_CORRUPT);
        assert_int_equal(test_size(path), 80);
    }
}

static void refuses_a_database_of_others_and_leaves_it(void **state)
{
    static const char *const schemas[] = {
        "CREATE TABLE t(x); INSERT INTO t VALUES(1);",
        "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);",
        "PRAGMA application_id = 7;",
        "PRAGMA user_version = 1;",
        "PRAGMA application_id = 1148150370; CREATE TABLE t(x);",
    };
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        const char *path = test_path(*state, "other.db");
        test_execute(path, schemas[i]);
        uint64_t before = test_hash(path);
        struct store *store = NULL;
        ASSERT_FAILS(open_code(path, SQLITE_ACCESS_CREATE, &store, err), DOBBY_STORE_CORRUPT);
        ASSERT_FAILS(open_code(path, SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_CORRUPT);
        ASSERT_FAILS(open_code(path, SQLITE_ACCESS_READ, &store, err), DOBBY_STORE_CORRUPT);
        assert_int_equal(test_hash(path), before);
        test_remove(path);
    }
}

static void refuses_a_newer_schema(void **state)
{
    struct store *store = NULL;
    const char *path = test_path(*state, "a.db");
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    store_close(store);
    test_execute(path, "PRAGMA user_version = 999");
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_SCHEMA_NEWER);
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_READ, &store, err), DOBBY_STORE_SCHEMA_NEWER);
    test_execute(path, "PRAGMA user_version = -1");
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_CORRUPT);
}

static void refuses_a_schema_that_was_changed(void **state)
{
    struct store *store = NULL;
    const char *path = test_path(*state, "a.db");
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    store_close(store);
    test_execute(path, "DROP VIEW summaries; DROP TABLE summary");
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_WRITE, &store, err), DOBBY_STORE_CORRUPT);
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_READ, &store, err), DOBBY_STORE_CORRUPT);
}

/* A creation that was killed before its first commit leaves an empty file. */
static void an_empty_file_becomes_a_database(void **state)
{
    struct store *store = NULL;
    const char *path = test_path(*state, "a.db");
    test_write(path, "", 0);
    ASSERT_FAILS(open_code(path, SQLITE_ACCESS_READ, &store, err), DOBBY_STORE_MISSING);
    ASSERT_OK(open_code(path, SQLITE_ACCESS_WRITE, &store, err));
    store_close(store);
    ASSERT_OK(open_code(path, SQLITE_ACCESS_READ, &store, err));
    store_close(store);
}

static void a_cut_file_is_an_error(void **state)
{
    const char *path = test_path(*state, "a.db");
    for (int size = 0; size < 57344; size += 3000) {
        struct store *store = NULL;
        ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
        struct record_input input = make_input("a", "a.c", "text");
        (void)sync_source(store, "/src", &input, 1, "", 1);
        store_close(store);
        assert_int_equal(truncate(path, size), 0);
        struct dobby_error failure = {0};
        dobby_code code = open_code(path, SQLITE_ACCESS_READ, &store, &failure);
        struct buffer out = {0};
        if (code == DOBBY_OK)
            code = store_list(store, &(struct record_filter){.with_content = true}, dump_row, &out, &failure);
        if (code != (size == 0 ? DOBBY_STORE_MISSING : DOBBY_STORE_CORRUPT) && code != DOBBY_OK)
            fail_msg("cut at %d: %s: %s", size, dobby_code_name(code), failure.detail);
        buffer_release(&out);
        store_close(store);
        test_remove(path);
    }
}

static void says_busy_when_locked(void **state)
{
    struct store *store = NULL;
    struct dobby_error busy = {0};
    const char *path = test_path(*state, "a.db");
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    sqlite3 *other = test_connect(path);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_sync_begin(store, "/src", 1, &busy), DOBBY_STORE_BUSY);
    assert_true(dobby_code_retryable(busy.code));
    bool named = false;
    for (size_t i = 0; i < busy.attribute_count; i++)
        named = named || (strcmp(busy.attributes[i].key, "waited_ms") == 0 &&
                          strcmp(busy.attributes[i].value, "50") == 0);
    assert_true(named);
    /* Readers are not held up, nor is opening. */
    struct store_counts counts;
    struct store *reader = NULL;
    ASSERT_OK(store_count(store, &counts, err));
    ASSERT_OK(open_code(path, SQLITE_ACCESS_WRITE, &reader, err));
    store_close(reader);
    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(other);
    ASSERT_OK(store_sync_begin(store, "/src", 1, err));
    store_close(store);
}

static void a_reader_changes_nothing_and_cannot(void **state)
{
    struct store *store = NULL;
    const char *path = test_path(*state, "a.db");
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    struct record_input input = make_input("a", "a.c", "text");
    (void)sync_source(store, "/src", &input, 1, "", 1);
    store_close(store);
    uint64_t before = test_hash(path);
    ASSERT_OK(open_code(path, SQLITE_ACCESS_READ, &store, err));
    char *text = dump_store(store);
    assert_non_null(strstr(text, "a|/src|a.c"));
    free(text);
    struct record_batch batch;
    uint64_t changed = 0;
    ASSERT_FAILS(store_sync_begin(store, "/src", 1, err), DOBBY_STORE_READ_ONLY);
    ASSERT_FAILS(store_claim(store, "w", 1, 2, 1, &batch, err), DOBBY_STORE_READ_ONLY);
    ASSERT_FAILS(store_renew(store, "w", 1, &changed, err), DOBBY_STORE_READ_ONLY);
    store_close(store);
    assert_int_equal(test_hash(path), before);
}

/* As another user where this one is root, whom no permission stops. */
static void as_a_user(void (*run)(void *), void *context)
{
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        run(context);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void open_for_writing_fails(void *context)
{
    struct store *store = NULL;
    struct dobby_error err = {0};
    if (open_code(context, SQLITE_ACCESS_WRITE, &store, &err) != DOBBY_STORE_READ_ONLY) {
        (void)fprintf(stderr, "%s: %s\n", dobby_code_name(err.code), err.detail);
        _exit(1);
    }
}

static void open_for_reading_works(void *context)
{
    struct store *store = NULL;
    struct store_counts counts;
    struct dobby_error err = {0};
    if (open_code(context, SQLITE_ACCESS_READ, &store, &err) != DOBBY_OK ||
        store_count(store, &counts, &err) != DOBBY_OK || counts.total != 1) {
        (void)fprintf(stderr, "%s: %s\n", dobby_code_name(err.code), err.detail);
        _exit(1);
    }
    store_close(store);
}

static void open_for_reading_is_refused(void *context)
{
    struct store *store = NULL;
    struct dobby_error err = {0};
    if (open_code(context, SQLITE_ACCESS_READ, &store, &err) != DOBBY_STORE_OPEN_FAILED) {
        (void)fprintf(stderr, "%s: %s\n", dobby_code_name(err.code), err.detail);
        _exit(1);
    }
}

static void read_only_places_are_read_and_not_written(void **state)
{
    static const struct {
        const char *name;
        mode_t file, directory;
        void (*run)(void *);
    } cases[] = {
        {"writing a read-only file", 0444, 0777, open_for_writing_fails},
        {"writing in a read-only directory", 0666, 0555, open_for_writing_fails},
        {"reading a read-only file", 0444, 0777, open_for_reading_works},
        {"reading a read-only file in a read-only directory", 0444, 0555, open_for_reading_works},
        {"reading in a read-only directory", 0666, 0555, open_for_reading_works},
        {"reading what may not be read", 0000, 0777, open_for_reading_is_refused},
    };
    struct store *store = NULL;
    char path[256];
    (void)snprintf(path, sizeof path, "%s", test_path(*state, "a.db"));
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    struct record_input input = make_input("a", "a.c", "text");
    (void)sync_source(store, "/src", &input, 1, "", 1);
    store_close(store);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].name);
        assert_int_equal(chmod(path, cases[i].file), 0);
        assert_int_equal(chmod(*state, cases[i].directory), 0);
        as_a_user(cases[i].run, path);
        assert_int_equal(chmod(path, 0666), 0);
        assert_int_equal(chmod(*state, 0777), 0);
        /* With what a reader may leave beside the file the next case would be another one. */
        test_remove(test_path(*state, "a.db-wal"));
        test_remove(test_path(*state, "a.db-shm"));
    }
}

/* The WAL of a writer that died cannot be read without its index, and the file alone is not all. */
static void a_log_that_cannot_be_read_is_not_left_aside(void **state)
{
    struct store *store = NULL;
    char path[256];
    (void)snprintf(path, sizeof path, "%s", test_path(*state, "a.db"));
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    store_close(store);
    test_write(test_path(*state, "a.db-wal"), "log", 3);
    assert_int_equal(chmod(*state, 0555), 0);
    as_a_user(open_for_reading_is_refused, path);
    assert_int_equal(chmod(*state, 0777), 0);
}

/* A writer has the database open and its last commits are in the WAL alone. */
static void readers_see_a_writers_work_wherever_they_may_read(void **state)
{
    static const struct {
        const char *name;
        mode_t files, directory;
    } cases[] = {
        {"all may be written", 0666, 0777},
        {"files that may only be read", 0444, 0777},
        {"in a directory that may only be read", 0666, 0555},
        {"files and directory that may only be read", 0444, 0555},
    };
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[256];
    struct store *store = NULL;
    (void)snprintf(path, sizeof path, "%s", test_path(*state, "a.db"));
    ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
    struct record_input input = make_input("a", "a.c", "text");
    (void)sync_source(store, "/src", &input, 1, "", 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("    %s\n", cases[i].name);
        for (size_t j = 0; j < sizeof suffixes / sizeof suffixes[0]; j++) {
            char name[300];
            (void)snprintf(name, sizeof name, "%s%s", path, suffixes[j]);
            assert_int_equal(chmod(name, cases[i].files), 0);
        }
        assert_int_equal(chmod(*state, cases[i].directory), 0);
        as_a_user(open_for_reading_works, path);
        assert_int_equal(chmod(*state, 0777), 0);
        /* The reader has not disturbed the writer. */
        struct record_batch batch;
        ASSERT_OK(store_claim(store, "w", 1 + (int64_t)i, 2 + (int64_t)i, 1, &batch, err));
        assert_int_equal(batch.count, 1);
        record_batch_release(&batch);
    }
    store_close(store);
}

/* Two processes that make the same database at once both succeed. */
static void creation_races_are_won_by_all(void **state)
{
    enum { PROCESSES = 6 };
    for (int round = 0; round < 5; round++) {
        pid_t children[PROCESSES];
        char path[256];
        (void)snprintf(path, sizeof path, "%s", test_path(*state, "race.db"));
        for (size_t i = 0; i < PROCESSES; i++) {
            children[i] = fork();
            assert_int_not_equal(children[i], -1);
            if (children[i] == 0) {
                struct store *store = NULL;
                struct dobby_error err = {0};
                struct store_sqlite_options options = {
                    .path = path, .access = SQLITE_ACCESS_CREATE, .busy_timeout_ms = 20000};
                dobby_code code = store_sqlite_open(&options, &store, &err);
                if (code != DOBBY_OK)
                    (void)fprintf(stderr, "%s: %s\n", dobby_code_name(code), err.detail);
                store_close(store);
                _exit(code == DOBBY_OK ? 0 : 1);
            }
        }
        for (size_t i = 0; i < PROCESSES; i++) {
            int status = 0;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        test_remove(path);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_directory, close_directory)

/* A file that is open but not what its name leads to any more takes no writes: they would be lost. What lies
 * there now is left alone, its log too. */
static void a_file_that_went_takes_no_writes(void **state)
{
    static const struct {
        const char *name;
        bool kept, replaced;
    } cases[] = {{"removed", false, false}, {"renamed", true, false}, {"replaced", false, true}};
    struct record_input input = make_input("a", "a.c", "one");
    char path[256], log[300], aside[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store *store = NULL, *other = NULL;
        struct record_batch batch;
        struct store_counts counts;
        uint64_t renewed = 0;
        (void)snprintf(path, sizeof path, "%s", test_path(*state, cases[i].name));
        (void)snprintf(aside, sizeof aside, "%s", test_path(*state, "aside"));
        (void)snprintf(log, sizeof log, "%s-wal", path);
        ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &store, err));
        (void)sync_source(store, "/src", &input, 1, "", 1);
        ASSERT_OK(store_renew(store, "w", 9, &renewed, err));
        assert_int_equal(cases[i].kept ? rename(path, aside) : unlink(path), 0);
        if (cases[i].replaced) {
            assert_int_equal(unlink(log), 0);
            ASSERT_OK(open_code(path, SQLITE_ACCESS_CREATE, &other, err));
            (void)sync_source(other, "/src", &input, 1, "", 1);
        }
        ASSERT_FAILS(store_claim(store, "w", 2, 9, 1, &batch, err), DOBBY_STORE_MOVED);
        ASSERT_FAILS(store_renew(store, "w", 9, &renewed, err), DOBBY_STORE_MOVED);
        store_close(store);
        assert_int_equal(access(log, F_OK), 0);
        if (cases[i].kept) {
            assert_int_equal(rename(aside, path), 0);
            ASSERT_OK(open_code(path, SQLITE_ACCESS_WRITE, &other, err));
        }
        if (other != NULL) {
            ASSERT_OK(store_count(other, &counts, err));
            assert_int_equal(counts.by_state[RECORD_PENDING], 1);
        }
        store_close(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_only_what_is_there),
        TEST(refuses_paths_that_cannot_be_databases),
        TEST(any_name_is_a_files_name),
        TEST(refuses_what_is_not_a_database),
        TEST(refuses_a_database_of_others_and_leaves_it),
        TEST(refuses_a_newer_schema),
        TEST(refuses_a_schema_that_was_changed),
        TEST(an_empty_file_becomes_a_database),
        TEST(a_cut_file_is_an_error),
        TEST(says_busy_when_locked),
        TEST(a_reader_changes_nothing_and_cannot),
        TEST(read_only_places_are_read_and_not_written),
        TEST(a_log_that_cannot_be_read_is_not_left_aside),
        TEST(readers_see_a_writers_work_wherever_they_may_read),
        TEST(a_file_that_went_takes_no_writes),
        TEST(creation_races_are_won_by_all),
    };
    return cmocka_run_group_tests_name("sqlite open", tests, NULL, NULL);
}
