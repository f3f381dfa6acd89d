/* Summaries made with other settings, which a run keeps or makes anew.
 *
 * To be made anew a record becomes PENDING, and only a run with the same settings makes of it what was
 * wanted. So they are queued as they are claimed, when nothing else is left to claim: a run that is capped,
 * stopped or fails leaves the others as they were. */
#include "os/clock.h"
#include "pipeline/run_state.h"
#include "store/store_versions.h"

static struct provenance_key wanted(const struct run *run)
{
    const struct provenance *provenance = &run->provenance;
    return (struct provenance_key){.model_fingerprint = provenance->info->fingerprint,
                                   .precision = provenance->info->precision,
                                   .sampling = provenance->sampling,
                                   .template_id = provenance->template_id};
}

dobby_code run_count_stale(struct run *run, struct dobby_error *err)
{
    const struct provenance_key want = wanted(run);
    return store_stale_count(run->store, &want, &run->progress->stale_kept, err);
}

dobby_code run_count_stale_again(struct run *run, struct dobby_error *err)
{
    const struct provenance_key want = wanted(run);
    uint64_t count = 0;
    dobby_code code = store_stale_count(run->store, &want, &count, err);
    if (code == DOBBY_OK && count < run->progress->stale_kept)
        run->progress->stale_kept = count;
    return code;
}

uint64_t run_stale_left(const struct run *run)
{
    return run->options->stale_redo ? run->progress->stale_kept : 0;
}

/* What was done stays done when a later part was refused. */
static void note(struct run *run, const struct stale_counts *counts)
{
    struct run_progress *progress = run->progress;
    const uint64_t done = counts->requeued + counts->restored;
    progress->stale_redone += counts->requeued;
    progress->stale_restored += counts->restored;
    progress->stale_kept = progress->stale_kept > done ? progress->stale_kept - done : 0;
}

dobby_code run_redo_stale(struct run *run, uint64_t limit, bool *queued, struct dobby_error *err)
{
    const struct provenance_key want = wanted(run);
    const uint64_t left_before = run_stale_left(run);
    struct stale_counts counts = {0};
    *queued = false;
    if (limit > left_before)
        limit = left_before;
    dobby_code code = store_requeue_stale(run->store, &want, clock_unix_us(), limit, &counts, err);
    note(run, &counts);
    if (code == DOBBY_OK && counts.requeued + counts.restored == 0)
        run->progress->stale_kept = 0; /* others were faster */
    const uint64_t left = run_stale_left(run) + counts.requeued;
    const uint64_t gone = left_before > left ? left_before - left : 0; /* no work any more */
    run_lower_total(run, gone);
    *queued = counts.requeued > 0;
    return code;
}
