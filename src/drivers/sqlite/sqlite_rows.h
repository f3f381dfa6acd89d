/* From the columns of a statement to what a visitor gets. The enums number the columns that the macros of the
 * same names in sqlite_statements.c list. */
#ifndef DRIVERS_SQLITE_SQLITE_ROWS_H
#define DRIVERS_SQLITE_SQLITE_ROWS_H

#include "base/limits.h"
#include "drivers/sqlite/sqlite_handle.h"

/* From wherever the summary begins. */
enum summary_column {
    SUMMARY_ID,
    SUMMARY_RESULT_KEY,
    SUMMARY_TEXT,
    SUMMARY_CONFIDENCE,
    SUMMARY_MODEL,
    SUMMARY_MODEL_FINGERPRINT,
    SUMMARY_PRECISION,
    SUMMARY_SAMPLING,
    SUMMARY_TEMPLATE_ID,
    SUMMARY_ENGINE,
    SUMMARY_TOKENS_IN,
    SUMMARY_TOKENS_OUT,
    SUMMARY_INFERENCE_MS,
    SUMMARY_CREATED_US,
    SUMMARY_CURRENT,
    SUMMARY_REUSED,
    SUMMARY_DEGRADED_REASON,
    SUMMARY_COLUMN_COUNT
};

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
    ROW_NOT_BEFORE_US,
    ROW_OF_PRESENT_CONTENT, /* the summary */
    ROW_SUMMARY,
    ROW_CONTENT = ROW_SUMMARY + SUMMARY_COLUMN_COUNT,
    ROW_MATCHES /* of STATEMENT_GET: ids in the range, counted up to 2 */
};

enum version_column { VERSION_RECORD_ID, VERSION_OF_PRESENT_CONTENT, VERSION_SUMMARY };

enum run_column {
    RUN_ID,
    RUN_OWNER,
    RUN_STATE,
    RUN_STARTED_US,
    RUN_HEARTBEAT_US,
    RUN_ENDED_US,
    RUN_COMMAND,
    RUN_COMMAND_US,
    RUN_TOTAL,
    RUN_COMPLETED,
    RUN_DEGRADED,
    RUN_FAILED_RECORDS,
    RUN_SKIPPED,
    RUN_STALE,
    RUN_RETRIED,
    RUN_REUSED,
    RUN_TOKENS_IN,
    RUN_TOKENS_OUT,
    RUN_END_REASON,
    RUN_SETTINGS,
    RUN_METRICS
};

/* Greater than every id that begins with prefix: no UTF-8 text holds the byte 0xFF. */
struct id_bound {
    char text[LIMIT_RECORD_ID_BYTES + 2];
};
struct id_bound id_bound_of(const char *prefix);
struct id_bound id_bound_of_filter(const struct record_filter *filter);

/* UNKNOWN for what the schema does not allow: the file may have been edited. */
enum record_state sqlite_column_state(sqlite3_stmt *statement, int column);
enum run_state sqlite_column_run_state(sqlite3_stmt *statement, int column);
enum run_command sqlite_column_run_command(sqlite3_stmt *statement, int column);

/* A record whose content is gone or cut is damage: STORE_CORRUPT. */
DOBBY_NODISCARD dobby_code sqlite_content_check(const struct sqlite_handle *handle, const char *id, int bytes,
                                                size_t wanted, struct dobby_error *err);
/* The row that the statement stands on, given to the visitor; with_content: it was asked for. */
DOBBY_NODISCARD dobby_code sqlite_visit_row(struct sqlite_handle *handle, sqlite3_stmt *statement,
                                            bool with_content, record_visit_fn *visit, void *context,
                                            struct dobby_error *err);
DOBBY_NODISCARD dobby_code sqlite_visit_version(struct sqlite_handle *handle, sqlite3_stmt *statement,
                                                size_t key_index, summary_visit_fn *visit, void *context,
                                                struct dobby_error *err);
DOBBY_NODISCARD dobby_code sqlite_visit_run(struct sqlite_handle *handle, sqlite3_stmt *statement,
                                            run_visit_fn *visit, void *context, struct dobby_error *err);

#endif
