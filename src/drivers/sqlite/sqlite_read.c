/* Reading. Each call is one statement, so it sees one state of the store; writers are not held up by it. */
#include "base/limits.h"
#include "drivers/sqlite/sqlite_handle.h"
#include "drivers/sqlite/sqlite_ops.h"
#include "drivers/sqlite/sqlite_rows.h"
#include "os/file.h"
#include "store/store_batch.h"

#include <stdio.h>
#include <string.h>

dobby_code sqlite_list(struct store *store, const struct record_filter *filter, record_visit_fn *visit,
                       void *context, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    struct id_bound bound = id_bound_of_filter(filter);
    /* A negative LIMIT is none. */
    int64_t limit = filter->limit == 0 || filter->limit > INT64_MAX ? -1 : (int64_t)filter->limit;
    sqlite3_stmt *statement = NULL;
    enum sqlite_statement which = filter->with_versions ? STATEMENT_LIST_VERSIONS : STATEMENT_LIST;
    dobby_code code = sqlite_bind(handle, which,
                                  VALUES(sqlite_integer(filter->state), sqlite_text(filter->path_glob),
                                         sqlite_text(filter->id_prefix), sqlite_text(bound.text),
                                         sqlite_integer(filter->with_content), sqlite_integer(limit)),
                                  &statement, err);
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        code = sqlite_visit_row(handle, statement, filter->with_content, visit, context, err);
    }
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_get(struct store *store, const char *id, record_visit_fn *visit, void *context,
                      struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    struct id_bound bound = id_bound_of(id);
    sqlite3_stmt *statement = NULL;
    bool row = false;
    dobby_code code =
        sqlite_bind(handle, STATEMENT_GET, VALUES(sqlite_text(id), sqlite_text(bound.text)), &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code != DOBBY_OK)
        goto done;
    /* The exact id sorts before all that it is a prefix of. */
    if (!row)
        code = DOBBY_FAIL(err, DOBBY_STORE_NOT_FOUND, "no record's id is or begins with %s", id);
    else if (sqlite3_column_int(statement, ROW_MATCHES) > 1 &&
             strcmp(sqlite_column_text(statement, ROW_ID), id) != 0)
        code = DOBBY_FAIL(err, DOBBY_STORE_AMBIGUOUS_ID, "more than one id begins with %s", id);
    else
        code = sqlite_visit_row(handle, statement, true, visit, context, err);
done:
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_count(struct store *store, struct store_counts *out, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    sqlite3_stmt *statement = NULL;
    dobby_code code = sqlite_bind(handle, STATEMENT_COUNTS, NULL, 0, &statement, err);
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        enum record_state state = sqlite_column_state(statement, 0);
        uint64_t records = (uint64_t)sqlite3_column_int64(statement, 1);
        out->by_state[state] = records;
        out->total += records;
        out->summaries += (uint64_t)sqlite3_column_int64(statement, 2);
        out->tokens_in += (uint64_t)sqlite3_column_int64(statement, 3);
        out->tokens_out += (uint64_t)sqlite3_column_int64(statement, 4);
    }
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_reasons(struct store *store, struct reason_counts *out, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    sqlite3_stmt *statement = NULL;
    dobby_code code =
        sqlite_bind(handle, STATEMENT_REASONS, VALUES(sqlite_integer(LIMIT_REASON_ROWS)), &statement, err);
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        const char *reason = sqlite_column_text(statement, 0);
        code = sqlite_columns_check(handle, err);
        if (code == DOBBY_OK)
            code = reason_counts_add(out, reason, sqlite_column_state(statement, 1),
                                     (uint64_t)sqlite3_column_int64(statement, 2), err);
    }
    sqlite3_reset(statement);
    return code;
}

/* ---- health ---- */

static dobby_code measure(struct sqlite_handle *handle, struct store_health *out, struct dobby_error *err)
{
    int64_t version = 0, page_bytes = 0, pages = 0, free_pages = 0;
    dobby_code code = sqlite_query_integer(handle, "PRAGMA user_version", &version, err);
    if (code == DOBBY_OK)
        code = sqlite_query_integer(handle, "PRAGMA page_size", &page_bytes, err);
    if (code == DOBBY_OK)
        code = sqlite_query_integer(handle, "PRAGMA page_count", &pages, err);
    if (code == DOBBY_OK)
        code = sqlite_query_integer(handle, "PRAGMA freelist_count", &free_pages, err);
    out->schema_version = (uint32_t)version;
    out->database_bytes = (uint64_t)(pages * page_bytes);
    out->free_bytes = (uint64_t)(free_pages * page_bytes);
    return code;
}

/* The log's size; it need not be there. */
static dobby_code measure_log(struct sqlite_handle *handle, struct store_health *out, struct dobby_error *err)
{
    struct file_info info = {0};
    char *path = sqlite3_mprintf("%s-wal", handle->path);
    if (path == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "examining %s", handle->path);
    dobby_code code = file_stat(path, true, &info, NULL);
    out->log_bytes = code == DOBBY_OK ? info.bytes : 0;
    sqlite3_free(path);
    return DOBBY_OK;
}

/* The first row that the check yields, when it is not "ok". Damage can also show as a failure to read on. */
static dobby_code look_for_damage(struct sqlite_handle *handle, const char *sql, struct store_health *out,
                                  struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(handle->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    dobby_code code = DOBBY_OK;
    if (result == SQLITE_ROW && strcmp(sqlite_column_text(statement, 0), "ok") != 0)
        (void)snprintf(out->problem, sizeof out->problem, "%s", sqlite_column_text(statement, 0));
    else if (result != SQLITE_ROW && result != SQLITE_DONE)
        code = FAIL_RESULT(handle, result, err);
    sqlite3_finalize(statement);
    if (code != DOBBY_STORE_CORRUPT)
        return code;
    (void)snprintf(out->problem, sizeof out->problem, "%s", sqlite3_errmsg(handle->db));
    error_clear(err);
    return DOBBY_OK;
}

dobby_code sqlite_examine(struct store *store, bool thorough, struct store_health *out,
                          struct dobby_error *err)
{
    static const char *const checks[] = {
        "PRAGMA integrity_check(1)",
        "SELECT 'a row of ' || \"table\" || ' belongs to nothing' FROM pragma_foreign_key_check LIMIT 1",
        "SELECT 'the content of record ' || id || ' is gone or cut' FROM record LEFT JOIN content"
        " ON record_seq = seq WHERE coalesce(length(bytes), 0) <> content_length LIMIT 1",
        "SELECT 'the record ' || id || ' is done and has no summary' FROM record WHERE state IN (3, 4)"
        " AND provenance_id IS NULL LIMIT 1",
        "SELECT 'the tally of state ' || state || ' is not what there is' FROM tally WHERE records <>"
        " (SELECT count(*) FROM record WHERE record.state = tally.state) LIMIT 1",
    };
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    dobby_code code = sqlite_read_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = measure(handle, out, err);
    if (code == DOBBY_OK)
        code = measure_log(handle, out, err);
    for (size_t i = 0; thorough && i < sizeof checks / sizeof checks[0] && code == DOBBY_OK; i++) {
        if (out->problem[0] == '\0')
            code = look_for_damage(handle, checks[i], out, err);
    }
    return sqlite_read_end(handle, code, err);
}
