/* The loop of a run.
 *
 * Everything happens on the calling thread; the engine has its own. So that it does not starve while this
 * thread waits for the disk, some requests are queued in it beyond those it runs at once: a quarter as many
 * and 4. More would not make it faster, but every one is a lease that a crash leaves behind. A drain gives
 * those back and finishes what runs.
 *
 *   running  -> draining   [run_tick: RUN_DRAIN; take_result: the engine cancelled on its own]
 *   running, draining -> stopping   [run_tick: RUN_STOP]
 *   any      -> finished   [nothing is claimed any more and all is settled; or a failure, then clean_up] */
#include "pipeline/run.h"

#include "observe/log.h"
#include "os/clock.h"
#include "os/process.h"
#include "pipeline/run_state.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WAIT_MS = 100, /* at most between two looks at requests, leases and progress */
    PROGRESS_MS = 250,
    BUSY_MS_MAX = 30 * 1000, /* for a locked store, unless the options say otherwise */
    STOP_BUSY_MS_MAX = 3000, /* the same once the user wants out */
    CANCEL_MS_MAX = 10000,   /* for the engine to answer what was cancelled after a failure */
    RESULTS_AT_ONCE = 64
};

static bool has_leases(const struct run *run)
{
    return run->jobs.count > 0 || run->batch.count > 0 || run->outbox.count > 0;
}

dobby_code run_store_code(struct run *run, dobby_code code)
{
    return code == DOBBY_STORE_BUSY && store_gate_busy(&run->gate, clock_monotonic_ns()) ? DOBBY_OK : code;
}

static void tell(struct run *run, bool finished)
{
    run->told_ns = clock_monotonic_ns();
    run->progress->elapsed_ns = run->told_ns - run->started_ns;
    run->progress->running = run->jobs.count;
    run->progress->finished = finished;
    if (run->options->progress != NULL)
        run->options->progress(run->options->context, run->progress);
}

static void obey(struct run *run, enum run_request request)
{
    if (request <= run->request)
        return;
    run->request = request;
    run->claims_over = true;
    run_release_batch(run);
    if (request == RUN_DRAIN)
        engine_cancel_queued(
            run->engine); /* those results are leases returned: only what runs is waited for */
    if (request == RUN_STOP) {
        engine_cancel_all(run->engine);
        if (run->gate.limit_ms > STOP_BUSY_MS_MAX)
            run->gate.limit_ms = STOP_BUSY_MS_MAX;
    }
}

dobby_code run_tick(struct run *run, struct dobby_error *err)
{
    const struct run_options *options = run->options;
    if (options->request != NULL)
        obey(run, options->request(options->context));
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns - run->told_ns >= PROGRESS_MS * (int64_t)1000000)
        tell(run, false);
    if (!has_leases(run) || now_ns - run->renewed_ns < options->lease_ms * 1000000 / 3 ||
        !store_gate_is_open(&run->gate, now_ns))
        return DOBBY_OK;
    uint64_t renewed = 0;
    dobby_code code =
        store_renew(run->store, options->owner, clock_unix_us() + options->lease_ms * 1000, &renewed, err);
    if (code != DOBBY_OK)
        return run_store_code(run, code);
    store_gate_passed(&run->gate);
    run->renewed_ns = now_ns;
    return DOBBY_OK;
}

/* One answer. Whatever it is, its job is over after: a result that cannot be kept returns its lease. */
static dobby_code take_result(struct run *run, struct engine_result *result, struct dobby_error *err)
{
    struct job *job = job_find(&run->jobs, result->tag);
    if (job == NULL) {
        run->engine_failed = true;
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "the engine answered a request that was not made");
    }
    dobby_code code = result_to_outbox(result, job, &run->provenance, &run->outbox, err);
    if (code != DOBBY_OK)
        outbox_add(&run->outbox, job->id, job->attempt, OUTCOME_RELEASED);
    job_remove(&run->jobs, job);
    if (result->finish == FINISH_CANCELED)
        obey(run, RUN_DRAIN); /* somebody cancelled: claiming on would only be cancelled on */
    return code;
}

/* Moves what the engine has finished to the outbox, after waiting for it up to timeout_ms. */
static dobby_code poll_results(struct run *run, int64_t timeout_ms, struct dobby_error *err)
{
    size_t count = 0;
    dobby_code code = engine_wait(run->engine, run->results, RESULTS_AT_ONCE, timeout_ms, &count, err);
    run->engine_failed = code != DOBBY_OK;
    for (size_t i = 0; i < count; i++) {
        /* The first failure is the run's; the other results are still taken. */
        dobby_code one = take_result(run, &run->results[i], code == DOBBY_OK ? err : NULL);
        code = code == DOBBY_OK ? one : code;
        engine_result_release(&run->results[i]);
    }
    return code;
}

