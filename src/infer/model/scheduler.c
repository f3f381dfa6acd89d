#include "infer/model/scheduler.h"

#include "base/limits.h"
#include "infer/model/forward.h"
#include "infer/model/job.h"
#include "os/clock.h"
#include "os/thread.h"

#include <assert.h>
#include <stdlib.h>

struct scheduler {
    struct scheduler_options options; /* constant */
    uint64_t kv_pages_max;            /* constant */
    uint32_t waiting_max;             /* constant: of queued and untaken finished requests together */

    struct mutex lock;
    struct condition work;     /* there may be something for the scheduler's thread */
    struct condition finished; /* there may be something for a waiter */
    struct job_list queue;     /* guarded by lock */
    struct job_list results;   /* guarded by lock: finished, not yet taken */
    struct engine_stats stats; /* guarded by lock */
    bool cancel_running;       /* guarded by lock */
    bool stopping;             /* guarded by lock */

    /* The rest belongs to the scheduler's thread. */
    struct thread thread;
    struct kv_pool *kv;
    struct forward *forward;
    struct sampler_scratch **scratch; /* (pool threads) */
    struct job **running;             /* (sessions), in order of admission */
    uint32_t running_count;
    struct forward_run *runs;       /* (sessions): of this step */
    struct job **sampled;           /* (sessions): the job of each output row of this step */
    struct sampler_choice *choices; /* (sessions): of each output row */
    uint32_t sampled_count;
    uint32_t step_prefill, step_decode; /* tokens of this step */
};

/* ---- the scheduler's thread ------------------------------------------------------------------------- */

/* Ends a job that holds no session. Called with the lock held. */
static void deliver(struct scheduler *s, struct job *job, enum finish_reason reason)
{
    kv_sequence_close(s->kv, &job->sequence);
    job_finish(job, reason, clock_monotonic_ns());
    s->stats.finished++;
    s->stats.canceled += reason == FINISH_CANCELED;
    s->stats.failed += reason == FINISH_ERROR;
    job_list_append(&s->results, job);
    condition_broadcast(&s->finished);
}

/* Called with the lock held. */
static void publish_counts(struct scheduler *s)
{
    s->stats.running = s->running_count;
    s->stats.queued = s->queue.count;
    s->stats.kv_bytes_used = kv_pool_bytes_used(s->kv);
    s->stats.kv_bytes_peak = kv_pool_bytes_peak(s->kv);
}

static void cancel_running(struct scheduler *s)
{
    for (uint32_t i = 0; i < s->running_count; i++)
        deliver(s, s->running[i], FINISH_CANCELED);
    s->running_count = 0;
    s->cancel_running = false;
}

/* A request that does not fit yet holds up those behind it: else long ones would starve. It fits once the
 * others are gone, since scheduler_submit compared it with the limit. */
static void admit(struct scheduler *s)
{
    while (s->running_count < s->options.sessions && s->queue.first) {
        struct job *job = s->queue.first;
        const uint32_t tokens = job->prompt_count + job->tokens_max;
        if (kv_pages_of(tokens) > kv_pool_pages_free(s->kv))
            return;
        (void)job_list_take(&s->queue);
        job->admitted_ns = clock_monotonic_ns();
        if (kv_sequence_open(s->kv, tokens, &job->sequence, &job->result.error) == DOBBY_OK)
            s->running[s->running_count++] = job;
        else
            deliver(s, job, FINISH_ERROR);
    }
}

/* Sleeps until there is work, and takes in what has come. False: time to end. */
static bool take_in(struct scheduler *s)
{
    mutex_lock(&s->lock);
    while (!s->stopping && !s->queue.first && s->running_count == 0)
        condition_wait(&s->work, &s->lock);
    if (s->cancel_running || s->stopping)
        cancel_running(s);
    if (!s->stopping)
        admit(s);
    publish_counts(s);
    const bool going_on = !s->stopping;
    mutex_unlock(&s->lock);
    return going_on;
}

/* Tokens of the job that are not in its KV cache yet. */
static uint32_t tokens_left(const struct job *job)
{
    return job->token_count - job->sequence.length;
}

static void add_run(struct scheduler *s, size_t *count, struct job *job, uint32_t tokens)
{
    const bool last = tokens == tokens_left(job);
    s->runs[(*count)++] = (struct forward_run){.sequence = &job->sequence,
                                               .tokens = job->tokens + job->sequence.length,
                                               .token_count = tokens,
                                               .output_count = last ? 1 : 0};
    if (last)
        s->sampled[s->sampled_count++] = job;
}

static size_t plan_step(struct scheduler *s)
{
    size_t count = 0;
    uint32_t budget = SCHEDULER_PREFILL_TOKENS;
    s->sampled_count = s->step_decode = 0;
    for (uint32_t i = 0; i < s->running_count; i++) {
        if (s->running[i]->token_count == s->running[i]->prompt_count)
            continue;
        add_run(s, &count, s->running[i], 1);
        s->step_decode++;
    }
    for (uint32_t i = 0; i < s->running_count && budget > 0; i++) {
        struct job *job = s->running[i];
        if (job->token_count > job->prompt_count)
            continue;
        const uint32_t left = tokens_left(job);
        const uint32_t tokens = left < budget ? left : budget;
        add_run(s, &count, job, tokens);
        budget -= tokens;
    }
    s->step_prefill = SCHEDULER_PREFILL_TOKENS - budget;
    return count;
}

