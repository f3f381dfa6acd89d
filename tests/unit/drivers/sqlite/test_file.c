/* What holds of the file: its schema's guards, several processes on it, kills, readers beside writers. */
#include "contract/store_testing.h"
#include "sqlite_helper.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct fixture {
    char *directory;
    char path[256];
    struct store *store;
};

static dobby_code open_file(const char *path, enum sqlite_access access, struct store **store,
                            struct dobby_error *err)
{
    struct store_sqlite_options options = {.path = path, .access = access, .busy_timeout_ms = 20000};
    return store_sqlite_open(&options, store, err);
}

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->directory = test_directory_open();
    (void)snprintf(fixture->path, sizeof fixture->path, "%s", test_path(fixture->directory, "a.db"));
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_CREATE, &fixture->store, err));
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    test_directory_close(fixture->directory);
    free(fixture);
    return 0;
}

/* Puts count records "000", "001", ... */
static void put_numbered(struct store *store, size_t count)
{
    struct put_counts counts = {0};
    ASSERT_OK(store_sync_begin(store, "/src", 1, err));
    for (size_t i = 0; i < count; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "%03zu", i);
        struct record_input input = make_input(id, "a.c", "some text");
        input.cut = "by 8";
        ASSERT_OK(store_put(store, &input, 1, 1, &counts, err));
    }
    ASSERT_OK(store_sync_end(store, "", &counts, err));
}

/* Two ingests of one source at once: the later one goes on and is whole, the earlier one is told. */
static void of_two_synchronisations_the_later_one_counts(void **state)
{
    struct fixture *fixture = *state;
    struct store *other = NULL;
    struct put_counts counts = {0};
    const struct record_input one = make_input("one", "a.c", "int a;"),
                              two = make_input("two", "b.c", "int b;");
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_WRITE, &other, err));
    ASSERT_OK(store_sync_begin(fixture->store, "/src", 1, err));
    ASSERT_OK(store_put(fixture->store, &one, 1, 1, &counts, err));
    ASSERT_OK(store_sync_begin(other, "/src", 1, err));
    ASSERT_OK(store_put(other, &two, 1, 1, &counts, err));
    ASSERT_FAILS(store_put(fixture->store, &one, 1, 1, &counts, err), DOBBY_STORE_SYNC_LOST);
    ASSERT_FAILS(store_sync_end(fixture->store, "", &counts, err), DOBBY_STORE_SYNC_LOST);
    ASSERT_OK(store_put(other, &one, 1, 1, &counts, err));
    ASSERT_OK(store_sync_end(other, "", &counts, err));
    assert_int_equal(counts.removed, 0);
    /* Other sources are nobody's concern, and the next one of this source is as any. */
    ASSERT_OK(store_sync_begin(fixture->store, "/elsewhere", 1, err));
    ASSERT_OK(store_sync_begin(other, "/src", 1, err));
    ASSERT_OK(store_put(other, &two, 1, 1, &counts, err));
    ASSERT_OK(store_sync_end(fixture->store, "", &counts, err));
    ASSERT_OK(store_sync_end(other, "", &counts, err));
    assert_int_equal(counts.removed, 1);
    store_close(other);
}

/* Claims one record and completes it with the summary of this number. */
static void complete_one(struct store *store, uint32_t number)
{
    struct record_batch batch;
    ASSERT_OK(store_claim(store, "w", 1, 100, 1, &batch, err));
    assert_int_equal(batch.count, 1);
    struct summary summary = make_summary(number, number == 1 ? "the first" : "the second");
    struct outcome outcome =
        make_outcome(batch.records[0].id, batch.records[0].attempt, OUTCOME_COMPLETED, &summary);
    ASSERT_OK(store_settle(store, &outcome, 1, 2, err));
    assert_false(outcome.stale);
    record_batch_release(&batch);
}

