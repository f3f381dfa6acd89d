/* The intake of a run: claim -> look for results that are there -> prompt -> submit. */
#include "os/clock.h"
#include "pipeline/run_state.h"

#include <stdio.h>

enum { CLAIM_FAST_MS = 250, CLAIM_SLOW_MS = 1000, AGAIN_MS_MIN = 20, AGAIN_MS_MAX = 1000 };

bool run_is_too_long(dobby_code code)
{
    return code == DOBBY_LIMIT_EXCEEDED || code == DOBBY_CONTEXT_EXCEEDED || code == DOBBY_KV_EXHAUSTED;
}

dobby_code run_tokenize(struct run *run, const struct prompt_values *values, struct dobby_error *err)
{
    size_t span_count = prompt_render(run->prompt, values, run->spans);
    run->tokens.count = 0;
    return engine_tokenize(run->engine, run->spans, span_count, &run->tokens, err);
}

/* Submits a job whose prompt is in run->tokens; its sampling is the second one when it is a second try. */
static dobby_code submit(struct run *run, struct job *job, struct dobby_error *err)
{
    const struct run_options *options = run->options;
    struct engine_request request = {.tag = job->tag,
                                     .tokens = run->tokens.ids,
                                     .token_count = run->tokens.count,
                                     .tokens_max = options->tokens_max,
                                     .sampling = job->resampled ? run->second_sampling : options->sampling};
    /* The second try draws from another seed, also where the first one drew. */
    uint64_t seed = job->resampled ? ~options->run_seed : options->run_seed;
    dobby_code code = result_seed(seed, job->key, &request.sampling.seed, err);
    if (code == DOBBY_OK)
        code = engine_submit(run->engine, &request, err);
    if (code != DOBBY_OK)
        return code;
    job->submitted_ns = clock_monotonic_ns();
    job->asked = ++run->asked;
    return DOBBY_OK;
}

/* What failed the quality gates goes first: it holds a place already. Fails as take_record. */
static dobby_code submit_again(struct run *run, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (uint32_t i = 0; i < run->jobs.capacity && run->jobs.unsubmitted > 0 && code == DOBBY_OK; i++) {
        struct job *job = &run->jobs.jobs[i];
        if (!job->unsubmitted)
            continue;
        struct dobby_error failure = {0};
        struct prompt_values values = {.path = job->path,
                                       .language = job->language,
                                       .content = job->content,
                                       .content_length = job->content_length};
        dobby_code one = run_tokenize(run, &values, &failure);
        if (one == DOBBY_OK)
            one = submit(run, job, &failure);
        if (one == DOBBY_OK)
            job_set_unsubmitted(&run->jobs, job, false);
        else if (one == DOBBY_QUEUE_FULL)
            code = one;
        else
            code = run_job_failed(run, job, &failure, err);
    }
    return code;
}

static void skip_too_long(struct run *run, const struct record *record, const char *detail)
{
    struct lease lease = lease_of(record);
    error_tally_add(&run->progress->errors, DOBBY_CONTEXT_EXCEEDED, detail, record->id, clock_unix_us());
    outbox_add_reason(&run->outbox, &lease, OUTCOME_SKIPPED, "content too long: %s", detail);
}

/* The engine refused the record's prompt. Too long is no failure; any other is the record's own, as one in a
 * result is, until many in a row say otherwise (health.c). */
static void refuse(struct run *run, const struct record *record, struct intake *intake,
                   const struct dobby_error *failure)
{
    struct lease lease = lease_of(record);
    intake->done = true; /* an outage that this begins must not give it back too */
    if (run_is_too_long(failure->code))
        skip_too_long(run, record, failure->detail);
    else
        run_record_failed(run, &lease, intake->key, failure);
}

static dobby_code submit_record(struct run *run, const struct record *record, struct intake *intake,
                                struct dobby_error *err)
{
    struct job *job;
    struct dobby_error failure = {0};
    dobby_code code = job_add(&run->jobs, record, intake->key, &job, err);
    if (code != DOBBY_OK)
        return code;
    code = submit(run, job, &failure);
    if (code == DOBBY_OK)
        return DOBBY_OK;
    job_remove(&run->jobs, job);
    if (code == DOBBY_QUEUE_FULL)
        return code;
    refuse(run, record, intake, &failure);
    return DOBBY_OK;
}

/* Submits the record, or settles it without. Fails with QUEUE_FULL, which is no failure of the run, and with
 * what is: not with what the engine says of this record's prompt. */
