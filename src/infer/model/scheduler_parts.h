/* What the scheduler's calls from outside (scheduler.c) and its thread (scheduler_loop.c, admission.c) share.
 */
#ifndef INFER_MODEL_SCHEDULER_PARTS_H
#define INFER_MODEL_SCHEDULER_PARTS_H

#include "infer/model/forward.h"
#include "infer/model/prefix.h"
#include "infer/model/scheduler.h"
#include "infer/model/sessions.h"
#include "os/thread.h"

/* What a step takes of a running job, and what it is for one of the threads that compute apart. */
struct step_part {
    uint32_t share, tokens;
};
struct step_share {
    uint32_t rows, budget; /* budget: of prompt rows, what is left */
};

struct scheduler {
    struct scheduler_options options; /* constant */
    uint64_t kv_pages_max;            /* constant */
    uint32_t untaken_max;             /* constant */
    uint32_t step_rows;               /* constant: of one pass or share, see step.c */

    struct mutex lock;
    struct condition work;      /* there may be something for the scheduler's thread */
    struct condition finished;  /* there may be something for a waiter */
    struct job_list queue;      /* guarded by lock */
    struct job_list results;    /* guarded by lock: finished, not yet taken */
    uint32_t attached;          /* guarded by lock: requests that wait for an equal one's result */
    struct engine_stats stats;  /* guarded by lock */
    uint32_t untaken;           /* guarded by lock: requests whose result nobody has taken yet */
    atomic_bool cancel_running; /* changed with the lock held; a pass looks at it without, and is given up */
    bool stopping;              /* guarded by lock; then cancel_running is set too */

    /* Changed by the scheduler's thread alone, with the lock held: others look for equal requests. */
    struct job **running; /* (sessions), in order of admission */
    uint32_t running_count;

    /* The rest belongs to the scheduler's thread. */
    struct thread thread;
    struct kv_pool *kv;
    struct prefix_cache *prefixes;
    struct session_tuner tuner;
    struct forward *forward;
    struct sampler_scratch **scratch; /* (pool threads) */
    struct forward_run *runs;         /* (sessions): of this step */
    struct step_part *parts;          /* (sessions): of this step, as running */
    struct step_share *shares;        /* (pool threads): of this step */
    size_t *run_counts;             /* (pool threads): of each share, which lie one after the other in runs */
    uint32_t share_count;           /* of this step; 1: all threads compute all rows together */
    struct job **sampled;           /* (sessions): the job of each output row of this step */
    struct sampler_choice *choices; /* (sessions): of each output row */
    uint32_t sampled_count;
    uint32_t step_prefill, step_decode; /* tokens of this step */
    int64_t between_ns;                 /* spent on steps outside the forward pass' phases */
    int64_t early_end_ns; /* no result has come since there was nothing to do, and it is early; 0: neither */
};

/* All with the lock held. */

/* Ends a job that is in no list, and those equal to it. */
void scheduler_deliver(struct scheduler *s, struct job *job, enum finish_reason reason);
/* Attaches the job to an equal one that is queued or runs. False: there is none. */
bool scheduler_attach(struct scheduler *s, struct job *job);
/* Starts what the sessions, the memory and the order allow. */
void scheduler_admit(struct scheduler *s);
void scheduler_publish_counts(struct scheduler *s);

/* Fills runs, run_counts, share_count, sampled and the counts of tokens, by the scheduler's thread. */
void scheduler_plan_step(struct scheduler *s);

/* The thread's function; its argument is the scheduler. */
void scheduler_main(void *argument);

#endif
