/* A run: claim -> prompt -> infer -> save, until no record is left to claim.
 *
 * 1. At most sessions + one batch of records are leased at a time; queues are bounded by that.
 * 2. Leases are renewed while the run lives; a lost lease's result is refused by the store and counted.
 * 3. A drain (first Ctrl-C) stops claiming, finishes what is running, returns what is queued. A stop
 *    (second Ctrl-C) cancels what is running too. Both leave no lease behind.
 * 4. An engine or store failure ends the run with its error and burns no attempt: leases are returned. */
#ifndef PIPELINE_RUN_H
#define PIPELINE_RUN_H

#include "infer/engine.h"
#include "pipeline/prompt.h"
#include "store/store.h"

enum run_request { RUN_CONTINUE, RUN_DRAIN, RUN_STOP };

struct run_progress {
    uint64_t total;                                       /* records to do when the run began */
    uint64_t completed, degraded, failed, skipped, stale; /* by this run */
    uint64_t tokens_in, tokens_out;
    uint32_t running; /* in the engine now */
    int64_t elapsed_ns;
    bool finished;
};

struct run_options {
    const char *owner;   /* names this process: process_identity_format plus a unique suffix */
    uint32_t tokens_max; /* to generate for one record */
    struct sampling sampling;
    uint64_t run_seed;
    uint64_t records_max; /* 0: all */
    int64_t lease_ms;
    int64_t busy_ms_max; /* how long a locked store is tried again before the run ends; 0: 30 s */
    /* Asked several times a second; must be quick and safe to call from the run's thread. NULL: continue. */
    enum run_request (*request)(void *context);
    /* Told several times a second and once at the end. NULL: nobody. */
    void (*progress)(void *context, const struct run_progress *progress);
    void *context;
};

/* Runs on the calling thread. Takes back the leases of owners on this machine that are dead first.
 * *progress holds the totals, after a failure too.
 * Fails: as store_claim, store_settle, engine_submit and engine_wait (not for one record's fault: that
 * record is FAILED or SKIPPED with the reason). OK also when drained or stopped. */
DOBBY_NODISCARD dobby_code pipeline_run(struct store *store, struct engine *engine,
                                        const struct prompt_template *prompt,
                                        const struct run_options *options, struct run_progress *progress,
                                        struct dobby_error *err);

#endif
