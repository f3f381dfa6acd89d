/* Counting: every record to do is read once. */
#include "base/limits.h"
#include "os/clock.h"
#include "pipeline/plan_parts.h"
#include "pipeline/result_check.h"
#include "pipeline/result_key.h"
#include "store/store_versions.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKUP_KEYS = 256, TOLD_RECORDS = 256, TOKENIZE_EVERY = 16 };

/* A record whose prompt no other one had, until it is known whether the store has its result. */
struct candidate {
    struct plan_sample_record record; /* owned copy */
    uint64_t tokens;                  /* 0: not counted */
};

struct counting {
    struct store *lookup;
    struct engine *engine;
    const struct prompt_template *prompt;
    const struct plan_options *options;
    struct plan_counts *counts;
    struct plan_sample *sample;

    const struct engine_info *info;
    struct provenance_key want;
    char sampling[SAMPLING_TEXT_BYTES];
    struct text_span *spans;
    struct token_list tokens;
    struct key_set keys;
    bool only_stale; /* the listing is of done records */

    uint8_t (*lookup_keys)[SHA256_BYTES]; /* LOOKUP_KEYS entries each, count of them used */
    struct candidate *candidates;
    bool *stored;
    size_t count;

    int64_t tokenize_until_ns;
    uint64_t read, offered;
    uint64_t counted_bytes, counted_tokens, uncounted,
        uncounted_bytes; /* of to_infer, by whether tokenised */
};

/* ---- tokens -------------------------------------------------------------------------------------- */

/* Counts the prompt's tokens in *tokens; 0 where it is left to be estimated. */
static dobby_code count_tokens(struct counting *counting, size_t span_count, uint64_t *tokens, bool *too_long,
                               struct dobby_error *err)
{
    struct dobby_error failure = {0};
    const bool exact =
        clock_monotonic_ns() < counting->tokenize_until_ns || counting->read % TOKENIZE_EVERY == 0;
    *tokens = 0;
    *too_long = false;
    if (!exact)
        return DOBBY_OK;
    counting->tokens.count = 0;
    const dobby_code code =
        engine_tokenize(counting->engine, counting->spans, span_count, &counting->tokens, &failure);
    if (code == DOBBY_LIMIT_EXCEEDED) {
        *too_long = true;
        return DOBBY_OK;
    }
    if (code != DOBBY_OK) {
        if (err != NULL)
            *err = failure;
        return code;
    }
    *tokens = counting->tokens.count;
    *too_long = *tokens + counting->options->run->tokens_max > counting->info->context_tokens;
    return DOBBY_OK;
}

/* ---- what the store has -------------------------------------------------------------------------- */

static dobby_code found(void *context, const struct summary_row *row, struct dobby_error *err)
{
    struct counting *counting = context;
    (void)err;
    counting->stored[row->key_index] = true;
    return DOBBY_OK;
}

/* The record is to be inferred. */
static dobby_code take_candidate(struct counting *counting, struct candidate *candidate,
                                 struct dobby_error *err)
{
    struct plan_sample_record *record = &candidate->record;
    counting->counts->to_infer++;
    counting->counts->content_bytes += record->content_length;
    if (candidate->tokens > 0) {
        counting->counted_bytes += record->content_length;
        counting->counted_tokens += candidate->tokens;
    } else {
        counting->uncounted++;
        counting->uncounted_bytes += record->content_length;
    }
    return plan_sample_offer(counting->sample, counting->offered++, record, err);
}

/* Asks the store for the candidates' results, and counts those that it has and those that it has not. */
static dobby_code look_up(struct counting *counting, struct dobby_error *err)
{
    memset(counting->stored, 0, LOOKUP_KEYS * sizeof *counting->stored);
    dobby_code code =
        store_find_results(counting->lookup, (const uint8_t(*)[SHA256_BYTES])counting->lookup_keys,
                           counting->count, found, counting, err);
    for (size_t i = 0; i < counting->count; i++) {
        if (code == DOBBY_OK && counting->stored[i])
            counting->counts->stored++;
        else if (code == DOBBY_OK)
            code = take_candidate(counting, &counting->candidates[i], err);
        plan_sample_record_release(&counting->candidates[i].record);
    }
    counting->count = 0;
    return code;
}

static dobby_code add_candidate(struct counting *counting, const struct record_row *row,
                                const uint8_t key[SHA256_BYTES], uint64_t tokens, struct dobby_error *err)
{
    struct candidate *candidate = &counting->candidates[counting->count];
    const dobby_code code = plan_sample_record_copy(row, &candidate->record, err);
    if (code != DOBBY_OK)
        return code;
    candidate->tokens = tokens;
    memcpy(counting->lookup_keys[counting->count++], key, SHA256_BYTES);
    return counting->count == LOOKUP_KEYS ? look_up(counting, err) : DOBBY_OK;
}

/* ---- reading ------------------------------------------------------------------------------------- */

static bool is_wanted(const struct counting *counting, const struct summary *summary)
{
    const struct provenance_key *want = &counting->want;
    return strcmp(summary->model_fingerprint, want->model_fingerprint) == 0 &&
           strcmp(summary->precision, want->precision) == 0 &&
           strcmp(summary->sampling, want->sampling) == 0 &&
           strcmp(summary->template_id, want->template_id) == 0;
}

