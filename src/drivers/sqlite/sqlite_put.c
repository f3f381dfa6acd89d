/* Ingest: a source's records are compared with what it holds now; only differences are written. */
#include "base/crypto.h"
#include "base/limits.h"
#include "drivers/sqlite/sqlite_handle.h"
#include "drivers/sqlite/sqlite_ops.h"

#include <stdlib.h>
#include <string.h>

/* An input with what is looked up or computed of it once. */
struct put {
    const struct record_input *input;
    const uint8_t *sha256;
    int64_t cut_id; /* 0: whole */
};

/* What is there under an input's id, against the input. */
struct difference {
    int64_t seq; /* 0: nothing is there */
    bool place;  /* path, language, lines or position */
    bool content;
    bool skip; /* whether or why it is not to be summarised */
    bool cut;
};

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The id of the row with this text, 0 where there is none. */
static dobby_code find_id(struct sqlite_handle *handle, enum sqlite_statement which, const char *text,
                          int64_t *id, struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    *id = 0;
    dobby_code code = sqlite_bind(handle, which, VALUES(sqlite_text(text)), &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code == DOBBY_OK && row)
        *id = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code;
}

/* Finds or adds the source; sets *id. */
static dobby_code source_id(struct sqlite_handle *handle, const char *source, int64_t now_unix_us,
                            int64_t *id, struct dobby_error *err)
{
    dobby_code code = find_id(handle, STATEMENT_SOURCE_FIND, source, id, err);
    if (code != DOBBY_OK || *id != 0)
        return code;
    code = sqlite_run(handle, STATEMENT_SOURCE_ADD, VALUES(sqlite_text(source), sqlite_integer(now_unix_us)),
                      err);
    if (code == DOBBY_OK)
        *id = sqlite3_last_insert_rowid(handle->db);
    return code;
}

/* Finds or adds the cut; sets *id, to 0 for NULL. */
static dobby_code cut_id(struct sqlite_handle *handle, const char *cut, int64_t *id, struct dobby_error *err)
{
    *id = 0;
    dobby_code code = cut != NULL ? find_id(handle, STATEMENT_CUT_FIND, cut, id, err) : DOBBY_OK;
    if (code != DOBBY_OK || cut == NULL || *id != 0)
        return code;
    code = sqlite_run(handle, STATEMENT_CUT_ADD, VALUES(sqlite_text(cut)), err);
    if (code == DOBBY_OK)
        *id = sqlite3_last_insert_rowid(handle->db);
    return code;
}

dobby_code sqlite_sources(struct store *store, source_visit_fn *visit, void *context, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    sqlite3_stmt *statement = NULL;
    dobby_code code = sqlite_bind(handle, STATEMENT_SOURCES, NULL, 0, &statement, err);
    while (code == DOBBY_OK) {
        bool more = false;
        code = sqlite_step(handle, statement, &more, err);
        if (code != DOBBY_OK || !more)
            break;
        const struct source_row row = {.name = sqlite_column_text(statement, 0),
                                       .empty = sqlite3_column_int(statement, 1) == 0};
        code = sqlite_columns_check(handle, err);
        if (code == DOBBY_OK)
            code = visit(context, &row, err);
    }
    sqlite3_reset(statement);
    return code;
}

static dobby_code read_syncs(struct sqlite_handle *handle, int64_t id, int64_t *syncs,
                             struct dobby_error *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    *syncs = 0;
    dobby_code code =
        sqlite_bind(handle, STATEMENT_SOURCE_SYNCS, VALUES(sqlite_integer(id)), &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code == DOBBY_OK && row)
        *syncs = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code;
}

/* Of two synchronisations of one source at once the later one has seen all that the earlier one put before it
 * began; what the earlier one put after that, or removed, would be lost to it. Within a transaction. */
static dobby_code check_turn(struct sqlite_handle *handle, struct dobby_error *err)
{
    int64_t syncs;
    const dobby_code code = read_syncs(handle, handle->source_id, &syncs, err);
    if (code == DOBBY_OK && syncs != handle->sync)
        return DOBBY_FAIL(err, DOBBY_STORE_SYNC_LOST, "%s", handle->path);
    return code;
}

