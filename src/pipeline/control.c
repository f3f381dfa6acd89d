/* What is due by time while a run goes on, and what it is asked for.
 *
 *   running  -> paused     [a PAUSE command: queued records go back, running ones are finished]
 *   paused   -> running    [a RESUME command]
 *   paused   -> ended      [others have done what was left]
 *   running, paused            -> draining   [RUN_DRAIN; a cap; the engine cancelled on its own]
 *   running, paused, draining  -> stopping   [RUN_STOP; a CANCEL command] */
#include "observe/log.h"
#include "os/clock.h"
#include "pipeline/run_state.h"

enum { RECORD_MS = 500, RATE_MS = 1000, COUNT_MS = 5000 };

const char *run_phase_name(enum run_phase phase)
{
    static const char *const names[] = {
        [RUN_PHASE_UNKNOWN] = "unknown",
        [RUN_PHASE_RUNNING] = "running",
        [RUN_PHASE_WAITING] = "waiting",
        [RUN_PHASE_STORE_OUTAGE] = "store_outage",
        [RUN_PHASE_ENGINE_OUTAGE] = "engine_outage",
        [RUN_PHASE_PAUSED] = "paused",
        [RUN_PHASE_DRAINING] = "draining",
        [RUN_PHASE_STOPPING] = "stopping",
        [RUN_PHASE_ENDED] = "ended",
    };
    return (unsigned)phase <= RUN_PHASE_ENDED ? names[phase] : names[RUN_PHASE_UNKNOWN];
}

const char *run_cap_name(enum run_cap cap)
{
    static const char *const names[] = {[RUN_CAP_NONE] = "none",
                                        [RUN_CAP_RECORDS] = "max-records",
                                        [RUN_CAP_TIME] = "max-time",
                                        [RUN_CAP_TOKENS] = "max-tokens",
                                        [RUN_CAP_FAILURES] = "max-failures"};
    return (unsigned)cap <= RUN_CAP_FAILURES ? names[cap] : names[RUN_CAP_NONE];
}

static enum run_phase phase_of(const struct run *run)
{
    if (run->request == RUN_STOP)
        return RUN_PHASE_STOPPING;
    if (run->store_health.breaker.state != BREAKER_CLOSED)
        return RUN_PHASE_STORE_OUTAGE;
    if (run->request == RUN_DRAIN)
        return RUN_PHASE_DRAINING;
    if (run->engine_health.breaker.state != BREAKER_CLOSED)
        return RUN_PHASE_ENGINE_OUTAGE;
    if (run->paused)
        return RUN_PHASE_PAUSED;
    return run->dry && !run_has_leases(run) ? RUN_PHASE_WAITING : RUN_PHASE_RUNNING;
}

void run_refresh(struct run *run, bool finished)
{
    struct run_progress *progress = run->progress;
    int64_t now_ns = clock_monotonic_ns();
    run->told_ns = now_ns;
    if (run->paused && !run_has_leases(run)) { /* a pause is no rate: it goes on from here */
        run->rate_ns = now_ns;
        run->rate_done = run_done(run);
    } else if (now_ns - run->rate_ns >= RATE_MS * (int64_t)1000000) {
        double rate = (double)(run_done(run) - run->rate_done) * 1e9 / (double)(now_ns - run->rate_ns);
        run->rate_now = run->rate_now > 0 ? 0.7 * run->rate_now + 0.3 * rate : rate;
        run->rate_ns = now_ns;
        run->rate_done = run_done(run);
    }
    progress->elapsed_ns = now_ns - run->started_ns;
    progress->paused_ns = run->paused_ns + (run->paused ? now_ns - run->paused_since_ns : 0);
    progress->running = run->jobs.count;
    progress->claimed = (uint32_t)(run->batch.count - run->batch_next);
    progress->outbox = (uint32_t)run->outbox.count;
    progress->sessions = run->concurrency.limit;
    progress->store_breaker = run->store_health.breaker.state;
    progress->engine_breaker = run->engine_health.breaker.state;
    progress->phase = finished ? RUN_PHASE_ENDED : phase_of(run);
    progress->outage = progress->phase == RUN_PHASE_STORE_OUTAGE    ? run->store_health.error.code
                       : progress->phase == RUN_PHASE_ENGINE_OUTAGE ? run->engine_health.error.code
                                                                    : DOBBY_OK;
    progress->finished = finished;
}

static void tell(struct run *run)
{
    run_refresh(run, false);
    if (run->options->progress != NULL)
        run->options->progress(run->options->context, run->progress);
}

void run_obey(struct run *run, enum run_request request, enum run_state end, enum run_cap cap)
{
    if (request <= run->request)
        return;
    if (run->request == RUN_CONTINUE) { /* the first reason is the run's */
        run->progress->end = end;
        run->progress->cap = cap;
    }
    run->request = request;
    run->claims_over = true;
    run_release_batch(run);
    if (request == RUN_DRAIN)
        engine_cancel_queued(run->engine); /* those are leases returned: only what runs is waited for */
    if (request == RUN_STOP) {
        run->stop_now = run->stop_now || end == RUN_INTERRUPTED;
        engine_cancel_all(run->engine);
        run_drop_jobs(run, true);
    }
    /* Who set a time, or is waiting, wants no outage of minutes after it. */
    run->stop_limits = run->stop_limits || end != RUN_CAPPED || cap == RUN_CAP_TIME;
}

