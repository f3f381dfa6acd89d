/* Leases and results. Every call is one transaction that begins with the write lock, so that two
 * processes never claim the same record and a result is never stored for a lease that is over. */
#include "base/limits.h"
#include "drivers/sqlite/sqlite_handle.h"
#include "drivers/sqlite/sqlite_ops.h"
#include "drivers/sqlite/sqlite_rows.h"
#include "store/store_batch.h"

/* The records to claim next. */
struct claimable {
    int64_t seqs[LIMIT_BATCH_RECORDS];
    size_t count;
    bool cut; /* there are more, whose content would be too much at once */
};

static dobby_code find_claimable(struct sqlite_handle *handle, int64_t now_unix_us, size_t limit,
                                 struct claimable *out, struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    uint64_t content_bytes = 0;
    dobby_code code = sqlite_bind(handle, STATEMENT_CLAIM_FIND,
                                  VALUES(sqlite_integer(now_unix_us), sqlite_integer((int64_t)limit),
                                         sqlite_integer(now_unix_us + LIMIT_RETRY_WAIT_MS * INT64_C(1000))),
                                  &statement, err);
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        content_bytes += sqlite_column_u32(statement, 1);
        out->cut = out->count > 0 && content_bytes > LIMIT_BATCH_CONTENT_BYTES;
        if (out->cut)
            break;
        out->seqs[out->count++] = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return code;
}

enum claim_column {
    CLAIM_ID,
    CLAIM_SOURCE,
    CLAIM_PATH,
    CLAIM_LANGUAGE,
    CLAIM_FIRST_LINE,
    CLAIM_LAST_LINE,
    CLAIM_POSITION,
    CLAIM_ATTEMPT,
    CLAIM_TRIES,
    CLAIM_CONTENT,
    CLAIM_CONTENT_LENGTH
};

/* Runs the bound STATEMENT_CLAIM and adds its record to the batch. */
static dobby_code claim_one(struct sqlite_handle *handle, const struct sqlite_value *values, int count,
                            struct record_batch *batch, struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    dobby_code code = sqlite_bind(handle, STATEMENT_CLAIM, values, count, &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code == DOBBY_OK && row) {
        struct record record = {
            .id = sqlite_column_text(statement, CLAIM_ID),
            .source = sqlite_column_text(statement, CLAIM_SOURCE),
            .path = sqlite_column_text(statement, CLAIM_PATH),
            .language = sqlite_column_text(statement, CLAIM_LANGUAGE),
            .first_line = sqlite_column_u32(statement, CLAIM_FIRST_LINE),
            .last_line = sqlite_column_u32(statement, CLAIM_LAST_LINE),
            .position = sqlite_column_u32(statement, CLAIM_POSITION),
            .content = sqlite_column_bytes(statement, CLAIM_CONTENT),
            .content_length = (size_t)sqlite3_column_bytes(statement, CLAIM_CONTENT),
            .attempt = sqlite_column_u32(statement, CLAIM_ATTEMPT),
            .tries = sqlite_column_u32(statement, CLAIM_TRIES),
        };
        code = sqlite_columns_check(handle, err);
        if (code == DOBBY_OK)
            code = sqlite_content_check(handle, record.id, sqlite3_column_bytes(statement, CLAIM_CONTENT),
                                        (size_t)sqlite_column_u32(statement, CLAIM_CONTENT_LENGTH), err);
        if (code == DOBBY_OK)
            code = record_batch_add(batch, &record, err);
    }
    sqlite3_reset(statement);
    return code;
}

