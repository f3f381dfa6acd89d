#include "ingest/record_batch.h"

#include "base/limits.h"
#include "os/clock.h"

#include <stdlib.h>
#include <string.h>

/* Content held before it is put: a few of the largest files, so that memory does not grow with the tree. */
#define BATCH_CONTENT_BYTES ((size_t)8 << 20)

static_assert(BATCH_CONTENT_BYTES >= LIMIT_CONTENT_BYTES, "any one chunk fits a batch");

/* A chunk's place among chunks with equal bytes. */
struct fingerprint {
    uint8_t digest[SHA256_BYTES];
    size_t index;
    uint64_t ordinal;
};

void ingest_batch_init(struct ingest_batch *batch, struct store *store, const char *source, const char *cut,
                       struct put_counts *counts)
{
    *batch = (struct ingest_batch){.store = store, .source = source, .cut = cut, .counts = counts};
    arena_init(&batch->arena, 0);
}

void ingest_batch_release(struct ingest_batch *batch)
{
    arena_release(&batch->arena);
    *batch = (struct ingest_batch){0};
}

static dobby_code flush(struct ingest_batch *batch, struct dobby_error *err)
{
    int64_t now = clock_unix_us();
    dobby_code code = DOBBY_OK;
    if (!batch->in_sync)
        code = store_sync_begin(batch->store, batch->source, now, err);
    batch->in_sync = code == DOBBY_OK;
    if (code == DOBBY_OK && batch->count > 0)
        code = store_put(batch->store, batch->records, batch->count, now, batch->counts, err);
    arena_reset(&batch->arena);
    batch->records = NULL;
    batch->count = 0;
    batch->content_bytes = 0;
    return code;
}

dobby_code ingest_batch_end(struct ingest_batch *batch, const char *scope, struct dobby_error *err)
{
    dobby_code code = flush(batch, err);
    return code == DOBBY_OK ? store_sync_end(batch->store, scope, batch->counts, err) : code;
}

/* A record's identity: its source, raw path, bytes, and ordinal among equal chunks of the file. The reason
 * is a field of its own, so that a file skipped for another reason than before is another record. */
static dobby_code make_id(const struct ingest_batch *batch, const struct ingest_file *file,
                          const struct record_input *record, uint64_t ordinal, char hex[SHA256_HEX_BYTES],
                          struct dobby_error *err)
{
    struct sha256 sha = {0};
    uint8_t digest[SHA256_BYTES];
    uint8_t ordinal_bytes[8];
    for (unsigned i = 0; i < 8; i++)
        ordinal_bytes[i] = (uint8_t)(ordinal >> (8 * i));
    dobby_code code = sha256_init(&sha, err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, batch->source, strlen(batch->source), err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, file->raw_path, strlen(file->raw_path), err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, record->content, record->content_length, err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, ordinal_bytes, sizeof(ordinal_bytes), err);
    if (code == DOBBY_OK && record->skip_reason != NULL)
        code = sha256_field(&sha, record->skip_reason, strlen(record->skip_reason), err);
    if (code == DOBBY_OK)
        code = sha256_final(&sha, digest, err);
    if (code == DOBBY_OK)
        sha256_hex(digest, hex);
    sha256_release(&sha);
    return code;
}

/* Copies the record into the batch; puts the batch first when it is full. */
static dobby_code add(struct ingest_batch *batch, const struct ingest_file *file, struct record_input record,
                      uint64_t ordinal, struct dobby_error *err)
{
    char id[SHA256_HEX_BYTES];
    dobby_code code = make_id(batch, file, &record, ordinal, id, err);
    if (code == DOBBY_OK && (batch->count == LIMIT_BATCH_RECORDS ||
                             batch->content_bytes + record.content_length > BATCH_CONTENT_BYTES))
        code = flush(batch, err);
    if (code != DOBBY_OK)
        return code;
    if (batch->records == NULL)
        batch->records = arena_alloc_array(&batch->arena, LIMIT_BATCH_RECORDS, sizeof(*batch->records));
    record.id = arena_copy(&batch->arena, id, strlen(id));
    record.path = arena_copy(&batch->arena, file->path, strlen(file->path));
    record.content = arena_copy(&batch->arena, record.content, record.content_length);
    record.language = file->language;
    if (batch->records == NULL || record.id == NULL || record.path == NULL || record.content == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a batch of %zu records", batch->count);
    batch->records[batch->count++] = record;
    batch->content_bytes += record.content_length;
    return DOBBY_OK;
}

dobby_code ingest_batch_add_skipped(struct ingest_batch *batch, const struct ingest_file *file,
                                    const char *reason, struct dobby_error *err)
{
    struct record_input record = {.content = "", .skip_reason = reason};
    return add(batch, file, record, 0, err);
}

static int compare_digests(const void *a, const void *b)
{
    const struct fingerprint *left = a;
    const struct fingerprint *right = b;
    int order = memcmp(left->digest, right->digest, SHA256_BYTES);
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static int compare_indices(const void *a, const void *b)
{
    const struct fingerprint *left = a;
    const struct fingerprint *right = b;
    return (left->index > right->index) - (left->index < right->index);
}

/* Numbers equal chunks in their order in the file. */
static dobby_code count_equal(const struct ingest_file *file, const struct chunk_list *chunks,
                              struct fingerprint *prints, struct dobby_error *err)
{
    for (size_t i = 0; i < chunks->count; i++) {
        const struct chunk *chunk = &chunks->chunks[i];
        prints[i].index = i;
        dobby_code code = sha256_of(file->text + chunk->offset, chunk->length, prints[i].digest, err);
        if (code != DOBBY_OK)
            return code;
    }
    qsort(prints, chunks->count, sizeof(*prints), compare_digests);
    for (size_t i = 1; i < chunks->count; i++)
        if (memcmp(prints[i].digest, prints[i - 1].digest, SHA256_BYTES) == 0)
            prints[i].ordinal = prints[i - 1].ordinal + 1;
    qsort(prints, chunks->count, sizeof(*prints), compare_indices);
    return DOBBY_OK;
}

static bool is_white_space(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && (text[i] < '\t' || text[i] > '\r'))
            return false;
    return true;
}

dobby_code ingest_batch_add_chunks(struct ingest_batch *batch, const struct ingest_file *file,
                                   const struct chunk_list *chunks, struct dobby_error *err)
{
    struct fingerprint *prints = calloc(chunks->count > 0 ? chunks->count : 1, sizeof(*prints));
    if (prints == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu chunks of %s", chunks->count, file->path);
    dobby_code code = count_equal(file, chunks, prints, err);
    for (size_t i = 0; i < chunks->count && code == DOBBY_OK; i++) {
        const struct chunk *chunk = &chunks->chunks[i];
        const char *text = file->text + chunk->offset;
        struct record_input record = {
            .first_line = chunk->first_line,
            .last_line = chunk->last_line,
            .position = (uint32_t)i,
            .content = text,
            .content_length = chunk->length,
            /* Only where a run of blank lines is longer than a whole chunk. */
            .skip_reason = is_white_space(text, chunk->length) ? "white space" : NULL,
            .cut = batch->cut,
        };
        code = add(batch, file, record, prints[i].ordinal, err);
    }
    free(prints);
    return code;
}
