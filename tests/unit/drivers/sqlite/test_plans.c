/* How SQLite runs the driver's statements: what a call costs must follow from what it returns, not from how
 * much the store holds. The plans come from the schema alone, so they are the same for any size. */
#include "contract/store_testing.h"
#include "drivers/sqlite/sqlite_statements.h"
#include "sqlite_helper.h"

/* The statement's plan, a line a step. */
static char *plan_of(sqlite3 *db, enum sqlite_statement which)
{
    struct buffer plan = {0};
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite_statement_text[which]);
    assert_non_null(sql);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(statement) == SQLITE_ROW)
        ASSERT_OK(buffer_append_format(&plan, err, "%s\n", (const char *)sqlite3_column_text(statement, 3)));
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    ASSERT_OK(buffer_append_string(&plan, "", err));
    return buffer_take(&plan, NULL);
}

/* A subquery is scanned too, which is as long as it is made. */
static bool scans_a_table(const char *plan)
{
    for (const char *scan = strstr(plan, "SCAN "); scan != NULL; scan = strstr(scan + 1, "SCAN ")) {
        if (scan[strlen("SCAN ")] != '(')
            return true;
    }
    return false;
}

static void statements_run_by_their_indexes(void **state)
{
    static const struct {
        const char *name;
        enum sqlite_statement which;
        bool scans; /* of a whole table or index: what it counts or lists is the whole */
        bool sorts; /* no more than the batch or one record's versions, or the few distinct reasons */
        const char *want[4];
    } cases[] = {
        {"record find", STATEMENT_RECORD_FIND, .want = {"sqlite_autoindex_record_1 (id=?)"}},
        {"claim find", STATEMENT_CLAIM_FIND, .scans = true, /* of the claimable ones found */
         .sorts = true,
         .want = {"record_work (state=? AND lease_until_us=? AND not_before_us=?)",
                  "record_work (state=? AND lease_until_us=? AND not_before_us<?)",
                  "record_work (state=? AND lease_until_us=? AND not_before_us>?)",
                  "record_work (state=? AND lease_until_us<?)"}},
        {"claim", STATEMENT_CLAIM, .want = {"record USING INTEGER PRIMARY KEY"}},
        {"claim next time", STATEMENT_CLAIM_NEXT_TIME, .scans = true, /* of no table */
         .want = {"record_work (state=? AND lease_until_us=? AND not_before_us>?)",
                  "record_work (state=? AND lease_until_us>?)"}},
        {"renew", STATEMENT_RENEW, .want = {"record_work (state=?)"}},
        {"release owner", STATEMENT_RELEASE_OWNER, .want = {"record_work (state=?)"}},
        {"owners", STATEMENT_OWNERS, .sorts = true, .want = {"record_work (state=?)"}},
        {"settle", STATEMENT_SETTLE, .want = {"sqlite_autoindex_record_1 (id=?)"}},
        {"summary demote", STATEMENT_SUMMARY_DEMOTE, .want = {"summary_current (record_seq=?)"}},
        {"record result", STATEMENT_RECORD_RESULT, .want = {"summary_current (record_seq=?)"}},
        {"counts", STATEMENT_COUNTS, .scans = true, .want = {"SCAN tally"}},
        {"reasons", STATEMENT_REASONS, .sorts = true, .want = {"record_work (state=?)"}},
        {"list", STATEMENT_LIST, .scans = true,
         .want = {"source USING COVERING INDEX sqlite_autoindex_source_1", "record_place (source_id=?)",
                  "summary_current (record_seq=?)"}},
        {"list versions", STATEMENT_LIST_VERSIONS, .scans = true, .sorts = true,
         .want = {"source USING COVERING INDEX sqlite_autoindex_source_1", "record_place (source_id=?)",
                  "sqlite_autoindex_summary_2 (record_seq=?)", "OF ORDER BY" /* a part of it */}},
        {"get", STATEMENT_GET, .want = {"sqlite_autoindex_record_1 (id>? AND id<?)"}},
        {"find result", STATEMENT_FIND_RESULT, .want = {"summary_result (result_key=?)"}},
        {"stale count", STATEMENT_STALE_COUNT, .scans = true, /* of the provenances */
         .want = {"record_result (provenance_id=? AND state=?)"}},
        {"stale find", STATEMENT_STALE_FIND, .scans = true, .sorts = true,
         .want = {"record_result (provenance_id=? AND state=?)",
                  "sqlite_autoindex_summary_2 (record_seq=?)"}},
        {"sources", STATEMENT_SOURCES, .scans = true, /* of the sources */
         .want = {"record_place (source_id=?)"}},
        {"cuts", STATEMENT_CUTS, .scans = true, /* of the cuts */
         .sorts = true, .want = {"record_cut (cut_id=?)", "source USING INTEGER PRIMARY KEY"}},
        {"requeue find", STATEMENT_REQUEUE_FIND,
         .want = {"record_work (state=? AND lease_until_us=? AND not_before_us=? AND rowid>?)"}},
        {"requeue find id", STATEMENT_REQUEUE_FIND_ID, .sorts = true,
         .want = {"sqlite_autoindex_record_1 (id>? AND id<?)"}},
        {"run command get", STATEMENT_RUN_COMMAND_GET, .want = {"sqlite_autoindex_run_1 (id=?)"}},
        {"run find active", STATEMENT_RUN_FIND_ACTIVE, .scans = true, /* of the active ones */
         .want = {"run USING INDEX run_active"}},
        {"run list active", STATEMENT_RUN_LIST_ACTIVE, .scans = true, .sorts = true, /* the active ones */
         .want = {"run USING INDEX run_active"}},
        {"run lost", STATEMENT_RUN_LOST, .want = {"run_active (owner=?)"}},
    };
    const char *directory = *state;
    char path[256];
    struct store *store = NULL;
    (void)snprintf(path, sizeof path, "%s", test_path(directory, "a.db"));
    struct store_sqlite_options options = {
        .path = path, .access = SQLITE_ACCESS_CREATE, .busy_timeout_ms = 1};
    ASSERT_OK(store_sqlite_open(&options, &store, err));
    store_close(store);
    sqlite3 *db = test_connect(path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *plan = plan_of(db, cases[i].which);
        if (!cases[i].scans && scans_a_table(plan))
            fail_msg("%s scans:\n%s", cases[i].name, plan);
        if (!cases[i].sorts && strstr(plan, "TEMP B-TREE") != NULL)
            fail_msg("%s sorts:\n%s", cases[i].name, plan);
        for (size_t j = 0; j < 4 && cases[i].want[j] != NULL; j++) {
            if (strstr(plan, cases[i].want[j]) == NULL)
                fail_msg("%s does not use %s:\n%s", cases[i].name, cases[i].want[j], plan);
        }
        free(plan);
    }
    sqlite3_close(db);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(statements_run_by_their_indexes, open_directory, close_directory),
    };
    return cmocka_run_group_tests_name("sqlite plans", tests, NULL, NULL);
}
