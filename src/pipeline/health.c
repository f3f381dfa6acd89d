/* What a run does when the store or the engine fails as a whole: it leaves it alone for a while, tries again,
 * and after a limit ends with the error.
 *
 *   closed    -> open        [run_store_code, run_engine_code: a failure that may pass;
 *                             run_engine_record_failed: many records in a row that never failed before]
 *   open      -> half_open   [run_store_is_open: the next call is the probe; run_probe: a prompt that is
 *                             nobody's record]
 *   half_open -> closed      [run_store_code OK; run_probe_answered with a text]
 *   half_open -> open        [the same with a failure: twice as long]
 *
 * Failures in a row are held against nobody until the probe has told records from engine, final ones neither;
 * only what a transaction has taken by then has cost its try. When it works and the same records fail again,
 * they are charged: else records that always fail would be taken and pardoned for ever where no good one is
 * left to end the row.
 *
 * While the engine's breaker is not closed nothing is claimed and all leases go back; while the store's is
 * not, nothing can be claimed or saved, and what the engine finishes waits in the outbox. */
#include "observe/log.h"
#include "os/clock.h"
#include "os/random.h"
#include "pipeline/run_state.h"

#include <stdio.h>

enum {
    ENGINE_FAILURES_MAX = 8, /* records in a row: that many bad ones side by side are rare */
    ENGINE_FAILURES_LIMIT = 1 << 20,
    STOP_OUTAGE_MS_MAX = 3000,
    ENGINE_COOL_DOWN_MS_MAX = 30 * 1000,
    PROBE_MS_MAX = 30 * 1000,
    PROBE_TOKENS = 8,
    NAP_MS = 20
};

static const struct retry_policy store_cool_down = {.delay_first_ms = 10, .delay_max_ms = 2000};

void run_health_init(struct run *run)
{
    uint64_t seed = 0; /* without randomness the waits are still right, only not spread */
    if (random_bytes(&seed, sizeof(seed), NULL) != DOBBY_OK)
        seed = 0;
    run->store_health.breaker =
        (struct breaker){.policy = {.failures_max = 1, .cool_down = store_cool_down}, .seed = seed};
    const int64_t first_ms = run->options->probe_first_ms;
    const struct retry_policy engine_cool_down = {.delay_first_ms =
                                                      first_ms > 0 ? first_ms : RUN_PROBE_FIRST_MS,
                                                  .delay_max_ms = ENGINE_COOL_DOWN_MS_MAX};
    run->engine_health.breaker = (struct breaker){
        .policy = {.failures_max = ENGINE_FAILURES_MAX, .cool_down = engine_cool_down}, .seed = ~seed};
}

static bool limit_is_over(const struct run *run, const struct dependency *dependency)
{
    int64_t limit_ms = run->options->outage_ms_max != 0 ? run->options->outage_ms_max : RUN_OUTAGE_MS_MAX;
    if (run->stop_limits && limit_ms > STOP_OUTAGE_MS_MAX)
        limit_ms = STOP_OUTAGE_MS_MAX;
    return breaker_trouble_ns(&dependency->breaker, clock_monotonic_ns()) >= limit_ms * 1000000;
}

/* Remembers a failure. Fails with it when it will not pass, or was waited for long enough. */
static dobby_code trip(struct run *run, struct dependency *dependency, const char *name, dobby_code code,
                       const struct dobby_error *failure, struct dobby_error *err)
{
    bool first = dependency->breaker.state == BREAKER_CLOSED;
    dependency->error = *failure;
    error_tally_add(&run->progress->errors, code, failure->detail, "", clock_unix_us());
    if (dobby_code_retryable(code)) {
        breaker_trip(&dependency->breaker, clock_monotonic_ns());
        if (!limit_is_over(run, dependency)) {
            if (first)
                log_write(LOG_INFO, "run.outage", "a failure that may pass: waiting for it",
                          LOG_TEXT("of", name), LOG_TEXT("error", dobby_code_id(code)),
                          LOG_TEXT("detail", failure->detail));
            return DOBBY_OK;
        }
    }
    if (err != NULL)
        *err = *failure;
    return code;
}

/* ---- the store ---- */

bool run_store_is_open(struct run *run)
{
    struct breaker *breaker = &run->store_health.breaker;
    return breaker_allows(breaker, clock_monotonic_ns()) || breaker->state == BREAKER_HALF_OPEN;
}

dobby_code run_store_code(struct run *run, enum run_store_call call, dobby_code code,
                          const struct dobby_error *failure, struct dobby_error *err)
{
    struct dependency *health = &run->store_health;
    if (code != DOBBY_OK) {
        if (health->breaker.state == BREAKER_CLOSED)
            health->call = call;
        return trip(run, health, "store", code, failure, err);
    }
    if (call == health->call || call == RUN_STORE_SETTLE || call == RUN_STORE_CLAIM)
        breaker_success(&health->breaker);
    return DOBBY_OK;
}

bool run_store_wait(struct run *run, dobby_code *code, const struct dobby_error *failure,
                    struct dobby_error *err)
{
    bool failed = *code != DOBBY_OK;
    *code = run_store_code(run, RUN_STORE_START, *code, failure, err);
    if (!failed || *code != DOBBY_OK)
        return false;
    while (!run_store_is_open(run)) {
        clock_sleep_ms(NAP_MS);
        if (run->options->request != NULL && run->options->request(run->options->context) != RUN_CONTINUE)
            run->stop_limits = true; /* asked properly by run_tick, once there is a loop */
    }
    return true;
}