bool run_time_is_over(const struct run *run, int64_t now_ns)
{
    const int64_t most_ms = run->options->time_ms_max;
    return most_ms > 0 && now_ns - run->started_ns >= most_ms * 1000000;
}

static void keep_caps(struct run *run, int64_t now_ns)
{
    const struct run_options *options = run->options;
    if (run_time_is_over(run, now_ns))
        run_obey(run, RUN_DRAIN, RUN_CAPPED, RUN_CAP_TIME);
    if (options->tokens_inferred_max > 0 && run->tokens_inferred >= options->tokens_inferred_max)
        run_obey(run, RUN_DRAIN, RUN_CAPPED, RUN_CAP_TOKENS);
    if (options->failures_max > 0 && run->progress->failed + run->outbox.failed >= options->failures_max)
        run_obey(run, RUN_DRAIN, RUN_CAPPED, RUN_CAP_FAILURES);
}

static void pause_or_resume(struct run *run, bool pause)
{
    if (pause == run->paused || run->request != RUN_CONTINUE)
        return;
    const int64_t now_ns = clock_monotonic_ns();
    if (pause)
        run->paused_since_ns = now_ns;
    else
        run->paused_ns += now_ns - run->paused_since_ns;
    run->paused = pause;
    run->dry = false;
    run->recorded_ns = 0; /* who commanded it waits to see it in the row */
    log_write(LOG_INFO, pause ? "run.paused" : "run.resumed", "commanded so",
              LOG_TEXT("run", run->options->run_id));
    if (!pause)
        return;
    run->cancels_ours = true;
    run_release_batch(run);
    engine_cancel_queued(run->engine);
}

void run_take_command(struct run *run, enum run_command command)
{
    switch (command) {
    case RUN_COMMAND_PAUSE:
    case RUN_COMMAND_RESUME:
        pause_or_resume(run, command == RUN_COMMAND_PAUSE);
        break;
    case RUN_COMMAND_CANCEL:
        run_obey(run, RUN_STOP, RUN_CANCELED, RUN_CAP_NONE);
        break;
    case RUN_COMMAND_UNKNOWN:
    case RUN_COMMAND_NONE:
    case RUN_COMMAND_COUNT:
        break;
    }
}

static dobby_code renew(struct run *run, int64_t now_ns, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    const struct run_options *options = run->options;
    if (!run_has_leases(run) || now_ns - run->renewed_ns < options->lease_ms * 1000000 / 3 ||
        !run_store_is_open(run))
        return DOBBY_OK;
    uint64_t renewed = 0;
    dobby_code code = store_renew(run->store, options->owner, clock_unix_us() + options->lease_ms * 1000,
                                  &renewed, &failure);
    if (code == DOBBY_OK)
        run->renewed_ns = now_ns;
    return run_store_code(run, RUN_STORE_RENEW, code, &failure, err);
}

/* Nothing to be resumed for: the others have done it. */
static void end_paused(struct run *run)
{
    log_write(LOG_INFO, "run.nothing_left", "paused, and others have done what was left: the run ends",
              LOG_TEXT("run", run->options->run_id));
    run->progress->ended_paused = true;
    run->claims_over = true;
}

/* Other runs on the same database do a part of what there was to do. */
static dobby_code count_again(struct run *run, int64_t now_ns, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    struct store_counts counts;
    if (now_ns - run->counted_ns < COUNT_MS * (int64_t)1000000)
        return DOBBY_OK;
    run->counted_ns = now_ns;
    dobby_code called = run_stale_left(run) > 0 ? run_count_stale_again(run, &failure) : DOBBY_OK;
    if (called == DOBBY_OK)
        called = store_count(run->store, &counts, &failure);
    if (called == DOBBY_OK) {
        run_set_total(run, &counts);
        if (run->paused && !run->claims_over && !run_has_leases(run) &&
            counts.by_state[RECORD_PENDING] + counts.by_state[RECORD_LEASED] + run_stale_left(run) == 0)
            end_paused(run);
    }
    return run_store_code(run, RUN_STORE_POLL, called, &failure, err);
}

dobby_code run_tick(struct run *run, struct dobby_error *err)
{
    const struct run_options *options = run->options;
    if (options->request != NULL)
        run_obey(run, options->request(options->context), RUN_INTERRUPTED, RUN_CAP_NONE);
    int64_t now_ns = clock_monotonic_ns();
    keep_caps(run, now_ns);
    if (now_ns - run->told_ns >= RUN_PROGRESS_MS * (int64_t)1000000)
        tell(run);
    concurrency_tick(&run->concurrency, now_ns);
    dobby_code code = renew(run, now_ns, err);
    if (code == DOBBY_OK && run_store_is_open(run))
        code = count_again(run, now_ns, err);
    if (code != DOBBY_OK || !run->recorded || !run_store_is_open(run))
        return code;
    if (now_ns - run->recorded_ns >= RECORD_MS * (int64_t)1000000)
        return run_record_update(run, err);
    if (now_ns - run->polled_ns >= RUN_POLL_MS * (int64_t)1000000)
        return run_record_poll(run, err);
    return DOBBY_OK;
}
