/* What comes back from the engine: to the outbox, to the engine once more, or back to the store for later. */
#include "os/clock.h"
#include "pipeline/run_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The job and all who wait for it go back as if they had not been taken. */
static void release_job(struct run *run, struct job *job)
{
    outbox_add(&run->outbox, &job->lease, OUTCOME_RELEASED);
    for (const struct waiter *waiter = job->waiters; waiter != NULL; waiter = waiter->next)
        outbox_add(&run->outbox, &waiter->lease, OUTCOME_RELEASED);
    job_remove(&run->jobs, job);
}

void run_drop_jobs(struct run *run, bool unsubmitted_only)
{
    for (uint32_t i = 0; i < run->jobs.capacity; i++) {
        struct job *job = &run->jobs.jobs[i];
        if (job->used && (job->unsubmitted || !unsubmitted_only))
            release_job(run, job);
    }
}

/* One record's failure: again later, or for good. */
static void fail_record(struct run *run, const struct lease *lease, const uint8_t key[SHA256_BYTES],
                        const struct dobby_error *failure)
{
    const struct run_options *options = run->options;
    const struct retry_policy policy = {
        .delay_first_ms = options->retry_first_ms > 0 ? options->retry_first_ms : RUN_RETRY_FIRST_MS,
        .delay_max_ms = LIMIT_RETRY_WAIT_MS,
        .attempts_max = options->attempts_max > 0 ? options->attempts_max : RUN_ATTEMPTS_MAX};
    enum retry_verdict verdict = retry_decide(&policy, failure->code, lease->tries);
    const char *message = dobby_code_message(failure->code);
    struct outbox_entry *entry;
    if (verdict == RETRY_EXHAUSTED && lease->tries > 1)
        entry = outbox_add_reason(&run->outbox, lease, OUTCOME_FAILED, "%s: %s (attempt %u of %u)", message,
                                  failure->detail, (unsigned)lease->tries, (unsigned)policy.attempts_max);
    else
        entry =
            outbox_add_reason(&run->outbox, lease, verdict == RETRY_AGAIN ? OUTCOME_RETRY : OUTCOME_FAILED,
                              "%s: %s", message, failure->detail);
    entry->error_id = dobby_code_id(failure->code);
    if (verdict == RETRY_AGAIN) {
        uint64_t seed;
        memcpy(&seed, key, sizeof(seed));
        entry->retry_unix_us = clock_unix_us() + retry_delay_ms(&policy, lease->tries, seed) * 1000;
    }
    outbox_hold(&run->outbox, entry, run->asked);
    error_tally_add(&run->progress->errors, failure->code, failure->detail, lease->id, clock_unix_us());
}

/* Settles the job with this result, and all who wait for it with a copy. */
static dobby_code settle_job(struct run *run, struct job *job, struct engine_result *result,
                             const char *engine, const char *reason, struct dobby_error *err)
{
    struct cached_result cached = {.text = result->text,
                                   .engine = engine,
                                   .confidence = result->confidence,
                                   .tokens_in = result->tokens_in,
                                   .tokens_out = result->tokens_out,
                                   .inference_ms = (result->total_us + 500) / 1000,
                                   .reason = reason};
    result_cache_put(&run->cache, job->key, clock_monotonic_ns(), &cached);
    /* The first failure is the run's. Who cannot be settled goes back. */
    dobby_code code = DOBBY_OK;
    for (const struct waiter *waiter = job->waiters; waiter != NULL; waiter = waiter->next) {
        dobby_code one =
            run_settle_reused(run, &waiter->lease, job->key, &cached, code == DOBBY_OK ? err : NULL);
        if (one != DOBBY_OK)
            outbox_add(&run->outbox, &waiter->lease, OUTCOME_RELEASED);
        code = code == DOBBY_OK ? one : code;
    }
    dobby_code one = result_to_outbox(result, job, &run->provenance, engine, reason, &run->outbox,
                                      code == DOBBY_OK ? err : NULL);
    if (one != DOBBY_OK)
        outbox_add(&run->outbox, &job->lease, OUTCOME_RELEASED);
    job_remove(&run->jobs, job);
    return code == DOBBY_OK ? one : code;
}

/* The second try was no better: the first result stands. */
static dobby_code settle_first(struct run *run, struct job *job, struct dobby_error *err)
{
    struct engine_result first = job->first;
    char reason[QUALITY_REASON_BYTES];
    job->first = (struct engine_result){0};
    snprintf(reason, sizeof(reason), "%s", job->first_reason);
    dobby_code code = settle_job(run, job, &first, run->engine_text, reason, err);
    engine_result_release(&first);
    return code;
}

