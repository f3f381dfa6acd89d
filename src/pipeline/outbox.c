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
    if (outbox->count == 0)
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

/* What an engine in doubt is no witness against: a try that is to be repeated, and a first one that failed
 * for good. What had failed before that stays. */
static bool is_doubtful(const struct outbox_entry *entry)
{
    return entry->kind == OUTCOME_RETRY || (entry->kind == OUTCOME_FAILED && entry->lease.tries == 1);
}

void outbox_pardon(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++) {
        struct outbox_entry *entry = &outbox->entries[i];
        if (!is_doubtful(entry))
            continue;
        outbox->failed -= entry->kind == OUTCOME_FAILED;
        entry->kind = OUTCOME_RELEASED;
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

dobby_code outbox_settle(struct outbox *outbox, struct store *store, struct run_progress *progress,
                         bool *returned, struct dobby_error *err)
{
    size_t settled = outbox->count < LIMIT_BATCH_RECORDS ? outbox->count : LIMIT_BATCH_RECORDS;
    *returned = false;
    if (settled == 0)
        return DOBBY_OK;
    for (size_t i = 0; i < settled; i++)
        describe(&outbox->entries[i], outbox->run_id, &outbox->outcomes[i]);
    dobby_code code = store_settle(store, outbox->outcomes, settled, clock_unix_us(), err);
    if (code != DOBBY_OK)
        return code;
    for (size_t i = 0; i < settled; i++) {
        enum outcome_kind kind = outbox->outcomes[i].kind;
        *returned = *returned || kind == OUTCOME_RELEASED || kind == OUTCOME_RETRY;
        count(&outbox->outcomes[i], progress);
        outbox->failed -= kind == OUTCOME_FAILED;
        release_entry(&outbox->entries[i]);
    }
    outbox->count -= settled;
    memmove(outbox->entries, outbox->entries + settled, outbox->count * sizeof(outbox->entries[0]));
    return DOBBY_OK;
}
