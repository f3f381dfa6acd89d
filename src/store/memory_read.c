/* Reading of the memory store: everything is gathered, sorted and then visited. */
#include "base/limits.h"
#include "store/glob.h"
#include "store/memory_entry.h"
#include "store/store_batch.h"

#include <stdlib.h>
#include <string.h>

static int compare_count(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Source, path, position, and then the order in which they were put. */
struct place {
    const struct entry *entry;
    size_t order;
};

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left;
    const struct place *b = right;
    int order = strcmp(a->entry->source, b->entry->source);
    if (order == 0)
        order = strcmp(a->entry->path, b->entry->path);
    if (order == 0)
        order = compare_count(a->entry->position, b->entry->position);
    return order != 0 ? order : compare_count(a->order, b->order);
}

static dobby_code visit_entry(const struct entry *entry, bool with_content, record_visit_fn *visit,
                              void *context, struct dobby_error *err)
{
    struct record_row row = {
        .id = entry->id,
        .source = entry->source,
        .path = entry->path,
        .language = entry->language,
        .first_line = entry->first_line,
        .last_line = entry->last_line,
        .position = entry->position,
        .state = entry->state,
        .attempt = entry->attempt,
        .tries = entry->tries,
        .error_id = entry->error_id,
        .reason = entry->reason,
        .content_length = entry->content_length,
        .content = with_content ? entry->content : NULL,
        .state_unix_us = entry->state_us,
        .summary = entry->summary,
        .summary_unix_us = entry->summary == NULL ? 0 : entry->summary_us,
    };
    memcpy(row.content_sha256, entry->content_sha256, SHA256_BYTES);
    return visit(context, &row, err);
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool matches(const struct entry *entry, const struct record_filter *filter)
{
    return (filter->state == RECORD_UNKNOWN || entry->state == filter->state) &&
           (filter->path_glob == NULL || glob_match(filter->path_glob, entry->path)) &&
           (filter->id_prefix == NULL || begins_with(entry->id, filter->id_prefix));
}

dobby_code memory_list(struct store *store, const struct record_filter *filter, record_visit_fn *visit,
                       void *context, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    dobby_code code = DOBBY_OK;
    size_t count = 0;
    struct place *places = calloc(memory->count + 1, sizeof *places);
    if (places == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a listing of %zu records", memory->count);
    for (size_t i = 0; i < memory->count; i++) {
        if (matches(memory->entries[i], filter))
            places[count++] = (struct place){memory->entries[i], i};
    }
    qsort(places, count, sizeof *places, compare_places);
    if (filter->limit != 0 && filter->limit < count)
        count = (size_t)filter->limit;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++)
        code = visit_entry(places[i].entry, filter->with_content, visit, context, err);
    free(places);
    return code;
}

dobby_code memory_get(struct store *store, const char *id, record_visit_fn *visit, void *context,
                      struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    const struct entry *found = NULL;
    size_t exact = memory_find(memory, id);
    if (exact < memory->count)
        return visit_entry(memory->entries[exact], true, visit, context, err);
    for (size_t i = 0; i < memory->count; i++) {
        if (!begins_with(memory->entries[i]->id, id))
            continue;
        if (found != NULL)
            return DOBBY_FAIL(err, DOBBY_STORE_AMBIGUOUS_ID, "more than one id begins with %s", id);
        found = memory->entries[i];
    }
    if (found == NULL)
        return DOBBY_FAIL(err, DOBBY_STORE_NOT_FOUND, "no record's id is or begins with %s", id);
    return visit_entry(found, true, visit, context, err);
}

dobby_code memory_count(struct store *store, struct store_counts *out, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)err;
    for (size_t i = 0; i < memory->count; i++) {
        const struct entry *entry = memory->entries[i];
        out->by_state[entry->state]++;
        out->total++;
        if (entry->summary != NULL) {
            out->summaries++;
            out->tokens_in += entry->summary->tokens_in;
            out->tokens_out += entry->summary->tokens_out;
        }
    }
    return DOBBY_OK;
}

static int compare_reasons(const void *left, const void *right)
{
    const struct reason_count *a = left;
    const struct reason_count *b = right;
    int order = compare_count(b->count, a->count);
    if (order == 0)
        order = strcmp(a->reason, b->reason);
    return order != 0 ? order : compare_count(a->state, b->state);
}

dobby_code memory_reasons(struct store *store, struct reason_counts *out, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    for (size_t i = 0; i < memory->count; i++) {
        const struct entry *entry = memory->entries[i];
        if (entry->reason == NULL)
            continue;
        size_t at = 0;
        while (at < out->count &&
               (out->rows[at].state != entry->state || strcmp(out->rows[at].reason, entry->reason) != 0))
            at++;
        if (at < out->count) {
            out->rows[at].count++;
            continue;
        }
        dobby_code code = reason_counts_add(out, entry->reason, entry->state, 1, err);
        if (code != DOBBY_OK)
            return code;
    }
    if (out->count > 0)
        qsort(out->rows, out->count, sizeof *out->rows, compare_reasons);
    while (out->count > LIMIT_REASON_ROWS)
        free(out->rows[--out->count].reason);
    return DOBBY_OK;
}
