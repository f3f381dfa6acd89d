#include "app/bench_pipeline.h"
#include "app/commands.h"
#include "app/output.h"
#include "app/stores.h"
#include "base/limits.h"
#include "os/interrupt.h"

#include <inttypes.h>
#include <string.h>

enum { RECORDS_NULL = 10000, RECORDS_NATIVE = 300, RECORD_BYTES = 2048 };

static dobby_code append_times(const struct pipeline_figures *figures, struct buffer *out,
                               struct dobby_error *err)
{
    const struct timed_calls *calls = &figures->calls;
    const double whole_s = figures->seconds > 0 ? figures->seconds : 1;
    dobby_code code = buffer_append_format(out, err, "\n%-20s %9s %8s %10s %11s\n", "WHERE THE TIME WENT",
                                           "SECONDS", "PERCENT", "CALLS", "LONGEST MS");
    for (int i = 0; code == DOBBY_OK && i < TIMED_CALL_COUNT; i++) {
        const double took_s = (double)calls->ns[i] / 1e9;
        code = buffer_append_format(out, err, "%-20s %9.3f %8.1f %10" PRIu64 " %11.1f\n",
                                    timed_call_name((enum timed_call)i), took_s, took_s / whole_s * 100,
                                    calls->calls[i], (double)calls->longest_ns[i] / 1e6);
    }
    const double rest_s = pipeline_figures_rest_s(figures);
    return code == DOBBY_OK ? buffer_append_format(out, err, "%-20s %9.3f %8.1f\n", "pipeline itself", rest_s,
                                                   rest_s / whole_s * 100)
                            : code;
}

static dobby_code append_text(const struct pipeline_figures *figures, struct buffer *out,
                              struct dobby_error *err)
{
    const struct run_progress *totals = &figures->totals;
    const dobby_code code = buffer_append_format(
        out, err,
        "%s engine (%s), %" PRIu64 " records of %" PRIu64 " bytes\n"
        "%.2f s: %" PRIu64 " completed, %" PRIu64 " degraded, %" PRIu64 " skipped, %" PRIu64 " failed\n"
        "%.0f records/min, peak memory %.1f MB, database %.1f MB, first result after %.0f ms\n"
        "before it: writing the records %.2f s, opening the engine %.2f s\n",
        figures->engine, figures->model, figures->records, figures->bytes, figures->seconds,
        totals->completed, totals->degraded, totals->skipped, totals->failed, figures->records_per_min,
        figures->peak_rss_mb, figures->database_mb, figures->first_result_ms, figures->put_s,
        figures->open_s);
    return code == DOBBY_OK ? append_times(figures, out, err) : code;
}

static void put_numbers(struct json_writer *json, const struct pipeline_figures *figures)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"seconds", figures->seconds},
        {"records_per_min", figures->records_per_min},
        {"peak_rss_mb", figures->peak_rss_mb},
        {"database_mb", figures->database_mb},
        {"first_result_ms", figures->first_result_ms},
        {"first_submit_ms", figures->first_submit_ms},
        {"progress_age_ms", figures->progress_age_ms},
        {"progress_gap_ms", figures->progress_gap_ms},
        {"put_seconds", figures->put_s},
        {"open_seconds", figures->open_s},
    };
    const struct {
        const char *name;
        uint64_t value;
    } integers[] = {
        {"record_bytes", figures->bytes},           {"completed", figures->totals.completed},
        {"degraded", figures->totals.degraded},     {"skipped", figures->totals.skipped},
        {"failed", figures->totals.failed},         {"tokens_in", figures->totals.tokens_in},
        {"tokens_out", figures->totals.tokens_out},
    };
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        json_key(json, integers[i].name);
        json_put_integer(json, (int64_t)integers[i].value);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        json_key(json, numbers[i].name);
        json_put_number(json, numbers[i].value);
    }
}

