/* Leases and results of the memory store. */
#include "base/limits.h"
#include "store/memory_entry.h"
#include "store/store_batch.h"

#include <stdlib.h>
#include <string.h>

/* ---- leases ---- */

struct candidate {
    struct entry *entry;
    int64_t due_us; /* of the retry or of the lease's end */
    size_t order;   /* of the puts */
};

static int compare_due(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;
    int order = (a->due_us > b->due_us) - (a->due_us < b->due_us);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static int compare_order(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;
    return (a->order > b->order) - (a->order < b->order);
}

enum candidate_kind {
    CANDIDATE_READY,
    CANDIDATE_DUE,
    CANDIDATE_TOO_FAR_AHEAD,
    CANDIDATE_EXPIRED,
    CANDIDATE_KINDS
};

/* Whether the entry is such a candidate. Sets *due_us. */
static bool is_candidate(const struct entry *entry, enum candidate_kind kind, int64_t now_us, int64_t *due_us)
{
    const int64_t ahead_us = now_us + LIMIT_RETRY_WAIT_MS * INT64_C(1000);
    const bool pending = entry->state == RECORD_PENDING;
    *due_us = pending ? entry->retry_us : entry->lease_until_us;
    switch (kind) {
    case CANDIDATE_READY:
        return pending && entry->retry_us == 0;
    case CANDIDATE_DUE:
        return pending && entry->retry_us != 0 && entry->retry_us <= now_us;
    case CANDIDATE_TOO_FAR_AHEAD:
        return pending && entry->retry_us != 0 && entry->retry_us > ahead_us;
    case CANDIDATE_EXPIRED:
        return entry->state == RECORD_LEASED && entry->lease_until_us <= now_us;
    case CANDIDATE_KINDS:
        break;
    }
    return false;
}

/* Up to limit of each kind of candidate, then of these what was put first; *count is at most limit. */
static struct candidate *find_candidates(const struct memory_store *memory, int64_t now_us, size_t limit,
                                         size_t *count)
{
    size_t found = 0;
    struct candidate *candidates = calloc(CANDIDATE_KINDS * memory->count + 1, sizeof *candidates);
    if (candidates == NULL)
        return NULL;
    for (int kind = 0; kind < CANDIDATE_KINDS; kind++) {
        const size_t first = found;
        for (size_t i = 0; i < memory->count; i++) {
            int64_t due_us = 0;
            if (is_candidate(memory->entries[i], (enum candidate_kind)kind, now_us, &due_us))
                candidates[found++] = (struct candidate){memory->entries[i], due_us, i};
        }
        qsort(candidates + first, found - first, sizeof *candidates, compare_due);
        if (found - first > limit)
            found = first + limit;
    }
    qsort(candidates, found, sizeof *candidates, compare_order);
    *count = found < limit ? found : limit;
    return candidates;
}

/* The earliest time at which owner may find more; 0 where there is none. */
static int64_t next_time(const struct memory_store *memory, const char *owner, int64_t now_us)
{
    int64_t next_us = 0;
    for (size_t i = 0; i < memory->count; i++) {
        const struct entry *entry = memory->entries[i];
        int64_t time_us = 0;
        if (entry->state == RECORD_PENDING)
            time_us = entry->retry_us;
        else if (entry->state == RECORD_LEASED && strcmp(entry->owner, owner) != 0)
            time_us = entry->lease_until_us;
        if (time_us > now_us && (next_us == 0 || time_us < next_us))
            next_us = time_us;
    }
    return next_us;
}

/* Adds the record as it will be when it is leased. */
static dobby_code add_claimed(struct record_batch *batch, const struct entry *entry, struct dobby_error *err)
{
    struct record record = {.id = entry->id,
                            .source = entry->source,
                            .path = entry->path,
                            .language = entry->language,
                            .first_line = entry->first_line,
                            .last_line = entry->last_line,
                            .position = entry->position,
                            .content = entry->content,
                            .content_length = entry->content_length,
                            .attempt = entry->attempt + 1,
                            .tries = entry->tries + 1};
    return record_batch_add(batch, &record, err);
}

dobby_code memory_claim(struct store *store, const char *owner, int64_t now_unix_us,
                        int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                        struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    char *owners[LIMIT_BATCH_RECORDS] = {NULL};
    size_t count = 0;
    size_t claimed = 0;
    size_t content_bytes = 0;
    struct candidate *candidates = NULL;
    dobby_code code = record_batch_open(out, limit, err);
    if (code != DOBBY_OK)
        return code;
    candidates = find_candidates(memory, now_unix_us, limit, &count);
    if (candidates == NULL)
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu leases", limit);
    while (claimed < count && code == DOBBY_OK) {
        content_bytes += candidates[claimed].entry->content_length;
        if (claimed > 0 && content_bytes > LIMIT_BATCH_CONTENT_BYTES)
            break;
        owners[claimed] = strdup(owner);
        if (owners[claimed] == NULL)
            code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a lease");
        else
            code = add_claimed(out, candidates[claimed++].entry, err);
    }
    for (size_t i = 0; i < claimed; i++) {
        struct entry *entry = candidates[i].entry;
        if (code != DOBBY_OK) {
            free(owners[i]);
            continue;
        }
        free(entry->owner);
        entry->owner = owners[i];
        entry->lease_until_us = lease_until_unix_us;
        entry->retry_us = 0;
        entry->state = RECORD_LEASED;
        entry->state_us = now_unix_us;
        entry->attempt++;
        entry->tries++;
    }
    if (code == DOBBY_OK && claimed < limit)
        out->next_unix_us = claimed < count ? now_unix_us : next_time(memory, owner, now_unix_us);
    free(candidates);
    return code;
}

static bool leased_by(const struct entry *entry, const char *owner)
{
    return entry->state == RECORD_LEASED && strcmp(entry->owner, owner) == 0;
}

dobby_code memory_renew(struct store *store, const char *owner, int64_t lease_until_unix_us,
                        uint64_t *renewed, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)err;
    for (size_t i = 0; i < memory->count; i++) {
        if (leased_by(memory->entries[i], owner)) {
            memory->entries[i]->lease_until_us = lease_until_unix_us;
            (*renewed)++;
        }
    }
    return DOBBY_OK;
}

