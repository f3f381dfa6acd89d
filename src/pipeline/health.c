/* What a run does when the store or the engine fails as a whole: it leaves it alone for a while, tries again,
 * and after a limit ends with the error.
 *
 *   closed    -> open        [run_store_code, run_engine_code: a failure that may pass;
 *                             run_engine_record_failed: many records in a row that never failed before;
 *                             run_probe_answered: a probe that was sent because of a few failures failed too]
 *   open      -> half_open   [run_store_is_open: the next call is the probe; run_probe: a prompt that is
 *                             nobody's record]
 *   half_open -> closed      [run_store_code OK; run_probe_answered with a text]
 *   half_open -> open        [the same with a failure: twice as long]
 *
 * Whose failure it is when a prompt is refused or fails: whatever its code says, the record's, unless the
 * engine fails for everybody. So such a failure is held in the outbox, and costs no try, until the engine has
 * shown which it is:
 * - it answers with a text what it was asked after the failure, another record or a probe: the record's;
 * - the engine fails in a call that is no record's, or a probe fails: the engine's;
 * - so many records fail in a row that the breaker opens: the engine's, for the benefit of the doubt, since a
 *   short outage may be over before the probe. The next time, while those that were in the engine are asked
 *   again and until another was answered, the probe decides: else records that always fail would be taken and
 *   pardoned for ever where no good one is left;
 * - the run ends before it is known: nobody's, the records go back.
 * Where no record can show it, because nothing else is in the engine or takes long, a probe is sent although
 * the breaker is closed. What is held counts as a lease like all others, so it is bounded by what they are.
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
    STOP_NOW_OUTAGE_MS_MAX = 300,
    ENGINE_COOL_DOWN_MS_MAX = 30 * 1000,
    PROBE_MS_MAX = 30 * 1000,
    PROBE_TOKENS = 8,
    DOUBT_MS = 2000, /* for records to show whose failures are held, before a probe is sent */
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
    if (run->stop_now && limit_ms > STOP_NOW_OUTAGE_MS_MAX)
        limit_ms = STOP_NOW_OUTAGE_MS_MAX;
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
    return breaker_allows(breaker, clock_monotonic_ns()) || breaker->state == BREAKER_HALF_OPEN ||
           run->stop_now;
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
        /* Obeyed by run_tick, once there is a loop. */
        const struct run_options *options = run->options;
        const enum run_request request =
            options->request != NULL ? options->request(options->context) : RUN_CONTINUE;
        if (request != RUN_CONTINUE || run_time_is_over(run, clock_monotonic_ns()))
            run->stop_limits = true;
        run->stop_now = run->stop_now || request == RUN_STOP;
    }
    return true;
}

/* ---- the engine ---- */

static void begin_outage(struct run *run)
{
    run->cancels_ours = true;
    run->probing = false; /* an outage has its own; the answer is ignored when it comes */
    run_release_batch(run);
    run_drop_jobs(run, true);
    engine_cancel_all(run->engine);
}

dobby_code run_engine_code(struct run *run, dobby_code code, const struct dobby_error *failure,
                           struct dobby_error *err)
{
    if (code == DOBBY_OK)
        return DOBBY_OK;
    bool first = run->engine_health.breaker.state == BREAKER_CLOSED;
    outbox_pardon(&run->outbox);
    code = trip(run, &run->engine_health, "engine", code, failure, err);
    if (code == DOBBY_OK && first)
        begin_outage(run);
    return code;
}

void run_engine_record_failed(struct run *run, const struct lease *lease, const struct dobby_error *failure)
{
    struct breaker *breaker = &run->engine_health.breaker;
    /* A record that failed before is more likely at fault itself. */
    if (lease->tries > 1 || breaker->state != BREAKER_CLOSED)
        return;
    breaker_failure(breaker, clock_monotonic_ns());
    if (breaker->state == BREAKER_CLOSED)
        return;
    run->engine_health.error = *failure;
    log_write(LOG_INFO, "run.outage", "many records failed in a row: trying the engine by itself",
              LOG_TEXT("of", "engine"), LOG_TEXT("error", dobby_code_id(failure->code)));
    if (!run->vouched)
        outbox_pardon(&run->outbox);
    begin_outage(run);
}

