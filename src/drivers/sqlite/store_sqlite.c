/* Opening and closing a database file.
 *
 * A file that is not Dobby's is recognised before anything is written: until then the connection does not
 * even fold a leftover WAL back into it. */
#include "drivers/sqlite/store_sqlite.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "drivers/sqlite/sqlite_handle.h"
#include "drivers/sqlite/sqlite_ops.h"
#include "drivers/sqlite/sqlite_schema.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdlib.h>
#include <string.h>

static void close_handle(struct store *store)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(handle->statements[i]);
    sqlite3_close(handle->db);
    free(handle->filename);
    free(handle->path);
    free(handle);
}

static const struct store_ops ops = {
    .name = "sqlite",
    .close = close_handle,
    .sources = sqlite_sources,
    .sync_begin = sqlite_sync_begin,
    .put = sqlite_put,
    .sync_end = sqlite_sync_end,
    .claim = sqlite_claim,
    .renew = sqlite_renew,
    .settle = sqlite_settle,
    .owners = sqlite_owners,
    .release_owner = sqlite_release_owner,
    .count = sqlite_count,
    .reasons = sqlite_reasons,
    .list = sqlite_list,
    .get = sqlite_get,
    .examine = sqlite_examine,
    .run_begin = sqlite_run_begin,
    .run_update = sqlite_run_update,
    .run_poll = sqlite_run_poll,
    .run_command = sqlite_run_command,
    .run_lost = sqlite_run_lost,
    .run_list = sqlite_run_list,
    .find_results = sqlite_find_results,
    .stale_count = sqlite_stale_count,
    .cuts = sqlite_cuts,
    .requeue_stale = sqlite_requeue_stale,
    .requeue = sqlite_requeue,
};

/* A URI with every unusual byte escaped; options is "" or "?name=value". A plain name would not do: SQLite
 * gives ":memory:" and the empty name a meaning of their own. */
static char *filename_of(const char *path, const char *options)
{
    struct buffer name = {0};
    char *filename = NULL;
    dobby_code code = buffer_append_string(&name, path[0] == '/' ? "file:" : "file:./", NULL);
    for (const char *c = path; *c != '\0' && code == DOBBY_OK; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                     strchr("/._-", *c) != NULL;
        if (plain)
            code = buffer_append_byte(&name, *c, NULL);
        else
            code = buffer_append_format(&name, NULL, "%%%02X", (unsigned)(unsigned char)*c);
    }
    if (code == DOBBY_OK)
        code = buffer_append_string(&name, options, NULL);
    if (code == DOBBY_OK)
        filename = buffer_take(&name, NULL);
    buffer_release(&name);
    return filename;
}

/* Whether the path can be a database's at all; SQLite's own answers to these are less clear. */
static dobby_code check_file(const struct sqlite_handle *handle, struct dobby_error *err)
{
    struct file_info info;
    dobby_code code = file_stat(handle->path, true, &info, err);
    if (code == DOBBY_FILE_NOT_FOUND) {
        if (handle->access == SQLITE_ACCESS_CREATE) {
            error_clear(err);
            return DOBBY_OK;
        }
        return DOBBY_WRAP(err, DOBBY_STORE_OPEN_FAILED, "there is no database %s yet", handle->path);
    }
    if (code != DOBBY_OK)
        return DOBBY_WRAP(err, DOBBY_STORE_OPEN_FAILED, "%s", handle->path);
    if (info.kind != FILE_REGULAR)
        return DOBBY_FAIL(err, DOBBY_STORE_OPEN_FAILED, "%s is not a regular file", handle->path);
    return DOBBY_OK;
}

