/* A store and an engine that pass every call of a run on to another and keep how long it took: where a run's
 * time goes, seen from its interfaces. */
#ifndef APP_BENCH_TIMED_H
#define APP_BENCH_TIMED_H

#include "infer/engine.h"
#include "store/store_ops.h"

enum timed_call {
    TIMED_CLAIM,
    TIMED_SETTLE,
    TIMED_FIND,        /* equal results in the store */
    TIMED_STORE_OTHER, /* leases, counts, the run's row */
    TIMED_TOKENIZE,
    TIMED_SUBMIT,
    TIMED_WAIT, /* for results: the time that the engine is waited for */
    TIMED_CALL_COUNT
};
const char *timed_call_name(enum timed_call call); /* "store_claim", "engine_wait": for reports */

/* A kind's entry is written by one thread at a time; read them when the run is over. */
struct timed_calls {
    int64_t ns[TIMED_CALL_COUNT], longest_ns[TIMED_CALL_COUNT];
    uint64_t calls[TIMED_CALL_COUNT];
    /* Monotonic: when the engine got its first record, when the first results were stored; 0: not yet. */
    int64_t first_submit_ns, first_settle_ns;
    /* When the run's row got its last metrics, and the longest time between two. */
    int64_t last_update_ns, update_gap_ns;
    /* How long after a settle began records were still claimed while it ran, at most; and when the one that
     * runs began, 0: none runs. */
    int64_t claim_in_settle_ns, settle_since_ns;
    uint64_t held, held_max; /* records claimed and not settled */
};

struct timed_store {
    struct store store; /* first: the handle to give to the run */
    struct store *inner;
    struct timed_calls *calls;
    int64_t settle_delay_ms; /* every settle takes so much longer; 0 unless set after timed_store_init */
};
/* Borrows both. What a run does not call is not there: ingesting and listing go to the inner store. */
void timed_store_init(struct timed_store *timed, struct store *inner, struct timed_calls *calls);

struct timed_engine {
    struct engine engine; /* first */
    struct engine *inner;
    struct timed_calls *calls;
};
void timed_engine_init(struct timed_engine *timed, struct engine *inner, struct timed_calls *calls);

#endif
