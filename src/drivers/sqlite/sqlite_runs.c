/* Runs: a row each. A run's own writes and others' commands are one row's update, so neither waits for more
 * than the write lock. */
#include "drivers/sqlite/sqlite_ops.h"
#include "drivers/sqlite/sqlite_rows.h"
#include "store/store_check.h"

#include <stdio.h>
#include <string.h>

static dobby_code no_such_run(const char *id, struct dobby_error *err)
{
    return DOBBY_FAIL(err, DOBBY_STORE_NOT_FOUND, "no run's id is or begins with %s", id);
}

static struct sqlite_value count_value(uint64_t count)
{
    return sqlite_integer(count > INT64_MAX ? INT64_MAX : (int64_t)count);
}

dobby_code sqlite_run_begin(struct store *store, const struct run_row *row, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    const struct run_counts *counts = &row->counts;
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = sqlite_run(
        handle, STATEMENT_RUN_ADD,
        VALUES(sqlite_text(row->id), sqlite_text(row->owner), sqlite_integer(row->state),
               sqlite_integer(row->started_unix_us), sqlite_integer(row->heartbeat_unix_us),
               sqlite_text(row->settings), sqlite_text(row->metrics), sqlite_text(row->end_reason),
               count_value(counts->total), count_value(counts->completed), count_value(counts->degraded),
               count_value(counts->failed), count_value(counts->skipped), count_value(counts->stale),
               count_value(counts->retried), count_value(counts->reused), count_value(counts->tokens_in),
               count_value(counts->tokens_out)),
        err);
    if (code == DOBBY_OK && sqlite3_changes64(handle->db) == 0)
        code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "there is a run %s already", row->id);
    return sqlite_write_end(handle, code, err);
}

