#include "app/bench_pipeline.h"

#include "app/bench_records.h"
#include "app/models.h"
#include "app/runs.h"
#include "base/limits.h"
#include "drivers/sqlite/store_sqlite.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "os/process.h"
#include "os/temporary.h"

#include <stdio.h>

struct bench {
    const struct bench_pipeline_options *options;
    struct pipeline_figures *figures;
    struct buffer directory, path;
    struct store *store;
    struct engine *engine;
    struct prompt_template *prompt;
    int64_t begun_ns, told_ns, gap_ns, age_ns;
};

static double seconds_since(int64_t ns)
{
    return (double)(clock_monotonic_ns() - ns) / 1e9;
}

static enum run_request request(void *context)
{
    (void)context;
    const uint32_t interrupts = interrupt_count();
    return interrupts == 0 ? RUN_CONTINUE : interrupts == 1 ? RUN_DRAIN : RUN_STOP;
}

static void progress(void *context, const struct run_progress *now)
{
    struct bench *bench = context;
    const int64_t now_ns = clock_monotonic_ns(), age_ns = now_ns - bench->begun_ns - now->elapsed_ns;
    if (age_ns > bench->age_ns)
        bench->age_ns = age_ns;
    if (now_ns - bench->told_ns > bench->gap_ns)
        bench->gap_ns = now_ns - bench->told_ns;
    bench->told_ns = now_ns;
}

static dobby_code make_database(struct bench *bench, struct dobby_error *err)
{
    const struct bench_pipeline_options *options = bench->options;
    dobby_code code = temporary_directory_make(options->directory, &bench->directory, err);
    if (code == DOBBY_OK)
        code = buffer_append_format(&bench->path, err, "%s/bench.db", bench->directory.bytes);
    if (code != DOBBY_OK)
        return code;
    const struct store_sqlite_options sqlite = {
        .path = bench->path.bytes,
        .access = SQLITE_ACCESS_CREATE,
        .busy_timeout_ms = (int)config_integer(options->config, CONFIG_STORE_BUSY_TIMEOUT_MS)};
    code = store_sqlite_open(&sqlite, &bench->store, err);
    const int64_t before_ns = clock_monotonic_ns();
    if (code == DOBBY_OK)
        code = bench_records_put(bench->store, options->records, options->bytes, err);
    bench->figures->put_s = seconds_since(before_ns);
    return code;
}

static dobby_code open_engine(struct bench *bench, struct dobby_error *err)
{
    const int64_t before_ns = clock_monotonic_ns();
    dobby_code code = runs_open_engine(bench->options->config, &bench->engine, err);
    if (code == DOBBY_OK)
        code = models_open_prompt(bench->options->config, bench->engine, &bench->prompt, err);
    bench->figures->open_s = seconds_since(before_ns);
    return code;
}

static dobby_code run(struct bench *bench, struct dobby_error *err)
{
    const struct config *config = bench->options->config;
    struct pipeline_figures *figures = bench->figures;
    struct timed_store store;
    struct timed_engine engine;
    timed_store_init(&store, bench->store, &figures->calls);
    store.settle_delay_ms = bench->options->settle_delay_ms;
    timed_engine_init(&engine, bench->engine, &figures->calls);
    struct run_options options = runs_options(config);
    options.owner = "bench";
    options.run_id = "00000000-0000-7000-8000-000000000000"; /* the only one in its database */
    options.request = request;
    options.progress = progress;
    options.context = bench;
    (void)process_reset_peak_rss(); /* where it cannot be, the peak includes writing the records */
    bench->begun_ns = bench->told_ns = clock_monotonic_ns();
    dobby_code code =
        pipeline_run(&store.store, &engine.engine, bench->prompt, &options, &figures->totals, err);
    figures->seconds = seconds_since(bench->begun_ns);
    figures->peak_rss_mb = (double)process_peak_rss_bytes() / 1e6;
    if (code == DOBBY_OK && interrupt_count() > 0)
        code = DOBBY_FAIL(err, DOBBY_CANCELED, "the measured run was interrupted");
    return code;
}

/* The database with its log; 0 where it cannot be read. */
static double directory_mb(const char *directory)
{
    struct directory_list list;
    struct buffer path = {0};
    double bytes = 0;
    if (directory_list_open(directory, &list, NULL) != DOBBY_OK)
        return 0;
    for (size_t i = 0; i < list.count; i++) {
        struct file_info file;
        buffer_clear(&path);
        if (buffer_append_format(&path, NULL, "%s/%s", directory, list.entries[i].name) == DOBBY_OK &&
            file_stat(path.bytes, false, &file, NULL) == DOBBY_OK)
            bytes += (double)file.bytes;
    }
    directory_list_release(&list);
    buffer_release(&path);
    return bytes / 1e6;
}

static void fill_figures(struct bench *bench)
{
    struct pipeline_figures *figures = bench->figures;
    const struct run_progress *totals = &figures->totals;
    const uint64_t done = totals->completed + totals->degraded + totals->failed + totals->skipped;
    snprintf(figures->engine, sizeof figures->engine, "%s",
             config_text(bench->options->config, CONFIG_ENGINE_KIND));
    snprintf(figures->model, sizeof figures->model, "%s", engine_info(bench->engine)->model);
    figures->leases_max = run_leases_max(engine_info(bench->engine)->sessions);
    figures->records_per_min = figures->seconds > 0 ? (double)done * 60 / figures->seconds : 0;
    figures->progress_gap_ms = (double)bench->gap_ns / 1e6;
    figures->progress_age_ms = (double)bench->age_ns / 1e6;
    if (figures->calls.first_submit_ns > 0)
        figures->first_submit_ms = (double)(figures->calls.first_submit_ns - bench->begun_ns) / 1e6;
    if (figures->calls.first_settle_ns > 0)
        figures->first_result_ms = (double)(figures->calls.first_settle_ns - bench->begun_ns) / 1e6;
    figures->database_mb = directory_mb(bench->directory.bytes);
}

dobby_code bench_pipeline(const struct bench_pipeline_options *options, struct pipeline_figures *out,
                          struct dobby_error *err)
{
    *out = (struct pipeline_figures){.records = options->records, .bytes = options->bytes};
    if (options->records == 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "no records to measure with");
    if (options->bytes == 0 || options->bytes > LIMIT_CONTENT_BYTES)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "records of %zu bytes are not between 1 and %zu",
                          options->bytes, LIMIT_CONTENT_BYTES);
    struct bench bench = {.options = options, .figures = out};
    dobby_code code = make_database(&bench, err);
    if (code == DOBBY_OK)
        code = open_engine(&bench, err);
    if (code == DOBBY_OK)
        code = run(&bench, err);
    if (code == DOBBY_OK)
        fill_figures(&bench);
    else
        *out = (struct pipeline_figures){0};
    prompt_template_free(bench.prompt);
    engine_close(bench.engine);
    store_close(bench.store);
    if (bench.directory.length > 0)
        temporary_directory_remove(bench.directory.bytes);
    buffer_release(&bench.directory);
    buffer_release(&bench.path);
    return code;
}

double pipeline_figures_rest_s(const struct pipeline_figures *figures)
{
    double rest_s = figures->seconds;
    for (int i = 0; i < TIMED_CALL_COUNT; i++)
        rest_s -= (double)figures->calls.ns[i] / 1e9;
    return rest_s > 0 ? rest_s : 0;
}
