/* Leases and results of the memory store. */
#include "base/limits.h"
#include "store/memory_entry.h"
#include "store/store_batch.h"

#include <stdlib.h>
#include <string.h>

/* ---- leases ---- */

dobby_code memory_claim(struct store *store, const char *owner, int64_t now_unix_us,
                        int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                        struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    struct entry *claimed[LIMIT_BATCH_RECORDS];
    char *owners[LIMIT_BATCH_RECORDS];
    size_t count = 0;
    size_t content_bytes = 0;
    dobby_code code = record_batch_open(out, limit, err);
    for (size_t i = 0; i < memory->count && count < limit && code == DOBBY_OK; i++) {
        struct entry *entry = memory->entries[i];
        if (entry->state != RECORD_PENDING &&
            !(entry->state == RECORD_LEASED && entry->lease_until_us <= now_unix_us))
            continue;
        content_bytes += entry->content_length;
        if (count > 0 && content_bytes > LIMIT_BATCH_CONTENT_BYTES)
            break;
        struct record record = {.id = entry->id,
                                .source = entry->source,
                                .path = entry->path,
                                .language = entry->language,
                                .first_line = entry->first_line,
                                .last_line = entry->last_line,
                                .position = entry->position,
                                .content = entry->content,
                                .content_length = entry->content_length,
                                .attempt = entry->attempt + 1};
        owners[count] = strdup(owner);
        if (owners[count] == NULL)
            code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a lease");
        else
            claimed[count++] = entry;
        if (code == DOBBY_OK)
            code = record_batch_add(out, &record, err);
    }
    for (size_t i = 0; i < count; i++) {
        if (code != DOBBY_OK) {
            free(owners[i]);
            continue;
        }
        free(claimed[i]->owner);
        claimed[i]->owner = owners[i];
        claimed[i]->lease_until_us = lease_until_unix_us;
        claimed[i]->state = RECORD_LEASED;
        claimed[i]->state_us = now_unix_us;
        claimed[i]->attempt++;
        claimed[i]->tries++;
    }
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
    char *error_id, *reason;
};

static void settlement_release(struct settlement *settlement)
{
    summary_free(settlement->summary);
    free(settlement->error_id);
    free(settlement->reason);
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
        !text_copy(&settlement->error_id, outcome->error_id) ||
        !text_copy(&settlement->reason, outcome->reason))
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the result of %s", outcome->record_id);
    return DOBBY_OK;
}

static void settle_one(struct settlement *settlement, struct outcome *outcome, int64_t now_us)
{
    struct entry *entry = settlement->entry;
    /* An earlier outcome of the same call may have settled it. */
    outcome->stale = entry == NULL || entry->state != RECORD_LEASED;
    if (outcome->stale)
        return;
    leave_lease(entry, outcome_state(outcome->kind), now_us);
    if (outcome->kind == OUTCOME_RELEASED)
        entry->tries--;
    text_swap(&entry->error_id, &settlement->error_id);
    text_swap(&entry->reason, &settlement->reason);
    if (settlement->summary != NULL) {
        summary_free(entry->summary);
        entry->summary = settlement->summary;
        entry->summary_us = now_us;
        settlement->summary = NULL;
    }
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
            settle_one(&settlements[i], &outcomes[i], now_unix_us);
        settlement_release(&settlements[i]);
    }
    free(settlements);
    return code;
}