/* The earliest time at which owner may find more; 0 where there is none. */
static dobby_code next_time(struct sqlite_handle *handle, const char *owner, int64_t now_unix_us,
                            int64_t *next_unix_us, struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    dobby_code code = sqlite_bind(handle, STATEMENT_CLAIM_NEXT_TIME,
                                  VALUES(sqlite_integer(now_unix_us), sqlite_text(owner)), &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    for (int column = 0; column < 2 && code == DOBBY_OK && row; column++) {
        int64_t time_us = sqlite3_column_int64(statement, column); /* NULL reads as 0 */
        if (time_us != 0 && (*next_unix_us == 0 || time_us < *next_unix_us))
            *next_unix_us = time_us;
    }
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_claim(struct store *store, const char *owner, int64_t now_unix_us,
                        int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                        struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    struct claimable claimable = {.count = 0};
    dobby_code code = record_batch_open(out, limit, err);
    if (code == DOBBY_OK)
        code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = find_claimable(handle, now_unix_us, limit, &claimable, err);
    for (size_t i = 0; i < claimable.count && code == DOBBY_OK; i++)
        code = claim_one(handle,
                         VALUES(sqlite_integer(claimable.seqs[i]), sqlite_text(owner),
                                sqlite_integer(lease_until_unix_us), sqlite_integer(now_unix_us)),
                         out, err);
    if (code == DOBBY_OK && claimable.cut)
        out->next_unix_us = now_unix_us;
    else if (code == DOBBY_OK && claimable.count < limit)
        code = next_time(handle, owner, now_unix_us, &out->next_unix_us, err);
    return sqlite_write_end(handle, code, err);
}

/* Runs one UPDATE over an owner's leases in a transaction of its own; *changed counts them. */
static dobby_code update_leases(struct sqlite_handle *handle, enum sqlite_statement which, const char *owner,
                                int64_t time_unix_us, uint64_t *changed, struct dobby_error *err)
{
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = sqlite_run(handle, which, VALUES(sqlite_text(owner), sqlite_integer(time_unix_us)), err);
    *changed = (uint64_t)sqlite3_changes64(handle->db);
    return sqlite_write_end(handle, code, err);
}

dobby_code sqlite_renew(struct store *store, const char *owner, int64_t lease_until_unix_us,
                        uint64_t *renewed, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    return update_leases(handle, STATEMENT_RENEW, owner, lease_until_unix_us, renewed, err);
}

dobby_code sqlite_release_owner(struct store *store, const char *owner, int64_t now_unix_us,
                                uint64_t *released, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    return update_leases(handle, STATEMENT_RELEASE_OWNER, owner, now_unix_us, released, err);
}

/* Finds or adds what made the summary of the record; sets *id. */
static dobby_code provenance_id(struct sqlite_handle *handle, int64_t seq, const struct summary *summary,
                                int64_t *id, struct dobby_error *err)
{
    const struct sqlite_value values[] = {
        sqlite_text(summary->model),
        sqlite_text(summary->model_fingerprint),
        sqlite_text(summary->precision),
        sqlite_text(summary->sampling),
        sqlite_text(summary->template_id),
        sqlite_text(summary->engine),
        sqlite_integer(seq),
        sqlite_bytes(summary->result_key, SHA256_BYTES),
    };
    const int count = sizeof values / sizeof values[0];
    sqlite3_stmt *statement = NULL;
    bool row = false;
    dobby_code code = sqlite_bind(handle, STATEMENT_PROVENANCE_FIND, values, count, &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code == DOBBY_OK && row)
        *id = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (code != DOBBY_OK || row)
        return code;
    code = sqlite_run(handle, STATEMENT_PROVENANCE_ADD, values, count, err);
    *id = sqlite3_last_insert_rowid(handle->db);
    return code;
}

/* Makes summary the current one of the record. */
static dobby_code add_summary(struct sqlite_handle *handle, int64_t seq, const struct outcome *outcome,
                              int64_t now_unix_us, struct dobby_error *err)
{
    const struct summary *summary = outcome->summary;
    const char *degraded_reason = outcome->kind == OUTCOME_DEGRADED ? outcome->reason : NULL;
    int64_t provenance = 0;
    dobby_code code = provenance_id(handle, seq, summary, &provenance, err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_SUMMARY_DEMOTE, VALUES(sqlite_integer(seq)), err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_SUMMARY_ADD,
                          VALUES(sqlite_text(summary->id), sqlite_integer(seq),
                                 sqlite_bytes(summary->result_key, SHA256_BYTES), sqlite_text(summary->text),
                                 sqlite_real(summary->confidence), sqlite_integer(provenance),
                                 sqlite_integer(summary->tokens_in), sqlite_integer(summary->tokens_out),
                                 sqlite_integer(summary->inference_ms), sqlite_integer(now_unix_us),
                                 sqlite_integer(summary->reused), sqlite_text(degraded_reason)),
                          err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_RECORD_RESULT, VALUES(sqlite_integer(seq)), err);
    return code;
}

static dobby_code settle_one(struct sqlite_handle *handle, struct outcome *outcome, int64_t now_unix_us,
                             struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    int64_t seq = 0;
    dobby_code code =
        sqlite_bind(handle, STATEMENT_SETTLE,
                    VALUES(sqlite_text(outcome->record_id), sqlite_integer(outcome->attempt),
                           sqlite_integer(outcome_state(outcome->kind)), sqlite_text(outcome->error_id),
                           sqlite_text(outcome->reason), sqlite_integer(now_unix_us),
                           sqlite_integer(outcome->kind == OUTCOME_RELEASED),
                           sqlite_integer_or_null(outcome->retry_unix_us)),
                    &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code == DOBBY_OK && row)
        seq = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (code != DOBBY_OK)
        return code;
    outcome->stale = !row;
    if (!row || outcome->summary == NULL)
        return DOBBY_OK;
    return add_summary(handle, seq, outcome, now_unix_us, err);
}

dobby_code sqlite_settle(struct store *store, struct outcome *outcomes, size_t count, int64_t now_unix_us,
                         struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++)
        code = settle_one(handle, &outcomes[i], now_unix_us, err);
    if (code == DOBBY_OK)
        code = sqlite_run_count(store, outcomes, count, err);
    return sqlite_write_end(handle, code, err);
}

dobby_code sqlite_owners(struct store *store, struct owner_list *out, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    sqlite3_stmt *statement = NULL;
    dobby_code code = sqlite_bind(handle, STATEMENT_OWNERS, NULL, 0, &statement, err);
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        const char *owner = sqlite_column_text(statement, 0);
        code = sqlite_columns_check(handle, err);
        if (code == DOBBY_OK)
            code = owner_list_add(out, owner, err);
    }
    sqlite3_reset(statement);
    return code;
}