/* Opens the connection and sets what holds for the connection alone; touches no file but to open it. */
static dobby_code connect(struct sqlite_handle *handle, const char *options, struct dobby_error *err)
{
    int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (handle->access == SQLITE_ACCESS_READ)
        flags |= SQLITE_OPEN_READONLY;
    else
        flags |= SQLITE_OPEN_READWRITE | (handle->access == SQLITE_ACCESS_CREATE ? SQLITE_OPEN_CREATE : 0);

    free(handle->filename);
    handle->filename = filename_of(handle->path, options);
    if (handle->filename == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "opening %s", handle->path);
    int result = sqlite3_open_v2(handle->filename, &handle->db, flags, NULL);
    if (result != SQLITE_OK)
        return FAIL_RESULT(handle, result, err);

    sqlite3_busy_timeout(handle->db, handle->busy_timeout_ms);
    sqlite3_limit(handle->db, SQLITE_LIMIT_LENGTH, (int)(2 * LIMIT_CONTENT_BYTES));
    sqlite3_limit(handle->db, SQLITE_LIMIT_ATTACHED, 0);
    /* The file may come from anybody: nothing in its schema may reach beyond the file. */
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    sqlite3_db_config(handle->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (handle->access != SQLITE_ACCESS_READ && sqlite3_db_readonly(handle->db, "main") == 1)
        return DOBBY_FAIL(err, DOBBY_STORE_READ_ONLY, "%s cannot be written by this user", handle->path);
    return DOBBY_OK;
}

static void disconnect(struct sqlite_handle *handle)
{
    sqlite3_close(handle->db);
    handle->db = NULL;
}

/* Whether commits may be in the WAL alone, where a reader that leaves the WAL aside would miss them. */
static bool has_log(const struct sqlite_handle *handle)
{
    struct buffer name = {0};
    struct file_info info = {0};
    dobby_code code = buffer_append_format(&name, NULL, "%s-wal", handle->path);
    if (code == DOBBY_OK)
        code = file_stat(name.bytes, true, &info, NULL);
    buffer_release(&name);
    return code == DOBBY_OK ? info.bytes > 0 : code != DOBBY_FILE_NOT_FOUND;
}

/* Recognises the file. A WAL database needs two files beside it; where this user cannot make them, a
 * writer must be told so, and a reader may do without as long as nobody writes: then the file itself is
 * the whole database. */
static dobby_code recognise(struct sqlite_handle *handle, int64_t *version, struct dobby_error *err)
{
    dobby_code code = sqlite_schema_recognise(handle, version, err);
    if (code != DOBBY_STORE_OPEN_FAILED && code != DOBBY_STORE_READ_ONLY)
        return code;
    if (handle->access != SQLITE_ACCESS_READ)
        return DOBBY_WRAP(err, DOBBY_STORE_READ_ONLY, "no files can be made beside %s", handle->path);
    if (has_log(handle))
        return code;
    disconnect(handle);
    error_clear(err);
    code = connect(handle, "?immutable=1", err);
    return code == DOBBY_OK ? sqlite_schema_recognise(handle, version, err) : code;
}

/* Switches the file to WAL. SQLite does not wait for others here, so this does: two processes may be
 * making the same database. */
static dobby_code enter_wal(struct sqlite_handle *handle, struct dobby_error *err)
{
    const int64_t deadline_ns = clock_monotonic_ns() + (int64_t)handle->busy_timeout_ms * 1000000;
    dobby_code code = sqlite_execute(handle, "PRAGMA journal_mode = WAL", err);
    while (code == DOBBY_STORE_BUSY && clock_monotonic_ns() < deadline_ns) {
        clock_sleep_ms(5);
        error_clear(err);
        code = sqlite_execute(handle, "PRAGMA journal_mode = WAL", err);
    }
    return code;
}

static dobby_code check_wal(struct sqlite_handle *handle, struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(handle->db, "PRAGMA journal_mode", -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    dobby_code code = DOBBY_OK;
    if (result != SQLITE_ROW)
        code = FAIL_RESULT(handle, result, err);
    else if (strcmp(sqlite_column_text(statement, 0), "wal") != 0)
        code = DOBBY_FAIL(err, DOBBY_STORE_OPEN_FAILED,
                          "%s is on a file system without shared memory, which the WAL needs", handle->path);
    sqlite3_finalize(statement);
    return code;
}

/* Makes the file a WAL database of the newest schema. */
static dobby_code prepare_file(struct sqlite_handle *handle, int64_t version, struct dobby_error *err)
{
    if (handle->access == SQLITE_ACCESS_READ) {
        if (version == 0)
            return DOBBY_FAIL(err, DOBBY_STORE_MISSING, "%s is still empty", handle->path);
        if (version < SQLITE_SCHEMA_VERSION)
            return DOBBY_FAIL(err, DOBBY_STORE_SCHEMA_OLDER,
                              "%s has schema %lld; this Dobby reads schema %d alone", handle->path,
                              (long long)version, SQLITE_SCHEMA_VERSION);
        return DOBBY_OK;
    }
    /* FULL: a result that was reported as saved survives a power cut, not only a kill. */
    dobby_code code = sqlite_execute(handle, "PRAGMA synchronous = FULL", err);
    /* Free pages are used again; moving pages at each commit to give them back would cost more. */
    if (code == DOBBY_OK && version == 0)
        code = sqlite_execute(handle, "PRAGMA auto_vacuum = NONE", err);
    if (code == DOBBY_OK)
        code = enter_wal(handle, err);
    if (code == DOBBY_OK)
        code = check_wal(handle, err);
    if (code == DOBBY_OK)
        code = sqlite_schema_migrate(handle, err);
    /* The file is Dobby's: the last to close may fold the WAL into it. */
    if (code == DOBBY_OK)
        sqlite3_db_config(handle->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return code;
}

static dobby_code prepare_connection(struct sqlite_handle *handle, struct dobby_error *err)
{
    dobby_code code = sqlite_execute(handle,
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA mmap_size = 0;" /* an I/O error must be a code, not SIGBUS */
                                     "PRAGMA cache_size = -16384;" /* KiB */
                                     "PRAGMA journal_size_limit = 67108864;"
                                     "PRAGMA secure_delete = FAST;"
                                     "PRAGMA cell_size_check = ON;"
                                     "CREATE TEMP TABLE seen(seq INTEGER PRIMARY KEY)",
                                     err);
    if (code == DOBBY_OK) {
        char bound[64];
        sqlite3_snprintf(sizeof bound, bound, "PRAGMA temp.max_page_count = %d",
                         (int)(LIMIT_STORE_SEEN_BYTES / 4096));
        code = sqlite_execute(handle, bound, err);
    }
    return code == DOBBY_OK ? sqlite_prepare_all(handle, err) : code;
}

dobby_code store_sqlite_open(const struct store_sqlite_options *options, struct store **out,
                             struct dobby_error *err)
{
    *out = NULL;
    if (options->path == NULL || options->path[0] == '\0' || options->access == SQLITE_ACCESS_UNKNOWN ||
        options->busy_timeout_ms < 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a database needs a path, an access and a timeout");
    struct sqlite_handle *handle = calloc(1, sizeof *handle);
    char *path = strdup(options->path);
    if (handle == NULL || path == NULL) {
        free(path);
        free(handle);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "opening %s", options->path);
    }
    handle->store.ops = &ops;
    handle->path = path;
    handle->access = options->access;
    handle->busy_timeout_ms = options->busy_timeout_ms;

    int64_t version = 0;
    dobby_code code = check_file(handle, err);
    if (code == DOBBY_OK)
        code = connect(handle, "", err);
    if (code == DOBBY_OK)
        code = recognise(handle, &version, err);
    if (code == DOBBY_OK)
        code = prepare_file(handle, version, err);
    if (code == DOBBY_OK)
        code = prepare_connection(handle, err);
    if (code == DOBBY_OK)
        *out = &handle->store;
    else
        close_handle(&handle->store);
    return code;
}
