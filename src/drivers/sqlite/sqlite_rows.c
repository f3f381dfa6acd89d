#include "drivers/sqlite/sqlite_rows.h"

#include <stdio.h>
#include <string.h>

struct id_bound id_bound_of(const char *prefix)
{
    struct id_bound bound;
    (void)snprintf(bound.text, sizeof bound.text, "%s\xff", prefix);
    return bound;
}

struct id_bound id_bound_of_filter(const struct record_filter *filter)
{
    struct id_bound bound = id_bound_of(filter->id_prefix == NULL ? "" : filter->id_prefix);
    /* No text holds a smaller byte, so between the id and this bound lies the id alone. */
    if (filter->id_prefix != NULL && filter->id_whole)
        bound.text[strlen(filter->id_prefix)] = '\x01';
    return bound;
}

static const char *text_or_null(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NULL
                                                                 : sqlite_column_text(statement, column);
}

static uint64_t column_u64(sqlite3_stmt *statement, int column)
{
    int64_t value = sqlite3_column_int64(statement, column);
    return value < 0 ? 0 : (uint64_t)value;
}

enum record_state sqlite_column_state(sqlite3_stmt *statement, int column)
{
    uint32_t state = sqlite_column_u32(statement, column);
    return state < RECORD_STATE_COUNT ? (enum record_state)state : RECORD_UNKNOWN;
}

enum run_state sqlite_column_run_state(sqlite3_stmt *statement, int column)
{
    uint32_t state = sqlite_column_u32(statement, column);
    return state < RUN_STATE_COUNT ? (enum run_state)state : RUN_UNKNOWN;
}

enum run_command sqlite_column_run_command(sqlite3_stmt *statement, int column)
{
    uint32_t command = sqlite_column_u32(statement, column);
    return command < RUN_COMMAND_COUNT ? (enum run_command)command : RUN_COMMAND_UNKNOWN;
}

static void copy_digest(sqlite3_stmt *statement, int column, uint8_t digest[SHA256_BYTES])
{
    if (sqlite3_column_bytes(statement, column) == SHA256_BYTES)
        memcpy(digest, sqlite_column_bytes(statement, column), SHA256_BYTES);
}

/* The summary whose columns begin at first; all empty where they are NULL. */
static struct summary read_summary(sqlite3_stmt *statement, int first)
{
    struct summary summary = {
        .text = sqlite_column_text(statement, first + SUMMARY_TEXT),
        .confidence = sqlite3_column_double(statement, first + SUMMARY_CONFIDENCE),
        .model = sqlite_column_text(statement, first + SUMMARY_MODEL),
        .model_fingerprint = sqlite_column_text(statement, first + SUMMARY_MODEL_FINGERPRINT),
        .precision = sqlite_column_text(statement, first + SUMMARY_PRECISION),
        .sampling = sqlite_column_text(statement, first + SUMMARY_SAMPLING),
        .template_id = sqlite_column_text(statement, first + SUMMARY_TEMPLATE_ID),
        .engine = sqlite_column_text(statement, first + SUMMARY_ENGINE),
        .tokens_in = sqlite_column_u32(statement, first + SUMMARY_TOKENS_IN),
        .tokens_out = sqlite_column_u32(statement, first + SUMMARY_TOKENS_OUT),
        .inference_ms = sqlite3_column_int64(statement, first + SUMMARY_INFERENCE_MS),
        .reused = sqlite3_column_int(statement, first + SUMMARY_REUSED) != 0,
        .degraded_reason = text_or_null(statement, first + SUMMARY_DEGRADED_REASON),
    };
    (void)snprintf(summary.id, sizeof summary.id, "%s", sqlite_column_text(statement, first + SUMMARY_ID));
    copy_digest(statement, first + SUMMARY_RESULT_KEY, summary.result_key);
    return summary;
}

dobby_code sqlite_content_check(const struct sqlite_handle *handle, const char *id, int bytes, size_t wanted,
                                struct dobby_error *err)
{
    if ((size_t)bytes == wanted)
        return DOBBY_OK;
    return DOBBY_FAIL(err, DOBBY_STORE_CORRUPT, "%s: the content of record %s has %d bytes, not %zu",
                      handle->path, id, bytes, wanted);
}

