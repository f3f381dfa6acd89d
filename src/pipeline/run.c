/* The loop of a run, and its end.
 *
 * Everything happens on the calling thread; the engine has its own. So that it does not starve while this
 * thread waits for the disk, some requests are queued in it beyond those it runs at once: a quarter as many
 * and 4. More would not make it faster, but every one is a lease that a crash leaves behind. */
#include "pipeline/run.h"

#include "observe/log.h"
#include "os/clock.h"
#include "pipeline/run_state.h"

#include <stdlib.h>

enum {
    CANCEL_MS_MAX = 10000, /* for the engine to answer what was cancelled after a failure */
    TAKE_BACK_MS = 5000,   /* between two looks for dead owners, while waiting for other runs */
    SPIN_NS = 100 * 1000,
    IDLE_MS = 20 /* a sleep when there is nothing to wait for but time */
};

uint32_t run_in_flight_max(uint32_t sessions)
{
    return sessions + sessions / 4 + 4;
}

size_t run_leases_max(uint32_t sessions)
{
    return run_in_flight_max(sessions) + RUN_CLAIM_RECORDS + RUN_SETTLE_RECORDS;
}

bool run_has_leases(const struct run *run)
{
    return run->jobs.count > 0 || run->batch.count > 0 || run->outbox.count > 0;
}

uint64_t run_done(const struct run *run)
{
    const struct run_progress *progress = run->progress;
    return progress->completed + progress->degraded + progress->failed + progress->skipped;
}

/* ---- the loop ---- */

static dobby_code settle(struct run *run, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    bool returned = false;
    int64_t before_ns = clock_monotonic_ns();
    dobby_code called = outbox_settle(&run->outbox, run->store, run->progress, &returned, &failure);
    if (called == DOBBY_OK) {
        histogram_add(&run->settle_us, (clock_monotonic_ns() - before_ns) / 1000);
        if (returned || !run_has_leases(run))
            run->dry = false; /* there may be something to claim again, or nothing left to wait for */
    }
    return run_store_code(run, RUN_STORE_SETTLE, called, &failure, err);
}