void run_engine_record_good(struct run *run, uint64_t asked)
{
    struct breaker *breaker = &run->engine_health.breaker;
    outbox_charge(&run->outbox, asked);
    /* In an outage nothing is asked: this was before it, and the probe decides. Else each good record of a
     * full engine would end it, for the same bad ones to begin it again and be pardoned. */
    if (breaker->state != BREAKER_CLOSED)
        return;
    /* What was in the engine in the outage is asked first after it, good and bad: the probe spoke for these.
     */
    if (!run->vouched || asked > run->vouched_until) {
        breaker->policy.failures_max = ENGINE_FAILURES_MAX;
        run->vouched = false;
    }
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
    code = engine_submit(run->engine, &request, err);
    if (code == DOBBY_OK)
        run->probe_asked = ++run->asked;
    return code;
}

/* Failures are held, and no record is going to show soon whose they are. */
static bool in_doubt(const struct run *run, int64_t now_ns)
{
    return run->outbox.held > 0 && (run->jobs.count == run->jobs.unsubmitted ||
                                    now_ns - run->outbox.held_ns >= DOUBT_MS * (int64_t)1000000);
}

/* It cannot be asked, because even the probe is too long for it: then it is as if it had answered. */
static bool cannot_tell(const struct run *run, dobby_code code)
{
    return run->engine_health.breaker.state == BREAKER_CLOSED && run_is_too_long(code);
}

dobby_code run_probe(struct run *run, struct dobby_error *err)
{
    struct dependency *health = &run->engine_health;
    struct dobby_error failure = {0};
    int64_t now_ns = clock_monotonic_ns();
    const bool closed = health->breaker.state == BREAKER_CLOSED;
    if (!closed && limit_is_over(run, health)) {
        if (err != NULL)
            *err = health->error;
        return health->error.code;
    }
    /* While the breaker is closed records are in front of it, and it takes as long as they do. */
    if (run->probing && !closed && now_ns - run->probe_sent_ns >= PROBE_MS_MAX * (int64_t)1000000) {
        run->probing = false; /* its answer is ignored when it comes */
        breaker_failure(&health->breaker, now_ns);
    }
    if (run->probing || (closed ? !in_doubt(run, now_ns) : !breaker_allows(&health->breaker, now_ns)))
        return DOBBY_OK;
    dobby_code code = send_probe(run, &failure);
    if (code == DOBBY_QUEUE_FULL) { /* by what is still being cancelled, or by all that runs */
        breaker_abandon(&health->breaker, now_ns + NAP_MS * (int64_t)1000000);
        return DOBBY_OK;
    }
    if (cannot_tell(run, code)) {
        outbox_charge(&run->outbox, UINT64_MAX);
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
    const bool closed = breaker->state == BREAKER_CLOSED;
    if (result->finish == FINISH_ERROR) {
        run->vouched = false;
        return run_engine_code(run, result->error.code, &result->error, err);
    }
    if (result->finish != FINISH_END_TOKEN && result->finish != FINISH_LENGTH) {
        if (!closed)
            breaker_failure(breaker, clock_monotonic_ns());
        return DOBBY_OK;
    }
    outbox_charge(&run->outbox, run->probe_asked);
    if (!closed) {
        log_write(LOG_INFO, "run.outage_over", "it works again", LOG_TEXT("of", "engine"),
                  LOG_INTEGER("ms", breaker_trouble_ns(breaker, clock_monotonic_ns()) / 1000000));
        /* So it may have been the records. Where all are bad, asking after every few would take for ever. */
        if (breaker->policy.failures_max <= ENGINE_FAILURES_LIMIT / 2)
            breaker->policy.failures_max *= 2;
        run->vouched = true;
        run->vouched_until = run->asked + run_in_flight_max(run->concurrency.limit);
    }
    breaker_success(breaker);
    return DOBBY_OK;
}