dobby_code sqlite_sync_begin(struct store *store, const char *source, int64_t now_unix_us,
                             struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    int64_t id = 0;
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = source_id(handle, source, now_unix_us, &id, err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_SEEN_CLEAR, NULL, 0, err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_SOURCE_SYNC, VALUES(sqlite_integer(id)), err);
    if (code == DOBBY_OK)
        code = read_syncs(handle, id, &handle->sync, err);
    code = sqlite_write_end(handle, code, err);
    handle->source_id = code == DOBBY_OK ? id : 0;
    return code;
}

static dobby_code find_difference(struct sqlite_handle *handle, const struct put *put, struct difference *out,
                                  struct dobby_error *err)
{
    const struct record_input *input = put->input;
    sqlite3_stmt *statement = NULL;
    bool row = false;
    *out = (struct difference){0};
    dobby_code code =
        sqlite_bind(handle, STATEMENT_RECORD_FIND, VALUES(sqlite_text(input->id)), &statement, err);
    if (code == DOBBY_OK)
        code = sqlite_step(handle, statement, &row, err);
    if (code != DOBBY_OK || !row)
        goto done;
    if (sqlite3_column_int64(statement, 1) != handle->source_id) {
        code =
            DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "the id %s is a record's of another source", input->id);
        goto done;
    }
    out->seq = sqlite3_column_int64(statement, 0);
    out->place = strcmp(sqlite_column_text(statement, 2), input->path) != 0 ||
                 strcmp(sqlite_column_text(statement, 3), input->language) != 0 ||
                 sqlite_column_u32(statement, 4) != input->first_line ||
                 sqlite_column_u32(statement, 5) != input->last_line ||
                 sqlite_column_u32(statement, 6) != input->position;
    out->content = sqlite3_column_bytes(statement, 7) != SHA256_BYTES ||
                   memcmp(sqlite_column_bytes(statement, 7), put->sha256, SHA256_BYTES) != 0;
    bool excluded = sqlite3_column_int(statement, 8) != 0;
    out->skip = !same_text(excluded ? sqlite_column_text(statement, 9) : NULL, input->skip_reason);
    out->cut = sqlite3_column_int64(statement, 10) != put->cut_id; /* NULL reads as 0 */
    code = sqlite_columns_check(handle, err);
done:
    sqlite3_reset(statement);
    return code;
}

static dobby_code add_record(struct sqlite_handle *handle, const struct put *put, int64_t now_unix_us,
                             int64_t *seq, struct dobby_error *err)
{
    const struct record_input *input = put->input;
    dobby_code code =
        sqlite_run(handle, STATEMENT_RECORD_ADD,
                   VALUES(sqlite_text(input->id), sqlite_integer(handle->source_id), sqlite_text(input->path),
                          sqlite_text(input->language), sqlite_integer(input->first_line),
                          sqlite_integer(input->last_line), sqlite_integer(input->position),
                          sqlite_bytes(put->sha256, SHA256_BYTES),
                          sqlite_integer((int64_t)input->content_length), sqlite_text(input->skip_reason),
                          sqlite_integer(now_unix_us), sqlite_integer_or_null(put->cut_id)),
                   err);
    if (code != DOBBY_OK)
        return code;
    *seq = sqlite3_last_insert_rowid(handle->db);
    return sqlite_run(handle, STATEMENT_CONTENT_PUT,
                      VALUES(sqlite_integer(*seq), sqlite_bytes(input->content, input->content_length)), err);
}

static dobby_code update_record(struct sqlite_handle *handle, const struct put *put, int64_t now_unix_us,
                                const struct difference *difference, struct dobby_error *err)
{
    const struct record_input *input = put->input;
    struct sqlite_value seq = sqlite_integer(difference->seq);
    dobby_code code = DOBBY_OK;
    if (difference->place)
        code = sqlite_run(handle, STATEMENT_RECORD_PLACE,
                          VALUES(seq, sqlite_text(input->path), sqlite_text(input->language),
                                 sqlite_integer(input->first_line), sqlite_integer(input->last_line),
                                 sqlite_integer(input->position)),
                          err);
    if (code == DOBBY_OK && difference->cut)
        code =
            sqlite_run(handle, STATEMENT_RECORD_CUT, VALUES(seq, sqlite_integer_or_null(put->cut_id)), err);
    if (code == DOBBY_OK && difference->content)
        code = sqlite_run(handle, STATEMENT_CONTENT_PUT,
                          VALUES(seq, sqlite_bytes(input->content, input->content_length)), err);
    if (code != DOBBY_OK || (!difference->content && !difference->skip))
        return code;
    code = sqlite_run(handle, STATEMENT_SUMMARY_DEMOTE, VALUES(seq), err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_RECORD_RESET,
                          VALUES(seq, sqlite_bytes(put->sha256, SHA256_BYTES),
                                 sqlite_integer((int64_t)input->content_length),
                                 sqlite_text(input->skip_reason), sqlite_integer(now_unix_us)),
                          err);
    return code;
}

