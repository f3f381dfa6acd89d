/* An engine that answers from the prompt alone, and fails on demand: tokens are the prompt's bytes. */
#ifndef TESTS_UNIT_PIPELINE_FAKE_ENGINE_HELPER_H
#define TESTS_UNIT_PIPELINE_FAKE_ENGINE_HELPER_H

#include "infer/engine.h"

enum { FAKE_CONTEXT_TOKENS = 200, FAKE_QUEUE_MAX = 8192 };

/* What a prompt that contains one of these words gets; any other gets a sentence with a word made from it and
 * its seed. */
#define FAKE_ERROR "#error"    /* FINISH_ERROR, NUMERIC_FAILURE */
#define FAKE_RETRY "#retry"    /* FINISH_ERROR, OUT_OF_MEMORY */
#define FAKE_ONCE "#once"      /* white space with greedy sampling, good with any other */
#define FAKE_BROKEN "#broken"  /* white space with greedy sampling, FINISH_ERROR with any other */
#define FAKE_LENGTH "#length"  /* FINISH_LENGTH */
#define FAKE_BLANK "#blank"    /* white space only */
#define FAKE_NUL "#nul"        /* a NUL within */
#define FAKE_TAG "#tag"        /* a tag that nobody gave it */
#define FAKE_FINISH "#finish"  /* no finish reason */
#define FAKE_MUTE "#mute"      /* no text */
#define FAKE_LOST_KV "#kv"     /* engine_submit: KV_EXHAUSTED */
#define FAKE_LONG "#long"      /* engine_submit: CONTEXT_EXCEEDED */
#define FAKE_HUGE "#huge"      /* engine_tokenize: LIMIT_EXCEEDED */
#define FAKE_BYTES "#bytes"    /* engine_tokenize: INVALID_ARGUMENT */
#define FAKE_REFUSED "#refuse" /* engine_submit: NUMERIC_FAILURE */
#define FAKE_BUSY "#busy"      /* engine_submit: OUT_OF_MEMORY */

struct fake_request {
    uint64_t tag;
    uint64_t seed;
    float temperature;
    char prompt[FAKE_CONTEXT_TOKENS + 1];
    uint32_t token_count;
    bool canceled;
};

struct fake_engine {
    struct engine base;
    struct engine_info info;
    size_t queue_max;                                      /* QUEUE_FULL beyond it */
    size_t per_wait;                                       /* requests that one wait finishes; 0: all */
    bool newest_first;                                     /* order in which they finish */
    int64_t wait_ms;                                       /* sleep of each wait */
    uint32_t waits_before_failure, submits_before_failure; /* 0: never fails */
    uint32_t failures;                                     /* calls that fail then; 0: all */
    dobby_code failure;
    uint32_t results_to_fail;       /* so many of the next results are FINISH_ERROR */
    dobby_code result_failure;      /* of these; DOBBY_OK: OUT_OF_MEMORY */
    bool cancels_by_itself;         /* at the first wait */
    void (*on_wait)(void *context); /* NULL: nothing */
    void *context;

    struct fake_request *queue;
    size_t count, count_max;
    uint32_t waits, submits, submitted, cancels, queued_cancels, failed_calls;
};

void fake_engine_init(struct fake_engine *engine, uint32_t sessions);
void fake_engine_release(struct fake_engine *engine);

#endif