static dobby_code take_record(struct run *run, const struct record *record, struct intake *intake,
                              struct dobby_error *err)
{
    struct dobby_error failure = {0};
    dobby_code code = run_reuse_late(run, record, intake, err);
    if (code != DOBBY_OK || intake->done)
        return code;
    if (run->jobs.count >= run_in_flight_max(run->concurrency.limit))
        return DOBBY_FAIL(err, DOBBY_QUEUE_FULL, "%u in the engine", (unsigned)run->jobs.count);
    struct prompt_values values = {.path = record->path,
                                   .language = record->language,
                                   .content = record->content,
                                   .content_length = record->content_length};
    code = run_tokenize(run, &values, &failure);
    if (code != DOBBY_OK) {
        refuse(run, record, intake, &failure);
        return DOBBY_OK;
    }
    uint32_t context = run->provenance.info->context_tokens, answer = run->options->tokens_max;
    if (run->tokens.count + answer > context) {
        char detail[DOBBY_ERROR_DETAIL_BYTES];
        snprintf(detail, sizeof(detail),
                 "%zu tokens with the prompt, context is %u of which %u are kept for the summary",
                 run->tokens.count, (unsigned)context, (unsigned)answer);
        skip_too_long(run, record, detail);
        intake->done = true;
        return DOBBY_OK;
    }
    return submit_record(run, record, intake, err);
}

static size_t leased(const struct run *run)
{
    return run->batch.count - run->batch_next + run->jobs.count + run->jobs.waiters + run->outbox.count;
}

/* Records that may still be taken by --max-records. */
static uint64_t left_of_cap(const struct run *run)
{
    const uint64_t most = run->options->records_max;
    const uint64_t taken = run_done(run) + run->progress->stale + leased(run);
    if (most == 0)
        return UINT64_MAX;
    return most > taken ? most - taken : 0;
}

/* Room for new records, 0 while it is not worth a transaction or the run takes no more. */
static size_t room_for_records(struct run *run)
{
    if (run->claims_over || run->paused || run->batch.count > 0 || run->outbox.count >= RUN_SETTLE_RECORDS ||
        run->engine_health.breaker.state != BREAKER_CLOSED ||
        (run->store_health.breaker.state != BREAKER_CLOSED &&
         outbox_due(&run->outbox) > 0) || /* saving comes first */
        (run->dry && clock_monotonic_ns() < run->claim_ns) ||
        !run_store_is_open(run))
        return 0;
    uint32_t most = run_in_flight_max(run->concurrency.limit);
    size_t free_jobs = run->jobs.count < most ? most - run->jobs.count : 0;
    if (free_jobs < (most - run->concurrency.limit) / 2)
        return 0;
    size_t room = run->claim_records > free_jobs ? run->claim_records : free_jobs;
    size_t free_leases = run->outbox.capacity - leased(run);
    if (room > RUN_CLAIM_RECORDS)
        room = RUN_CLAIM_RECORDS;
    if (room > free_leases)
        room = free_leases;
    const uint64_t left = left_of_cap(run);
    if (left == 0 && !run_has_leases(run))
        run_obey(run, RUN_DRAIN, RUN_CAPPED, RUN_CAP_RECORDS);
    return room > left ? (size_t)left : room;
}

/* Nothing was found: when to look again, and whether there is anything to look for. */
static void wait_for_records(struct run *run, int64_t now_us)
{
    int64_t now_ns = clock_monotonic_ns();
    int64_t wait_us = run->batch.next_unix_us > 0 ? run->batch.next_unix_us - now_us : AGAIN_MS_MAX * 1000;
    if (wait_us < AGAIN_MS_MIN * 1000)
        wait_us = AGAIN_MS_MIN * 1000;
    if (wait_us > AGAIN_MS_MAX * 1000) /* others may give some back before that, and clocks jump */
        wait_us = AGAIN_MS_MAX * 1000;
    run->dry = true;
    run->claim_ns = now_ns + wait_us * 1000;
    run->wait_until_us = run->batch.next_unix_us;
    /* What this run holds may come back to be tried again. */
    run->claims_over = run->claims_over || (run->batch.next_unix_us == 0 && !run_has_leases(run));
    record_batch_release(&run->batch);
}

/* Claims, and when nothing else is left, of what is to be made anew as much as there is room for. What only
 * becomes current again needs no room; that goes on in the next call after a moment, for the engine's sake.
 */
