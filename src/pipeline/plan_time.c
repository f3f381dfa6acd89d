/* The timed sample, and what follows from it. */
#include "base/limits.h"
#include "os/clock.h"
#include "pipeline/plan_parts.h"
#include "store/store_memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SNAPSHOTS_MAX = 512,
    ID_BYTES = 32,
    STEADY_RECORDS_MIN = 32, /* fewer say little of a steady rate */
    WINDOW_S = 3,
    /* What a stored summary takes in a database beside its text, and what keeping a record's state grows by:
     * measured over 4,310 records in SQLite. */
    SUMMARY_ROW_BYTES = 480
};

/* How far the machine may be off what the sample saw: other programs come and go, and a processor that is hot
 * is slower. The sample's own scatter comes on top. */
static const double faster_share = 0.75, slower_share = 1.5;
/* Of the best moment's rate what a whole run can reach. */
static const double best_share = 0.9;
/* Storing a record's result: SQLite on a memory-like disk, and one whose every sync takes 50 ms. The pause
 * before the first record is that of opening model and database. */
static const double store_s_min = 15e-6, store_s_max = 1e-3, begin_s_max = 2;

struct snapshot {
    double seconds;
    uint64_t done;
    uint64_t tokens; /* read and written by the engine */
};

struct timing {
    const struct plan_options *options;
    struct engine *engine;
    uint64_t tokens_before;                   /* of what it did before */
    struct snapshot snapshots[SNAPSHOTS_MAX]; /* while records were still taken */
    size_t count;
};

static uint64_t done_of(const struct run_progress *totals)
{
    return totals->completed + totals->degraded + totals->failed + totals->skipped;
}

static enum run_request request(void *context)
{
    const struct plan_options *options = ((const struct timing *)context)->options;
    return options->canceled != NULL && options->canceled(options->context) ? RUN_STOP : RUN_CONTINUE;
}

static uint64_t tokens_of(struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats.prefill_tokens + stats.prefix_tokens + stats.decode_tokens;
}

static void progress(void *context, const struct run_progress *now)
{
    struct timing *timing = context;
    if (timing->count < SNAPSHOTS_MAX && now->phase == RUN_PHASE_RUNNING && !now->finished)
        timing->snapshots[timing->count++] =
            (struct snapshot){.seconds = (double)now->elapsed_ns / 1e9,
                              .done = done_of(now),
                              .tokens = tokens_of(timing->engine) - timing->tokens_before};
}

/* ---- the sample ---------------------------------------------------------------------------------- */

static dobby_code put_some(struct store *store, const struct plan_sample *sample, size_t first, size_t count,
                           struct dobby_error *err)
{
    struct record_input *inputs = calloc(count, sizeof *inputs);
    char(*ids)[ID_BYTES] = calloc(count, ID_BYTES);
    struct put_counts counts = {0};
    dobby_code code = DOBBY_OK;
    if (inputs == NULL || ids == NULL)
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu records", count);
    for (size_t i = 0; code == DOBBY_OK && i < count; i++) {
        const struct plan_sample_record *record = &sample->records[first + i];
        snprintf(ids[i], ID_BYTES, "sample-%08zu", first + i);
        inputs[i] = (struct record_input){.id = ids[i],
                                          .path = record->path,
                                          .language = record->language,
                                          .content = record->content,
                                          .content_length = record->content_length};
    }
    if (code == DOBBY_OK)
        code = store_put(store, inputs, count, clock_unix_us(), &counts, err);
    free(inputs);
    free(ids);
    return code;
}

static dobby_code put_sample(struct store *store, const struct plan_sample *sample, struct dobby_error *err)
{
    struct put_counts counts = {0};
    dobby_code code = store_sync_begin(store, "sample", clock_unix_us(), err);
    for (size_t first = 0; code == DOBBY_OK && first < sample->count; first += LIMIT_BATCH_RECORDS) {
        const size_t left = sample->count - first;
        code = put_some(store, sample, first, left < LIMIT_BATCH_RECORDS ? left : LIMIT_BATCH_RECORDS, err);
    }
    return code == DOBBY_OK ? store_sync_end(store, "", &counts, err) : code;
}

static dobby_code add_length(void *context, const struct record_row *row, struct dobby_error *err)
{
    (void)err;
    if (row->summary != NULL)
        *(uint64_t *)context += strlen(row->summary->text);
    return DOBBY_OK;
}

/* Runs the sample in memory. *text_bytes is the length of its summaries. */
static dobby_code run_sample(struct engine *engine, const struct prompt_template *prompt,
                             struct timing *timing, const struct plan_sample *sample,
                             struct run_progress *totals, uint64_t *text_bytes, struct dobby_error *err)
{
    const int64_t most_ms = timing->options->sample_ms_max;
    struct store *store = NULL;
    struct run_options run = *timing->options->run;
    run.owner = "plan";
    run.run_id = NULL;
    run.stale_redo = false;
    run.records_max = run.tokens_inferred_max = run.failures_max = 0;
    run.time_ms_max = most_ms > 0 ? most_ms : PLAN_SAMPLE_MS;
    run.attempts_max = 1;   /* waiting to try again is no rate */
    run.outage_ms_max = -1; /* nor is waiting for an engine that is down */
    run.request = request;
    run.progress = progress;
    run.context = timing;
    *text_bytes = 0;
    dobby_code code = store_memory_open(&store, err);
    if (code == DOBBY_OK)
        code = put_sample(store, sample, err);
    if (code == DOBBY_OK)
        code = pipeline_run(store, engine, prompt, &run, totals, err);
    if (code == DOBBY_OK && totals->end == RUN_INTERRUPTED)
        code = DOBBY_FAIL(err, DOBBY_CANCELED, "while timing the sample");
    const struct record_filter all = {.state = RECORD_UNKNOWN};
    if (code == DOBBY_OK)
        code = store_list(store, &all, add_length, text_bytes, err);
    store_close(store);
    return code;
}