struct sample_loop {
    struct scheduler *scheduler;
    const float *logits;
    uint32_t row_first;
};

static void sample_task(void *context, size_t index, uint32_t thread)
{
    const struct sample_loop *loop = context;
    struct scheduler *s = loop->scheduler;
    const struct model *model = s->options.model;
    struct job *job = s->sampled[loop->row_first + index];
    const struct sampler_input input = {.logits = loop->logits + index * model->config.vocabulary,
                                        .vocabulary = model->config.vocabulary,
                                        .sampling = &job->sampling,
                                        .history = job->tokens,
                                        .history_count = job->token_count,
                                        .position = job->token_count};
    struct sampler_choice *choice = &s->choices[loop->row_first + index];
    const dobby_code code =
        sampler_choose(model->kernels, &input, s->scratch[thread], choice, &job->result.error);
    assert(code == job->result.error.code); /* which is where accept_choices looks */
    (void)code;
}

/* Turns the step's choices into tokens and results. */
static void accept_choices(struct scheduler *s)
{
    mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->sampled_count; i++) {
        struct job *job = s->sampled[i];
        enum finish_reason reason = FINISH_ERROR;
        if (job->result.error.code == DOBBY_OK)
            reason = job_accept(job, &s->choices[i], &s->options.model->config);
        if (reason == FINISH_UNKNOWN)
            continue;
        uint32_t at = 0;
        while (s->running[at] != job)
            at++;
        for (s->running_count--; at < s->running_count; at++)
            s->running[at] = s->running[at + 1];
        deliver(s, job, reason);
    }
    s->stats.prefill_tokens += s->step_prefill;
    s->stats.decode_tokens += s->step_decode;
    publish_counts(s);
    mutex_unlock(&s->lock);
}

static void scheduler_main(void *argument)
{
    struct scheduler *s = argument;
    while (take_in(s)) {
        if (s->running_count == 0)
            continue;
        forward_pass(s->forward, s->runs, plan_step(s));
        for (uint32_t row = 0; row < s->sampled_count; row += FORWARD_LOGIT_ROWS) {
            const uint32_t left = s->sampled_count - row;
            const uint32_t rows = left < FORWARD_LOGIT_ROWS ? left : FORWARD_LOGIT_ROWS;
            struct sample_loop loop = {
                .scheduler = s, .logits = forward_logits(s->forward, row, rows), .row_first = row};
            thread_pool_run(s->options.pool, rows, sample_task, &loop);
        }
        accept_choices(s);
    }
}

/* ---- calls from outside ------------------------------------------------------------------------------- */

static void release(struct scheduler *s)
{
    const uint32_t threads = thread_pool_threads(s->options.pool);
    for (uint32_t i = 0; s->scratch && i < threads; i++)
        sampler_scratch_free(s->scratch[i]);
    free(s->scratch);
    free(s->running);
    free(s->runs);
    free(s->sampled);
    free(s->choices);
    forward_close(s->forward);
    kv_pool_close(s->kv);
    condition_release(&s->work);
    condition_release(&s->finished);
    mutex_release(&s->lock);
    free(s);
}

static dobby_code allocate(struct scheduler *s, struct dobby_error *err)
{
    const struct model_config *config = &s->options.model->config;
    const struct kv_shape shape = model_kv_shape(s->options.model);
    const uint32_t threads = thread_pool_threads(s->options.pool);
    const uint32_t sessions = s->options.sessions;
    s->scratch = calloc(threads, sizeof *s->scratch);
    s->running = calloc(sessions, sizeof *s->running);
    s->runs = calloc(sessions, sizeof *s->runs);
    s->sampled = calloc(sessions, sizeof *s->sampled);
    s->choices = calloc(sessions, sizeof *s->choices);
    if (!s->scratch || !s->running || !s->runs || !s->sampled || !s->choices)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u sessions", sessions);
    dobby_code code = DOBBY_OK;
    for (uint32_t i = 0; code == DOBBY_OK && i < threads; i++)
        code = sampler_scratch_new(config->vocabulary, &s->scratch[i], err);
    if (code == DOBBY_OK)
        code = kv_pool_open(&shape, s->options.kv_bytes_max, &s->kv, err);
    if (code == DOBBY_OK)
        code = forward_open(s->options.model, s->options.pool, SCHEDULER_PREFILL_TOKENS + sessions, sessions,
                            &s->forward, err);
    if (code == DOBBY_OK)
        s->kv_pages_max = kv_pool_pages_max(s->kv);
    return code;
}