static dobby_code find_records(struct run *run, int64_t now_us, size_t room, struct dobby_error *err)
{
    const int64_t until_us = now_us + run->options->lease_ms * 1000, begun_ns = clock_monotonic_ns();
    const uint64_t left = left_of_cap(run);
    uint64_t limit = room;
    bool queued = false;
    dobby_code code = store_claim(run->store, run->options->owner, now_us, until_us, room, &run->batch, err);
    if (code != DOBBY_OK || run->batch.count > 0 || run_stale_left(run) == 0)
        return code;
    while (code == DOBBY_OK && !queued && run_stale_left(run) > 0 &&
           clock_monotonic_ns() - begun_ns < RUN_WAIT_MS * (int64_t)1000000) {
        code = run_redo_stale(run, limit, &queued, err);
        limit = left < RUN_CLAIM_RECORDS ? left : RUN_CLAIM_RECORDS;
    }
    if (code != DOBBY_OK || !queued)
        return code;
    record_batch_release(&run->batch);
    return store_claim(run->store, run->options->owner, now_us, until_us, room, &run->batch, err);
}

static dobby_code claim(struct run *run, size_t room, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    int64_t now_us = clock_unix_us();
    dobby_code called = find_records(run, now_us, room, &failure);
    dobby_code code = run_store_code(run, RUN_STORE_CLAIM, called, &failure, err);
    if (called != DOBBY_OK)
        record_batch_release(
            &run->batch); /* an empty one, when what is to be made anew could not be queued */
    if (code != DOBBY_OK || called != DOBBY_OK)
        return code;
    run->batch_next = 0;
    run->looked_up = false;
    run->dry = false;
    if (run->batch.count == 0 && run_stale_left(run) == 0)
        wait_for_records(run, now_us);
    if (run->batch.count == 0) {
        record_batch_release(&run->batch);
        return DOBBY_OK;
    }
    run->claimed_ns = clock_monotonic_ns();
    for (size_t i = 0; i < run->batch.count; i++)
        run->intake[i] = (struct intake){.done = false};
    return DOBBY_OK;
}

/* The batch is submitted: the next one is larger when that was quick, so that reuse and fast engines are not
 * bound by transactions, and smaller when it took long, so that other runs find records too. */
static void finish_batch(struct run *run)
{
    if (run->batch.count == 0)
        return;
    int64_t took_ms = (clock_monotonic_ns() - run->claimed_ns) / 1000000;
    if (took_ms < CLAIM_FAST_MS && run->batch.count >= run->claim_records)
        run->claim_records =
            run->claim_records < RUN_CLAIM_RECORDS / 2 ? run->claim_records * 2 + 1 : RUN_CLAIM_RECORDS;
    else if (took_ms > CLAIM_SLOW_MS)
        run->claim_records = run->claim_records / 2;
    record_batch_release(&run->batch);
    run->batch_next = 0;
}

/* Fails with what the engine says. *tick is the store's side: what run_tick said, into err. */
static dobby_code submit_batch(struct run *run, dobby_code *tick, struct dobby_error *failure,
                               struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    *tick = DOBBY_OK;
    while (*tick == DOBBY_OK && run->batch_next < run->batch.count) {
        struct intake *intake = &run->intake[run->batch_next];
        if (!intake->done)
            code = take_record(run, &run->batch.records[run->batch_next], intake, failure);
        if (code != DOBBY_OK)
            return code;
        if (run->batch_next < run->batch.count) /* an outage empties the batch */
            run->batch_next++;
        *tick = run_tick(run, err); /* so does a drain */
    }
    return DOBBY_OK;
}

dobby_code run_feed(struct run *run, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    size_t room = room_for_records(run);
    dobby_code code = room > 0 ? claim(run, room, err) : DOBBY_OK;
    if (code == DOBBY_OK && run->batch.count > 0 && !run->looked_up)
        code = run_reuse(run, err);
    if (code != DOBBY_OK || run->engine_health.breaker.state != BREAKER_CLOSED)
        return code;
    dobby_code tick = DOBBY_OK;
    code = submit_again(run, &failure);
    if (code == DOBBY_OK && run->looked_up)
        code = submit_batch(run, &tick, &failure, err);
    if (run->batch_next == run->batch.count)
        finish_batch(run);
    if (tick != DOBBY_OK || code == DOBBY_QUEUE_FULL)
        return tick;
    return run_engine_code(run, code, &failure, err);
}

void run_release_batch(struct run *run)
{
    for (; run->batch_next < run->batch.count; run->batch_next++) {
        struct lease lease = lease_of(&run->batch.records[run->batch_next]);
        if (!run->intake[run->batch_next].done)
            outbox_add(&run->outbox, &lease, OUTCOME_RELEASED);
    }
    record_batch_release(&run->batch);
    run->batch_next = 0;
}
