/* A run: claim -> prompt -> infer -> save, until no record is left that this run could claim.
 *
 * 1. Every queue is bounded: what is claimed, in the engine and waiting to be saved is at most
 *    run_leases_max() records together, whatever the table's size.
 * 2. Leases are renewed while the run lives; a lost lease's result is refused by the store and counted.
 * 3. A record whose prompt was answered before, in this run or in the store, is not inferred again.
 * 4. What fails and may pass is tried again later, at most attempts_max times; then the record is FAILED.
 * 5. An engine or a store that fails as a whole pauses the run behind a circuit breaker and costs no record
 *    an attempt, also not what failed before that was clear; after outage_ms_max the run ends with the error,
 *    and returns its leases.
 * 6. A drain (first Ctrl-C, a cap) stops claiming, finishes what is running, returns what is queued. A stop
 *    (second Ctrl-C, a cancel) cancels what is running too. Both leave no lease behind. */
#ifndef PIPELINE_RUN_H
#define PIPELINE_RUN_H

#include "base/breaker.h"
#include "infer/engine.h"
#include "pipeline/error_tally.h"
#include "pipeline/prompt.h"
#include "store/store_runs.h"

enum run_request { RUN_CONTINUE, RUN_DRAIN, RUN_STOP };

/* What a run is doing, for people. */
enum run_phase {
    RUN_PHASE_UNKNOWN,
    RUN_PHASE_RUNNING,
    RUN_PHASE_WAITING,       /* only later retries and other runs' leases are left */
    RUN_PHASE_STORE_OUTAGE,  /* the store's breaker is not closed */
    RUN_PHASE_ENGINE_OUTAGE, /* the engine's */
    RUN_PHASE_PAUSED,        /* commanded so */
    RUN_PHASE_DRAINING,
    RUN_PHASE_STOPPING,
    RUN_PHASE_ENDED
};
const char *run_phase_name(enum run_phase phase); /* "running", "store_outage" ... */

enum run_cap { RUN_CAP_NONE, RUN_CAP_RECORDS, RUN_CAP_TIME, RUN_CAP_TOKENS, RUN_CAP_FAILURES };
const char *run_cap_name(enum run_cap cap); /* "max-records" ... */

struct run_progress {
    uint64_t total; /* records to do when the run began, less what others did since */
    uint64_t completed, degraded, failed, skipped; /* by this run */
    uint64_t stale;                                /* results that came too late: refused by the store */
    uint64_t retried;                              /* sent back to be tried again later */
    uint64_t reused;                               /* of completed and degraded: without inference */
    /* Summaries made with other settings: left as they are, with stale_redo until now; queued to be made
     * anew; those of which an earlier version is current again. */
    uint64_t stale_kept, stale_redone, stale_restored;
    uint64_t tokens_in, tokens_out; /* of the summaries of completed and degraded, not of reused */
    uint32_t running;               /* in the engine now */
    uint32_t claimed, outbox;       /* waiting for the engine; waiting to be saved */
    uint32_t sessions;              /* records that may run at once, at present */
    enum breaker_state store_breaker, engine_breaker;
    dobby_code outage;             /* in a phase of an outage: the last error; else OK */
    struct error_tally errors;     /* of records, those skipped as too long too, the engine and the store;
                                    * pardoned ones too */
    int64_t elapsed_ns, paused_ns; /* the second is a part of the first */
    enum run_phase phase;
    bool finished;
    /* Once finished: */
    enum run_state end; /* RUN_FINISHED, CAPPED, CANCELED, INTERRUPTED or FAILED */
    enum run_cap cap;   /* of CAPPED */
    bool ended_paused;  /* FINISHED while it was paused: others did the rest */
};

struct run_options {
    const char *owner;   /* names this process: process_identity_format plus a unique suffix */
    const char *run_id;  /* a UUID under which the store keeps this run's row; NULL: it keeps none */
    uint32_t tokens_max; /* to generate for one record */
    struct sampling sampling;
    uint64_t run_seed;
    /* Summaries made with other settings are made anew, after all else; else they are kept and counted. They
     * are queued as they are claimed: at most 512 that are queued and not done are left behind
     * by a run that ends before. */
    bool stale_redo;

    /* Caps: each drains the run. 0: none. */
    uint64_t records_max;
    int64_t time_ms_max; /* after it a failing store is waited for a few seconds, not for outage_ms_max */
    uint64_t tokens_inferred_max; /* in and out together, those of discarded results too */
    uint64_t failures_max;        /* records FAILED */

    int64_t lease_ms;
    uint32_t attempts_max;  /* of one record; 0: RUN_ATTEMPTS_MAX */
    int64_t retry_first_ms; /* until the second attempt, doubling after; 0: RUN_RETRY_FIRST_MS */
    int64_t outage_ms_max;  /* of a store or an engine; 0: RUN_OUTAGE_MS_MAX; negative: none is waited for */
    int64_t probe_first_ms; /* until a failed engine is tried, doubling after; 0: RUN_PROBE_FIRST_MS */
    /* Below the engine's sessions: their number is adapted from there on. 0: it is not. */
    uint32_t sessions_min;
    size_t cache_bytes_max; /* of results in memory; 0: RUN_CACHE_BYTES */
    int64_t cache_ttl_ms;   /* 0: RUN_CACHE_TTL_MS */

    /* Asked several times a second; must be quick and safe to call from the run's thread. NULL: continue. */
    enum run_request (*request)(void *context);
    /* Told several times a second and once at the end. NULL: nobody. */
    void (*progress)(void *context, const struct run_progress *progress);
    void *context;
};

enum {
    RUN_ATTEMPTS_MAX = 3,
    RUN_RETRY_FIRST_MS = 1000,
    RUN_OUTAGE_MS_MAX = 300 * 1000,
    RUN_PROBE_FIRST_MS = 500,
    RUN_CACHE_BYTES = 8 << 20,
    RUN_CACHE_TTL_MS = 3600 * 1000
};

/* Records that a run over an engine with so many sessions leases at most, at any time. */
size_t run_leases_max(uint32_t sessions);

/* Runs on the calling thread. Takes back the leases of owners on this machine that are dead first.
 * *progress holds the totals, after a failure too.
 * Fails: INVALID_ARGUMENT, OUT_OF_MEMORY; with a store's or engine's error that cannot pass, or that has not
 * passed within outage_ms_max (not for one record's fault, in a result or when its prompt is tokenised or
 * submitted: that record is FAILED or SKIPPED with the reason).
 * OK also when capped, paused and cancelled, drained or stopped: progress->end says which. */
DOBBY_NODISCARD dobby_code pipeline_run(struct store *store, struct engine *engine,
                                        const struct prompt_template *prompt,
                                        const struct run_options *options, struct run_progress *progress,
                                        struct dobby_error *err);

#endif
