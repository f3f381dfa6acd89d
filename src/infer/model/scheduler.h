/* Continuous batching: decides which sequences' tokens go into the next forward pass.
 *
 *   QUEUED          -> RUNNING    [scheduler_admit]: a session and KV pages for prompt and output are free
 *   RUNNING         -> FINISHED   [accept_choices]: an end token, the length, or a failure
 *   QUEUED          -> FINISHED   [scheduler_cancel_queued]
 *   QUEUED, RUNNING -> FINISHED   [scheduler_cancel_all, scheduler_close]: the pass is given up
 *
 * A request equal to one that is queued or runs is ATTACHED to it and finishes with it.
 *
 * A step is one pass: one token of every sequence that decodes, then prompt chunks in order of admission up
 * to the rows that the kernels want (kernels.step_rows). What a request yields depends on none of this. */
#ifndef INFER_MODEL_SCHEDULER_H
#define INFER_MODEL_SCHEDULER_H

#include "infer/engine.h"
#include "infer/model/model.h"
#include "os/thread_pool.h"

struct scheduler;

struct scheduler_options {
    const struct model *model; /* the model and the pool must outlive the scheduler */
    struct thread_pool *pool;  /* used by the scheduler's thread alone */
    uint32_t sessions;         /* at most */
    bool adaptive;             /* fewer where that is as fast: sessions.h */
    uint32_t context_tokens;   /* at most model->positions */
    uint64_t kv_bytes_max;
};
/* Starts the scheduler's thread. Fails: INVALID_ARGUMENT, OUT_OF_MEMORY, THREAD_FAILED. */
DOBBY_NODISCARD dobby_code scheduler_open(const struct scheduler_options *options, struct scheduler **out,
                                          struct dobby_error *err);
/* Cancels what is in flight, joins the thread, frees results that nobody took. NULL is fine. */
void scheduler_close(struct scheduler *scheduler);

/* The contracts are those of engine_submit, engine_wait, engine_cancel_queued, engine_cancel_all and
 * engine_stats; results have no text. Any thread may call them. */
DOBBY_NODISCARD dobby_code scheduler_submit(struct scheduler *scheduler, const struct engine_request *request,
                                            struct dobby_error *err);
size_t scheduler_wait(struct scheduler *scheduler, struct engine_result *results, size_t capacity,
                      int64_t timeout_ms);
void scheduler_cancel_queued(struct scheduler *scheduler);
void scheduler_cancel_all(struct scheduler *scheduler);
void scheduler_stats(struct scheduler *scheduler, struct engine_stats *out);

#endif
