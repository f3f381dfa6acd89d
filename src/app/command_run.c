#include "app/commands.h"
#include "app/models.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/stores.h"
#include "base/limits.h"
#include "os/interrupt.h"
#include "os/process.h"
#include "os/random.h"

#include <inttypes.h>
#include <stdio.h>

struct run_view {
    struct progress progress;
    bool announced; /* that it is draining */
};

/* OK -> draining [first interrupt], draining -> stopping [second interrupt]. */
static enum run_request request(void *context)
{
    struct run_view *view = context;
    const uint32_t interrupts = interrupt_count();
    if (interrupts == 0)
        return RUN_CONTINUE;
    if (!view->announced) {
        view->announced = true;
        progress_clear(&view->progress);
        fputs("dobby: finishing what is running; press Ctrl-C again to stop now\n", stderr);
    }
    return interrupts == 1 ? RUN_DRAIN : RUN_STOP;
}

static void show(void *context, const struct run_progress *now)
{
    struct run_view *view = context;
    if (!now->finished)
        progress_show(&view->progress, now);
}

static dobby_code append_summary(struct buffer *out, const struct run_progress *totals,
                                 const struct store_counts *counts, struct dobby_error *err)
{
    const struct progress_rates rates = progress_rates_of(totals);
    dobby_code code = buffer_append_format(
        out, err,
        "%" PRIu64 " records in %.1f s: %" PRIu64 " completed, %" PRIu64 " degraded, %" PRIu64
        " skipped, %" PRIu64 " failed\n%.0f records/min, %" PRIu64 " tokens read, %" PRIu64
        " written, %.0f tokens/s, peak memory %.0f MB\n",
        rates.done, (double)totals->elapsed_ns / 1e9, totals->completed, totals->degraded, totals->skipped,
        totals->failed, rates.records_per_s * 60, totals->tokens_in, totals->tokens_out, rates.tokens_per_s,
        (double)process_peak_rss_bytes() / 1e6);
    if (code == DOBBY_OK && totals->stale > 0)
        code = buffer_append_format(
            out, err, "%" PRIu64 " results came too late: another run had the records\n", totals->stale);
    const uint64_t left = counts->by_state[RECORD_PENDING];
    if (code == DOBBY_OK && left > 0)
        code = buffer_append_format(out, err, "%" PRIu64 " records are left: dobby run\n", left);
    return code;
}

static dobby_code append_json(struct buffer *out, const struct run_progress *totals,
                              const struct store_counts *counts, bool interrupted, struct dobby_error *err)
{
    const struct progress_rates rates = progress_rates_of(totals);
    const struct {
        const char *name;
        uint64_t value;
    } integers[] = {
        {"records", rates.done},
        {"total", totals->total},
        {"completed", totals->completed},
        {"degraded", totals->degraded},
        {"skipped", totals->skipped},
        {"failed", totals->failed},
        {"stale", totals->stale},
        {"tokens_in", totals->tokens_in},
        {"tokens_out", totals->tokens_out},
        {"pending", counts->by_state[RECORD_PENDING]},
        {"leased", counts->by_state[RECORD_LEASED]},
        {"peak_rss_bytes", process_peak_rss_bytes()},
    };
    struct json_writer json;
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        json_key(&json, integers[i].name);
        json_put_integer(&json, (int64_t)integers[i].value);
    }
    json_key(&json, "seconds");
    json_put_number(&json, (double)totals->elapsed_ns / 1e9);
    json_key(&json, "records_per_min");
    json_put_number(&json, rates.records_per_s * 60);
    json_key(&json, "tokens_per_s");
    json_put_number(&json, rates.tokens_per_s);
    json_key(&json, "interrupted");
    json_put_boolean(&json, interrupted);
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

