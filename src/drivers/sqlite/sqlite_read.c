/* Reading. Each call is one statement, so it sees one state of the store; writers are not held up by it. */
#include "base/limits.h"
#include "drivers/sqlite/sqlite_handle.h"
#include "drivers/sqlite/sqlite_ops.h"
#include "store/store_batch.h"

#include <stdio.h>
#include <string.h>

enum row_column {
    ROW_ID,
    ROW_SOURCE,
    ROW_PATH,
    ROW_LANGUAGE,
    ROW_FIRST_LINE,
    ROW_LAST_LINE,
    ROW_POSITION,
    ROW_STATE,
    ROW_ATTEMPT,
    ROW_TRIES,
    ROW_ERROR_ID,
    ROW_REASON,
    ROW_CONTENT_SHA256,
    ROW_CONTENT_LENGTH,
    ROW_STATE_US,
    ROW_SUMMARY_ID,
    ROW_RESULT_KEY,
    ROW_TEXT,
    ROW_CONFIDENCE,
    ROW_MODEL,
    ROW_MODEL_FINGERPRINT,
    ROW_PRECISION,
    ROW_SAMPLING,
    ROW_TEMPLATE_ID,
    ROW_ENGINE,
    ROW_TOKENS_IN,
    ROW_TOKENS_OUT,
    ROW_INFERENCE_MS,
    ROW_CREATED_US,
    ROW_CONTENT,
    ROW_MATCHES /* of STATEMENT_GET: ids in the range, counted up to 2 */
};

/* Greater than every id that begins with prefix: no UTF-8 text holds the byte 0xFF. */
struct id_bound {
    char text[LIMIT_RECORD_ID_BYTES + 2];
};

static struct id_bound id_bound_of(const char *prefix)
{
    struct id_bound bound;
    (void)snprintf(bound.text, sizeof bound.text, "%s\xff", prefix);
    return bound;
}

static const char *text_or_null(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NULL
                                                                 : sqlite_column_text(statement, column);
}

/* UNKNOWN for what the schema does not allow: the file may have been edited. */
static enum record_state column_state(sqlite3_stmt *statement, int column)
{
    uint32_t state = sqlite_column_u32(statement, column);
    return state < RECORD_STATE_COUNT ? (enum record_state)state : RECORD_UNKNOWN;
}

static void copy_digest(sqlite3_stmt *statement, int column, uint8_t digest[SHA256_BYTES])
{
    if (sqlite3_column_bytes(statement, column) == SHA256_BYTES)
        memcpy(digest, sqlite_column_bytes(statement, column), SHA256_BYTES);
}

/* The row of a statement that begins with ROW_COLUMNS, given to the visitor. */
static dobby_code visit_row(struct sqlite_handle *handle, sqlite3_stmt *statement, record_visit_fn *visit,
                            void *context, struct dobby_error *err)
{
    struct summary summary = {
        .text = sqlite_column_text(statement, ROW_TEXT),
        .confidence = sqlite3_column_double(statement, ROW_CONFIDENCE),
        .model = sqlite_column_text(statement, ROW_MODEL),
        .model_fingerprint = sqlite_column_text(statement, ROW_MODEL_FINGERPRINT),
        .precision = sqlite_column_text(statement, ROW_PRECISION),
        .sampling = sqlite_column_text(statement, ROW_SAMPLING),
        .template_id = sqlite_column_text(statement, ROW_TEMPLATE_ID),
        .engine = sqlite_column_text(statement, ROW_ENGINE),
        .tokens_in = sqlite_column_u32(statement, ROW_TOKENS_IN),
        .tokens_out = sqlite_column_u32(statement, ROW_TOKENS_OUT),
        .inference_ms = sqlite3_column_int64(statement, ROW_INFERENCE_MS),
    };
    (void)snprintf(summary.id, sizeof summary.id, "%s", sqlite_column_text(statement, ROW_SUMMARY_ID));
    copy_digest(statement, ROW_RESULT_KEY, summary.result_key);

    struct record_row row = {
        .id = sqlite_column_text(statement, ROW_ID),
        .source = sqlite_column_text(statement, ROW_SOURCE),
        .path = sqlite_column_text(statement, ROW_PATH),
        .language = sqlite_column_text(statement, ROW_LANGUAGE),
        .first_line = sqlite_column_u32(statement, ROW_FIRST_LINE),
        .last_line = sqlite_column_u32(statement, ROW_LAST_LINE),
        .position = sqlite_column_u32(statement, ROW_POSITION),
        .state = column_state(statement, ROW_STATE),
        .attempt = sqlite_column_u32(statement, ROW_ATTEMPT),
        .tries = sqlite_column_u32(statement, ROW_TRIES),
        .error_id = text_or_null(statement, ROW_ERROR_ID),
        .reason = text_or_null(statement, ROW_REASON),
        .content_length = (size_t)sqlite_column_u32(statement, ROW_CONTENT_LENGTH),
        .state_unix_us = sqlite3_column_int64(statement, ROW_STATE_US),
        .summary = sqlite3_column_type(statement, ROW_SUMMARY_ID) == SQLITE_NULL ? NULL : &summary,
        .summary_unix_us = sqlite3_column_int64(statement, ROW_CREATED_US),
    };
    copy_digest(statement, ROW_CONTENT_SHA256, row.content_sha256);
    if (sqlite3_column_type(statement, ROW_CONTENT) != SQLITE_NULL) {
        row.content = sqlite_column_bytes(statement, ROW_CONTENT);
        row.content_length = (size_t)sqlite3_column_bytes(statement, ROW_CONTENT);
    }
    dobby_code code = sqlite_columns_check(handle, err);
    return code == DOBBY_OK ? visit(context, &row, err) : code;
}

dobby_code sqlite_list(struct store *store, const struct record_filter *filter, record_visit_fn *visit,
                       void *context, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    struct id_bound bound = id_bound_of(filter->id_prefix == NULL ? "" : filter->id_prefix);
    /* A negative LIMIT is none. */
    int64_t limit = filter->limit == 0 || filter->limit > INT64_MAX ? -1 : (int64_t)filter->limit;
    sqlite3_stmt *statement = NULL;
    dobby_code code = sqlite_bind(handle, STATEMENT_LIST,
                                  VALUES(sqlite_integer(filter->state), sqlite_text(filter->path_glob),
                                         sqlite_text(filter->id_prefix), sqlite_text(bound.text),
                                         sqlite_integer(filter->with_content), sqlite_integer(limit)),
                                  &statement, err);
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        code = visit_row(handle, statement, visit, context, err);
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
        code = visit_row(handle, statement, visit, context, err);
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
        enum record_state state = column_state(statement, 0);
        uint64_t count = (uint64_t)sqlite3_column_int64(statement, 1);
        if (state == RECORD_UNKNOWN) {
            out->summaries = count;
            out->tokens_in = (uint64_t)sqlite3_column_int64(statement, 2);
            out->tokens_out = (uint64_t)sqlite3_column_int64(statement, 3);
        } else {
            out->by_state[state] = count;
            out->total += count;
        }
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
            code = reason_counts_add(out, reason, column_state(statement, 1),
                                     (uint64_t)sqlite3_column_int64(statement, 2), err);
    }
    sqlite3_reset(statement);
    return code;
}
