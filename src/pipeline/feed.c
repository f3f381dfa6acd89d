/* The intake of a run: claim -> prompt -> submit. */
#include "os/clock.h"
#include "pipeline/run_state.h"

static dobby_code submit_prompt(struct run *run, const struct record *record, size_t span_count,
                                struct dobby_error *err)
{
    const struct run_options *options = run->options;
    uint64_t tag;
    struct job *job = job_add(&run->jobs, record->id, record->attempt, &tag);
    if (job == NULL)
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "%u jobs and another one", (unsigned)run->jobs.capacity);
    struct engine_request request = {.tag = tag,
                                     .tokens = run->tokens.ids,
                                     .token_count = run->tokens.count,
                                     .tokens_max = options->tokens_max,
                                     .sampling = options->sampling};
    dobby_code code = result_key(run->spans, span_count, run->provenance.info, run->sampling, job->key, err);
    if (code == DOBBY_OK)
        code = result_seed(options->run_seed, job->key, &request.sampling.seed, err);
    if (code == DOBBY_OK)
        code = engine_submit(run->engine, &request, err);
    if (code != DOBBY_OK)
        job_remove(&run->jobs, job);
    return code;
}

/* Submits the record, or skips it with the reason. Fails with QUEUE_FULL, which is no failure of the run, and
 * with what is. */
static dobby_code take_record(struct run *run, const struct record *record, struct dobby_error *err)
{
    if (text_is_blank(record->content, record->content_length)) {
        outbox_add_reason(&run->outbox, record->id, record->attempt, OUTCOME_SKIPPED, "empty");
        return DOBBY_OK;
    }
    struct prompt_values values = {.path = record->path,
                                   .language = record->language,
                                   .content = record->content,
                                   .content_length = record->content_length};
    size_t span_count = prompt_render(run->prompt, &values, run->spans);
    run->tokens.count = 0;
    dobby_code code = engine_tokenize(run->engine, run->spans, span_count, &run->tokens, err);
    bool too_long = code == DOBBY_LIMIT_EXCEEDED;
    if (code == DOBBY_OK) {
        uint32_t context = run->provenance.info->context_tokens, answer = run->options->tokens_max;
        if (run->tokens.count + answer > context) {
            outbox_add_reason(
                &run->outbox, record->id, record->attempt, OUTCOME_SKIPPED,
                "content too long: %zu tokens with the prompt, context is %u of which %u are kept "
                "for the summary",
                run->tokens.count, (unsigned)context, (unsigned)answer);
            return DOBBY_OK;
        }
        code = submit_prompt(run, record, span_count, err);
        too_long = code == DOBBY_CONTEXT_EXCEEDED || code == DOBBY_KV_EXHAUSTED;
    }
    if (too_long) {
        outbox_add_reason(&run->outbox, record->id, record->attempt, OUTCOME_SKIPPED, "content too long: %s",
                          err->detail);
        return DOBBY_OK;
    }
    return code;
}

/* Room for new records, 0 while it is not worth a transaction or the run takes no more. */
static size_t room_for_records(struct run *run)
{
    if (run->claims_over || run->batch.count > 0 || run->outbox.count >= RUN_SETTLE_RECORDS ||
        !store_gate_is_open(&run->gate, clock_monotonic_ns()))
        return 0;
    size_t room = run->jobs.capacity - run->jobs.count;
    size_t look_ahead = run->jobs.capacity - run->provenance.info->sessions;
    if (room < look_ahead / 2)
        return 0;
    if (room > LIMIT_BATCH_RECORDS)
        room = LIMIT_BATCH_RECORDS;
    if (run->options->records_max > 0) {
        uint64_t left = run->options->records_max - run->claimed;
        run->claims_over = left == 0;
        if (room > left)
            room = (size_t)left;
    }
    return room;
}

static dobby_code claim(struct run *run, size_t room, struct dobby_error *err)
{
    int64_t now_us = clock_unix_us();
    dobby_code code = store_claim(run->store, run->options->owner, now_us,
                                  now_us + run->options->lease_ms * 1000, room, &run->batch, err);
    if (code != DOBBY_OK)
        return run_store_code(run, code);
    store_gate_passed(&run->gate);
    run->batch_next = 0;
    run->claimed += run->batch.count;
    if (run->batch.count == 0) {
        run->claims_over = true;
        record_batch_release(&run->batch);
    }
    return DOBBY_OK;
}

dobby_code run_feed(struct run *run, struct dobby_error *err)
{
    struct dobby_error failure = {0}; /* err may be NULL, and a skipped record's reason is read from it */
    dobby_code code = DOBBY_OK;
    size_t room = room_for_records(run);
    if (room > 0)
        code = claim(run, room, err);
    while (code == DOBBY_OK && run->batch_next < run->batch.count) {
        code = take_record(run, &run->batch.records[run->batch_next], &failure);
        if (code == DOBBY_QUEUE_FULL)
            return DOBBY_OK;
        if (code != DOBBY_OK) {
            if (err != NULL)
                *err = failure;
            return code;
        }
        run->batch_next++;
        code = run_tick(run, err); /* a drain empties the batch */
    }
    if (run->batch_next == run->batch.count) {
        record_batch_release(&run->batch);
        run->batch_next = 0;
    }
    return code;
}

void run_release_batch(struct run *run)
{
    for (; run->batch_next < run->batch.count; run->batch_next++) {
        const struct record *record = &run->batch.records[run->batch_next];
        outbox_add(&run->outbox, record->id, record->attempt, OUTCOME_RELEASED);
    }
    record_batch_release(&run->batch);
    run->batch_next = 0;
}
