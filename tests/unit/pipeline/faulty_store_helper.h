/* A store that passes everything on to another one, and before it does is slow or fails on demand. */
#ifndef TESTS_UNIT_PIPELINE_FAULTY_STORE_HELPER_H
#define TESTS_UNIT_PIPELINE_FAULTY_STORE_HELPER_H

#include "store/store_ops.h"

enum faulty_call {
    FAULTY_CLAIM,
    FAULTY_RENEW,
    FAULTY_SETTLE,
    FAULTY_OWNERS,
    FAULTY_RELEASE,
    FAULTY_COUNT,
    FAULTY_RUN_BEGIN,
    FAULTY_RUN_UPDATE,
    FAULTY_RUN_POLL,
    FAULTY_FIND_RESULTS,
    FAULTY_STALE_COUNT,
    FAULTY_REQUEUE_STALE,
    FAULTY_CALLS
};

struct faulty_store {
    struct store base;
    struct store *inner;
    struct {
        uint32_t calls;
        uint32_t pass; /* calls that pass before failures begin */
        uint32_t fail; /* then so many fail */
        dobby_code code;
        int64_t slow_ms; /* every call takes so much longer */
    } of[FAULTY_CALLS];
    size_t claimed_max;              /* the largest limit that was claimed with */
    size_t held, held_max;           /* records claimed and not settled */
    enum faulty_call slow;           /* which call is being slow, FAULTY_CALLS: none; and since when */
    int64_t slow_since_ns;           /* monotonic */
    void (*on_claim)(void *context); /* before each; NULL: nothing */
    void (*on_update)(void *context, const char *metrics);
    void *context;
};

/* Does not own inner. */
void faulty_store_init(struct faulty_store *store, struct store *inner);

#endif
