#include "infer/model/scheduler.h"

#include "base/limits.h"
#include "infer/model/scheduler_parts.h"
#include "os/clock.h"

#include <assert.h>
#include <stdlib.h>

/* Beside the running requests: what refills the sessions while the caller is busy elsewhere. */
enum { QUEUED_PER_SESSION = 2, QUEUED_MIN = 64 };

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
    free(s->parts);
    free(s->shares);
    free(s->run_counts);
    forward_close(s->forward);
    prefix_cache_close(s->prefixes);
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
    s->parts = calloc(sessions, sizeof *s->parts);
    s->shares = calloc(threads, sizeof *s->shares);
    s->run_counts = calloc(threads, sizeof *s->run_counts);
    if (!s->scratch || !s->running || !s->runs || !s->sampled || !s->choices || !s->parts || !s->shares ||
        !s->run_counts)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u sessions", sessions);
    dobby_code code = DOBBY_OK;
    for (uint32_t i = 0; code == DOBBY_OK && i < threads; i++)
        code = sampler_scratch_new(config->vocabulary, &s->scratch[i], err);
    if (code == DOBBY_OK)
        code = kv_pool_open(&shape, s->options.kv_bytes_max, &s->kv, err);
    if (code == DOBBY_OK)
        code = prefix_cache_open(s->kv, s->options.context_tokens, &s->prefixes, err);
    const struct forward_limits limits = {
        .tokens_max = s->step_rows + sessions, .runs_max = sessions, .apart = threads > 1};
    if (code == DOBBY_OK)
        code = forward_open(s->options.model, s->options.pool, &s->cancel_running, &limits, &s->forward, err);
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
    s->untaken_max = QUEUED_PER_SESSION * options->sessions + QUEUED_MIN + options->sessions;
    s->step_rows = options->model->kernels->step_rows;
    session_tuner_init(&s->tuner, options->sessions, options->adaptive);
    s->stats.sessions_now = s->tuner.now;
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
    atomic_store(&scheduler->cancel_running, true);
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
    const uint32_t untaken = s->untaken;
    if (untaken < s->untaken_max) {
        s->untaken++;
        if (!scheduler_attach(s, job))
            job_list_append(&s->queue, job);
        s->stats.submitted++;
        s->stats.queued = s->queue.count + s->attached;
        condition_signal(&s->work);
        job = NULL;
    }
    mutex_unlock(&s->lock);
    if (job) {
        code = DOBBY_FAIL(err, DOBBY_QUEUE_FULL,
                          "%u requests are in flight or their results not taken, the limit", untaken);
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
        s->untaken--;
        job->result = (struct engine_result){0};
        job_free(job);
    }
    mutex_unlock(&s->lock);
    return count;
}

static void cancel_queue(struct scheduler *s)
{
    struct job *job;
    while ((job = job_list_take(&s->queue)) != NULL)
        scheduler_deliver(s, job, FINISH_CANCELED);
    s->stats.queued = s->attached;
}

void scheduler_cancel_queued(struct scheduler *scheduler)
{
    mutex_lock(&scheduler->lock);
    cancel_queue(scheduler);
    mutex_unlock(&scheduler->lock);
}

void scheduler_cancel_all(struct scheduler *scheduler)
{
    struct scheduler *s = scheduler;
    mutex_lock(&s->lock);
    cancel_queue(s);
    /* What runs belongs to the scheduler's thread, which looks at this flag in its pass and before the next.
     */
    atomic_store(&s->cancel_running, true);
    condition_signal(&s->work);
    mutex_unlock(&s->lock);
}

void scheduler_stats(struct scheduler *scheduler, struct engine_stats *out)
{
    mutex_lock(&scheduler->lock);
    *out = scheduler->stats;
    mutex_unlock(&scheduler->lock);
}