void run_record_failed(struct run *run, const struct lease *lease, const uint8_t key[SHA256_BYTES],
                       const struct dobby_error *failure)
{
    fail_record(run, lease, key, failure);
    run_engine_record_failed(run, lease, failure);
}

dobby_code run_job_failed(struct run *run, struct job *job, const struct dobby_error *failure,
                          struct dobby_error *err)
{
    struct lease lease = job->lease;
    if (run->engine_health.breaker.state != BREAKER_CLOSED) {
        release_job(run, job); /* known to be the engine's */
        return DOBBY_OK;
    }
    if (job->resampled && !dobby_code_retryable(failure->code))
        return settle_first(run, job, err);
    fail_record(run, &job->lease, job->key, failure);
    for (const struct waiter *waiter = job->waiters; waiter != NULL; waiter = waiter->next)
        fail_record(run, &waiter->lease, job->key, failure);
    job_remove(&run->jobs, job);
    run_engine_record_failed(run, &lease, failure);
    return DOBBY_OK;
}

/* Good results are settled. Others get a second try with other sampling; when that is no better, the first
 * one stands, as DEGRADED. */
static dobby_code take_text(struct run *run, struct job *job, struct engine_result *result,
                            struct dobby_error *err)
{
    enum quality_verdict verdict;
    char reason[QUALITY_REASON_BYTES];
    dobby_code code = result_judge(result, job, run->prompt, &verdict, reason, err);
    if (code != DOBBY_OK) {
        release_job(run, job);
        return code;
    }
    run_engine_record_good(run, job->asked);
    int64_t now_ns = clock_monotonic_ns();
    histogram_add(&run->latency_us, (now_ns - job->submitted_ns) / 1000);
    concurrency_completed(&run->concurrency, now_ns);
    run->tokens_inferred += (uint64_t)result->tokens_in + result->tokens_out;
    if (verdict == QUALITY_GOOD) {
        run->rescued += job->resampled;
        return settle_job(run, job, result, job->resampled ? run->engine_text_second : run->engine_text, NULL,
                          err);
    }
    if (!job->resampled && run->request == RUN_STOP) {
        release_job(run, job); /* no time for a second try, and without one the verdict is not final */
        return DOBBY_OK;
    }
    if (!job->resampled) {
        run->gates[verdict]++;
        run->resampled++;
        job->resampled = true;
        job->first = *result;
        *result = (struct engine_result){0};
        snprintf(job->first_reason, sizeof(job->first_reason), "%s", reason);
        job_set_unsubmitted(&run->jobs, job, true);
        return DOBBY_OK;
    }
    return settle_first(run, job, err);
}

/* One answer. Whatever it is, its job is over after, or submitted again. */
static dobby_code take_result(struct run *run, struct engine_result *result, struct dobby_error *err)
{
    if (result->tag >= RUN_PROBE_TAGS)
        return run_probe_answered(run, result, err);
    struct job *job = job_find(&run->jobs, result->tag);
    if (job == NULL) {
        if (job_tag_was_given(&run->jobs, result->tag))
            return DOBBY_OK; /* of a job that was dropped in an outage */
        run->engine_broken = true;
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "the engine answered a request that was not made");
    }
    switch (result->finish) {
    case FINISH_END_TOKEN:
    case FINISH_LENGTH:
        return take_text(run, job, result, err);
    case FINISH_ERROR:
        return run_job_failed(run, job, &result->error, err);
    case FINISH_CANCELED:
        release_job(run, job);
        if (!run->cancels_ours) /* somebody cancelled: claiming on would only be cancelled on */
            run_obey(run, RUN_DRAIN, RUN_INTERRUPTED, RUN_CAP_NONE);
        return DOBBY_OK;
    case FINISH_UNKNOWN:
        break;
    }
    release_job(run, job);
    return DOBBY_FAIL(err, DOBBY_INTERNAL, "the engine ended a request for no known reason");
}

dobby_code run_take_results(struct run *run, int64_t timeout_ms, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    size_t count = 0;
    dobby_code waited =
        engine_wait(run->engine, run->results, RUN_RESULTS_AT_ONCE, timeout_ms, &count, &failure);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < count; i++) {
        /* The first failure is the run's; the other results are still taken. */
        struct dobby_error other = {0};
        dobby_code one = take_result(run, &run->results[i], &other);
        if (code == DOBBY_OK && one != DOBBY_OK)
            code = run_engine_code(run, one, &other, err);
        engine_result_release(&run->results[i]);
    }
    if (waited != DOBBY_OK) {
        run_drop_jobs(run, false); /* it does not answer: what is in it may never come back */
        run->probing = false;
    }
    if (run->jobs.count == 0 && !run->probing)
        run->cancels_ours = false;
    return code == DOBBY_OK ? run_engine_code(run, waited, &failure, err) : code;
}