/* Someone sets a record back to pending by hand: what was inferred before is kept, and one is current. */
static void equal_keys_never_have_two_summaries(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *db = test_connect(fixture->path);
    put_numbered(fixture->store, 1);
    complete_one(fixture->store, 1);
    test_execute(fixture->path, "UPDATE record SET state = 1");
    complete_one(fixture->store, 1);
    assert_int_equal(test_query(db, "SELECT count(*) FROM summary"), 1);
    assert_int_equal(test_query(db, "SELECT sum(current) FROM summary"), 1);

    test_execute(fixture->path, "UPDATE record SET state = 1");
    complete_one(fixture->store, 2);
    assert_int_equal(test_query(db, "SELECT count(*) FROM summary"), 2);
    assert_int_equal(test_query(db, "SELECT sum(current) FROM summary"), 1);
    struct store_counts counts;
    ASSERT_OK(store_count(fixture->store, &counts, err));
    assert_int_equal(counts.summaries, 1);
    assert_int_equal(counts.tokens_in, 102);
    char *text = dump_filtered(fixture->store, &(struct record_filter){0});
    assert_non_null(strstr(text, "the second"));
    assert_null(strstr(text, "the first"));
    free(text);

    test_execute(fixture->path, "UPDATE record SET state = 1");
    complete_one(fixture->store, 1);
    assert_int_equal(test_query(db, "SELECT count(*) FROM summary"), 2);
    assert_int_equal(test_query(db, "SELECT count(*) FROM summaries WHERE summary = 'the first'"), 1);
    assert_int_equal(test_query(db, "SELECT count(*) FROM provenance"), 2);
    sqlite3_close(db);
}

/* The schema itself refuses what no version of Dobby should ever write. */
static void the_schema_guards_the_invariants(void **state)
{
    static const char *const statements[] = {
        "INSERT INTO summary SELECT seq + 1, 'x', record_seq, result_key, 0, text, confidence, provenance_id,"
        " 1, 1, 1, content_sha256, 1, 0, NULL FROM summary", /* an equal key */
        "INSERT INTO summary SELECT seq + 1, 'x', record_seq, zeroblob(32), 1, text, confidence,"
        " provenance_id, 1, 1, 1, content_sha256, 1, 0, NULL FROM summary", /* a second current one */
        "INSERT INTO summary SELECT seq + 1, 'x', 999, zeroblob(32), 1, text, confidence,"
        " provenance_id, 1, 1, 1, content_sha256, 1, 0, NULL FROM summary", /* of no record */
        "UPDATE record SET state = 2",                                      /* leased to nobody */
        "UPDATE record SET owner = 'w', lease_until_us = 1",                /* a lease on what is done */
        "UPDATE record SET state = 7",
        "UPDATE record SET content_sha256 = x'00'",
        "UPDATE record SET not_before_us = 1", /* waiting with what is done */
        "UPDATE record SET provenance_id = 999",
        "UPDATE summary SET confidence = 2",
        "UPDATE summary SET reused = 2",
        "INSERT INTO run SELECT 1, 'r', 'w', 1, 1, 0, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, '{}', "
        "'{}'",
        "INSERT INTO run SELECT 1, 'r', 'w', 3, 1, 0, 1, 1, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, '{}', "
        "'{}'",
        "UPDATE record SET first_line = 'one'",
        "INSERT INTO record(id, source_id, path, language, first_line, last_line, position, content_sha256,"
        " content_length, state, excluded, state_us) SELECT id, source_id, path, language, 1, 1, 1,"
        " content_sha256, 1, 1, 0, 1 FROM record",
    };
    struct fixture *fixture = *state;
    put_numbered(fixture->store, 1);
    complete_one(fixture->store, 1);
    sqlite3 *db = test_connect(fixture->path);
    assert_int_equal(sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (sqlite3_exec(db, statements[i], NULL, NULL, NULL) != SQLITE_CONSTRAINT)
            fail_msg("%s: %s", statements[i], sqlite3_errmsg(db));
    }
    sqlite3_close(db);
}

static void removal_leaves_no_row_behind(void **state)
{
    struct fixture *fixture = *state;
    put_numbered(fixture->store, 3);
    complete_one(fixture->store, 1);
    (void)sync_source(fixture->store, "/src", NULL, 0, "", 1);
    sqlite3 *db = test_connect(fixture->path);
    assert_int_equal(test_query(db, "SELECT (SELECT count(*) FROM record) + (SELECT count(*) FROM content)"
                                    " + (SELECT count(*) FROM summary)"),
                     0);
    sqlite3_close(db);
}