/* ---- the engine ---- */

static void begin_outage(struct run *run, bool pardon)
{
    run->cancels_ours = true;
    run_release_batch(run);
    run_drop_jobs(run, true);
    if (pardon)
        outbox_pardon(&run->outbox);
    engine_cancel_all(run->engine);
}

dobby_code run_engine_code(struct run *run, dobby_code code, const struct dobby_error *failure,
                           struct dobby_error *err)
{
    if (code == DOBBY_OK)
        return DOBBY_OK;
    bool first = run->engine_health.breaker.state == BREAKER_CLOSED;
    code = trip(run, &run->engine_health, "engine", code, failure, err);
    if (code == DOBBY_OK && first)
        begin_outage(run, true);
    return code;
}

dobby_code run_engine_record_failed(struct run *run, const struct lease *lease,
                                    const struct dobby_error *failure, struct dobby_error *err)
{
    (void)err;
    struct breaker *breaker = &run->engine_health.breaker;
    /* A record that failed before is more likely at fault itself. */
    if (lease->tries > 1 || breaker->state != BREAKER_CLOSED)
        return DOBBY_OK;
    breaker_failure(breaker, clock_monotonic_ns());
    if (breaker->state == BREAKER_CLOSED)
        return DOBBY_OK;
    run->engine_health.error = *failure;
    log_write(LOG_INFO, "run.outage", "many records failed in a row: trying the engine by itself",
              LOG_TEXT("of", "engine"), LOG_TEXT("error", dobby_code_id(failure->code)));
    begin_outage(run, !run->vouched);
    return DOBBY_OK;
}

void run_engine_record_good(struct run *run)
{
    struct breaker *breaker = &run->engine_health.breaker;
    breaker->policy.failures_max = ENGINE_FAILURES_MAX;
    run->vouched = false;
    breaker_success(breaker);
}

static dobby_code send_probe(struct run *run, struct dobby_error *err)
{
    static const char content[] = "int main(void) { return 0; }\n";
    struct prompt_values values = {
        .path = "probe.c", .language = "c", .content = content, .content_length = sizeof(content) - 1};
    dobby_code code = run_tokenize(run, &values, err);
    if (code != DOBBY_OK)
        return code;
    struct engine_request request = {.tag = RUN_PROBE_TAGS + ++run->probes,
                                     .tokens = run->tokens.ids,
                                     .token_count = run->tokens.count,
                                     .tokens_max = PROBE_TOKENS,
                                     .sampling = SAMPLING_GREEDY};
    return engine_submit(run->engine, &request, err);
}

dobby_code run_probe(struct run *run, struct dobby_error *err)
{
    struct dependency *health = &run->engine_health;
    struct dobby_error failure = {0};
    int64_t now_ns = clock_monotonic_ns();
    if (health->breaker.state == BREAKER_CLOSED)
        return DOBBY_OK;
    if (limit_is_over(run, health)) {
        if (err != NULL)
            *err = health->error;
        return health->error.code;
    }
    if (run->probing && now_ns - run->probe_sent_ns >= PROBE_MS_MAX * (int64_t)1000000) {
        run->probing = false; /* its answer is ignored when it comes */
        breaker_failure(&health->breaker, now_ns);
    }
    if (run->probing || !breaker_allows(&health->breaker, now_ns))
        return DOBBY_OK;
    dobby_code code = send_probe(run, &failure);
    if (code == DOBBY_QUEUE_FULL) { /* by what is still being cancelled */
        breaker_abandon(&health->breaker, now_ns + NAP_MS * (int64_t)1000000);
        return DOBBY_OK;
    }
    run->probing = code == DOBBY_OK;
    run->probe_sent_ns = now_ns;
    return run_engine_code(run, code, &failure, err);
}

dobby_code run_probe_answered(struct run *run, const struct engine_result *result, struct dobby_error *err)
{
    struct breaker *breaker = &run->engine_health.breaker;
    if (!run->probing || result->tag != RUN_PROBE_TAGS + run->probes)
        return DOBBY_OK; /* of a probe that was given up, or of a run before this one */
    run->probing = false;
    if (result->finish == FINISH_END_TOKEN || result->finish == FINISH_LENGTH) {
        log_write(LOG_INFO, "run.outage_over", "it works again", LOG_TEXT("of", "engine"),
                  LOG_INTEGER("ms", breaker_trouble_ns(breaker, clock_monotonic_ns()) / 1000000));
        /* So it was the records. Where all are bad, asking after every few would take for ever. */
        if (breaker->policy.failures_max <= ENGINE_FAILURES_LIMIT / 2)
            breaker->policy.failures_max *= 2;
        breaker_success(breaker);
        run->vouched = true;
        return DOBBY_OK;
    }
    run->vouched = false;
    if (result->finish == FINISH_ERROR)
        return trip(run, &run->engine_health, "engine", result->error.code, &result->error, err);
    breaker_failure(breaker, clock_monotonic_ns());
    return DOBBY_OK;
}
