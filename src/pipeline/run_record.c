/* The run's row in the store: its settings, a snapshot of its metrics twice a second, how it ended; and the
 * commands that others leave there. */
#include "base/json_writer.h"
#include "observe/log.h"
#include "os/clock.h"
#include "os/process.h"
#include "pipeline/run_state.h"

#include <stdio.h>

static void put_integer(struct json_writer *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_put_integer(json, (int64_t)value);
}

static void put_number(struct json_writer *json, const char *key, double value)
{
    json_key(json, key);
    json_put_number(json, value);
}

static void put_text(struct json_writer *json, const char *key, const char *text)
{
    json_key(json, key);
    json_put_text(json, text);
}

static dobby_code append_settings(const struct run *run, struct buffer *out, struct dobby_error *err)
{
    const struct run_options *options = run->options;
    const struct provenance *provenance = &run->provenance;
    struct json_writer json;
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    put_text(&json, "model", provenance->info->model);
    put_text(&json, "model_fingerprint", provenance->info->fingerprint);
    put_text(&json, "precision", provenance->info->precision);
    put_text(&json, "sampling", provenance->sampling);
    put_text(&json, "template", provenance->template_id);
    put_text(&json, "engine", provenance->engine);
    put_text(&json, "stale", options->stale_redo ? "redo" : "keep");
    put_integer(&json, "max_records", options->records_max);
    put_integer(&json, "max_time_ms", (uint64_t)options->time_ms_max);
    put_integer(&json, "max_tokens", options->tokens_inferred_max);
    put_integer(&json, "max_failures", options->failures_max);
    put_integer(&json, "lease_ms", (uint64_t)options->lease_ms);
    put_integer(&json, "attempts_max",
                options->attempts_max > 0 ? options->attempts_max : (uint64_t)RUN_ATTEMPTS_MAX);
    put_integer(&json, "sessions_min", run->concurrency.min);
    put_integer(&json, "sessions_max", run->concurrency.max);
    json_end_object(&json);
    return json_writer_end(&json, err);
}

static void put_percentiles(struct json_writer *json, const char *key, const struct histogram *histogram_us)
{
    json_key(json, key);
    json_begin_object(json);
    put_number(json, "p50", (double)histogram_percentile(histogram_us, 0.50) / 1000);
    put_number(json, "p95", (double)histogram_percentile(histogram_us, 0.95) / 1000);
    put_number(json, "p99", (double)histogram_percentile(histogram_us, 0.99) / 1000);
    put_number(json, "max", (double)histogram_us->max / 1000);
    put_integer(json, "count", histogram_us->count);
    json_end_object(json);
}

static void put_breaker(struct json_writer *json, const char *key, const struct dependency *dependency)
{
    const struct breaker *breaker = &dependency->breaker;
    json_key(json, key);
    json_begin_object(json);
    put_text(json, "state", breaker_state_name(breaker->state));
    put_integer(json, "opened", breaker->opened);
    put_number(json, "trouble_s", (double)breaker_trouble_ns(breaker, clock_monotonic_ns()) / 1e9);
    put_text(json, "last_error",
             dependency->error.code != DOBBY_OK ? dobby_code_id(dependency->error.code) : NULL);
    json_end_object(json);
}

static void put_queues(struct json_writer *json, const struct run *run, const struct engine_stats *stats)
{
    json_key(json, "queues");
    json_begin_object(json);
    put_integer(json, "claimed", run->batch.count - run->batch_next);
    put_integer(json, "engine_queued", stats->queued);
    put_integer(json, "engine_running", stats->running);
    put_integer(json, "waiting_for_equal", run->jobs.waiters);
    put_integer(json, "outbox", run->outbox.count);
    put_integer(json, "held", run->outbox.held);
    put_integer(json, "leases_max", run->outbox.capacity);
    json_end_object(json);
    json_key(json, "sessions");
    json_begin_object(json);
    put_integer(json, "limit", run->concurrency.limit);
    put_integer(json, "min", run->concurrency.min);
    put_integer(json, "max", run->concurrency.max);
    put_integer(json, "engine", stats->sessions_now);
    json_end_object(json);
}