dobby_code sqlite_visit_row(struct sqlite_handle *handle, sqlite3_stmt *statement, bool with_content,
                            record_visit_fn *visit, void *context, struct dobby_error *err)
{
    const struct summary summary = read_summary(statement, ROW_SUMMARY);
    bool has_summary = sqlite3_column_type(statement, ROW_SUMMARY + SUMMARY_ID) != SQLITE_NULL;
    struct record_row row = {
        .id = sqlite_column_text(statement, ROW_ID),
        .source = sqlite_column_text(statement, ROW_SOURCE),
        .path = sqlite_column_text(statement, ROW_PATH),
        .language = sqlite_column_text(statement, ROW_LANGUAGE),
        .first_line = sqlite_column_u32(statement, ROW_FIRST_LINE),
        .last_line = sqlite_column_u32(statement, ROW_LAST_LINE),
        .position = sqlite_column_u32(statement, ROW_POSITION),
        .state = sqlite_column_state(statement, ROW_STATE),
        .attempt = sqlite_column_u32(statement, ROW_ATTEMPT),
        .tries = sqlite_column_u32(statement, ROW_TRIES),
        .error_id = text_or_null(statement, ROW_ERROR_ID),
        .reason = text_or_null(statement, ROW_REASON),
        .content_length = (size_t)sqlite_column_u32(statement, ROW_CONTENT_LENGTH),
        .state_unix_us = sqlite3_column_int64(statement, ROW_STATE_US),
        .retry_unix_us = sqlite3_column_int64(statement, ROW_NOT_BEFORE_US),
        .summary = has_summary ? &summary : NULL,
        .summary_unix_us = sqlite3_column_int64(statement, ROW_SUMMARY + SUMMARY_CREATED_US),
        .summary_current = sqlite3_column_int(statement, ROW_SUMMARY + SUMMARY_CURRENT) != 0,
        .summary_of_present_content = sqlite3_column_int(statement, ROW_OF_PRESENT_CONTENT) != 0,
    };
    copy_digest(statement, ROW_CONTENT_SHA256, row.content_sha256);
    dobby_code code = DOBBY_OK;
    if (with_content) {
        row.content = sqlite_column_bytes(statement, ROW_CONTENT);
        code = sqlite_columns_check(handle, err);
        if (code == DOBBY_OK)
            code = sqlite_content_check(handle, row.id, sqlite3_column_bytes(statement, ROW_CONTENT),
                                        row.content_length, err);
    }
    if (code == DOBBY_OK)
        code = sqlite_columns_check(handle, err);
    return code == DOBBY_OK ? visit(context, &row, err) : code;
}

dobby_code sqlite_visit_version(struct sqlite_handle *handle, sqlite3_stmt *statement, size_t key_index,
                                summary_visit_fn *visit, void *context, struct dobby_error *err)
{
    const struct summary summary = read_summary(statement, VERSION_SUMMARY);
    struct summary_row row = {
        .record_id = sqlite_column_text(statement, VERSION_RECORD_ID),
        .summary = &summary,
        .current = sqlite3_column_int(statement, VERSION_SUMMARY + SUMMARY_CURRENT) != 0,
        .of_present_content = sqlite3_column_int(statement, VERSION_OF_PRESENT_CONTENT) != 0,
        .created_unix_us = sqlite3_column_int64(statement, VERSION_SUMMARY + SUMMARY_CREATED_US),
        .key_index = key_index,
    };
    dobby_code code = sqlite_columns_check(handle, err);
    return code == DOBBY_OK ? visit(context, &row, err) : code;
}

dobby_code sqlite_visit_run(struct sqlite_handle *handle, sqlite3_stmt *statement, run_visit_fn *visit,
                            void *context, struct dobby_error *err)
{
    struct run_row row = {
        .id = sqlite_column_text(statement, RUN_ID),
        .owner = sqlite_column_text(statement, RUN_OWNER),
        .state = sqlite_column_run_state(statement, RUN_STATE),
        .started_unix_us = sqlite3_column_int64(statement, RUN_STARTED_US),
        .heartbeat_unix_us = sqlite3_column_int64(statement, RUN_HEARTBEAT_US),
        .ended_unix_us = sqlite3_column_int64(statement, RUN_ENDED_US),
        .settings = sqlite_column_text(statement, RUN_SETTINGS),
        .metrics = sqlite_column_text(statement, RUN_METRICS),
        .counts = {.total = column_u64(statement, RUN_TOTAL),
                   .completed = column_u64(statement, RUN_COMPLETED),
                   .degraded = column_u64(statement, RUN_DEGRADED),
                   .failed = column_u64(statement, RUN_FAILED_RECORDS),
                   .skipped = column_u64(statement, RUN_SKIPPED),
                   .stale = column_u64(statement, RUN_STALE),
                   .retried = column_u64(statement, RUN_RETRIED),
                   .reused = column_u64(statement, RUN_REUSED),
                   .tokens_in = column_u64(statement, RUN_TOKENS_IN),
                   .tokens_out = column_u64(statement, RUN_TOKENS_OUT)},
        .end_reason = text_or_null(statement, RUN_END_REASON),
        .command = sqlite_column_run_command(statement, RUN_COMMAND),
        .command_unix_us = sqlite3_column_int64(statement, RUN_COMMAND_US),
    };
    dobby_code code = sqlite_columns_check(handle, err);
    return code == DOBBY_OK ? visit(context, &row, err) : code;
}