static void unchanged_records_are_not_written(void **state)
{
    struct fixture *fixture = *state;
    put_numbered(fixture->store, 20);
    sqlite3 *db = test_connect(fixture->path);
    const int64_t page = test_query(db, "PRAGMA page_size") + 24; /* with its header in the log */
    char wal[300];
    (void)snprintf(wal, sizeof wal, "%s-wal", fixture->path);
    int64_t wal_bytes = test_size(wal);
    put_numbered(fixture->store, 20);
    assert_int_equal(test_size(wal), wal_bytes + page); /* the source's row: whose turn it is */
    /* And the check can tell: */
    wal_bytes = test_size(wal);
    put_numbered(fixture->store, 21);
    assert_true(test_size(wal) > wal_bytes + 3 * page);
    sqlite3_close(db);
}

static void the_file_says_what_it_is(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *db = test_connect(fixture->path);
    assert_int_equal(test_query(db, "PRAGMA application_id"), 0x446F6262);
    assert_int_equal(test_query(db, "PRAGMA user_version"), 3);
    assert_int_equal(test_query(db, "PRAGMA auto_vacuum"), 0);
    assert_int_equal(test_query(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    sqlite3_close(db);
}

struct writing {
    struct store *writer;
    unsigned rows;
};

static dobby_code write_meanwhile(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct writing *writing = context;
    struct record_batch batch;
    (void)row;
    writing->rows++;
    dobby_code code = store_claim(writing->writer, "w", 1, 100, 1, &batch, err);
    record_batch_release(&batch);
    return code;
}

static void a_slow_listing_holds_nobody_up(void **state)
{
    struct fixture *fixture = *state;
    struct writing writing = {0};
    struct store *reader = NULL;
    struct store_counts counts;
    put_numbered(fixture->store, 10);
    writing.writer = fixture->store;
    ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_READ, &reader, err));
    /* The listing shows the store as it was when it began. */
    ASSERT_OK(
        store_list(reader, &(struct record_filter){.state = RECORD_PENDING}, write_meanwhile, &writing, err));
    assert_int_equal(writing.rows, 10);
    ASSERT_OK(store_count(reader, &counts, err));
    assert_int_equal(counts.by_state[RECORD_LEASED], 10);
    store_close(reader);
}

/* One process' work: claims and settles until nothing is left. */
static int work(const char *path, uint32_t first_number)
{
    struct store *store = NULL;
    struct dobby_error err = {0};
    char owner[32];
    uint32_t number = first_number;
    (void)snprintf(owner, sizeof owner, "w%u", first_number);
    dobby_code code = open_file(path, SQLITE_ACCESS_WRITE, &store, &err);
    size_t count = 1;
    while (code == DOBBY_OK && count > 0) {
        struct record_batch batch;
        struct summary summaries[7];
        struct outcome outcomes[7];
        code = store_claim(store, owner, 1, 100, 7, &batch, &err);
        for (size_t i = 0; i < batch.count; i++) {
            summaries[i] = make_summary(number++, "text");
            outcomes[i] =
                make_outcome(batch.records[i].id, batch.records[i].attempt, OUTCOME_COMPLETED, &summaries[i]);
        }
        if (code == DOBBY_OK)
            code = store_settle(store, outcomes, batch.count, 2, &err);
        for (size_t i = 0; i < batch.count; i++) {
            if (outcomes[i].stale)
                code = DOBBY_INTERNAL;
        }
        count = batch.count;
        record_batch_release(&batch);
    }
    if (code != DOBBY_OK)
        (void)fprintf(stderr, "%s: %s\n", dobby_code_name(code), err.detail);
    store_close(store);
    return code == DOBBY_OK ? 0 : 1;
}

/* Rows of the tally that are not what counting gives. */
static const char tally_errors[] =
    "SELECT count(*) FROM tally WHERE (records, summaries, tokens_in, tokens_out) <>"
    " (SELECT count(DISTINCT r.seq), count(s.seq), coalesce(sum(s.tokens_in), 0),"
    " coalesce(sum(s.tokens_out), 0) FROM record r LEFT JOIN summary s ON s.record_seq = r.seq"
    " AND s.current = 1 WHERE r.state = tally.state)";