/* ---- what follows -------------------------------------------------------------------------------- */

/* The rate between the first tenth of the records and the last snapshot: without the beginning, when nothing
 * has come yet, and the end, when few are left to go together. whole where there is too little between. */
static double steady_rate(const struct timing *timing, uint64_t done, double whole)
{
    const struct snapshot *first = NULL, *last = NULL;
    for (size_t i = 0; i < timing->count; i++) {
        if (first == NULL && timing->snapshots[i].done * 10 >= done && timing->snapshots[i].done > 0)
            first = &timing->snapshots[i];
        last = &timing->snapshots[i];
    }
    if (first == NULL || last->done < first->done + STEADY_RECORDS_MIN || last->seconds <= first->seconds)
        return whole;
    return (double)(last->done - first->done) / (last->seconds - first->seconds);
}

/* Tokens a second in the best WINDOW_S: what the machine can do while it has nothing else to do. A sample's
 * records come out late, since as many as there are sessions are read before the first is written; its tokens
 * do not. */
static double best_token_rate(const struct timing *timing)
{
    double best = 0;
    for (size_t i = 0, j = 0; i < timing->count; i++) {
        const struct snapshot *from = &timing->snapshots[i];
        while (j < timing->count && timing->snapshots[j].seconds < from->seconds + WINDOW_S)
            j++;
        if (j == timing->count)
            break;
        const struct snapshot *to = &timing->snapshots[j];
        best = fmax(best, (double)(to->tokens - from->tokens) / (to->seconds - from->seconds));
    }
    return best;
}

static void estimate(const struct timing *timing, const struct plan_counts *counts,
                     const struct run_progress *totals, uint64_t text_bytes, struct plan_estimate *out)
{
    const uint64_t done = done_of(totals), summaries = totals->completed + totals->degraded;
    out->sample_records = done;
    out->sample_failed = totals->failed;
    out->sample_tokens_in = totals->tokens_in;
    out->sample_s = (double)totals->elapsed_ns / 1e9;
    if (done == 0 || out->sample_s <= 0)
        return;
    const double whole = (double)done / out->sample_s, steady = steady_rate(timing, done, whole);
    /* An engine takes long records first, so a sample that time cut short has longer ones than the whole. How
     * much that matters depends on how much of the time goes into reading: the slow end takes half of it. */
    const double all = (double)counts->to_infer;
    const double tokens_sample = summaries > 0 ? (double)totals->tokens_in / (double)summaries : 0;
    const double tokens_in = (double)counts->tokens_in / all;
    const double tokens_out = summaries > 0 ? (double)totals->tokens_out / (double)summaries : 0;
    const double length = tokens_sample > 0 && tokens_in > 0 ? tokens_in / tokens_sample : 1;
    const double by_tokens =
        tokens_in > 0 ? best_token_rate(timing) * best_share / (tokens_in + tokens_out) : 0;
    const double scatter = 1 + 1 / sqrt((double)done);
    const double fast = fmax(fmax(whole, steady) / fmin(length, 1), by_tokens);
    const double slow = fmin(whole, steady) / (length < 1 ? sqrt(length) : length);
    out->records_per_s_max = fast / faster_share * scatter;
    out->records_per_s_min = slow / slower_share / scatter;
    const double infer = (double)counts->to_infer, work = (double)counts->work;
    out->seconds_min = infer / out->records_per_s_max + work * store_s_min;
    out->seconds_max = infer / out->records_per_s_min + work * store_s_max + begin_s_max;
    if (summaries == 0)
        return;
    const double kept = (double)(counts->to_infer + counts->duplicates + counts->stored);
    out->tokens_out = (uint64_t)(infer * (double)totals->tokens_out / (double)summaries);
    out->summary_bytes = (uint64_t)(kept * (double)text_bytes / (double)summaries);
    out->database_bytes = out->summary_bytes + (uint64_t)(kept * SUMMARY_ROW_BYTES);
}

dobby_code plan_time(struct engine *engine, const struct prompt_template *prompt,
                     const struct plan_options *options, const struct plan_counts *counts,
                     const struct plan_sample *sample, struct plan_estimate *out, struct dobby_error *err)
{
    *out = (struct plan_estimate){0};
    if (counts->work == 0)
        return DOBBY_OK;
    *out = (struct plan_estimate){.seconds_min = (double)counts->work * store_s_min,
                                  .seconds_max = (double)counts->work * store_s_max + begin_s_max};
    if (counts->to_infer == 0 || sample->count == 0)
        return DOBBY_OK;
    struct timing *timing = calloc(1, sizeof *timing);
    if (timing == NULL) {
        *out = (struct plan_estimate){0};
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "timing the sample");
    }
    timing->options = options;
    timing->engine = engine;
    timing->tokens_before = tokens_of(engine);
    struct run_progress totals = {0};
    uint64_t text_bytes;
    const dobby_code code = run_sample(engine, prompt, timing, sample, &totals, &text_bytes, err);
    if (code == DOBBY_OK)
        estimate(timing, counts, &totals, text_bytes, out);
    else
        *out = (struct plan_estimate){0};
    free(timing);
    return code;
}