static void leave_lease(struct entry *entry, enum record_state state, int64_t now_us)
{
    free(entry->owner);
    entry->owner = NULL;
    entry->lease_until_us = 0;
    entry->state = state;
    entry->state_us = now_us;
}

dobby_code memory_release_owner(struct store *store, const char *owner, int64_t now_unix_us,
                                uint64_t *released, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)err;
    for (size_t i = 0; i < memory->count; i++) {
        if (leased_by(memory->entries[i], owner)) {
            leave_lease(memory->entries[i], RECORD_PENDING, now_unix_us);
            (*released)++;
        }
    }
    return DOBBY_OK;
}

dobby_code memory_owners(struct store *store, struct owner_list *out, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    const char *last = NULL;
    for (;;) {
        /* The next owner after the last one, in byte order. */
        const char *next = NULL;
        for (size_t i = 0; i < memory->count; i++) {
            const char *owner = memory->entries[i]->owner;
            if (owner != NULL && (last == NULL || strcmp(owner, last) > 0) &&
                (next == NULL || strcmp(owner, next) < 0))
                next = owner;
        }
        if (next == NULL)
            return DOBBY_OK;
        dobby_code code = owner_list_add(out, next, err);
        if (code != DOBBY_OK)
            return code;
        last = next;
    }
}

/* ---- settling ---- */

/* What an outcome will put into its record, made before anything changes. */
struct settlement {
    struct entry *entry; /* NULL: stale */
    struct summary *summary;
    char *error_id, *reason, *degraded_reason;
};

static void settlement_release(struct settlement *settlement)
{
    summary_free(settlement->summary);
    free(settlement->error_id);
    free(settlement->reason);
    free(settlement->degraded_reason);
}