static dobby_code settle_due(struct run *run, struct dobby_error *err)
{
    int64_t now_ns = clock_monotonic_ns();
    const struct outbox *outbox = &run->outbox;
    bool last = run->claims_over && run->jobs.count == 0 && run->batch.count == 0;
    bool due = outbox->count >= RUN_SETTLE_RECORDS || last ||
               (outbox->count > 0 && now_ns - outbox->oldest_ns >= RUN_SETTLE_MS * (int64_t)1000000);
    if (!due || outbox->count == 0 || !store_gate_is_open(&run->gate, now_ns))
        return DOBBY_OK;
    dobby_code code = outbox_settle(&run->outbox, run->store, run->progress, err);
    if (code != DOBBY_OK)
        return run_store_code(run, code);
    store_gate_passed(&run->gate);
    return DOBBY_OK;
}

static dobby_code wait_for_work(struct run *run, struct dobby_error *err)
{
    int64_t now_ns = clock_monotonic_ns();
    int64_t timeout_ns = WAIT_MS * (int64_t)1000000;
    int64_t due_ns = run->outbox.oldest_ns + RUN_SETTLE_MS * (int64_t)1000000 - now_ns;
    bool open = store_gate_is_open(&run->gate, now_ns);
    if (!open && run->gate.retry_ns - now_ns < timeout_ns)
        timeout_ns = run->gate.retry_ns - now_ns;
    if (open && run->outbox.count > 0 && due_ns < timeout_ns)
        timeout_ns = due_ns > 0 ? due_ns : 0;
    int64_t timeout_ms = (timeout_ns + 999999) / 1000000;
    if (run->jobs.count > 0)
        return poll_results(run, timeout_ms, err);
    /* Nothing runs: either the store is busy, or others fill the engine's queue. */
    if (!open || run->batch.count > 0)
        clock_sleep_ms(timeout_ms < 10 ? timeout_ms : 10);
    return DOBBY_OK;
}

static dobby_code loop(struct run *run, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    while (code == DOBBY_OK && (!run->claims_over || has_leases(run))) {
        code = run_tick(run, err);
        if (code == DOBBY_OK)
            code = settle_due(run, err);
        if (code == DOBBY_OK)
            code = run_feed(run, err);
        if (code == DOBBY_OK)
            code = wait_for_work(run, err);
    }
    return code;
}

/* An owner is a process' identity with something unique behind it; one that is not is left alone. */
static bool owner_is_dead(const char *owner)
{
    struct process_identity identity;
    return process_identity_parse(owner, &identity, NULL) == DOBBY_OK && process_is_dead(&identity);
}

static dobby_code take_back_dead(struct run *run, struct dobby_error *err)
{
    struct owner_list list = {0};
    dobby_code code;
    do
        code = store_owners(run->store, &list, err);
    while (code == DOBBY_STORE_BUSY && store_gate_wait(&run->gate));
    for (size_t i = 0; i < list.count && code == DOBBY_OK; i++) {
        uint64_t released = 0;
        if (!owner_is_dead(list.owners[i]))
            continue;
        do
            code = store_release_owner(run->store, list.owners[i], clock_unix_us(), &released, err);
        while (code == DOBBY_STORE_BUSY && store_gate_wait(&run->gate));
        if (code == DOBBY_OK)
            log_write(LOG_INFO, "run.take_back", "took back the leases of a process that is gone",
                      LOG_TEXT("owner", list.owners[i]), LOG_INTEGER("records", (int64_t)released));
    }
    owner_list_release(&list);
    if (code == DOBBY_OK)
        store_gate_passed(&run->gate);
    return code;
}

static dobby_code count_work(struct run *run, struct dobby_error *err)
{
    struct store_counts counts;
    dobby_code code;
    do
        code = store_count(run->store, &counts, err);
    while (code == DOBBY_STORE_BUSY && store_gate_wait(&run->gate));
    if (code != DOBBY_OK)
        return code;
    store_gate_passed(&run->gate);
    uint64_t total = counts.by_state[RECORD_PENDING] + counts.by_state[RECORD_LEASED];
    uint64_t most = run->options->records_max;
    run->progress->total = most > 0 && total > most ? most : total;
    return DOBBY_OK;
}

static dobby_code check_options(const struct run *run, struct dobby_error *err)
{
    const struct run_options *options = run->options;
    uint32_t context = run->provenance.info->context_tokens;
    if (options->owner == NULL || options->owner[0] == '\0')
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a run needs an owner");
    if (options->lease_ms <= 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a lease of %lld ms", (long long)options->lease_ms);
    if (options->tokens_max == 0 || options->tokens_max > LIMIT_GENERATED_TOKENS ||
        options->tokens_max >= context)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                          "%u tokens to generate: at least 1, at most %d, and below the context of %u",
                          (unsigned)options->tokens_max, LIMIT_GENERATED_TOKENS, (unsigned)context);
    return DOBBY_OK;
}

