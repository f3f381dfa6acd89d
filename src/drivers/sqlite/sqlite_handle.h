/* One connection: its statements, transactions and the translation of SQLite's results into codes. */
#ifndef DRIVERS_SQLITE_SQLITE_HANDLE_H
#define DRIVERS_SQLITE_SQLITE_HANDLE_H

#include "drivers/sqlite/sqlite_statements.h"
#include "drivers/sqlite/store_sqlite.h"
#include "store/store_ops.h"

#include <sqlite3.h>

/* A flag of custom file systems, unused here, that would hide the access of that name. */
#undef SQLITE_ACCESS_READ

struct sqlite_handle {
    struct store store; /* first: a handle is a store */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared once, kept for the handle's life */
    enum sqlite_access access;
    int busy_timeout_ms;
    int64_t source_id; /* of the synchronisation; 0 before the first */
    int64_t sync;      /* its number among the source's */
    char *path;        /* as given */
    char *filename;    /* as SQLite gets it, a URI */
};

/* ---- results ---- */

/* Fills *err from an SQLite result and the connection's message, with the result's name as attribute. */
#define FAIL_RESULT(handle, result, err) sqlite_fail((handle), (result), __FILE__, __LINE__, (err))
dobby_code sqlite_fail(struct sqlite_handle *handle, int result, const char *file, int line,
                       struct dobby_error *err);
/* "SQLITE_IOERR_FSYNC" and the like; "SQLITE_ERROR" where the name is not known. */
const char *sqlite_result_name(int extended_result);

/* ---- statements ---- */

/* One parameter. Texts and bytes are borrowed until the statement is run again or ended. */
struct sqlite_value {
    enum { VALUE_UNKNOWN, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BYTES } kind;
    int64_t integer;
    double real;
    const void *bytes; /* NULL binds NULL */
    size_t length;
};
struct sqlite_value sqlite_integer(int64_t value);
struct sqlite_value sqlite_integer_or_null(int64_t value); /* 0 binds NULL */
struct sqlite_value sqlite_real(double value);
struct sqlite_value sqlite_text(const char *text); /* NULL binds NULL */
struct sqlite_value sqlite_bytes(const void *bytes, size_t length);

#define VALUES(...)                                                                                          \
    (const struct sqlite_value[]){__VA_ARGS__},                                                              \
        (int)(sizeof((const struct sqlite_value[]){__VA_ARGS__}) / sizeof(struct sqlite_value))

/* Prepares every statement. Fails: STORE_CORRUPT when the schema is not what its version says. */
DOBBY_NODISCARD dobby_code sqlite_prepare_all(struct sqlite_handle *handle, struct dobby_error *err);
/* Readies a statement with its parameters 1..count. The caller ends it with sqlite3_reset. */
DOBBY_NODISCARD dobby_code sqlite_bind(struct sqlite_handle *handle, enum sqlite_statement which,
                                       const struct sqlite_value *values, int count, sqlite3_stmt **statement,
                                       struct dobby_error *err);
/* Steps to the next row; *row says whether there is one. */
DOBBY_NODISCARD dobby_code sqlite_step(struct sqlite_handle *handle, sqlite3_stmt *statement, bool *row,
                                       struct dobby_error *err);
/* Binds, runs to the end and resets a statement that returns no rows. */
DOBBY_NODISCARD dobby_code sqlite_run(struct sqlite_handle *handle, enum sqlite_statement which,
                                      const struct sqlite_value *values, int count, struct dobby_error *err);
/* Runs SQL text of our own whose rows do not matter. */
DOBBY_NODISCARD dobby_code sqlite_execute(struct sqlite_handle *handle, const char *sql,
                                          struct dobby_error *err);
/* The one integer that the SQL text yields. */
DOBBY_NODISCARD dobby_code sqlite_query_integer(struct sqlite_handle *handle, const char *sql, int64_t *value,
                                                struct dobby_error *err);

/* ---- columns ---- */

const char *sqlite_column_text(sqlite3_stmt *statement, int column);  /* "" instead of NULL */
const void *sqlite_column_bytes(sqlite3_stmt *statement, int column); /* never NULL for a value */
uint32_t sqlite_column_u32(sqlite3_stmt *statement, int column);      /* clamped: the file may be hostile */

/* To be asked after a row's columns were read: reading a text may need memory, and a text that could not
 * be read looks empty. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code sqlite_columns_check(struct sqlite_handle *handle, struct dobby_error *err);

/* ---- transactions ---- */

/* Takes the write lock, waiting at most busy_timeout_ms.
 * Fails: STORE_BUSY, STORE_READ_ONLY, STORE_FULL, STORE_CORRUPT, STORE_MOVED, STORE_FAILED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code sqlite_write_begin(struct sqlite_handle *handle, struct dobby_error *err);
/* Commits when code is OK, else rolls back, and returns code or the commit's failure: then the store is as
 * it was at sqlite_write_begin. */
DOBBY_NODISCARD dobby_code sqlite_write_end(struct sqlite_handle *handle, dobby_code code,
                                            struct dobby_error *err);
/* For several statements that are to see one state of the store; takes no lock that others wait for. */
DOBBY_NODISCARD dobby_code sqlite_read_begin(struct sqlite_handle *handle, struct dobby_error *err);
/* Ends it and returns code, or its own failure when that is OK. */
DOBBY_NODISCARD dobby_code sqlite_read_end(struct sqlite_handle *handle, dobby_code code,
                                           struct dobby_error *err);

#endif