static dobby_code settlement_init(struct settlement *settlement, struct memory_store *memory,
                                  const struct outcome *outcome, struct dobby_error *err)
{
    *settlement = (struct settlement){0};
    size_t at = memory_find(memory, outcome->record_id);
    if (at == memory->count || memory->entries[at]->state != RECORD_LEASED ||
        memory->entries[at]->attempt != outcome->attempt)
        return DOBBY_OK;
    settlement->entry = memory->entries[at];
    if (outcome->summary != NULL)
        settlement->summary = summary_copy(outcome->summary);
    if ((outcome->summary != NULL && settlement->summary == NULL) ||
        (outcome->summary != NULL && !entry_reserve_version(settlement->entry)) ||
        (outcome->kind == OUTCOME_DEGRADED && !text_copy(&settlement->degraded_reason, outcome->reason)) ||
        !text_copy(&settlement->error_id, outcome->error_id) ||
        !text_copy(&settlement->reason, outcome->reason))
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the result of %s", outcome->record_id);
    return DOBBY_OK;
}

static void label_swap(const char **a, const char **b)
{
    const char *kept = *a;
    *a = *b;
    *b = kept;
}

/* Makes the settlement's summary current. An equal key is an equal result: then the version that is there
 * becomes the current one again, as made by the present settings, which may name another prompt template of
 * the same text. */
static void add_version(struct memory_store *memory, struct settlement *settlement, int64_t now_us)
{
    struct entry *entry = settlement->entry;
    size_t at = entry_find_version(entry, settlement->summary->result_key);
    if (at == entry->version_count) {
        entry->versions[entry->version_count++] =
            (struct version){.summary = settlement->summary, .created_us = now_us};
        entry->versions[at].number = memory->version_number++;
        settlement->summary = NULL;
    } else {
        struct summary *there = entry->versions[at].summary;
        label_swap(&there->model, &settlement->summary->model);
        label_swap(&there->model_fingerprint, &settlement->summary->model_fingerprint);
        label_swap(&there->precision, &settlement->summary->precision);
        label_swap(&there->sampling, &settlement->summary->sampling);
        label_swap(&there->template_id, &settlement->summary->template_id);
    }
    struct version *version = &entry->versions[at];
    memcpy(version->content_sha256, entry->content_sha256, SHA256_BYTES);
    free((char *)version->summary->degraded_reason);
    version->summary->degraded_reason = settlement->degraded_reason;
    settlement->degraded_reason = NULL;
    entry->current = at;
}

static void settle_one(struct memory_store *memory, struct settlement *settlement, struct outcome *outcome,
                       int64_t now_us)
{
    struct entry *entry = settlement->entry;
    /* An earlier outcome of the same call may have settled it. */
    outcome->stale = entry == NULL || entry->state != RECORD_LEASED;
    if (outcome->stale)
        return;
    leave_lease(entry, outcome_state(outcome->kind), now_us);
    if (outcome->kind == OUTCOME_RELEASED) {
        entry->tries--;
        return;
    }
    entry->retry_us = outcome->retry_unix_us;
    text_swap(&entry->error_id, &settlement->error_id);
    text_swap(&entry->reason, &settlement->reason);
    if (settlement->summary != NULL)
        add_version(memory, settlement, now_us);
}

dobby_code memory_settle(struct store *store, struct outcome *outcomes, size_t count, int64_t now_unix_us,
                         struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    dobby_code code = DOBBY_OK;
    struct settlement *settlements = calloc(count, sizeof *settlements);
    if (settlements == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu outcomes", count);
    for (size_t i = 0; i < count && code == DOBBY_OK; i++)
        code = settlement_init(&settlements[i], memory, &outcomes[i], err);
    for (size_t i = 0; i < count; i++) {
        if (code == DOBBY_OK)
            settle_one(memory, &settlements[i], &outcomes[i], now_unix_us);
        if (code == DOBBY_OK)
            memory_run_count(memory, &outcomes[i]);
        settlement_release(&settlements[i]);
    }
    free(settlements);
    return code;
}
