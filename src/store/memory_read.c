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

/* Visits the record with this version of its; version_count is none. */
static dobby_code visit_version(const struct entry *entry, size_t at, bool with_content,
                                record_visit_fn *visit, void *context, struct dobby_error *err)
{
    const struct version *version = at == entry->version_count ? NULL : &entry->versions[at];
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
        .retry_unix_us = entry->retry_us,
        .summary = version == NULL ? NULL : version->summary,
        .summary_unix_us = version == NULL ? 0 : version->created_us,
        .summary_current = version != NULL && at == entry->current,
        .summary_of_present_content =
            version != NULL && memcmp(version->content_sha256, entry->content_sha256, SHA256_BYTES) == 0,
    };
    memcpy(row.content_sha256, entry->content_sha256, SHA256_BYTES);
    return visit(context, &row, err);
}

bool memory_matches(const struct entry *entry, const struct record_filter *filter)
{
    return (filter->state == RECORD_UNKNOWN || entry->state == filter->state) &&
           (filter->path_glob == NULL || glob_match(filter->path_glob, entry->path)) &&
           text_begins_with(entry->id, filter->id_prefix) &&
           (!filter->id_whole || filter->id_prefix == NULL || strcmp(entry->id, filter->id_prefix) == 0);
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
        if (memory_matches(memory->entries[i], filter))
            places[count++] = (struct place){memory->entries[i], i};
    }
    qsort(places, count, sizeof *places, compare_places);
    uint64_t left = filter->limit == 0 ? UINT64_MAX : filter->limit;
    for (size_t i = 0; i < count && left > 0 && code == DOBBY_OK; i++) {
        const struct entry *entry = places[i].entry;
        size_t visits = filter->with_versions && entry->version_count > 0 ? entry->version_count : 1;
        for (size_t j = 0; j < visits && left > 0 && code == DOBBY_OK; j++, left--) {
            size_t at = filter->with_versions ? visits - 1 - j : entry->current;
            code = visit_version(entry, at, filter->with_content, visit, context, err);
        }
    }
    free(places);
    return code;
}

dobby_code memory_find_one(struct memory_store *memory, const char *id, struct entry **found,
                           struct dobby_error *err)
{
    *found = NULL;
    size_t exact = memory_find(memory, id);
    if (exact < memory->count) {
        *found = memory->entries[exact];
        return DOBBY_OK;
    }
    for (size_t i = 0; i < memory->count; i++) {
        if (!text_begins_with(memory->entries[i]->id, id))
            continue;
        if (*found != NULL)
            return DOBBY_FAIL(err, DOBBY_STORE_AMBIGUOUS_ID, "more than one id begins with %s", id);
        *found = memory->entries[i];
    }
    if (*found == NULL)
        return DOBBY_FAIL(err, DOBBY_STORE_NOT_FOUND, "no record's id is or begins with %s", id);
    return DOBBY_OK;
}

dobby_code memory_get(struct store *store, const char *id, record_visit_fn *visit, void *context,
                      struct dobby_error *err)
{
    struct entry *found = NULL;
    dobby_code code = memory_find_one((struct memory_store *)store, id, &found, err);
    return code == DOBBY_OK ? visit_version(found, found->current, true, visit, context, err) : code;
}

dobby_code memory_count(struct store *store, struct store_counts *out, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)err;
    for (size_t i = 0; i < memory->count; i++) {
        const struct entry *entry = memory->entries[i];
        out->by_state[entry->state]++;
        out->total++;
        const struct version *current = entry_current(entry);
        if (current != NULL) {
            out->summaries++;
            out->tokens_in += current->summary->tokens_in;
            out->tokens_out += current->summary->tokens_out;
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
        order = strcmp(a->kind, b->kind);
    return order != 0 ? order : compare_count(a->state, b->state);
}

static bool is_of_kind(const char *reason, const char *kind)
{
    const size_t length = reason_kind_length(reason);
    return strlen(kind) == length && memcmp(kind, reason, length) == 0;
}

static dobby_code add_reason(struct reason_count *row, const char *reason, struct dobby_error *err)
{
    row->count++;
    if (strcmp(reason, row->example) >= 0)
        return DOBBY_OK;
    char *example = strdup(reason);
    if (example == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a reason");
    free(row->example);
    row->example = example;
    return DOBBY_OK;
}

dobby_code memory_reasons(struct store *store, struct reason_counts *out, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    for (size_t i = 0; i < memory->count; i++) {
        const struct entry *entry = memory->entries[i];
        if (entry->reason == NULL || (entry->state != RECORD_DEGRADED && entry->state != RECORD_FAILED &&
                                      entry->state != RECORD_SKIPPED))
            continue;
        size_t at = 0;
        while (at < out->count &&
               (out->rows[at].state != entry->state || !is_of_kind(entry->reason, out->rows[at].kind)))
            at++;
        dobby_code code = at < out->count ? add_reason(&out->rows[at], entry->reason, err)
                                          : reason_counts_add(out, entry->reason, entry->state, 1, err);
        if (code != DOBBY_OK)
            return code;
    }
    if (out->count > 0)
        qsort(out->rows, out->count, sizeof *out->rows, compare_reasons);
    while (out->count > LIMIT_REASON_ROWS) {
        free(out->rows[--out->count].kind);
        free(out->rows[out->count].example);
    }
    return DOBBY_OK;
}

dobby_code memory_examine(struct store *store, bool thorough, struct store_health *out,
                          struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)thorough;
    (void)err;
    for (size_t i = 0; i < memory->count; i++)
        out->database_bytes += memory->entries[i]->content_length;
    return DOBBY_OK;
}