static void put_times(struct json_writer *json, const struct pipeline_figures *figures)
{
    const struct timed_calls *calls = &figures->calls;
    json_key(json, "times");
    json_begin_array(json);
    for (int i = 0; i <= TIMED_CALL_COUNT; i++) {
        const bool rest = i == TIMED_CALL_COUNT;
        json_begin_object(json);
        json_key(json, "name");
        json_put_text(json, rest ? "pipeline" : timed_call_name((enum timed_call)i));
        json_key(json, "seconds");
        json_put_number(json, rest ? pipeline_figures_rest_s(figures) : (double)calls->ns[i] / 1e9);
        json_key(json, "calls");
        json_put_integer(json, rest ? 1 : (int64_t)calls->calls[i]);
        json_key(json, "longest_ms");
        json_put_number(json, rest ? 0 : (double)calls->longest_ns[i] / 1e6);
        json_end_object(json);
    }
    json_end_array(json);
}

static dobby_code append_json(const struct pipeline_figures *figures, struct buffer *out,
                              struct dobby_error *err)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    json_key(&json, "engine");
    json_put_text(&json, figures->engine);
    json_key(&json, "model");
    json_put_text(&json, figures->model);
    json_key(&json, "records");
    json_put_integer(&json, (int64_t)figures->records);
    put_numbers(&json, figures);
    put_times(&json, figures);
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    const bool null = strcmp(config_text(&app->config, CONFIG_ENGINE_KIND), "null") == 0;
    const uint64_t bytes = options_integer(&app->options, "bytes", RECORD_BYTES);
    struct pipeline_figures figures;
    struct buffer directory = {0}, text = {0};
    struct bench_pipeline_options options = {
        .config = &app->config,
        .records = options_integer(&app->options, "records", null ? RECORDS_NULL : RECORDS_NATIVE),
        .bytes = (size_t)bytes};
    if (options.records == 0)
        return DOBBY_FAIL(err, DOBBY_USAGE, "--records must be at least 1");
    if (bytes == 0 || bytes > LIMIT_CONTENT_BYTES)
        return DOBBY_FAIL(err, DOBBY_USAGE, "--bytes must be from 1 to %zu, not %" PRIu64,
                          LIMIT_CONTENT_BYTES, bytes);
    dobby_code code = stores_directory(&app->config, options_text(&app->options, "dir"), &directory, err);
    if (code == DOBBY_OK) {
        options.directory = directory.bytes;
        interrupt_catch();
        code = bench_pipeline(&options, &figures, err);
    }
    if (code == DOBBY_OK)
        code = options_switch(&app->options, "json") ? append_json(&figures, &text, err)
                                                     : append_text(&figures, &text, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&directory);
    buffer_release(&text);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_ENGINE,
    {.name = "records",
     .type = OPTION_INTEGER,
     .argument = "N",
     .help = "synthetic records; default 10000 with the null engine, else 300"},
    {.name = "bytes", .type = OPTION_INTEGER, .argument = "N", .help = "bytes of each record; default 2048"},
    {.name = "dir",
     .type = OPTION_TEXT,
     .argument = "DIR",
     .help = "where the database is made; default: where the configured one is"},
    OPTION_DB,
    OPTION_MODEL,
    {.name = "sessions", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_SESSIONS},
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_PRECISION,
    {.name = "max-tokens-out", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_MAX_TOKENS},
    OPTION_JSON,
};

const struct command command_bench_pipeline = {
    .name = "bench pipeline",
    .arguments = "",
    .summary = "Measure a whole run over synthetic records, and where its time goes",
    .details =
        "Makes a database in a temporary directory on the disk of the configured one, fills it with records "
        "that look like source code and all differ, runs it as `dobby run` does, and removes it. The "
        "configured database is not touched.\n\n"
        "With --engine null nothing is inferred: what is left is the cost of the pipeline and the "
        "database. The times are those of the calls that the run made: engine_wait is the time that it "
        "waited for the engine. Peak memory is of the run alone, where the system can tell.",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
