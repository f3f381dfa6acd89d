/* The scheduler's thread: one pass after the other. */
#include "infer/model/scheduler_parts.h"
#include "observe/log.h"
#include "os/clock.h"

#include <assert.h>
#include <string.h>

static const int64_t early_ns = INT64_C(2000) * 1000000;

static void cancel_running(struct scheduler *s)
{
    for (uint32_t i = 0; i < s->running_count; i++)
        scheduler_deliver(s, s->running[i], FINISH_CANCELED);
    s->running_count = 0;
    atomic_store(&s->cancel_running, false);
    prefix_cache_clear(s->prefixes);
}

/* Sleeps until there is work, and takes in what has come. False: time to end. */
static bool take_in(struct scheduler *s)
{
    mutex_lock(&s->lock);
    while (!atomic_load(&s->cancel_running) && !s->queue.first && s->running_count == 0)
        condition_wait(&s->work, &s->lock);
    if (atomic_load(&s->cancel_running))
        cancel_running(s);
    if (s->running_count == 0) /* the first result is wanted soon, but not at any price */
        s->early_end_ns = clock_monotonic_ns() + early_ns;
    if (!s->stopping)
        scheduler_admit(s);
    scheduler_publish_counts(s);
    const bool going_on = !s->stopping;
    mutex_unlock(&s->lock);
    return going_on;
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

/* Rows [first, first + rows), all greedy without a penalty. False: given up. */
static bool choose_best(struct scheduler *s, uint32_t first, uint32_t rows)
{
    struct best_output best[FORWARD_BEST_ROWS];
    if (!forward_best(s->forward, first, rows, best))
        return false;
    for (uint32_t i = 0; i < rows; i++) {
        struct job *job = s->sampled[first + i];
        const dobby_code code =
            sampler_choose_best(&best[i], job->token_count, &s->choices[first + i], &job->result.error);
        assert(code == job->result.error.code); /* which is where accept_choices looks */
        (void)code;
    }
    return true;
}

/* Rows [first, first + rows), from their logits. False: given up. */
static bool choose_sampled(struct scheduler *s, uint32_t first, uint32_t rows)
{
    struct sample_loop loop = {
        .scheduler = s, .logits = forward_logits(s->forward, first, rows), .row_first = first};
    return loop.logits != NULL && forward_run_phase(s->forward, PHASE_SAMPLE, rows, sample_task, &loop);
}

/* How many rows from `first` on are chosen alike, up to `most`. */
static uint32_t rows_alike(const struct scheduler *s, uint32_t first, bool best, uint32_t most)
{
    uint32_t end = first;
    while (end < s->sampled_count && end - first < most &&
           sampler_wants_best(&s->sampled[end]->sampling) == best)
        end++;
    return end - first;
}

static bool sample_all(struct scheduler *s)
{
    bool going_on = true;
    for (uint32_t row = 0, rows = 0; going_on && row < s->sampled_count; row += rows) {
        const bool best = sampler_wants_best(&s->sampled[row]->sampling);
        rows = rows_alike(s, row, best, best ? FORWARD_BEST_ROWS : FORWARD_LOGIT_ROWS);
        going_on = best ? choose_best(s, row, rows) : choose_sampled(s, row, rows);
    }
    return going_on;
}

/* One pass, and what it chooses. False: given up; then everything that runs is about to be cancelled. */
static bool compute(struct scheduler *s)
{
    scheduler_plan_step(s);
    if (!(s->share_count > 1 ? forward_pass_apart(s->forward, s->runs, s->run_counts, s->share_count)
                             : forward_pass(s->forward, s->runs, s->run_counts[0])))
        return false;
    for (uint32_t i = 0; i < s->running_count; i++)
        prefix_cache_keep(s->prefixes, s->running[i]);
    return sample_all(s);
}

static void tune_sessions(struct scheduler *s)
{
    const uint32_t before = s->tuner.now;
    /* Counted before this step's results leave: so many took part in it. */
    if (session_tuner_step(&s->tuner, clock_monotonic_ns(), s->step_prefill + s->step_decode,
                           s->running_count, s->queue.first != NULL))
        log_write(LOG_DEBUG, "engine.sessions", "the number of sessions changed", LOG_INTEGER("from", before),
                  LOG_INTEGER("to", s->tuner.now), LOG_INTEGER("best", s->tuner.base),
                  LOG_INTEGER("best_tokens_per_s", (int64_t)s->tuner.base_rate));
}

/* Turns the step's choices into tokens and results. */
static void accept_choices(struct scheduler *s)
{
    mutex_lock(&s->lock);
    tune_sessions(s);
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
        scheduler_deliver(s, job, reason);
        s->early_end_ns = 0;
    }
    memcpy(s->stats.phase_ns, forward_phase_ns(s->forward), sizeof s->stats.phase_ns);
    s->stats.phase_ns[PHASE_BETWEEN] = s->between_ns;
    s->stats.passes++;
    s->stats.passes_apart += s->share_count > 1;
    s->stats.prefill_tokens += s->step_prefill;
    s->stats.decode_tokens += s->step_decode;
    scheduler_publish_counts(s);
    mutex_unlock(&s->lock);
}

static int64_t phases_ns(const struct scheduler *s)
{
    const int64_t *phase_ns = forward_phase_ns(s->forward);
    int64_t sum_ns = 0;
    for (int i = 0; i < PHASE_COUNT; i++)
        sum_ns += phase_ns[i];
    return sum_ns;
}

void scheduler_main(void *argument)
{
    struct scheduler *s = argument;
    int64_t begin_ns = 0; /* of the step; 0: there was none just before */
    while (take_in(s)) {
        if (s->running_count == 0) {
            begin_ns = 0;
            continue;
        }
        if (begin_ns == 0)
            begin_ns = clock_monotonic_ns();
        const int64_t before_ns = phases_ns(s);
        if (!compute(s)) {
            begin_ns = 0;
            continue;
        }
        const int64_t end_ns = clock_monotonic_ns();
        s->between_ns += end_ns - begin_ns - (phases_ns(s) - before_ns);
        begin_ns = end_ns;
        accept_choices(s);
    }
}
