#include "store/store_batch.h"

#include "base/arena.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

dobby_code record_batch_open(struct record_batch *batch, size_t limit, struct dobby_error *err)
{
    *batch = (struct record_batch){0};
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a batch of %zu records", limit);
    arena_init(arena, 0);
    batch->memory = arena;
    batch->records = arena_alloc_array(arena, limit, sizeof *batch->records);
    if (batch->records == NULL) {
        record_batch_release(batch);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a batch of %zu records", limit);
    }
    return DOBBY_OK;
}

dobby_code record_batch_add(struct record_batch *batch, const struct record *record, struct dobby_error *err)
{
    struct arena *arena = batch->memory;
    struct record copy = *record;
    copy.id = arena_copy(arena, record->id, strlen(record->id));
    copy.source = arena_copy(arena, record->source, strlen(record->source));
    copy.path = arena_copy(arena, record->path, strlen(record->path));
    copy.language = arena_copy(arena, record->language, strlen(record->language));
    copy.content = arena_copy(arena, record->content, record->content_length);
    if (copy.id == NULL || copy.source == NULL || copy.path == NULL || copy.language == NULL ||
        copy.content == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a claimed record of %zu bytes", record->content_length);
    batch->records[batch->count++] = copy;
    return DOBBY_OK;
}

void record_batch_release(struct record_batch *batch)
{
    if (batch->memory != NULL) {
        arena_release(batch->memory);
        free(batch->memory);
    }
    *batch = (struct record_batch){0};
}

/* Lists grow by doubling: a list of count rows is full when count is 0 or a power of two. */
static void *grow_if_full(void *rows, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return rows;
    return realloc(rows, (count == 0 ? 1 : count * 2) * size);
}

size_t reason_kind_length(const char *reason)
{
    return strcspn(reason, ":");
}

dobby_code reason_counts_add(struct reason_counts *counts, const char *reason, enum record_state state,
                             uint64_t count, struct dobby_error *err)
{
    struct reason_count *rows = grow_if_full(counts->rows, counts->count, sizeof *rows);
    if (rows == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu reasons", counts->count);
    counts->rows = rows;
    struct reason_count row = {.kind = strndup(reason, reason_kind_length(reason)),
                               .example = strdup(reason),
                               .state = state,
                               .count = count};
    if (row.kind == NULL || row.example == NULL) {
        free(row.kind);
        free(row.example);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu reasons", counts->count);
    }
    rows[counts->count++] = row;
    return DOBBY_OK;
}

void reason_counts_release(struct reason_counts *counts)
{
    for (size_t i = 0; i < counts->count; i++) {
        free(counts->rows[i].kind);
        free(counts->rows[i].example);
    }
    free(counts->rows);
    *counts = (struct reason_counts){0};
}

dobby_code owner_list_add(struct owner_list *list, const char *owner, struct dobby_error *err)
{
    char **owners = grow_if_full(list->owners, list->count, sizeof *owners);
    if (owners == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu owners", list->count);
    list->owners = owners;
    char *copy = strdup(owner);
    if (copy == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu owners", list->count);
    owners[list->count++] = copy;
    return DOBBY_OK;
}

void owner_list_release(struct owner_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->owners[i]);
    free(list->owners);
    *list = (struct owner_list){0};
}