/* Says who holds the leases: this process, and this run in it. */
static dobby_code make_owner(struct buffer *out, struct dobby_error *err)
{
    struct process_identity identity;
    char text[PROCESS_IDENTITY_TEXT_BYTES], id[UUID_TEXT_BYTES];
    dobby_code code = process_identity_self(&identity, err);
    if (code == DOBBY_OK)
        code = uuid7_new(id, err);
    if (code != DOBBY_OK)
        return code;
    process_identity_format(&identity, text);
    return buffer_append_format(out, err, "%s;id=%s", text, id);
}

static dobby_code run_records(struct app *app, struct store *store, struct engine *engine,
                              const struct prompt_template *prompt, struct run_progress *totals,
                              struct dobby_error *err)
{
    struct buffer owner = {0};
    struct run_view view = {0};
    progress_init(&view.progress);
    dobby_code code = make_owner(&owner, err);
    if (code == DOBBY_OK) {
        const struct run_options options = {
            .owner = owner.bytes,
            .tokens_max = (uint32_t)config_integer(&app->config, CONFIG_RUN_MAX_TOKENS),
            .sampling = models_sampling(&app->config),
            .run_seed = (uint64_t)config_integer(&app->config, CONFIG_RUN_SEED),
            .records_max = options_integer(&app->options, "max-records", 0),
            .lease_ms = config_integer(&app->config, CONFIG_RUN_LEASE_MS),
            .request = request,
            .progress = show,
            .context = &view,
        };
        code = pipeline_run(store, engine, prompt, &options, totals, err);
    }
    progress_clear(&view.progress);
    buffer_release(&owner);
    return code;
}

static dobby_code print_totals(struct app *app, struct store *store, const struct run_progress *totals,
                               struct dobby_error *err)
{
    struct buffer text = {0};
    struct store_counts counts;
    const bool interrupted = interrupt_count() > 0;
    dobby_code code = store_count(store, &counts, err);
    if (code == DOBBY_OK)
        code = options_switch(&app->options, "json") ? append_json(&text, totals, &counts, interrupted, err)
                                                     : append_summary(&text, totals, &counts, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    if (interrupted)
        app->status = EXIT_STATUS_INTERRUPTED;
    else if (code == DOBBY_OK && counts.by_state[RECORD_FAILED] > 0)
        app->status = EXIT_STATUS_SOME_FAILED;
    buffer_release(&text);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct engine *engine = NULL;
    struct prompt_template *prompt = NULL;
    struct run_progress totals = {0};
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_WRITE, &store, err);
    if (code != DOBBY_OK)
        goto done;
    interrupt_catch();
    code = models_open_engine(&app->config, 0, &engine, err);
    if (code == DOBBY_OK)
        code = models_open_prompt(&app->config, engine, &prompt, err);
    if (code == DOBBY_OK)
        code = run_records(app, store, engine, prompt, &totals, err);
    if (code == DOBBY_OK)
        code = print_totals(app, store, &totals, err);
done:
    prompt_template_free(prompt);
    engine_close(engine);
    store_close(store);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    OPTION_MODEL,
    OPTION_ENGINE,
    {.name = "sessions", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_SESSIONS},
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_PRECISION,
    {.name = "max-records",
     .type = OPTION_INTEGER,
     .argument = "N",
     .help = "stop after N records; 0: all (the default)"},
    {.name = "max-tokens-out", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_MAX_TOKENS},
    {.name = "prompt", .type = OPTION_KEY, .argument = "FILE", .key = CONFIG_RUN_PROMPT_FILE},
    {.name = "seed", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_SEED},
    OPTION_JSON,
};

const struct command command_run = {
    .name = "run",
    .arguments = "",
    .summary = "Summarise every record that has no summary yet",
    .details =
        "It may be killed at any moment and started again: a summary and its record's state are stored in "
        "one "
        "transaction, and what was not stored is done again. Several runs may share one database.\n\n"
        "The first Ctrl-C (or SIGTERM) finishes what is running and gives the rest back; the second stops at "
        "once. Both end with status 130.\n\n"
        "A prompt file is plain text with {content}, and {path} and {language} where they help; {{ and }} "
        "are braces.",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