static void put_reuse(struct json_writer *json, const struct run *run)
{
    json_key(json, "reuse");
    json_begin_object(json);
    put_integer(json, "cache", run->reuse.cache);
    put_integer(json, "in_flight", run->reuse.in_flight);
    put_integer(json, "store", run->reuse.store);
    json_end_object(json);
    json_key(json, "cache");
    json_begin_object(json);
    put_integer(json, "hits", run->cache.hits);
    put_integer(json, "misses", run->cache.misses);
    put_integer(json, "evictions", run->cache.evictions);
    put_integer(json, "entries", run->cache.count);
    put_integer(json, "bytes", run->cache.bytes);
    json_end_object(json);
    json_key(json, "gates");
    json_begin_object(json);
    for (int verdict = QUALITY_GOOD + 1; verdict < QUALITY_VERDICT_COUNT; verdict++)
        put_integer(json, quality_verdict_name((enum quality_verdict)verdict), run->gates[verdict]);
    put_integer(json, "resampled", run->resampled);
    put_integer(json, "rescued", run->rescued);
    json_end_object(json);
}

static void put_errors(struct json_writer *json, const struct error_tally *errors)
{
    json_key(json, "errors");
    json_begin_array(json);
    for (size_t i = 0; i < errors->count; i++) {
        const struct error_tally_row *row = &errors->rows[i];
        char time[CLOCK_TEXT_BYTES];
        clock_format(row->last_unix_us, time);
        json_begin_object(json);
        put_text(json, "id", dobby_code_id(row->code));
        put_text(json, "message", dobby_code_message(row->code));
        put_integer(json, "count", row->count);
        json_key(json, "retryable");
        json_put_boolean(json, dobby_code_retryable(row->code));
        put_text(json, "last", time);
        put_text(json, "sample", row->sample);
        put_text(json, "record", row->record_id[0] != '\0' ? row->record_id : NULL);
        json_end_object(json);
    }
    json_end_array(json);
    put_integer(json, "errors_of_other_ids", errors->others);
}

static dobby_code append_metrics(const struct run *run, struct buffer *out, struct dobby_error *err)
{
    const struct run_progress *progress = run->progress;
    const double seconds = (double)(clock_monotonic_ns() - run->started_ns) / 1e9;
    const double busy_s = seconds - (double)progress->paused_ns / 1e9;
    const double tokens = (double)(progress->tokens_in + progress->tokens_out);
    struct engine_stats stats;
    struct json_writer json;
    engine_stats(run->engine, &stats);
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    put_text(&json, "phase", run_phase_name(progress->phase));
    put_text(&json, "cap", progress->cap != RUN_CAP_NONE ? run_cap_name(progress->cap) : NULL);
    put_number(&json, "seconds", seconds);
    put_number(&json, "paused_s", (double)progress->paused_ns / 1e9);
    put_number(&json, "records_per_min", busy_s > 0 ? (double)run_done(run) * 60 / busy_s : 0);
    put_number(&json, "records_per_min_now", run->rate_now * 60);
    put_number(&json, "tokens_per_s", busy_s > 0 ? tokens / busy_s : 0);
    put_integer(&json, "tokens_inferred", run->tokens_inferred);
    put_percentiles(&json, "latency_ms", &run->latency_us);
    put_percentiles(&json, "settle_ms", &run->settle_us);
    put_queues(&json, run, &stats);
    json_key(&json, "breakers");
    json_begin_object(&json);
    put_breaker(&json, "store", &run->store_health);
    put_breaker(&json, "engine", &run->engine_health);
    json_end_object(&json);
    put_reuse(&json, run);
    put_integer(&json, "stale_kept", progress->stale_kept);
    put_integer(&json, "stale_redone", progress->stale_redone);
    put_integer(&json, "stale_restored", progress->stale_restored);
    put_errors(&json, &run->progress->errors);
    put_integer(&json, "peak_rss_bytes", process_peak_rss_bytes());
    json_end_object(&json);
    return json_writer_end(&json, err);
}

static struct run_row row_of(const struct run *run)
{
    const struct run_progress *progress = run->progress;
    return (struct run_row){
        .id = run->options->run_id,
        .owner = run->options->owner,
        .state = run->paused ? RUN_PAUSED : RUN_RUNNING,
        .started_unix_us = run->started_us,
        .heartbeat_unix_us = clock_unix_us(),
        .settings = "{}",
        .metrics = "{}",
        .counts = {.total = progress->total,
                   .completed = progress->completed,
                   .degraded = progress->degraded,
                   .failed = progress->failed,
                   .skipped = progress->skipped,
                   .stale = progress->stale,
                   .retried = progress->retried,
                   .reused = progress->reused,
                   .tokens_in = progress->tokens_in,
                   .tokens_out = progress->tokens_out},
    };
}