static dobby_code count_record(struct counting *counting, const struct record_row *row,
                               struct dobby_error *err)
{
    struct plan_counts *counts = counting->counts;
    uint8_t key[SHA256_BYTES];
    uint64_t tokens;
    bool added, too_long;
    counts->work++;
    if (text_is_blank(row->content, row->content_length)) {
        counts->empty++;
        return DOBBY_OK;
    }
    const struct prompt_values values = {.path = row->path,
                                         .language = row->language,
                                         .content = row->content,
                                         .content_length = row->content_length};
    const size_t span_count = prompt_render(counting->prompt, &values, counting->spans);
    dobby_code code = result_key(counting->spans, span_count, counting->info, counting->sampling, key, err);
    if (code == DOBBY_OK)
        code = key_set_add(&counting->keys, key, &added, err);
    if (code != DOBBY_OK)
        return code;
    if (!added) {
        counts->duplicates++;
        return DOBBY_OK;
    }
    counts->duplicates_incomplete = counting->keys.count == LIMIT_PLAN_KEYS;
    code = count_tokens(counting, span_count, &tokens, &too_long, err);
    if (code != DOBBY_OK)
        return code;
    if (too_long) {
        counts->too_long++;
        return DOBBY_OK;
    }
    return add_candidate(counting, row, key, tokens, err);
}

static dobby_code visit(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct counting *counting = context;
    const struct plan_options *options = counting->options;
    if (counting->read++ % TOLD_RECORDS == 0) {
        if (options->canceled != NULL && options->canceled(options->context))
            return DOBBY_FAIL(err, DOBBY_CANCELED, "while reading records");
        if (options->progress != NULL)
            options->progress(options->context, counting->read - 1);
    }
    if (counting->only_stale && (row->summary == NULL || is_wanted(counting, row->summary)))
        return DOBBY_OK;
    return count_record(counting, row, err);
}

static dobby_code list_work(struct counting *counting, struct store *store, struct dobby_error *err)
{
    static const struct {
        enum record_state state;
        bool done;
    } kinds[] = {
        {RECORD_PENDING, false}, {RECORD_LEASED, false}, {RECORD_COMPLETED, true}, {RECORD_DEGRADED, true}};
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct record_filter filter = {.state = kinds[i].state, .with_content = true};
        if (kinds[i].done && (!counting->options->run->stale_redo || counting->counts->stale == 0))
            continue;
        counting->only_stale = kinds[i].done;
        code = store_list(store, &filter, visit, counting, err);
    }
    if (code == DOBBY_OK)
        code = look_up(counting, err);
    return code;
}

static void sum_tokens(struct counting *counting)
{
    struct plan_counts *counts = counting->counts;
    counts->tokens_in = counting->counted_tokens;
    counts->tokens_estimated = counting->uncounted > 0;
    if (counting->uncounted > 0 && counting->counted_bytes > 0)
        counts->tokens_in += (uint64_t)((double)counting->uncounted_bytes * (double)counting->counted_tokens /
                                        (double)counting->counted_bytes);
}

static dobby_code prepare(struct counting *counting, struct store *store, struct dobby_error *err)
{
    const struct run_options *run = counting->options->run;
    const int64_t most_ms =
        counting->options->tokenize_ms_max > 0 ? counting->options->tokenize_ms_max : PLAN_TOKENIZE_MS;
    sampling_text(&run->sampling, run->run_seed, run->tokens_max, counting->sampling);
    counting->want = (struct provenance_key){.model_fingerprint = counting->info->fingerprint,
                                             .precision = counting->info->precision,
                                             .sampling = counting->sampling,
                                             .template_id = prompt_template_id(counting->prompt)};
    counting->tokenize_until_ns = clock_monotonic_ns() + most_ms * 1000000;
    counting->spans = calloc(prompt_template_span_count(counting->prompt), sizeof *counting->spans);
    counting->lookup_keys = calloc(LOOKUP_KEYS, SHA256_BYTES);
    counting->candidates = calloc(LOOKUP_KEYS, sizeof *counting->candidates);
    counting->stored = calloc(LOOKUP_KEYS, sizeof *counting->stored);
    if (counting->spans == NULL || counting->lookup_keys == NULL || counting->candidates == NULL ||
        counting->stored == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "planning");
    dobby_code code = store_count(store, &counting->counts->states, err);
    if (code == DOBBY_OK)
        code = store_stale_count(store, &counting->want, &counting->counts->stale, err);
    return code;
}

dobby_code plan_count(struct store *store, struct store *lookup, struct engine *engine,
                      const struct prompt_template *prompt, const struct plan_options *options,
                      struct plan_counts *counts, struct plan_sample *sample, struct dobby_error *err)
{
    *counts = (struct plan_counts){0};
    *sample = (struct plan_sample){0};
    struct counting counting = {.lookup = lookup,
                                .engine = engine,
                                .prompt = prompt,
                                .options = options,
                                .counts = counts,
                                .sample = sample,
                                .info = engine_info(engine)};
    dobby_code code = prepare(&counting, store, err);
    if (code == DOBBY_OK)
        code = list_work(&counting, store, err);
    sum_tokens(&counting);
    plan_sample_shuffle(sample);
    if (code != DOBBY_OK) {
        *counts = (struct plan_counts){0};
        plan_sample_release(sample);
    }
    for (size_t i = 0; i < counting.count; i++)
        plan_sample_record_release(&counting.candidates[i].record);
    key_set_release(&counting.keys);
    token_list_release(&counting.tokens);
    free(counting.spans);
    free(counting.lookup_keys);
    free(counting.candidates);
    free(counting.stored);
    return code;
}
