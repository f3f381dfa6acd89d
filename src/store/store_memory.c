/* The reference: an array of records in the order in which they were put, searched from its start. Each
 * operation first makes all it needs and then, when nothing can fail any more, changes the array. */
#include "store/store_memory.h"

#include "store/memory_entry.h"

#include <stdlib.h>
#include <string.h>

static void memory_close(struct store *store)
{
    struct memory_store *memory = (struct memory_store *)store;
    for (size_t i = 0; i < memory->count; i++)
        entry_free(memory->entries[i]);
    for (size_t i = 0; i < memory->run_count; i++)
        run_row_release(&memory->runs[i]);
    for (size_t i = 0; i < memory->source_count; i++)
        free(memory->sources[i]);
    free(memory->sources);
    free(memory->runs);
    free(memory->entries);
    free(memory->source);
    free(memory);
}

/* ---- ingest ---- */

static bool holds_records(const struct memory_store *memory, const char *source)
{
    size_t i = 0;
    while (i < memory->count && strcmp(memory->entries[i]->source, source) != 0)
        i++;
    return i < memory->count;
}

static dobby_code memory_sources(struct store *store, source_visit_fn *visit, void *context,
                                 struct dobby_error *err)
{
    const struct memory_store *memory = (struct memory_store *)store;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < memory->source_count && code == DOBBY_OK; i++) {
        const char *name = memory->sources[i];
        code = visit(context, &(struct source_row){.name = name, .empty = !holds_records(memory, name)}, err);
    }
    return code;
}

