/* Versions: finding equal results, and making records pending again in transactions of bounded size. */
#include "base/limits.h"
#include "drivers/sqlite/sqlite_ops.h"
#include "drivers/sqlite/sqlite_rows.h"

#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

/* Visits the summaries that a bound statement yields. */
static dobby_code visit_all(struct sqlite_handle *handle, sqlite3_stmt *statement, size_t key_index,
                            summary_visit_fn *visit, void *context, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    while (code == DOBBY_OK) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        code = sqlite_visit_version(handle, statement, key_index, visit, context, err);
    }
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_find_results(struct store *store, const uint8_t (*keys)[SHA256_BYTES], size_t count,
                               summary_visit_fn *visit, void *context, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    dobby_code code = sqlite_read_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++) {
        sqlite3_stmt *statement = NULL;
        code = sqlite_bind(handle, STATEMENT_FIND_RESULT, VALUES(sqlite_bytes(keys[i], SHA256_BYTES)),
                           &statement, err);
        if (code == DOBBY_OK)
            code = visit_all(handle, statement, i, visit, context, err);
    }
    return sqlite_read_end(handle, code, err);
}

/* ---- what is stale ---- */

#define WANTED(want)                                                                                         \
    sqlite_text((want)->model_fingerprint), sqlite_text((want)->precision), sqlite_text((want)->sampling),   \
        sqlite_text((want)->template_id)

dobby_code sqlite_stale_count(struct store *store, const struct provenance_key *want, uint64_t *count,
                              struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    sqlite3_stmt *statement = NULL;
    bool row = false;
    dobby_code code = sqlite_bind(handle, STATEMENT_STALE_COUNT, VALUES(WANTED(want)), &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code == DOBBY_OK && row)
        *count = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code;
}

dobby_code sqlite_cuts(struct store *store, const char *want, cut_visit_fn *visit, void *context,
                       struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    sqlite3_stmt *statement = NULL;
    dobby_code code = sqlite_bind(handle, STATEMENT_CUTS, VALUES(sqlite_text(want)), &statement, err);
    while (code == DOBBY_OK) {
        bool more = false;
        code = sqlite_step(handle, statement, &more, err);
        if (code != DOBBY_OK || !more)
            break;
        const struct cut_row row = {.source = sqlite_column_text(statement, 0),
                                    .cut = sqlite_column_text(statement, 1),
                                    .records = (uint64_t)sqlite3_column_int64(statement, 2),
                                    .results = (uint64_t)sqlite3_column_int64(statement, 3)};
        code = sqlite_columns_check(handle, err);
        if (code == DOBBY_OK)
            code = visit(context, &row, err);
    }
    sqlite3_reset(statement);
    return code;
}

/* The records of one transaction, and of each the version to restore, 0 where there is none. */
struct found {
    int64_t seqs[LIMIT_BATCH_RECORDS];
    int64_t versions[LIMIT_BATCH_RECORDS];
    size_t count;
};

/* Collects what a statement yields; it is ended before anything that it reads is changed. */
static dobby_code find(struct sqlite_handle *handle, enum sqlite_statement which,
                       const struct sqlite_value *values, int count, struct found *out,
                       struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    out->count = 0;
    dobby_code code = sqlite_bind(handle, which, values, count, &statement, err);
    while (code == DOBBY_OK && out->count < LIMIT_BATCH_RECORDS) {
        bool row = false;
        code = sqlite_step(handle, statement, &row, err);
        if (code != DOBBY_OK || !row)
            break;
        out->seqs[out->count] = sqlite3_column_int64(statement, 0);
        out->versions[out->count] = sqlite3_column_int64(statement, 1); /* NULL and no column read as 0 */
        out->count++;
    }
    sqlite3_reset(statement);
    return code;
}

static int64_t batch_limit(uint64_t left)
{
    return left < LIMIT_BATCH_RECORDS ? (int64_t)left : LIMIT_BATCH_RECORDS;
}