/* Remembers that the source still has this record. */
static dobby_code mark_seen(struct sqlite_handle *handle, int64_t seq, struct dobby_error *err)
{
    dobby_code code = sqlite_run(handle, STATEMENT_SEEN_ADD, VALUES(sqlite_integer(seq)), err);
    if (code == DOBBY_STORE_FULL)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED,
                          "too many records in one source; LIMIT_STORE_SEEN_BYTES is %zu",
                          LIMIT_STORE_SEEN_BYTES);
    return code;
}

static dobby_code put_one(struct sqlite_handle *handle, const struct put *put, int64_t now_unix_us,
                          struct put_counts *counts, struct dobby_error *err)
{
    struct difference difference;
    dobby_code code = find_difference(handle, put, &difference, err);
    if (code != DOBBY_OK)
        return code;
    if (difference.seq == 0) {
        code = add_record(handle, put, now_unix_us, &difference.seq, err);
        counts->added++;
    } else {
        code = update_record(handle, put, now_unix_us, &difference, err);
        if (difference.place || difference.content || difference.skip)
            counts->updated++;
        else
            counts->unchanged++;
    }
    if (code == DOBBY_OK)
        code = mark_seen(handle, difference.seq, err);
    return code;
}

/* One transaction's puts; most of a call's records are cut alike. */
static dobby_code put_all(struct sqlite_handle *handle, const struct record_input *records, size_t count,
                          const uint8_t (*sha256)[SHA256_BYTES], int64_t now_unix_us,
                          struct put_counts *counts, struct dobby_error *err)
{
    struct put put = {.input = NULL};
    const char *cut = NULL; /* whose id put.cut_id is */
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++) {
        put.input = &records[i];
        put.sha256 = sha256[i];
        if (!same_text(cut, records[i].cut))
            code = cut_id(handle, records[i].cut, &put.cut_id, err);
        cut = records[i].cut;
        if (code == DOBBY_OK)
            code = put_one(handle, &put, now_unix_us, counts, err);
    }
    return code;
}

dobby_code sqlite_put(struct store *store, const struct record_input *records, size_t count,
                      int64_t now_unix_us, struct put_counts *counts, struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    /* Hashed before the lock is taken: others need not wait for it. */
    uint8_t(*sha256)[SHA256_BYTES] = calloc(count, sizeof *sha256);
    if (sha256 == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the hashes of %zu records", count);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++)
        code = sha256_of(records[i].content, records[i].content_length, sha256[i], err);
    if (code == DOBBY_OK)
        code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        goto done;
    code = check_turn(handle, err);
    if (code == DOBBY_OK)
        code =
            put_all(handle, records, count, (const uint8_t(*)[SHA256_BYTES])sha256, now_unix_us, counts, err);
    code = sqlite_write_end(handle, code, err);
done:
    free(sha256);
    return code;
}

dobby_code sqlite_sync_end(struct store *store, const char *path_scope, struct put_counts *counts,
                           struct dobby_error *err)
{
    struct sqlite_handle *handle = (struct sqlite_handle *)store;
    dobby_code code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    code = check_turn(handle, err);
    if (code == DOBBY_OK)
        code = sqlite_run(handle, STATEMENT_UNSEEN_REMOVE,
                          VALUES(sqlite_integer(handle->source_id), sqlite_text(path_scope)), err);
    int64_t removed = sqlite3_changes64(handle->db);
    code = sqlite_write_end(handle, code, err);
    if (code == DOBBY_OK)
        counts->removed = (uint64_t)removed;
    return code;
}
