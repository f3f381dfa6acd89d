/* Versions of the memory store. */
#include "base/limits.h"
#include "store/memory_entry.h"

#include <stdlib.h>
#include <string.h>

static dobby_code visit_summary(const struct entry *entry, size_t at, size_t key_index,
                                summary_visit_fn *visit, void *context, struct dobby_error *err)
{
    const struct version *version = &entry->versions[at];
    struct summary_row row = {
        .record_id = entry->id,
        .summary = version->summary,
        .current = at == entry->current,
        .of_present_content = memcmp(version->content_sha256, entry->content_sha256, SHA256_BYTES) == 0,
        .created_unix_us = version->created_us,
        .key_index = key_index,
    };
    return visit(context, &row, err);
}

dobby_code memory_find_results(struct store *store, const uint8_t (*keys)[SHA256_BYTES], size_t count,
                               summary_visit_fn *visit, void *context, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    dobby_code code = DOBBY_OK;
    for (size_t k = 0; k < count && code == DOBBY_OK; k++) {
        const struct entry *first = NULL;
        size_t first_at = 0;
        for (size_t i = 0; i < memory->count; i++) {
            const struct entry *entry = memory->entries[i];
            size_t at = entry_find_version(entry, keys[k]);
            if (at == entry->version_count ||
                (first != NULL && first->versions[first_at].number < entry->versions[at].number))
                continue;
            first = entry;
            first_at = at;
        }
        if (first != NULL)
            code = visit_summary(first, first_at, k, visit, context, err);
    }
    return code;
}

/* ---- what is stale ---- */

static bool is_wanted(const struct summary *summary, const struct provenance_key *want)
{
    return strcmp(summary->model_fingerprint, want->model_fingerprint) == 0 &&
           strcmp(summary->precision, want->precision) == 0 &&
           strcmp(summary->sampling, want->sampling) == 0 &&
           strcmp(summary->template_id, want->template_id) == 0;
}

static bool is_stale(const struct entry *entry, const struct provenance_key *want)
{
    const struct version *current = entry_current(entry);
    return (entry->state == RECORD_COMPLETED || entry->state == RECORD_DEGRADED) && current != NULL &&
           !is_wanted(current->summary, want);
}

dobby_code memory_stale_count(struct store *store, const struct provenance_key *want, uint64_t *count,
                              struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)err;
    for (size_t i = 0; i < memory->count; i++)
        *count += is_stale(memory->entries[i], want);
    return DOBBY_OK;
}

/* Orders by source, then by cut. */
static int compare_cuts(const struct cut_row *a, const char *source, const char *cut)
{
    int order = strcmp(a->source, source);
    return order != 0 ? order : strcmp(a->cut, cut);
}

/* The first pair of source and cut behind the last one, with its counts; false when there is none. */
static bool next_cut(const struct memory_store *memory, const char *want, const struct cut_row *last,
                     struct cut_row *next)
{
    *next = (struct cut_row){0};
    for (size_t i = 0; i < memory->count; i++) {
        const struct entry *entry = memory->entries[i];
        if (entry->cut == NULL || (want != NULL && strcmp(entry->cut, want) == 0) ||
            (last->source != NULL && compare_cuts(last, entry->source, entry->cut) >= 0))
            continue;
        const int order = next->source == NULL ? 1 : compare_cuts(next, entry->source, entry->cut);
        if (order > 0)
            *next = (struct cut_row){.source = entry->source, .cut = entry->cut};
        if (order >= 0) {
            next->records++;
            next->results += entry->state == RECORD_COMPLETED || entry->state == RECORD_DEGRADED;
        }
    }
    return next->source != NULL;
}

dobby_code memory_cuts(struct store *store, const char *want, cut_visit_fn *visit, void *context,
                       struct dobby_error *err)
{
    const struct memory_store *memory = (struct memory_store *)store;
    struct cut_row last = {0}, row;
    dobby_code code = DOBBY_OK;
    for (; code == DOBBY_OK && next_cut(memory, want, &last, &row); last = row)
        code = visit(context, &row, err);
    return code;
}

static void make_pending(struct entry *entry, int64_t now_us)
{
    free(entry->error_id);
    free(entry->reason);
    entry->error_id = NULL;
    entry->reason = NULL;
    entry->state = RECORD_PENDING;
    entry->state_us = now_us;
    entry->tries = 0;
}

/* The newest version of the present content that is as wanted; version_count where there is none. */
static size_t find_rival(const struct entry *entry, const struct provenance_key *want)
{
    for (size_t i = entry->version_count; i > 0; i--) {
        const struct version *version = &entry->versions[i - 1];
        if (is_wanted(version->summary, want) &&
            memcmp(version->content_sha256, entry->content_sha256, SHA256_BYTES) == 0)
            return i - 1;
    }
    return entry->version_count;
}

static dobby_code redo(struct entry *entry, const struct provenance_key *want, int64_t now_us,
                       struct stale_counts *counts, struct dobby_error *err)
{
    size_t rival = find_rival(entry, want);
    if (rival == entry->version_count) {
        make_pending(entry, now_us);
        counts->requeued++;
        return DOBBY_OK;
    }
    const char *degraded_reason = entry->versions[rival].summary->degraded_reason;
    char *reason = NULL;
    if (!text_copy(&reason, degraded_reason))
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the version of %s", entry->id);
    free(entry->reason);
    entry->reason = reason;
    entry->state = reason == NULL ? RECORD_COMPLETED : RECORD_DEGRADED;
    entry->state_us = now_us;
    entry->current = rival;
    counts->restored++;
    return DOBBY_OK;
}

dobby_code memory_requeue_stale(struct store *store, const struct provenance_key *want, int64_t now_unix_us,
                                uint64_t limit, struct stale_counts *counts, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < memory->count && code == DOBBY_OK; i++) {
        if (counts->requeued + counts->restored == limit)
            break;
        if (is_stale(memory->entries[i], want))
            code = redo(memory->entries[i], want, now_unix_us, counts, err);
    }
    return code;
}

dobby_code memory_requeue(struct store *store, const struct record_filter *which, int64_t now_unix_us,
                          uint64_t *count, struct dobby_error *err)
{
    static const enum record_state states[] = {RECORD_DEGRADED, RECORD_FAILED, RECORD_SKIPPED};
    struct memory_store *memory = (struct memory_store *)store;
    (void)err;
    for (size_t s = 0; s < sizeof states / sizeof states[0]; s++) {
        for (size_t i = 0; i < memory->count; i++) {
            struct entry *entry = memory->entries[i];
            if (which->limit != 0 && *count == which->limit)
                return DOBBY_OK;
            if (entry->state != states[s] || entry->excluded || !memory_matches(entry, which))
                continue;
            make_pending(entry, now_unix_us);
            (*count)++;
        }
    }
    return DOBBY_OK;
}
