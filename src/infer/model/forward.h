/* The forward pass over a ragged batch: runs of new tokens of several sequences, prompt chunks and single
 * decoded tokens mixed, laid end to end as rows of one matrix.
 *
 * 1. Each row's values depend on its sequence alone (kernels.h: one fixed order of summing), never on the
 *    other runs, on how a prompt was cut into runs, or on the threads.
 * 2. All memory is allocated at open; a pass cannot fail, but it can be given up: whoever sets *give_up ends
 * it within the time of one task on each thread, a fraction of a second on any set.
 * 3. One thread at a time; it is thread 0 of the pool's loops. */
#ifndef INFER_MODEL_FORWARD_H
#define INFER_MODEL_FORWARD_H

#include "infer/engine.h"
#include "infer/model/kv_cache.h"
#include "infer/model/model.h"
#include "infer/model/sampler.h"
#include "os/thread_pool.h"

#include <stdatomic.h>

struct forward;

enum {
    FORWARD_LOGIT_ROWS = 64, /* at once: the logits of a large vocabulary are a quarter megabyte a row */
    FORWARD_BEST_ROWS = 128 /* at once: so many rows of a part of the vocabulary, or their best, stay in L2 */
};

/* Of a pass, and of each share of a pass that threads compute apart. */
struct forward_limits {
    uint32_t tokens_max, runs_max;
    bool apart; /* whether forward_pass_apart will be called: its buffers come on top */
};
/* The model, the pool and the flag must outlive it. Any thread may set *give_up at any time, and only the one
 * that calls these functions may clear it, between two passes. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code forward_open(const struct model *model, struct thread_pool *pool,
                                        const atomic_bool *give_up, const struct forward_limits *limits,
                                        struct forward **out, struct dobby_error *err);
void forward_close(struct forward *forward); /* NULL is fine */

struct forward_run {
    struct kv_sequence *sequence; /* in one run of a pass at most; its length grows by token_count */
    const int32_t *tokens;        /* below the vocabulary */
    uint32_t token_count;         /* at least 1; the sequence has room for them */
    uint32_t output_count;        /* the last so many of them are output rows: 0 to token_count */
};
/* Writes the keys and values of all tokens and keeps the output rows, in the runs' order. False: it was given
 * up. Then nothing that it was to write may be read, and its sequences are only good for closing, tainted. */
DOBBY_NODISCARD bool forward_pass(struct forward *forward, const struct forward_run *runs, size_t count);
/* The same, share by share: the first counts[0] runs, then counts[1] and so on, each by one thread alone, at
 * most as many as the pool has. Rows then stay in that thread's caches from one product to the next, and it
 * waits for no other until all are done: worth it where every share has hundreds of rows, and about as many.
 * The limits are each share's; the output rows of all must be within them too. */
DOBBY_NODISCARD bool forward_pass_apart(struct forward *forward, const struct forward_run *runs,
                                        const size_t *counts, size_t shares);
/* Logits (rows, vocabulary) of up to FORWARD_LOGIT_ROWS output rows of the last pass. Borrowed until the
 * next call. NULL: given up. */
DOBBY_NODISCARD const float *forward_logits(struct forward *forward, uint32_t row_first, uint32_t rows);
/* Of up to FORWARD_BEST_ROWS output rows of the last pass. Logits never leave the caches: each part of the
 * vocabulary is reduced where it was computed, and the parts are joined in their order. False: given up, and
 * best is not filled. */
DOBBY_NODISCARD bool forward_best(struct forward *forward, uint32_t row_first, uint32_t rows,
                                  struct best_output *best);
/* Runs count tasks on the pool; their time counts as that phase's. False: given up, and any of them may have
 * been left out. */
bool forward_run_phase(struct forward *forward, enum engine_phase phase, size_t count, thread_pool_task *task,
                       void *context);
/* Nanoseconds by phase since forward_open. */
const int64_t *forward_phase_ns(const struct forward *forward);

#endif
