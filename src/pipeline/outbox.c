#include "pipeline/outbox.h"

#include "os/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

dobby_code outbox_init(struct outbox *outbox, size_t capacity, struct dobby_error *err)
{
    *outbox = (struct outbox){.entries = calloc(capacity, sizeof(struct outbox_entry)),
                              .outcomes = calloc(capacity, sizeof(struct outcome)),
                              .capacity = capacity};
    if (outbox->entries == NULL || outbox->outcomes == NULL) {
        outbox_release(outbox);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "an outbox of %zu outcomes", capacity);
    }
    return DOBBY_OK;
}

void outbox_release(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++)
        free(outbox->entries[i].text);
    free(outbox->entries);
    free(outbox->outcomes);
    *outbox = (struct outbox){0};
}

struct outbox_entry *outbox_add(struct outbox *outbox, const char *id, uint32_t attempt,
                                enum outcome_kind kind)
{
    assert(outbox->count < outbox->capacity);
    if (outbox->count == 0)
        outbox->oldest_ns = clock_monotonic_ns();
    struct outbox_entry *entry = &outbox->entries[outbox->count++];
    *entry = (struct outbox_entry){.attempt = attempt, .kind = kind};
    snprintf(entry->id, sizeof(entry->id), "%s", id);
    return entry;
}

void outbox_add_reason(struct outbox *outbox, const char *id, uint32_t attempt, enum outcome_kind kind,
                       const char *format, ...)
{
    struct outbox_entry *entry = outbox_add(outbox, id, attempt, kind);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(entry->reason, sizeof(entry->reason), format, arguments);
    va_end(arguments);
}

static void describe(const struct outbox_entry *entry, struct outcome *outcome)
{
    bool has_summary = entry->kind == OUTCOME_COMPLETED || entry->kind == OUTCOME_DEGRADED;
    bool has_reason = entry->kind != OUTCOME_COMPLETED && entry->kind != OUTCOME_RELEASED;
    *outcome = (struct outcome){.record_id = entry->id,
                                .attempt = entry->attempt,
                                .kind = entry->kind,
                                .summary = has_summary ? &entry->summary : NULL,
                                .error_id = entry->error_id,
                                .reason = has_reason ? entry->reason : NULL};
}

static void count(const struct outcome *outcome, struct run_progress *progress)
{
    if (outcome->kind == OUTCOME_RELEASED)
        return;
    if (outcome->stale) {
        progress->stale++;
        return;
    }
    if (outcome->kind == OUTCOME_COMPLETED)
        progress->completed++;
    else if (outcome->kind == OUTCOME_DEGRADED)
        progress->degraded++;
    else if (outcome->kind == OUTCOME_FAILED)
        progress->failed++;
    else
        progress->skipped++;
    if (outcome->summary != NULL) {
        progress->tokens_in += outcome->summary->tokens_in;
        progress->tokens_out += outcome->summary->tokens_out;
    }
}

dobby_code outbox_settle(struct outbox *outbox, struct store *store, struct run_progress *progress,
                         struct dobby_error *err)
{
    size_t settled = outbox->count < LIMIT_BATCH_RECORDS ? outbox->count : LIMIT_BATCH_RECORDS;
    if (settled == 0)
        return DOBBY_OK;
    for (size_t i = 0; i < settled; i++)
        describe(&outbox->entries[i], &outbox->outcomes[i]);
    dobby_code code = store_settle(store, outbox->outcomes, settled, clock_unix_us(), err);
    if (code != DOBBY_OK)
        return code;
    for (size_t i = 0; i < settled; i++) {
        count(&outbox->outcomes[i], progress);
        free(outbox->entries[i].text);
    }
    outbox->count -= settled;
    memmove(outbox->entries, outbox->entries + settled, outbox->count * sizeof(outbox->entries[0]));
    return DOBBY_OK;
}