/* Keeps the names sorted. */
static dobby_code add_source(struct memory_store *memory, const char *source, struct dobby_error *err)
{
    size_t at = 0;
    while (at < memory->source_count && strcmp(memory->sources[at], source) < 0)
        at++;
    if (at < memory->source_count && strcmp(memory->sources[at], source) == 0)
        return DOBBY_OK;
    char **sources = realloc(memory->sources, (memory->source_count + 1) * sizeof(char *));
    if (sources == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the source %s", source);
    memory->sources = sources;
    char *copy = strdup(source);
    if (copy == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the source %s", source);
    memmove(sources + at + 1, sources + at, (memory->source_count - at) * sizeof(char *));
    sources[at] = copy;
    memory->source_count++;
    return DOBBY_OK;
}

static dobby_code memory_sync_begin(struct store *store, const char *source, int64_t now_unix_us,
                                    struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)now_unix_us;
    char *copy = strdup(source);
    dobby_code code = copy != NULL ? add_source(memory, source, err)
                                   : DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the source %s", source);
    if (code != DOBBY_OK) {
        free(copy);
        return code;
    }
    free(memory->source);
    memory->source = copy;
    for (size_t i = 0; i < memory->count; i++)
        memory->entries[i]->seen = false;
    return DOBBY_OK;
}

/* Brings the record that is there in line with the new one, and frees what is left of that. */
static void merge(struct entry *there, struct entry *new, struct put_counts *counts)
{
    bool same_place = strcmp(there->path, new->path) == 0 && strcmp(there->language, new->language) == 0 &&
                      there->first_line == new->first_line && there->last_line == new->last_line &&
                      there->position == new->position;
    bool same_content = memcmp(there->content_sha256, new->content_sha256, SHA256_BYTES) == 0;
    bool same_skip =
        there->excluded == new->excluded && (!new->excluded || strcmp(there->reason, new->reason) == 0);
    there->seen = true;
    if (same_place && same_content && same_skip)
        counts->unchanged++;
    else
        counts->updated++;
    text_swap(&there->path, &new->path);
    text_swap(&there->language, &new->language);
    text_swap(&there->cut, &new->cut);
    there->first_line = new->first_line;
    there->last_line = new->last_line;
    there->position = new->position;
    if (!same_content || !same_skip) {
        /* attempt stays: a lease that is out must not be able to settle the new content. */
        text_swap(&there->content, &new->content);
        text_swap(&there->reason, &new->reason);
        text_swap(&there->owner, &new->owner);
        text_swap(&there->error_id, &new->error_id);
        memcpy(there->content_sha256, new->content_sha256, SHA256_BYTES);
        there->content_length = new->content_length;
        there->state = new->state;
        there->state_us = new->state_us;
        there->excluded = new->excluded;
        there->tries = 0;
        there->retry_us = 0;
        there->current = there->version_count;
    }
    entry_free(new);
}

static dobby_code reserve(struct memory_store *memory, size_t more, struct dobby_error *err)
{
    if (memory->count + more <= memory->capacity)
        return DOBBY_OK;
    size_t capacity = 2 * memory->capacity + more;
    struct entry **entries = realloc(memory->entries, capacity * sizeof(struct entry *));
    if (entries == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu records", capacity);
    memory->entries = entries;
    memory->capacity = capacity;
    return DOBBY_OK;
}

static dobby_code memory_put(struct store *store, const struct record_input *records, size_t count,
                             int64_t now_unix_us, struct put_counts *counts, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    dobby_code code = DOBBY_OK;
    struct entry **made = calloc(count, sizeof(struct entry *));
    if (made == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu records", count);
    for (size_t i = 0; i < count; i++) {
        size_t at = memory_find(memory, records[i].id);
        if (at < memory->count && strcmp(memory->entries[at]->source, memory->source) != 0) {
            code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "the id %s is a record's of another source",
                              records[i].id);
            goto done;
        }
        made[i] = entry_new(&records[i], memory->source, now_unix_us);
        if (made[i] == NULL) {
            code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a record of %zu bytes", records[i].content_length);
            goto done;
        }
    }
    code = reserve(memory, count, err);
    for (size_t i = 0; i < count && code == DOBBY_OK; i++) {
        size_t at = memory_find(memory, records[i].id);
        if (at < memory->count) {
            merge(memory->entries[at], made[i], counts);
        } else {
            made[i]->attempt = memory->attempt_floor;
            memory->entries[memory->count++] = made[i];
            counts->added++;
        }
        made[i] = NULL;
    }
done:
    for (size_t i = 0; i < count; i++)
        entry_free(made[i]);
    free(made);
    return code;
}

static bool in_scope(const char *path, const char *scope)
{
    size_t length = strlen(scope);
    return length == 0 ||
           (strncmp(path, scope, length) == 0 && (path[length] == '\0' || path[length] == '/'));
}

static dobby_code memory_sync_end(struct store *store, const char *path_scope, struct put_counts *counts,
                                  struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    size_t kept = 0;
    (void)err;
    for (size_t i = 0; i < memory->count; i++) {
        struct entry *entry = memory->entries[i];
        if (!entry->seen && strcmp(entry->source, memory->source) == 0 && in_scope(entry->path, path_scope)) {
            if (entry->attempt > memory->attempt_floor)
                memory->attempt_floor = entry->attempt;
            entry_free(entry);
            counts->removed++;
        } else {
            memory->entries[kept++] = entry;
        }
    }
    memory->count = kept;
    return DOBBY_OK;
}

static const struct store_ops ops = {
    .name = "memory",
    .close = memory_close,
    .sources = memory_sources,
    .sync_begin = memory_sync_begin,
    .put = memory_put,
    .sync_end = memory_sync_end,
    .claim = memory_claim,
    .renew = memory_renew,
    .settle = memory_settle,
    .owners = memory_owners,
    .release_owner = memory_release_owner,
    .count = memory_count,
    .reasons = memory_reasons,
    .list = memory_list,
    .get = memory_get,
    .examine = memory_examine,
    .run_begin = memory_run_begin,
    .run_update = memory_run_update,
    .run_poll = memory_run_poll,
    .run_command = memory_run_command,
    .run_lost = memory_run_lost,
    .run_list = memory_run_list,
    .find_results = memory_find_results,
    .stale_count = memory_stale_count,
    .cuts = memory_cuts,
    .requeue_stale = memory_requeue_stale,
    .requeue = memory_requeue,
};

dobby_code store_memory_open(struct store **out, struct dobby_error *err)
{
    struct memory_store *memory = calloc(1, sizeof *memory);
    *out = NULL;
    if (memory == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a memory store");
    memory->store.ops = &ops;
    *out = &memory->store;
    return DOBBY_OK;
}