static void assert_all_completed_once(const char *path, int64_t records)
{
    sqlite3 *db = test_connect(path);
    assert_int_equal(test_query(db, "SELECT count(*) FROM record WHERE state = 3"), records);
    assert_int_equal(test_query(db, "SELECT count(*) FROM summary"), records);
    assert_int_equal(test_query(db, "SELECT count(DISTINCT record_seq) FROM summary WHERE current = 1"),
                     records);
    assert_int_equal(test_query(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(test_query(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_int_equal(test_query(db, tally_errors), 0);
    sqlite3_close(db);
}

/* Whoever changes the records, by whatever statement: the counts are those of the tables. */
static void the_tally_follows_the_tables(void **state)
{
    static const char *const statements[] = {
        "UPDATE record SET state = 1, reason = NULL WHERE state = 4",
        "UPDATE record SET state = 5, owner = NULL, lease_until_us = NULL",
        "DELETE FROM record WHERE seq = 2",
        "UPDATE record SET tokens_in = NULL, tokens_out = NULL, provenance_id = NULL;"
        "DELETE FROM summary",
        "INSERT INTO record(id, source_id, path, language, first_line, last_line, position, content_sha256,"
        " content_length, state, excluded, state_us) SELECT 'new', source_id, path, language, 1, 1, 1,"
        " content_sha256, 1, 3, 0, 1 FROM record LIMIT 1",
        "DELETE FROM record",
    };
    struct fixture *fixture = *state;
    sqlite3 *db = test_connect(fixture->path);
    assert_int_equal(sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL), SQLITE_OK);
    put_numbered(fixture->store, 8);
    complete_one(fixture->store, 1);
    complete_one(fixture->store, 2);
    assert_int_equal(test_query(db, tally_errors), 0);
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        assert_int_equal(sqlite3_exec(db, statements[i], NULL, NULL, NULL), SQLITE_OK);
        if (test_query(db, tally_errors) != 0)
            fail_msg("after %s", statements[i]);
    }
    assert_int_equal(test_query(db, "SELECT sum(records + summaries + tokens_in + tokens_out) FROM tally"),
                     0);
    sqlite3_close(db);
}

/* What an examination finds when it is thorough. */
static void an_examination_finds_damage(void **state)
{
    static const struct {
        const char *damage, *want;
    } cases[] = {
        {"UPDATE tally SET records = records + 1 WHERE state = 3", "the tally of state 3"},
        {"UPDATE record SET state = 3 WHERE id = '001'", "the record 001 is done and has no summary"},
        {"DELETE FROM content WHERE record_seq = 1", "the content of record 000 is gone or cut"},
        {"PRAGMA foreign_keys = OFF; UPDATE summary SET record_seq = 99", "a row of summary"},
        {"PRAGMA ignore_check_constraints = ON; UPDATE record SET state = 9", "CHECK constraint failed"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_health health;
        store_close(fixture->store);
        test_remove(fixture->path);
        ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_CREATE, &fixture->store, err));
        put_numbered(fixture->store, 2);
        complete_one(fixture->store, 1);
        ASSERT_OK(store_examine(fixture->store, true, &health, err));
        assert_string_equal(health.problem, "");
        assert_int_equal(health.schema_version, 3);
        assert_true(health.log_bytes > 0);
        test_execute(fixture->path, cases[i].damage);
        ASSERT_OK(store_examine(fixture->store, true, &health, err));
        if (strstr(health.problem, cases[i].want) == NULL)
            fail_msg("%s: '%s'", cases[i].damage, health.problem);
        ASSERT_OK(store_examine(fixture->store, false, &health, err));
        assert_string_equal(health.problem, "");
    }
}

static dobby_code visit_any(void *context, const struct record_row *row, struct dobby_error *err)
{
    (void)context, (void)row, (void)err;
    return DOBBY_OK;
}

/* What has lost its content is nobody's work, and no empty text. */
static void content_that_is_gone_is_damage(void **state)
{
    static const char *const damages[] = {"DELETE FROM content WHERE record_seq = 1",
                                          "UPDATE content SET bytes = x'00' WHERE record_seq = 1"};
    struct fixture *fixture = *state;
    put_numbered(fixture->store, 2);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const struct record_filter with = {.with_content = true}, without = {.with_content = false};
        struct record_batch batch;
        test_execute(fixture->path, damages[i]);
        ASSERT_FAILS(store_list(fixture->store, &with, visit_any, NULL, err), DOBBY_STORE_CORRUPT);
        ASSERT_OK(store_list(fixture->store, &without, visit_any, NULL, err));
        ASSERT_FAILS(store_get(fixture->store, "000", visit_any, NULL, err), DOBBY_STORE_CORRUPT);
        ASSERT_OK(store_get(fixture->store, "001", visit_any, NULL, err));
        ASSERT_FAILS(store_claim(fixture->store, "w", 1, 100, 8, &batch, err), DOBBY_STORE_CORRUPT);
        if (i == 0)
            test_execute(fixture->path, "INSERT INTO content VALUES(1, x'00')");
    }
}