static dobby_code prepare(struct run *run, struct dobby_error *err)
{
    const struct engine_info *info = engine_info(run->engine);
    const struct run_options *options = run->options;
    run->provenance = (struct provenance){.info = info,
                                          .sampling = run->sampling,
                                          .template_id = prompt_template_id(run->prompt),
                                          .engine = run->engine_text};
    dobby_code code = check_options(run, err);
    if (code != DOBBY_OK)
        return code;
    sampling_text(&options->sampling, options->run_seed, options->tokens_max, run->sampling);
    snprintf(run->engine_text, sizeof(run->engine_text), "%s %s", info->version, info->kernels);
    run->gate.limit_ms = options->busy_ms_max > 0 ? options->busy_ms_max : BUSY_MS_MAX;
    uint32_t in_flight_max = info->sessions + info->sessions / 4 + 4;
    code = job_table_init(&run->jobs, in_flight_max, err);
    if (code == DOBBY_OK)
        code = outbox_init(&run->outbox, in_flight_max + RUN_SETTLE_RECORDS, err);
    if (code != DOBBY_OK)
        return code;
    run->results = calloc(RESULTS_AT_ONCE, sizeof(run->results[0]));
    run->spans = calloc(prompt_template_span_count(run->prompt), sizeof(run->spans[0]));
    if (run->results == NULL || run->spans == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a run's buffers");
    code = take_back_dead(run, err);
    if (code == DOBBY_OK)
        code = count_work(run, err);
    if (code == DOBBY_OK)
        run->renewed_ns = clock_monotonic_ns();
    return code;
}

/* Takes what a failed run has in the engine out of it again; what finishes in time is still saved. */
static void empty_engine(struct run *run)
{
    int64_t end_ns = clock_monotonic_ns() + CANCEL_MS_MAX * (int64_t)1000000;
    if (run->jobs.count > 0)
        engine_cancel_all(run->engine);
    while (run->jobs.count > 0 && !run->engine_failed && clock_monotonic_ns() < end_ns)
        if (poll_results(run, WAIT_MS, NULL) != DOBBY_OK)
            break;
    for (uint32_t i = 0; i < run->jobs.capacity; i++) {
        struct job *job = &run->jobs.jobs[i];
        if (job->used) {
            outbox_add(&run->outbox, job->id, job->attempt, OUTCOME_RELEASED);
            job_remove(&run->jobs, job);
        }
    }
}

/* After a failure: saves what can be saved and leaves no lease behind, as far as the store allows it. */
static void clean_up(struct run *run)
{
    dobby_code code = DOBBY_OK;
    if (run->gate.limit_ms > STOP_BUSY_MS_MAX)
        run->gate.limit_ms = STOP_BUSY_MS_MAX;
    store_gate_passed(&run->gate);
    run->claims_over = true;
    empty_engine(run);
    run_release_batch(run);
    while (run->outbox.count > 0 && code == DOBBY_OK) {
        code = outbox_settle(&run->outbox, run->store, run->progress, NULL);
        if (code == DOBBY_STORE_BUSY && store_gate_wait(&run->gate))
            code = DOBBY_OK;
    }
    if (run->outbox.count > 0) {
        uint64_t released = 0;
        do
            code = store_release_owner(run->store, run->options->owner, clock_unix_us(), &released, NULL);
        while (code == DOBBY_STORE_BUSY && store_gate_wait(&run->gate));
        if (code != DOBBY_OK)
            log_write(LOG_WARNING, "run.leases_left",
                      "leases could not be returned: they expire by themselves",
                      LOG_TEXT("error", dobby_code_id(code)));
    }
}

dobby_code pipeline_run(struct store *store, struct engine *engine, const struct prompt_template *prompt,
                        const struct run_options *options, struct run_progress *progress,
                        struct dobby_error *err)
{
    *progress = (struct run_progress){0};
    struct run run = {.store = store,
                      .engine = engine,
                      .prompt = prompt,
                      .options = options,
                      .progress = progress,
                      .started_ns = clock_monotonic_ns()};
    run.told_ns = run.started_ns;
    dobby_code code = prepare(&run, err);
    if (code == DOBBY_OK) {
        code = loop(&run, err);
        if (code != DOBBY_OK)
            clean_up(&run);
        else
            error_clear(err); /* of a store that was busy for a while */
    }
    tell(&run, true);

    record_batch_release(&run.batch);
    token_list_release(&run.tokens);
    outbox_release(&run.outbox);
    job_table_release(&run.jobs);
    free(run.results);
    free(run.spans);
    return code;
}