static dobby_code restore(struct sqlite_handle *handle, int64_t seq, int64_t version, int64_t now_unix_us,
                          struct dobby_error *err)
{
    dobby_code code = sqlite_run(handle, STATEMENT_SUMMARY_DEMOTE, VALUES(sqlite_integer(seq)), err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_SUMMARY_PROMOTE, VALUES(sqlite_integer(version)), err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_RECORD_RESTORE,
                          VALUES(sqlite_integer(seq), sqlite_integer(now_unix_us)), err);
    return code;
}

/* One transaction; *done says what it did when it succeeds. */
static dobby_code redo_batch(struct sqlite_handle *handle, const struct provenance_key *want,
                             int64_t now_unix_us, uint64_t left, struct stale_counts *done,
                             struct dobby_error *err)
{
    struct found found;
    *done = (struct stale_counts){0};
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = find(handle, STATEMENT_STALE_FIND, VALUES(WANTED(want), sqlite_integer(batch_limit(left))), &found,
                err);
    for (size_t i = 0; i < found.count && code == DOBBY_OK; i++) {
        if (found.versions[i] != 0) {
            code = restore(handle, found.seqs[i], found.versions[i], now_unix_us, err);
            done->restored++;
        } else {
            code = sqlite_run(handle, STATEMENT_REQUEUE,
                              VALUES(sqlite_integer(found.seqs[i]), sqlite_integer(now_unix_us)), err);
            done->requeued++;
        }
    }
    return sqlite_write_end(handle, code, err);
}

dobby_code sqlite_requeue_stale(struct store *store, const struct provenance_key *want, int64_t now_unix_us,
                                uint64_t limit, struct stale_counts *counts, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    uint64_t left = limit;
    while (left > 0) {
        struct stale_counts done;
        dobby_code code = redo_batch(handle, want, now_unix_us, left, &done, err);
        if (code != DOBBY_OK)
            return code;
        if (done.requeued + done.restored == 0)
            break;
        counts->requeued += done.requeued;
        counts->restored += done.restored;
        left -= done.requeued + done.restored;
    }
    return DOBBY_OK;
}

/* ---- retrying by hand ---- */

/* One transaction over records of one state put after *after; moves *after on. */
static dobby_code requeue_batch(struct sqlite_handle *handle, const struct record_filter *which,
                                enum record_state state, int64_t now_unix_us, uint64_t left, int64_t *after,
                                size_t *done, struct dobby_error *err)
{
    struct found found;
    const bool by_id = which->id_prefix != NULL && (which->id_prefix[0] != '\0' || which->id_whole);
    const struct id_bound bound = id_bound_of_filter(which);
    const struct sqlite_value values[] = {
        sqlite_integer(state),
        sqlite_integer(*after),
        sqlite_text(which->path_glob),
        sqlite_integer(batch_limit(left)),
        sqlite_text(by_id ? which->id_prefix : ""),
        sqlite_text(bound.text),
    };
    *done = 0;
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = find(handle, by_id ? STATEMENT_REQUEUE_FIND_ID : STATEMENT_REQUEUE_FIND, values, by_id ? 6 : 4,
                &found, err);
    for (size_t i = 0; i < found.count && code == DOBBY_OK; i++)
        code = sqlite_run(handle, STATEMENT_REQUEUE,
                          VALUES(sqlite_integer(found.seqs[i]), sqlite_integer(now_unix_us)), err);
    code = sqlite_write_end(handle, code, err);
    if (code != DOBBY_OK || found.count == 0)
        return code;
    *done = found.count;
    *after = found.seqs[found.count - 1];
    return DOBBY_OK;
}

dobby_code sqlite_requeue(struct store *store, const struct record_filter *which, int64_t now_unix_us,
                          uint64_t *count, struct dobby_error *err)
{
    static const enum record_state states[] = {RECORD_DEGRADED, RECORD_FAILED, RECORD_SKIPPED};
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    uint64_t left = which->limit == 0 ? UINT64_MAX : which->limit;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        int64_t after = 0;
        size_t done = 1;
        if (which->state != RECORD_UNKNOWN && which->state != states[i])
            continue;
        while (left > 0 && done > 0) {
            dobby_code code = requeue_batch(handle, which, states[i], now_unix_us, left, &after, &done, err);
            if (code != DOBBY_OK)
                return code;
            *count += done;
            left -= done;
        }
    }
    return DOBBY_OK;
}
