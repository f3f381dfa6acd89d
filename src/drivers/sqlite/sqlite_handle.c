#include "drivers/sqlite/sqlite_handle.h"

#include <string.h>

/* ---- results ---- */

const char *sqlite_result_name(int extended_result)
{
    static const struct {
        int result;
        const char *name;
    } names[] = {
        {SQLITE_ERROR, "SQLITE_ERROR"},
        {SQLITE_INTERNAL, "SQLITE_INTERNAL"},
        {SQLITE_PERM, "SQLITE_PERM"},
        {SQLITE_ABORT, "SQLITE_ABORT"},
        {SQLITE_BUSY, "SQLITE_BUSY"},
        {SQLITE_BUSY_RECOVERY, "SQLITE_BUSY_RECOVERY"},
        {SQLITE_BUSY_SNAPSHOT, "SQLITE_BUSY_SNAPSHOT"},
        {SQLITE_LOCKED, "SQLITE_LOCKED"},
        {SQLITE_NOMEM, "SQLITE_NOMEM"},
        {SQLITE_READONLY, "SQLITE_READONLY"},
        {SQLITE_READONLY_RECOVERY, "SQLITE_READONLY_RECOVERY"},
        {SQLITE_READONLY_CANTLOCK, "SQLITE_READONLY_CANTLOCK"},
        {SQLITE_READONLY_ROLLBACK, "SQLITE_READONLY_ROLLBACK"},
        {SQLITE_READONLY_DBMOVED, "SQLITE_READONLY_DBMOVED"},
        {SQLITE_READONLY_CANTINIT, "SQLITE_READONLY_CANTINIT"},
        {SQLITE_READONLY_DIRECTORY, "SQLITE_READONLY_DIRECTORY"},
        {SQLITE_INTERRUPT, "SQLITE_INTERRUPT"},
        {SQLITE_IOERR, "SQLITE_IOERR"},
        {SQLITE_IOERR_READ, "SQLITE_IOERR_READ"},
        {SQLITE_IOERR_SHORT_READ, "SQLITE_IOERR_SHORT_READ"},
        {SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE"},
        {SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"},
        {SQLITE_IOERR_DIR_FSYNC, "SQLITE_IOERR_DIR_FSYNC"},
        {SQLITE_IOERR_TRUNCATE, "SQLITE_IOERR_TRUNCATE"},
        {SQLITE_IOERR_FSTAT, "SQLITE_IOERR_FSTAT"},
        {SQLITE_IOERR_LOCK, "SQLITE_IOERR_LOCK"},
        {SQLITE_IOERR_UNLOCK, "SQLITE_IOERR_UNLOCK"},
        {SQLITE_IOERR_NOMEM, "SQLITE_IOERR_NOMEM"},
        {SQLITE_IOERR_SHMOPEN, "SQLITE_IOERR_SHMOPEN"},
        {SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE"},
        {SQLITE_IOERR_SHMMAP, "SQLITE_IOERR_SHMMAP"},
        {SQLITE_CORRUPT, "SQLITE_CORRUPT"},
        {SQLITE_CORRUPT_INDEX, "SQLITE_CORRUPT_INDEX"},
        {SQLITE_FULL, "SQLITE_FULL"},
        {SQLITE_CANTOPEN, "SQLITE_CANTOPEN"},
        {SQLITE_CANTOPEN_ISDIR, "SQLITE_CANTOPEN_ISDIR"},
        {SQLITE_PROTOCOL, "SQLITE_PROTOCOL"},
        {SQLITE_SCHEMA, "SQLITE_SCHEMA"},
        {SQLITE_TOOBIG, "SQLITE_TOOBIG"},
        {SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT"},
        {SQLITE_CONSTRAINT_CHECK, "SQLITE_CONSTRAINT_CHECK"},
        {SQLITE_CONSTRAINT_FOREIGNKEY, "SQLITE_CONSTRAINT_FOREIGNKEY"},
        {SQLITE_CONSTRAINT_UNIQUE, "SQLITE_CONSTRAINT_UNIQUE"},
        {SQLITE_MISUSE, "SQLITE_MISUSE"},
        {SQLITE_AUTH, "SQLITE_AUTH"},
        {SQLITE_NOTADB, "SQLITE_NOTADB"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].result == extended_result)
            return names[i].name;
    }
    return extended_result == (extended_result & 0xFF) ? "SQLITE_ERROR"
                                                       : sqlite_result_name(extended_result & 0xFF);
}

static dobby_code code_of_result(int extended_result)
{
    if (extended_result == SQLITE_IOERR_NOMEM)
        return DOBBY_OUT_OF_MEMORY;
    if (extended_result == SQLITE_READONLY_DBMOVED)
        return DOBBY_STORE_MOVED;
    switch (extended_result & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* other processes kept the WAL's lock too busy to get at it */
        return DOBBY_STORE_BUSY;
    case SQLITE_FULL:
        return DOBBY_STORE_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return DOBBY_STORE_READ_ONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return DOBBY_STORE_CORRUPT;
    case SQLITE_CANTOPEN:
        return DOBBY_STORE_OPEN_FAILED;
    case SQLITE_NOMEM:
        return DOBBY_OUT_OF_MEMORY;
    default:
        return DOBBY_STORE_FAILED;
    }
}

dobby_code sqlite_fail(struct sqlite_handle *handle, int result, const char *file, int line,
                       struct dobby_error *err)
{
    /* The connection knows more than the bare result, unless it speaks of something else by now. */
    int extended = sqlite3_extended_errcode(handle->db);
    if ((extended & 0xFF) != (result & 0xFF))
        extended = result;
    bool of_connection = extended == sqlite3_extended_errcode(handle->db);
    const char *text = of_connection ? sqlite3_errmsg(handle->db) : sqlite3_errstr(extended);
    dobby_code code = code_of_result(extended);
    if (code == DOBBY_STORE_BUSY)
        error_fill(err, code, file, line, "%s is in use; waited %d ms", handle->path,
                   handle->busy_timeout_ms);
    else
        error_fill(err, code, file, line, "%s: %s", handle->path, text);
    error_attribute(err, "database", "%s", handle->path);
    error_attribute(err, "sqlite", "%s", sqlite_result_name(extended));
    if (code == DOBBY_STORE_BUSY)
        error_attribute(err, "waited_ms", "%d", handle->busy_timeout_ms);
    return code;
}

/* ---- statements ---- */

struct sqlite_value sqlite_integer(int64_t value)
{
    return (struct sqlite_value){.kind = VALUE_INTEGER, .integer = value};
}

struct sqlite_value sqlite_integer_or_null(int64_t value)
{
    return value == 0 ? sqlite_text(NULL) : sqlite_integer(value);
}

struct sqlite_value sqlite_real(double value)
{
    return (struct sqlite_value){.kind = VALUE_REAL, .real = value};
}

struct sqlite_value sqlite_text(const char *text)
{
    return (struct sqlite_value){
        .kind = VALUE_TEXT, .bytes = text, .length = text == NULL ? 0 : strlen(text)};
}

struct sqlite_value sqlite_bytes(const void *bytes, size_t length)
{
    return (struct sqlite_value){.kind = VALUE_BYTES, .bytes = length == 0 ? "" : bytes, .length = length};
}

dobby_code sqlite_prepare_all(struct sqlite_handle *handle, struct dobby_error *err)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        if (handle->statements[i] != NULL)
            continue;
        int result = sqlite3_prepare_v3(handle->db, sqlite_statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &handle->statements[i], NULL);
        if (result == SQLITE_ERROR)
            return DOBBY_FAIL(err, DOBBY_STORE_CORRUPT, "%s: its schema was changed: %s", handle->path,
                              sqlite3_errmsg(handle->db));
        if (result != SQLITE_OK)
            return FAIL_RESULT(handle, result, err);
    }
    return DOBBY_OK;
}

static int bind_value(sqlite3_stmt *statement, int index, const struct sqlite_value *value)
{
    switch (value->kind) {
    case VALUE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer);
    case VALUE_REAL:
        return sqlite3_bind_double(statement, index, value->real);
    case VALUE_TEXT:
        return sqlite3_bind_text64(statement, index, value->bytes, value->length, SQLITE_STATIC, SQLITE_UTF8);
    case VALUE_BYTES:
        return sqlite3_bind_blob64(statement, index, value->bytes, value->length, SQLITE_STATIC);
    case VALUE_UNKNOWN:
        break;
    }
    return SQLITE_MISUSE;
}