dobby_code run_record_begin(struct run *run, struct dobby_error *err)
{
    struct buffer settings = {0};
    if (run->options->run_id == NULL)
        return DOBBY_OK;
    dobby_code code = append_settings(run, &settings, err);
    if (code == DOBBY_OK) {
        struct run_row row = row_of(run);
        struct dobby_error failure;
        row.settings = settings.bytes;
        do {
            failure = (struct dobby_error){0};
            code = store_run_begin(run->store, &row, &failure);
        } while (run_store_wait(run, &code, &failure, err));
    }
    run->recorded = code == DOBBY_OK;
    run->recorded_ns = run->polled_ns = clock_monotonic_ns();
    buffer_release(&settings);
    return code;
}

/* Somebody has removed it: the records matter more. */
static dobby_code forget_row(struct run *run)
{
    run->recorded = false;
    log_write(LOG_WARNING, "run.row_gone", "the run's row is gone: it cannot be seen or commanded any more",
              LOG_TEXT("run", run->options->run_id));
    return DOBBY_OK;
}

dobby_code run_record_update(struct run *run, struct dobby_error *err)
{
    struct buffer metrics = {0};
    struct dobby_error failure = {0};
    enum run_command command = RUN_COMMAND_NONE;
    run->recorded_ns = run->polled_ns = clock_monotonic_ns();
    if (append_metrics(run, &metrics, NULL) != DOBBY_OK)
        buffer_release(&metrics); /* without memory for a snapshot the heart still beats */
    struct run_row row = row_of(run);
    row.metrics = metrics.bytes != NULL ? metrics.bytes : "{}";
    dobby_code called = store_run_update(run->store, &row, &command, &failure);
    buffer_release(&metrics);
    if (called == DOBBY_STORE_NOT_FOUND)
        return forget_row(run);
    dobby_code code = run_store_code(run, RUN_STORE_UPDATE, called, &failure, err);
    if (called == DOBBY_OK)
        run_take_command(run, command);
    return code;
}

dobby_code run_record_poll(struct run *run, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    enum run_command command = RUN_COMMAND_NONE;
    run->polled_ns = clock_monotonic_ns();
    dobby_code called = store_run_poll(run->store, run->options->run_id, &command, &failure);
    if (called == DOBBY_STORE_NOT_FOUND)
        return forget_row(run);
    dobby_code code = run_store_code(run, RUN_STORE_POLL, called, &failure, err);
    if (called == DOBBY_OK)
        run_take_command(run, command);
    return code;
}

void run_record_end(struct run *run, dobby_code code, const struct dobby_error *failure)
{
    struct buffer metrics = {0};
    struct dobby_error refused = {0};
    char reason[DOBBY_ERROR_DETAIL_BYTES + 128] = "";
    enum run_command command;
    if (!run->recorded)
        return;
    if (code != DOBBY_OK)
        snprintf(reason, sizeof(reason), "%s: %s: %s", dobby_code_id(code), dobby_code_message(code),
                 failure->detail);
    else if (run->progress->ended_paused)
        snprintf(reason, sizeof(reason), "paused, and nothing was left to do");
    else if (run->progress->cap != RUN_CAP_NONE)
        snprintf(reason, sizeof(reason), "--%s was reached", run_cap_name(run->progress->cap));
    if (append_metrics(run, &metrics, NULL) != DOBBY_OK)
        buffer_release(&metrics);
    struct run_row row = row_of(run);
    row.state = run->progress->end;
    row.ended_unix_us = row.heartbeat_unix_us;
    row.metrics = metrics.bytes != NULL ? metrics.bytes : "{}";
    row.end_reason = reason[0] != '\0' ? reason : NULL;
    do {
        refused = (struct dobby_error){0};
        code = store_run_update(run->store, &row, &command, &refused);
    } while (run_store_wait(run, &code, &refused, NULL));
    if (code != DOBBY_OK)
        log_write(LOG_WARNING, "run.end_not_recorded", "the run's end could not be written down",
                  LOG_TEXT("error", dobby_code_id(code)));
    buffer_release(&metrics);
}