static void processes_share_the_work(void **state)
{
    enum { PROCESSES = 4, RECORDS = 200 };
    struct fixture *fixture = *state;
    pid_t children[PROCESSES];
    put_numbered(fixture->store, RECORDS);
    store_close(fixture->store); /* a connection must not be carried across a fork */
    fixture->store = NULL;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_int_not_equal(children[i], -1);
        if (children[i] == 0)
            _exit(work(fixture->path, (i + 1) << 16));
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_all_completed_once(fixture->path, RECORDS);
    sqlite3 *db = test_connect(fixture->path);
    assert_int_equal(test_query(db, "SELECT max(attempt) FROM record"), 1); /* nothing was claimed twice */
    sqlite3_close(db);
}

/* Killed over and over in the middle of its work, the work gets done, once. */
static void kills_lose_and_double_nothing(void **state)
{
    enum { KILLS = 12, RECORDS = 300 };
    struct fixture *fixture = *state;
    put_numbered(fixture->store, RECORDS);
    store_close(fixture->store);
    fixture->store = NULL;
    for (uint32_t i = 0; i < KILLS; i++) {
        pid_t child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0)
            _exit(work(fixture->path, (i + 1) << 16));
        struct timespec pause = {0, (long)(1 + i * 7 % 20) * 1000000};
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        /* A reader sees all that was committed, though the killed one left its WAL behind. */
        struct store *reader = NULL;
        struct store_counts counts;
        ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_READ, &reader, err));
        ASSERT_OK(store_count(reader, &counts, err));
        assert_int_equal(counts.total, RECORDS);
        assert_int_equal(counts.summaries, counts.by_state[RECORD_COMPLETED]);
        store_close(reader);
        ASSERT_OK(open_file(fixture->path, SQLITE_ACCESS_WRITE, &fixture->store, err));
        struct owner_list owners;
        ASSERT_OK(store_owners(fixture->store, &owners, err));
        for (size_t j = 0; j < owners.count; j++) {
            uint64_t released = 0;
            ASSERT_OK(store_release_owner(fixture->store, owners.owners[j], 3, &released, err));
            assert_in_range(released, 1, 7);
        }
        owner_list_release(&owners);
        store_close(fixture->store);
        fixture->store = NULL;
    }
    assert_int_equal(work(fixture->path, (KILLS + 1) << 16), 0);
    assert_all_completed_once(fixture->path, RECORDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(of_two_synchronisations_the_later_one_counts),
        TEST(equal_keys_never_have_two_summaries),
        TEST(the_schema_guards_the_invariants),
        TEST(removal_leaves_no_row_behind),
        TEST(unchanged_records_are_not_written),
        TEST(the_file_says_what_it_is),
        TEST(a_slow_listing_holds_nobody_up),
        TEST(the_tally_follows_the_tables),
        TEST(an_examination_finds_damage),
        TEST(content_that_is_gone_is_damage),
        TEST(processes_share_the_work),
        TEST(kills_lose_and_double_nothing),
    };
    return cmocka_run_group_tests_name("sqlite file", tests, NULL, NULL);
}