dobby_code scheduler_open(const struct scheduler_options *options, struct scheduler **out,
                          struct dobby_error *err)
{
    *out = NULL;
    assert(options->context_tokens <= options->model->positions);
    if (options->sessions == 0 || options->sessions > LIMIT_SESSIONS)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "%u sessions are not between 1 and %d",
                          options->sessions, LIMIT_SESSIONS);
    struct scheduler *s = calloc(1, sizeof *s);
    if (s == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the scheduler");
    s->options = *options;
    s->waiting_max = 2 * options->sessions + 64;
    mutex_init(&s->lock);
    condition_init(&s->work);
    condition_init(&s->finished);
    dobby_code code = allocate(s, err);
    if (code == DOBBY_OK)
        code = thread_start(&s->thread, "dobby-engine", scheduler_main, s, err);
    if (code != DOBBY_OK)
        release(s);
    else
        *out = s;
    return code;
}

void scheduler_close(struct scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    mutex_lock(&scheduler->lock);
    scheduler->stopping = true;
    condition_signal(&scheduler->work);
    mutex_unlock(&scheduler->lock);
    thread_join(&scheduler->thread);
    struct job *job;
    while ((job = job_list_take(&scheduler->queue)) != NULL)
        job_free(job);
    while ((job = job_list_take(&scheduler->results)) != NULL)
        job_free(job);
    release(scheduler);
}

static dobby_code check(const struct scheduler *s, const struct engine_request *request,
                        struct dobby_error *err)
{
    const uint32_t vocabulary = s->options.model->config.vocabulary;
    if (request->token_count == 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "the prompt is empty");
    if (request->tokens_max == 0 || request->tokens_max > LIMIT_GENERATED_TOKENS)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "%u tokens to generate are not between 1 and %d",
                          request->tokens_max, LIMIT_GENERATED_TOKENS);
    const uint64_t tokens = (uint64_t)request->token_count + request->tokens_max;
    if (tokens > s->options.context_tokens)
        return DOBBY_FAIL(err, DOBBY_CONTEXT_EXCEEDED,
                          "%zu tokens of prompt and %u to generate, the context has %u", request->token_count,
                          request->tokens_max, s->options.context_tokens);
    if (kv_pages_of(tokens) > s->kv_pages_max)
        return DOBBY_FAIL(err, DOBBY_KV_EXHAUSTED,
                          "%llu tokens need %u pages of %d tokens, the limit is %llu",
                          (unsigned long long)tokens, kv_pages_of(tokens), KV_PAGE_TOKENS,
                          (unsigned long long)s->kv_pages_max);
    for (size_t i = 0; i < request->token_count; i++)
        if (request->tokens[i] < 0 || (uint32_t)request->tokens[i] >= vocabulary)
            return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                              "token %zu of the prompt is %d, the vocabulary has %u", i, request->tokens[i],
                              vocabulary);
    return sampling_check(&request->sampling, err);
}

dobby_code scheduler_submit(struct scheduler *scheduler, const struct engine_request *request,
                            struct dobby_error *err)
{
    struct scheduler *s = scheduler;
    struct job *job = NULL;
    dobby_code code = check(s, request, err);
    if (code == DOBBY_OK)
        code = job_new(request, &job, err);
    if (code != DOBBY_OK)
        return code;
    mutex_lock(&s->lock);
    const uint32_t waiting = s->queue.count + s->results.count;
    if (waiting < s->waiting_max) {
        job_list_append(&s->queue, job);
        s->stats.submitted++;
        s->stats.queued = s->queue.count;
        condition_signal(&s->work);
        job = NULL;
    }
    mutex_unlock(&s->lock);
    if (job) {
        code = DOBBY_FAIL(err, DOBBY_QUEUE_FULL, "%u requests wait or are finished and not taken, the limit",
                          waiting);
        job_free(job);
    }
    return code;
}

size_t scheduler_wait(struct scheduler *scheduler, struct engine_result *results, size_t capacity,
                      int64_t timeout_ms)
{
    struct scheduler *s = scheduler;
    const int64_t deadline_ns = timeout_ms > 0 ? clock_monotonic_ns() + timeout_ms * 1000000 : 0;
    size_t count = 0;
    mutex_lock(&s->lock);
    while (!s->results.first && s->stats.queued + s->stats.running > 0) {
        if (timeout_ms < 0)
            condition_wait(&s->finished, &s->lock);
        else if (timeout_ms == 0 || !condition_wait_until(&s->finished, &s->lock, deadline_ns))
            break;
    }
    while (count < capacity && s->results.first) {
        struct job *job = job_list_take(&s->results);
        results[count++] = job->result;
        job->result = (struct engine_result){0};
        job_free(job);
    }
    mutex_unlock(&s->lock);
    return count;
}

void scheduler_cancel_all(struct scheduler *scheduler)
{
    struct scheduler *s = scheduler;
    mutex_lock(&s->lock);
    struct job *job;
    while ((job = job_list_take(&s->queue)) != NULL)
        deliver(s, job, FINISH_CANCELED);
    s->stats.queued = 0;
    /* What runs belongs to the scheduler's thread, which looks at this flag before its next step. */
    s->cancel_running = s->stats.running > 0;
    mutex_unlock(&s->lock);
}

void scheduler_stats(struct scheduler *scheduler, struct engine_stats *out)
{
    mutex_lock(&scheduler->lock);
    *out = scheduler->stats;
    mutex_unlock(&scheduler->lock);
}