dobby_code sqlite_bind(struct sqlite_handle *handle, enum sqlite_statement which,
                       const struct sqlite_value *values, int count, sqlite3_stmt **statement,
                       struct dobby_error *err)
{
    *statement = handle->statements[which];
    sqlite3_reset(*statement);
    for (int i = 0; i < count; i++) {
        int result = bind_value(*statement, i + 1, &values[i]);
        if (result != SQLITE_OK)
            return FAIL_RESULT(handle, result, err);
    }
    return DOBBY_OK;
}

dobby_code sqlite_step(struct sqlite_handle *handle, sqlite3_stmt *statement, bool *row,
                       struct dobby_error *err)
{
    int result = sqlite3_step(statement);
    *row = result == SQLITE_ROW;
    if (result == SQLITE_ROW || result == SQLITE_DONE)
        return DOBBY_OK;
    return FAIL_RESULT(handle, result, err);
}

dobby_code sqlite_run(struct sqlite_handle *handle, enum sqlite_statement which,
                      const struct sqlite_value *values, int count, struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    dobby_code code = sqlite_bind(handle, which, values, count, &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_execute(struct sqlite_handle *handle, const char *sql, struct dobby_error *err)
{
    int result = sqlite3_exec(handle->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? DOBBY_OK : FAIL_RESULT(handle, result, err);
}

dobby_code sqlite_query_integer(struct sqlite_handle *handle, const char *sql, int64_t *value,
                                struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    *value = 0;
    int result = sqlite3_prepare_v2(handle->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    dobby_code code = DOBBY_OK;
    if (result == SQLITE_ROW)
        *value = sqlite3_column_int64(statement, 0);
    else
        code = FAIL_RESULT(handle, result, err);
    sqlite3_finalize(statement);
    return code;
}

/* ---- columns ---- */

const char *sqlite_column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text == NULL ? "" : (const char *)text;
}

const void *sqlite_column_bytes(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    return bytes == NULL ? "" : bytes;
}

uint32_t sqlite_column_u32(sqlite3_stmt *statement, int column)
{
    int64_t value = sqlite3_column_int64(statement, column);
    if (value < 0)
        return 0;
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

dobby_code sqlite_columns_check(struct sqlite_handle *handle, struct dobby_error *err)
{
    int result = sqlite3_errcode(handle->db);
    return result == SQLITE_NOMEM ? FAIL_RESULT(handle, result, err) : DOBBY_OK;
}

/* ---- transactions ---- */

/* A file that is open can be written when no name leads to it any more, and what is written there is lost.
 * The log of that name may be another database's by now: closing must leave it alone. */
static dobby_code check_in_place(struct sqlite_handle *handle, struct dobby_error *err)
{
    int moved = 0;
    if (sqlite3_file_control(handle->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || moved == 0)
        return DOBBY_OK;
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return DOBBY_FAIL(err, DOBBY_STORE_MOVED, "%s is not the file that was opened", handle->path);
}

dobby_code sqlite_write_begin(struct sqlite_handle *handle, struct dobby_error *err)
{
    if (handle->access == SQLITE_ACCESS_READ)
        return DOBBY_FAIL(err, DOBBY_STORE_READ_ONLY, "%s was opened for reading", handle->path);
    dobby_code code = sqlite_execute(handle, "BEGIN IMMEDIATE", err);
    /* Only now: others may have held the lock for long. */
    if (code == DOBBY_OK)
        code = check_in_place(handle, err);
    return code == DOBBY_OK ? DOBBY_OK : sqlite_write_end(handle, code, err);
}

dobby_code sqlite_write_end(struct sqlite_handle *handle, dobby_code code, struct dobby_error *err)
{
    if (code == DOBBY_OK)
        code = sqlite_execute(handle, "COMMIT", err);
    /* After some failures SQLite has rolled back by itself. */
    if (code != DOBBY_OK && sqlite3_get_autocommit(handle->db) == 0)
        sqlite3_exec(handle->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

dobby_code sqlite_read_begin(struct sqlite_handle *handle, struct dobby_error *err)
{
    return sqlite_execute(handle, "BEGIN", err);
}

dobby_code sqlite_read_end(struct sqlite_handle *handle, dobby_code code, struct dobby_error *err)
{
    return sqlite_write_end(handle, code, err);
}
