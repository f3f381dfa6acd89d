/* Results that are there already: in the cache, in the engine, in the store. Asked for before a prompt is
 * tokenised, since a result's key needs the prompt's bytes alone. */
#include "os/clock.h"
#include "os/random.h"
#include "pipeline/run_state.h"
#include "store/store_versions.h"

#include <stdlib.h>
#include <string.h>

dobby_code run_settle_reused(struct run *run, const struct lease *lease, const uint8_t key[SHA256_BYTES],
                             const struct cached_result *result, struct dobby_error *err)
{
    char id[UUID_TEXT_BYTES];
    dobby_code code = uuid7_new(id, err);
    if (code != DOBBY_OK)
        return code;
    char *text = strdup(result->text), *engine = strdup(result->engine);
    if (text == NULL || engine == NULL) {
        free(text);
        free(engine);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a copy of a result");
    }
    struct outbox_entry *entry =
        result->reason == NULL
            ? outbox_add(&run->outbox, lease, OUTCOME_COMPLETED)
            : outbox_add_reason(&run->outbox, lease, OUTCOME_DEGRADED, "%s", result->reason);
    entry->text = text;
    entry->engine = engine;
    entry->summary = result_summary(&run->provenance, engine, key, id);
    entry->summary.text = text;
    entry->summary.confidence = result->confidence;
    entry->summary.tokens_in = result->tokens_in;
    entry->summary.tokens_out = result->tokens_out;
    entry->summary.inference_ms = result->inference_ms;
    entry->summary.reused = true;
    return DOBBY_OK;
}

dobby_code run_reuse_late(struct run *run, const struct record *record, struct intake *intake,
                          struct dobby_error *err)
{
    struct cached_result cached;
    struct job *job = job_find_key(&run->jobs, intake->key);
    dobby_code code = DOBBY_OK;
    if (job != NULL) {
        code = job_attach(&run->jobs, job, record, err);
        intake->done = code == DOBBY_OK;
        run->reuse.in_flight += intake->done;
    } else if (result_cache_find(&run->cache, intake->key, clock_monotonic_ns(), &cached)) {
        struct lease lease = lease_of(record);
        code = run_settle_reused(run, &lease, intake->key, &cached, err);
        intake->done = code == DOBBY_OK;
        run->reuse.cache += intake->done;
    }
    return code;
}

/* A record that is tried more often because it failed has an answer each time. */
static uint32_t tries_max(const struct run *run)
{
    const uint32_t attempts = run->options->attempts_max;
    return attempts > RUN_TRIES_MAX ? attempts : RUN_TRIES_MAX;
}

/* Settles what needs no prompt, and finds the key of the rest. */
static dobby_code prepare_record(struct run *run, const struct record *record, struct intake *intake,
                                 struct dobby_error *err)
{
    struct lease lease = lease_of(record);
    struct prompt_values values = {.path = record->path,
                                   .language = record->language,
                                   .content = record->content,
                                   .content_length = record->content_length};
    if (text_is_blank(record->content, record->content_length)) {
        outbox_add_reason(&run->outbox, &lease, OUTCOME_SKIPPED, "empty");
        intake->done = true;
        return DOBBY_OK;
    }
    if (record->tries > tries_max(run)) {
        struct outbox_entry *entry = outbox_add_reason(
            &run->outbox, &lease, OUTCOME_FAILED,
            "given up: it was taken %u times, and each time its worker ended or lost it without an answer",
            (unsigned)record->tries - 1);
        entry->error_id = dobby_code_id(DOBBY_ABANDONED);
        error_tally_add(&run->progress->errors, DOBBY_ABANDONED, entry->reason, record->id, clock_unix_us());
        intake->done = true;
        return DOBBY_OK;
    }
    size_t span_count = prompt_render(run->prompt, &values, run->spans);
    return result_key(run->spans, span_count, run->provenance.info, run->sampling, intake->key, err);
}

struct finding {
    struct run *run;
    dobby_code failure; /* of this process' memory, not of the store */
};

static dobby_code found(void *context, const struct summary_row *row, struct dobby_error *err)
{
    struct finding *finding = context;
    struct run *run = finding->run;
    const struct summary *summary = row->summary;
    uint32_t number = run->key_records[row->key_index];
    struct lease lease = lease_of(&run->batch.records[number]);
    struct cached_result result = {.text = summary->text,
                                   .engine = summary->engine,
                                   .confidence = summary->confidence,
                                   .tokens_in = summary->tokens_in,
                                   .tokens_out = summary->tokens_out,
                                   .inference_ms = summary->inference_ms,
                                   .reason = summary->degraded_reason};
    finding->failure = run_settle_reused(run, &lease, summary->result_key, &result, err);
    if (finding->failure != DOBBY_OK)
        return finding->failure;
    run->intake[number].done = true;
    run->reuse.store++;
    result_cache_put(&run->cache, summary->result_key, clock_monotonic_ns(), &result);
    return DOBBY_OK;
}

/* Asks the store for what neither the cache nor the engine has. */
static dobby_code ask_store(struct run *run, struct dobby_error *err)
{
    struct finding finding = {.run = run};
    struct dobby_error failure = {0};
    size_t count = 0;
    for (uint32_t i = 0; i < run->batch.count; i++) {
        if (run->intake[i].done)
            continue;
        memcpy(run->keys[count], run->intake[i].key, SHA256_BYTES);
        run->key_records[count++] = i;
    }
    if (count == 0) {
        run->looked_up = true;
        return DOBBY_OK;
    }
    const uint8_t(*keys)[SHA256_BYTES] = (const uint8_t(*)[SHA256_BYTES])run->keys;
    dobby_code code = store_find_results(run->store, keys, count, found, &finding, &failure);
    run->looked_up = code == DOBBY_OK;
    if (finding.failure != DOBBY_OK)
        return run_engine_code(run, finding.failure, &failure, err);
    return run_store_code(run, RUN_STORE_LOOK, code, &failure, err);
}

dobby_code run_reuse(struct run *run, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    dobby_code code = DOBBY_OK;
    if (!run_store_is_open(run))
        return DOBBY_OK;
    for (size_t i = 0; i < run->batch.count && code == DOBBY_OK; i++) {
        struct intake *intake = &run->intake[i];
        if (intake->done)
            continue;
        code = prepare_record(run, &run->batch.records[i], intake, &failure);
        if (code == DOBBY_OK && !intake->done)
            code = run_reuse_late(run, &run->batch.records[i], intake, &failure);
    }
    return code == DOBBY_OK ? ask_store(run, err) : run_engine_code(run, code, &failure, err);
}