/* Steps a bound statement that yields a run's command. */
static dobby_code read_command(struct sqlite_handle *handle, sqlite3_stmt *statement, const char *id,
                               enum run_command *pending, struct dobby_error *err)
{
    bool row = false;
    dobby_code code = sqlite_step(handle, statement, &row, err);
    if (code == DOBBY_OK && !row)
        code = no_such_run(id, err);
    if (code == DOBBY_OK)
        *pending = sqlite_column_run_command(statement, 0);
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_run_update(struct store *store, const struct run_row *row, enum run_command *pending,
                             struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    const struct run_counts *counts = &row->counts;
    sqlite3_stmt *statement = NULL;
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = sqlite_bind(
        handle, STATEMENT_RUN_UPDATE,
        VALUES(sqlite_text(row->id), sqlite_integer(row->state), sqlite_integer(row->heartbeat_unix_us),
               sqlite_integer_or_null(row->ended_unix_us), sqlite_text(row->metrics),
               sqlite_text(row->end_reason), count_value(counts->total), count_value(counts->completed),
               count_value(counts->degraded), count_value(counts->failed), count_value(counts->skipped),
               count_value(counts->stale), count_value(counts->retried), count_value(counts->reused),
               count_value(counts->tokens_in), count_value(counts->tokens_out)),
        &statement, err);
    if (code == DOBBY_OK)
        code = read_command(handle, statement, row->id, pending, err);
    return sqlite_write_end(handle, code, err);
}

dobby_code sqlite_run_poll(struct store *store, const char *id, enum run_command *pending,
                           struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    sqlite3_stmt *statement = NULL;
    dobby_code code =
        sqlite_bind(handle, STATEMENT_RUN_COMMAND_GET, VALUES(sqlite_text(id)), &statement, err);
    return code == DOBBY_OK ? read_command(handle, statement, id, pending, err) : code;
}

/* Within a transaction. One statement for all outcomes of a run that follow each other: most often all. */
dobby_code sqlite_run_count(struct store *store, const struct outcome *outcomes, size_t count,
                            struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    dobby_code code = DOBBY_OK;
    for (size_t first = 0, end; first < count && code == DOBBY_OK; first = end) {
        const char *run_id = outcomes[first].run_id;
        struct run_counts sum = {0};
        for (end = first; end < count && (outcomes[end].run_id == run_id ||
                                          (run_id != NULL && outcomes[end].run_id != NULL &&
                                           strcmp(outcomes[end].run_id, run_id) == 0));
             end++)
            run_counts_add(&sum, &outcomes[end]);
        const uint64_t any =
            sum.completed + sum.degraded + sum.failed + sum.skipped + sum.stale + sum.retried;
        if (run_id != NULL && any > 0)
            code =
                sqlite_run(handle, STATEMENT_RUN_COUNT,
                           VALUES(sqlite_text(run_id), count_value(sum.completed), count_value(sum.degraded),
                                  count_value(sum.failed), count_value(sum.skipped), count_value(sum.stale),
                                  count_value(sum.retried), count_value(sum.reused),
                                  count_value(sum.tokens_in), count_value(sum.tokens_out)),
                           err);
    }
    return code;
}

/* What a command needs to know of a run. */
struct found_run {
    char id[UUID_TEXT_BYTES];
    struct run_row row;
    int count; /* of rows found */
};

static dobby_code find_runs(struct sqlite_handle *handle, enum sqlite_statement which,
                            const struct sqlite_value *values, int count, struct found_run *out,
                            struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    dobby_code code = sqlite_bind(handle, which, values, count, &statement, err);
    while (code == DOBBY_OK && row) {
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        (void)snprintf(out->id, sizeof out->id, "%s", sqlite_column_text(statement, 0));
        out->row = (struct run_row){.id = out->id,
                                    .state = sqlite_column_run_state(statement, 1),
                                    .command = sqlite_column_run_command(statement, 2)};
        out->count++;
        code = sqlite_columns_check(handle, err);
    }
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_run_command(struct store *store, const char *id_prefix, enum run_command command,
                              int64_t now_unix_us, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    const struct id_bound bound = id_bound_of(id_prefix);
    struct found_run active = {.count = 0};
    struct found_run ended = {.count = 0};
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = find_runs(handle, STATEMENT_RUN_FIND_ACTIVE, VALUES(sqlite_text(id_prefix)), &active, err);
    if (code == DOBBY_OK && active.count > 1)
        code = store_fail_ambiguous_run(id_prefix, err);
    if (code == DOBBY_OK && active.count == 0)
        code = find_runs(handle, STATEMENT_RUN_FIND_ENDED,
                         VALUES(sqlite_text(id_prefix), sqlite_text(bound.text)), &ended, err);
    if (code == DOBBY_OK)
        code = store_check_command(id_prefix, active.count == 0 ? NULL : &active.row,
                                   ended.count == 0 ? NULL : &ended.row, command, err);
    if (code == DOBBY_OK)
        code = sqlite_run(
            handle, STATEMENT_RUN_COMMAND_SET,
            VALUES(sqlite_text(active.id), sqlite_integer(command), sqlite_integer(now_unix_us)), err);
    return sqlite_write_end(handle, code, err);
}

dobby_code sqlite_run_lost(struct store *store, const char *owner, int64_t now_unix_us, uint64_t *lost,
                           struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code =
        sqlite_run(handle, STATEMENT_RUN_LOST, VALUES(sqlite_text(owner), sqlite_integer(now_unix_us)), err);
    *lost = (uint64_t)sqlite3_changes64(handle->db);
    return sqlite_write_end(handle, code, err);
}

dobby_code sqlite_run_list(struct store *store, const struct run_filter *filter, run_visit_fn *visit,
                           void *context, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    const struct id_bound bound = id_bound_of(filter->id_prefix == NULL ? "" : filter->id_prefix);
    /* A negative LIMIT is none. */
    int64_t limit = filter->limit == 0 || filter->limit > INT64_MAX ? -1 : (int64_t)filter->limit;
    sqlite3_stmt *statement = NULL;
    dobby_code code =
        sqlite_bind(handle, filter->active_only ? STATEMENT_RUN_LIST_ACTIVE : STATEMENT_RUN_LIST,
                    VALUES(sqlite_text(filter->id_prefix), sqlite_text(bound.text), sqlite_integer(limit)),
                    &statement, err);
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        code = sqlite_visit_run(handle, statement, visit, context, err);
    }
    sqlite3_reset(statement);
    return code;
}
