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

static void release_entry(struct outbox_entry *entry)
{
    free(entry->text);
    free(entry->engine);
}

void outbox_release(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++)
        release_entry(&outbox->entries[i]);
    free(outbox->entries);
    free(outbox->outcomes);
    *outbox = (struct outbox){0};
}

struct outbox_entry *outbox_add(struct outbox *outbox, const struct lease *lease, enum outcome_kind kind)
{
    assert(outbox->count < outbox->capacity);
    if (outbox_due(outbox) == 0)
        outbox->oldest_ns = clock_monotonic_ns();
    struct outbox_entry *entry = &outbox->entries[outbox->count++];
    *entry = (struct outbox_entry){.lease = *lease, .kind = kind};
    outbox->failed += kind == OUTCOME_FAILED;
    return entry;
}

struct outbox_entry *outbox_add_reason(struct outbox *outbox, const struct lease *lease,
                                       enum outcome_kind kind, const char *format, ...)
{
    struct outbox_entry *entry = outbox_add(outbox, lease, kind);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(entry->reason, sizeof(entry->reason), format, arguments);
    va_end(arguments);
    return entry;
}

size_t outbox_due(const struct outbox *outbox)
{
    return outbox->count - outbox->held;
}

void outbox_hold(struct outbox *outbox, struct outbox_entry *entry, uint64_t asked)
{
    assert(!entry->held);
    if (outbox->held++ == 0)
        outbox->held_ns = clock_monotonic_ns();
    outbox->failed -= entry->kind == OUTCOME_FAILED;
    entry->held = true;
    entry->held_at = asked;
}

static void let_go(struct outbox *outbox, struct outbox_entry *entry)
{
    if (outbox_due(outbox) == 0)
        outbox->oldest_ns = clock_monotonic_ns();
    outbox->held--;
    outbox->failed += entry->kind == OUTCOME_FAILED;
    entry->held = false;
}

void outbox_charge(struct outbox *outbox, uint64_t asked)
{
    const size_t before = outbox->held;
    for (size_t i = 0; i < outbox->count && outbox->held > 0; i++)
        if (outbox->entries[i].held && outbox->entries[i].held_at < asked)
            let_go(outbox, &outbox->entries[i]);
    if (outbox->held < before) /* what is left is younger */
        outbox->held_ns = clock_monotonic_ns();
}

void outbox_pardon(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count && outbox->held > 0; i++) {
        if (!outbox->entries[i].held)
            continue;
        outbox->entries[i].kind = OUTCOME_RELEASED;
        let_go(outbox, &outbox->entries[i]);
    }
}

static void describe(const struct outbox_entry *entry, const char *run_id, struct outcome *outcome)
{
    bool has_summary = entry->kind == OUTCOME_COMPLETED || entry->kind == OUTCOME_DEGRADED;
    bool has_reason = entry->kind != OUTCOME_COMPLETED && entry->kind != OUTCOME_RELEASED;
    bool has_error = entry->kind == OUTCOME_FAILED || entry->kind == OUTCOME_RETRY;
    *outcome = (struct outcome){.record_id = entry->lease.id,
                                .attempt = entry->lease.attempt,
                                .kind = entry->kind,
                                .summary = has_summary ? &entry->summary : NULL,
                                .error_id = has_error ? entry->error_id : NULL,
                                .reason = has_reason ? entry->reason : NULL,
                                .run_id = run_id,
                                .retry_unix_us = entry->kind == OUTCOME_RETRY ? entry->retry_unix_us : 0};
}

static void count(const struct outcome *outcome, struct run_progress *progress)
{
    struct run_counts one = {0};
    run_counts_add(&one, outcome);
    progress->completed += one.completed;
    progress->degraded += one.degraded;
    progress->failed += one.failed;
    progress->skipped += one.skipped;
    progress->stale += one.stale;
    progress->retried += one.retried;
    progress->reused += one.reused;
    progress->tokens_in += one.tokens_in;
    progress->tokens_out += one.tokens_out;
}

/* What store_settle is to be given, in order; returns how many. */
static size_t choose(struct outbox *outbox)
{
    size_t chosen = 0;
    for (size_t i = 0; i < outbox->count && chosen < LIMIT_BATCH_RECORDS; i++)
        if (!outbox->entries[i].held)
            describe(&outbox->entries[i], outbox->run_id, &outbox->outcomes[chosen++]);
    return chosen;
}

dobby_code outbox_settle(struct outbox *outbox, struct store *store, struct run_progress *progress,
                         bool *returned, struct dobby_error *err)
{
    const size_t chosen = choose(outbox);
    *returned = false;
    if (chosen == 0)
        return DOBBY_OK;
    dobby_code code = store_settle(store, outbox->outcomes, chosen, clock_unix_us(), err);
    if (code != DOBBY_OK)
        return code;
    size_t settled = 0, kept = 0;
    for (size_t i = 0; i < outbox->count; i++) {
        struct outbox_entry *entry = &outbox->entries[i];
        if (entry->held || settled == chosen) {
            if (kept != i)
                outbox->entries[kept] = *entry;
            kept++;
            continue;
        }
        *returned = *returned || entry->kind == OUTCOME_RELEASED || entry->kind == OUTCOME_RETRY;
        count(&outbox->outcomes[settled++], progress);
        outbox->failed -= entry->kind == OUTCOME_FAILED;
        release_entry(entry);
    }
    outbox->count = kept;
    return DOBBY_OK;
}