static dobby_code settle_due(struct run *run, struct dobby_error *err)
{
    const struct outbox *outbox = &run->outbox;
    bool alone = run->jobs.count == 0 && run->batch.count == 0; /* no company comes */
    bool due = outbox_due(outbox) >= RUN_SETTLE_RECORDS || alone ||
               run->store_health.breaker.state != BREAKER_CLOSED ||
               clock_monotonic_ns() - outbox->oldest_ns >= RUN_SETTLE_MS * (int64_t)1000000;
    if (outbox_due(outbox) == 0 || !due || !run_store_is_open(run))
        return DOBBY_OK;
    return settle(run, err);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Until something is due at the latest, nanoseconds. */
static int64_t wait_ns(struct run *run)
{
    int64_t now_ns = clock_monotonic_ns(), least = RUN_WAIT_MS * (int64_t)1000000;
    bool open = run_store_is_open(run);
    if (!open)
        least = smaller(least, breaker_wait_ns(&run->store_health.breaker, now_ns));
    else if (outbox_due(&run->outbox) > 0)
        least = smaller(least, run->outbox.oldest_ns + RUN_SETTLE_MS * (int64_t)1000000 - now_ns);
    if (run->engine_health.breaker.state == BREAKER_OPEN)
        least = smaller(least, breaker_wait_ns(&run->engine_health.breaker, now_ns));
    if (run->dry)
        least = smaller(least, run->claim_ns - now_ns);
    return least > 0 ? least : 0;
}

static dobby_code wait_for_work(struct run *run, struct dobby_error *err)
{
    int64_t timeout_ms = (wait_ns(run) + 999999) / 1000000;
    if (run->jobs.count < run->concurrency.limit)
        concurrency_starved(&run->concurrency);
    if (run->jobs.count > run->jobs.unsubmitted || run->probing) {
        int64_t before_ns = clock_monotonic_ns();
        uint32_t before = run->jobs.count;
        dobby_code code = run_take_results(run, timeout_ms, err);
        /* An engine that returns at once with nothing has lost what it was given: no reason to spin. */
        if (run->jobs.count == before && clock_monotonic_ns() - before_ns < SPIN_NS)
            clock_sleep_ms(smaller(timeout_ms, 1));
        return code;
    }
    /* Nothing runs. Sleep only where there is something to wait for: a store or an engine that fails, a
     * command, others' records, or room in an engine's queue that others fill. */
    bool idle = run->dry || run->paused || run->batch.count > 0 || run->jobs.count > 0 ||
                run->outbox.held > 0 || !run_store_is_open(run) ||
                run->engine_health.breaker.state != BREAKER_CLOSED;
    if (idle && outbox_due(&run->outbox) == 0)
        clock_sleep_ms(smaller(timeout_ms, IDLE_MS));
    else if (idle)
        clock_sleep_ms(smaller(timeout_ms, 1));
    return DOBBY_OK;
}

/* While only other runs' records are left: some of them may have died. */
static dobby_code watch_others(struct run *run, struct dobby_error *err)
{
    int64_t now_ns = clock_monotonic_ns();
    if (!run->dry || run_has_leases(run) || run->wait_until_us == 0 || run->paused ||
        now_ns - run->takeback_ns < TAKE_BACK_MS * (int64_t)1000000 || !run_store_is_open(run))
        return DOBBY_OK;
    return run_take_back_dead(run, err);
}

static dobby_code loop(struct run *run, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    while (code == DOBBY_OK && (!run->claims_over || run_has_leases(run))) {
        code = run_tick(run, err);
        if (run->request != RUN_CONTINUE && run->jobs.count == 0)
            outbox_pardon(&run->outbox); /* nobody will show any more whose failures these are */
        if (code == DOBBY_OK)
            code = settle_due(run, err);
        if (code == DOBBY_OK)
            code = watch_others(run, err);
        if (code == DOBBY_OK)
            code = run_feed(run, err);
        if (code == DOBBY_OK && !run->claims_over)
            code = run_probe(run, err);
        if (code == DOBBY_OK)
            code = wait_for_work(run, err);
    }
    return code;
}

/* ---- the end ---- */

/* Takes what a failed run has in the engine out of it again; what finishes in time is still saved. */
static void empty_engine(struct run *run)
{
    int64_t end_ns = clock_monotonic_ns() + CANCEL_MS_MAX * (int64_t)1000000;
    run->cancels_ours = true;
    if (run->jobs.count > 0)
        engine_cancel_all(run->engine);
    while (run->jobs.count > run->jobs.unsubmitted && !run->engine_broken && clock_monotonic_ns() < end_ns)
        if (run_take_results(run, RUN_WAIT_MS, NULL) != DOBBY_OK)
            break;
    run_drop_jobs(run, false);
}

/* After a failure: saves what can be saved and leaves no lease behind, as far as the store allows it. */
static void clean_up(struct run *run)
{
    struct dobby_error failure;
    dobby_code code = DOBBY_OK;
    run->stop_limits = true;
    run->claims_over = true;
    if (!run->stop_now)
        breaker_success(&run->store_health.breaker); /* its time begins anew: now it is about the leases */
    empty_engine(run);
    run_release_batch(run);
    outbox_pardon(&run->outbox);
    while (run->outbox.count > 0 && code == DOBBY_OK) {
        bool returned;
        do {
            failure = (struct dobby_error){0};
            code = outbox_settle(&run->outbox, run->store, run->progress, &returned, &failure);
        } while (run_store_wait(run, &code, &failure, NULL));
    }
    if (run->outbox.count == 0)
        return;
    do {
        uint64_t released = 0;
        failure = (struct dobby_error){0};
        code = store_release_owner(run->store, run->options->owner, clock_unix_us(), &released, &failure);
    } while (run_store_wait(run, &code, &failure, NULL));
    if (code != DOBBY_OK)
        log_write(LOG_WARNING, "run.leases_left", "leases could not be returned: they expire by themselves",
                  LOG_TEXT("error", dobby_code_id(code)));
}

/* A cap that was reached with the last record is none. */
static void look_for_an_end(struct run *run)
{
    struct run_progress *progress = run->progress;
    struct store_counts counts;
    if (progress->end == RUN_UNKNOWN)
        progress->end = RUN_FINISHED;
    if (progress->end == RUN_CAPPED && store_count(run->store, &counts, NULL) == DOBBY_OK &&
        counts.by_state[RECORD_PENDING] + counts.by_state[RECORD_LEASED] + run_stale_left(run) == 0) {
        progress->end = RUN_FINISHED;
        progress->cap = RUN_CAP_NONE;
    }
}

static void run_release(struct run *run)
{
    record_batch_release(&run->batch);
    token_list_release(&run->tokens);
    outbox_release(&run->outbox);
    job_table_release(&run->jobs);
    result_cache_release(&run->cache);
    free(run->results);
    free(run->spans);
    free(run->intake);
    free(run->keys);
    free(run->key_records);
    free(run);
}

dobby_code pipeline_run(struct store *store, struct engine *engine, const struct prompt_template *prompt,
                        const struct run_options *options, struct run_progress *progress,
                        struct dobby_error *err)
{
    struct dobby_error failure = {0};
    *progress = (struct run_progress){0};
    struct run *run = calloc(1, sizeof(*run)); /* percentiles and errors make it too large for a stack */
    if (run == NULL) {
        *progress = (struct run_progress){.phase = RUN_PHASE_ENDED, .finished = true, .end = RUN_FAILED};
        if (options->progress != NULL)
            options->progress(options->context, progress);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a run");
    }
    run->store = store;
    run->engine = engine;
    run->prompt = prompt;
    run->options = options;
    run->progress = progress;
    run->started_ns = run->told_ns = run->rate_ns = clock_monotonic_ns();
    run->started_us = clock_unix_us();
    dobby_code code = run_begin(run, &failure);
    if (code == DOBBY_OK) {
        code = loop(run, &failure);
        if (code != DOBBY_OK)
            clean_up(run);
    }
    if (code == DOBBY_OK)
        look_for_an_end(run);
    else
        progress->end = RUN_FAILED;
    if (code != DOBBY_OK)
        progress->cap = RUN_CAP_NONE;
    run_refresh(run, true);
    run_record_end(run, code, &failure);
    if (options->progress != NULL)
        options->progress(options->context, progress);
    if (err != NULL && code != DOBBY_OK)
        *err = failure;
    run_release(run);
    return code;
}
