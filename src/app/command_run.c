#include "app/commands.h"
#include "app/cuts.h"
#include "app/duration.h"
#include "app/models.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/runs.h"
#include "app/stores.h"
#include "os/interrupt.h"

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

static dobby_code run_records(struct app *app, struct store *store, struct engine *engine,
                              const struct prompt_template *prompt, int64_t time_ms_max,
                              char run_id[UUID_TEXT_BYTES], struct run_progress *totals,
                              struct dobby_error *err)
{
    struct buffer owner = {0};
    struct run_view view = {0};
    progress_init(&view.progress);
    dobby_code code = runs_make_owner(&owner, run_id, err);
    if (code == DOBBY_OK) {
        struct run_options options = runs_options(&app->config);
        options.owner = owner.bytes;
        options.run_id = run_id;
        options.records_max = options_integer(&app->options, "max-records", 0);
        options.tokens_inferred_max = options_integer(&app->options, "max-tokens", 0);
        options.failures_max = options_integer(&app->options, "max-failures", 0);
        options.time_ms_max = time_ms_max;
        options.request = request;
        options.progress = show;
        options.context = &view;
        code = pipeline_run(store, engine, prompt, &options, totals, err);
    }
    progress_clear(&view.progress);
    buffer_release(&owner);
    return code;
}

static enum exit_status status_of(const struct run_progress *totals, const struct store_counts *counts)
{
    if (totals->end == RUN_INTERRUPTED || totals->end == RUN_CANCELED)
        return EXIT_STATUS_INTERRUPTED;
    /* So many records were asked for, and so many are done. */
    if (totals->end == RUN_CAPPED && totals->cap != RUN_CAP_RECORDS)
        return EXIT_STATUS_CAPPED;
    return counts->by_state[RECORD_FAILED] > 0 ? EXIT_STATUS_SOME_FAILED : EXIT_STATUS_OK;
}

static dobby_code print_totals(struct app *app, struct store *store, const char *run_id,
                               const struct run_progress *totals, struct dobby_error *err)
{
    struct buffer text = {0};
    struct store_counts counts;
    struct cuts cuts = {0};
    dobby_code code = store_count(store, &counts, err);
    if (code == DOBBY_OK)
        code = cuts_read(&app->config, store, &cuts, err);
    if (code == DOBBY_OK)
        code = options_switch(&app->options, "json")
                   ? runs_append_json(&text, run_id, totals, &counts, &cuts, NULL, err)
                   : runs_append_summary(&text, totals, &counts, &cuts, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    if (code == DOBBY_OK)
        app->status = status_of(totals, &counts);
    cuts_release(&cuts);
    buffer_release(&text);
    return code;
}

/* Programs get their object after an error too. What cannot be printed any more is dropped: the error counts.
 */
static void print_failure(struct store *store, const char *run_id, const struct run_progress *totals,
                          const struct dobby_error *failure)
{
    struct buffer text = {0};
    struct store_counts counts;
    const bool counted = store != NULL && store_count(store, &counts, NULL) == DOBBY_OK;
    dobby_code code = runs_append_json(&text, run_id, totals, counted ? &counts : NULL, NULL, failure, NULL);
    if (code == DOBBY_OK)
        code = output_print(&text, NULL);
    (void)code;
    buffer_release(&text);
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct engine *engine = NULL;
    struct prompt_template *prompt = NULL;
    struct run_progress totals = {0};
    char run_id[UUID_TEXT_BYTES] = "";
    int64_t time_ms_max = 0;
    const char *time = options_text(&app->options, "max-time");
    dobby_code code = time != NULL ? duration_parse("max-time", time, &time_ms_max, err) : DOBBY_OK;
    if (code == DOBBY_OK)
        code = stores_open_for_run(&app->config, &store, err);
    if (code != DOBBY_OK)
        goto done;
    code = runs_open_engine(&app->config, &engine, err);
    if (code == DOBBY_OK)
        code = models_open_prompt(&app->config, engine, &prompt, err);
    /* Before this, while a model is read, there is nothing to give back: a signal ends the program at once.
     */
    interrupt_catch();
    if (code == DOBBY_OK)
        code = run_records(app, store, engine, prompt, time_ms_max, run_id, &totals, err);
done:
    if (code != DOBBY_OK && options_switch(&app->options, "json"))
        print_failure(store, run_id, &totals, err);
    if (code == DOBBY_OK) {
        code = print_totals(app, store, run_id, &totals, err);
    } else if (interrupt_count() > 0 && run_id[0] != '\0' && dobby_code_retryable(code)) {
        /* The user wanted out, in the middle of an outage. */
        report_error(err);
        fputs("interrupted meanwhile: what was not saved is done again by the next dobby run\n", stderr);
        app->status = EXIT_STATUS_INTERRUPTED;
        code = DOBBY_OK;
    }
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
     .help = "end after N records; 0: all (the default)"},
    {.name = "max-time",
     .type = OPTION_TEXT,
     .argument = "DURATION",
     .help = "end after this time: 90s, 45m, 8h, 1h30m"},
    {.name = "max-tokens",
     .type = OPTION_INTEGER,
     .argument = "N",
     .help = "end after N tokens, read and written together"},
    {.name = "max-failures",
     .type = OPTION_INTEGER,
     .argument = "N",
     .help = "end once N records have failed"},
    {.name = "stale", .type = OPTION_KEY, .argument = "keep|redo", .key = CONFIG_RUN_STALE},
    {.name = "sessions-min", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_SESSIONS_MIN},
    {.name = "sessions-max", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_SESSIONS_MAX},
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
        "one transaction, and what was not stored is done again. Several runs may share one database.\n\n"
        "A prompt that was answered before is not inferred again. A summary that the quality gates refuse is "
        "tried once more with other sampling, then kept as degraded with the reason. A failure that may pass "
        "is tried again later, up to run.max_attempts times; the run waits for that. When the database or "
        "the engine fails as a whole, the run pauses and tries again, up to run.outage_ms.\n\n"
        "The first Ctrl-C (or SIGTERM, or a closed terminal) finishes what is running and gives the rest "
        "back; the second stops at "
        "once. Both, and dobby cancel, end with status 130. --max-time, --max-tokens and --max-failures "
        "finish what is running and end with status 7 when records are left; --max-records with 0.\n\n"
        "With --json the totals are one object, after an error too: then error is its id, message and "
        "detail, and "
        "state is failed.\n\n"
        "A prompt file is plain text with {content}, and {path} and {language} where they help; {{ and }} "
        "are braces.",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
