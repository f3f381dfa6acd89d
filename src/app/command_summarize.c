#include "app/commands.h"
#include "app/input.h"
#include "app/models.h"
#include "app/output.h"
#include "app/report.h"
#include "app/runs.h"
#include "base/utf8.h"
#include "ingest/classify.h"
#include "ingest/language.h"
#include "os/clock.h"
#include "os/terminal.h"
#include "store/store_memory.h"

#include <string.h>

/* The text is the one record of a store in memory, and goes through a run like any other: so it gets what a
 * run would have given it, its second try and its quality gates included. */
static const char record_id[] = "text";

struct text {
    struct buffer content, path; /* the path as the model is told it: valid UTF-8 */
    const char *shown;           /* what it is called in errors */
};

/* ---- the text ------------------------------------------------------------------------------------ */

/* A path by bytes of any kind becomes valid UTF-8. */
static dobby_code read_text(const struct app *app, struct text *text, struct dobby_error *err)
{
    const char *file = app->options.argument_count > 0 ? app->options.arguments[0] : "-";
    const char *named = options_text(&app->options, "path");
    const bool standard_input = strcmp(file, "-") == 0;
    const char *path = named != NULL ? named : standard_input ? "" : file;
    text->shown = standard_input ? "standard input" : file;
    dobby_code code = input_read(file, &text->content, err);
    if (code == DOBBY_OK)
        code = buffer_append_string(&text->path, "", err);
    return code == DOBBY_OK ? utf8_append_repaired(&text->path, path, strlen(path), err) : code;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* As ingest classifies a file; but what is only not worth a summary gets one when it is asked for. */
static dobby_code check_text(const struct text *text, struct dobby_error *err)
{
    const char *reason =
        text->content.length == 0
            ? "empty"
            : classify_content(name_of(text->path.bytes), text->content.bytes, text->content.length);
    if (reason == NULL)
        return DOBBY_OK;
    if (strcmp(reason, "empty") == 0)
        return DOBBY_FAIL(err, DOBBY_INGEST_NOTHING, "%s is empty", text->shown);
    if (strcmp(reason, "generated") != 0)
        return DOBBY_FAIL(err, DOBBY_INGEST_NOT_TEXT, "%s is %s", text->shown, reason);
    return DOBBY_OK;
}

/* ---- the run ------------------------------------------------------------------------------------- */

static dobby_code put_text(struct store *store, const struct text *text, struct dobby_error *err)
{
    struct put_counts counts = {0};
    const int64_t now = clock_unix_us();
    const struct record_input input = {
        .id = record_id,
        .path = text->path.bytes,
        .language = language_of(text->path.bytes, text->content.bytes, text->content.length),
        .content = text->content.bytes,
        .content_length = text->content.length,
    };
    dobby_code code = store_sync_begin(store, "summarize", now, err);
    if (code == DOBBY_OK)
        code = store_put(store, &input, 1, now, &counts, err);
    return code == DOBBY_OK ? store_sync_end(store, "", &counts, err) : code;
}

static dobby_code run_text(const struct app *app, struct store *store, struct run_progress *totals,
                           struct dobby_error *err)
{
    struct engine *engine = NULL;
    struct prompt_template *prompt = NULL;
    struct run_options options = runs_options(&app->config);
    options.owner = "summarize";
    options.sessions_min = 0;
    options.outage_ms_max = -1; /* somebody waits for it */
    dobby_code code = models_open_engine(&app->config, 1, &engine, err);
    if (code == DOBBY_OK)
        code = models_open_prompt(&app->config, engine, &prompt, err);
    if (code == DOBBY_OK)
        code = pipeline_run(store, engine, prompt, &options, totals, err);
    prompt_template_free(prompt);
    engine_close(engine);
    return code;
}

/* ---- the result ---------------------------------------------------------------------------------- */

struct answer {
    const struct app *app;
    const struct run_progress *totals;
};

static dobby_code append_json(struct buffer *out, const struct record_row *row, struct dobby_error *err)
{
    const struct summary *summary = row->summary;
    struct json_writer json;
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    json_key(&json, "path");
    json_put_text(&json, row->path);
    json_key(&json, "summary");
    json_put_text(&json, summary->text);
    json_key(&json, "confidence");
    json_put_number(&json, summary->confidence);
    json_key(&json, "degraded_reason");
    json_put_text(&json, summary->degraded_reason);
    json_key(&json, "model");
    json_put_text(&json, summary->model);
    json_key(&json, "tokens_in");
    json_put_integer(&json, summary->tokens_in);
    json_key(&json, "tokens_out");
    json_put_integer(&json, summary->tokens_out);
    json_key(&json, "inference_ms");
    json_put_integer(&json, summary->inference_ms);
    json_end_object(&json);
    return json_writer_end(&json, err);
}

static void warn_of_quality(const char *reason)
{
    struct dobby_error warning = {0};
    if (DOBBY_FAIL(&warning, DOBBY_SUMMARY_DEGRADED, "%s", reason) != DOBBY_OK)
        report_error(&warning);
}

/* Why there is no summary: the run's only error is the record's. */
static dobby_code fail_without(const struct answer *answer, const struct record_row *row,
                               struct dobby_error *err)
{
    const struct error_tally *errors = &answer->totals->errors;
    if (errors->count > 0)
        return DOBBY_FAIL(err, errors->rows[errors->count - 1].code, "%s",
                          errors->rows[errors->count - 1].sample);
    return DOBBY_FAIL(err, DOBBY_INTERNAL, "no summary: %s", row->reason != NULL ? row->reason : "no reason");
}

static dobby_code print_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    const struct answer *answer = context;
    struct buffer out = {0};
    dobby_code code;
    if (row->summary == NULL)
        return fail_without(answer, row, err);
    const char *text = row->summary->text;
    if (options_switch(&answer->app->options, "json"))
        code = append_json(&out, row, err);
    else if (terminal_is_terminal(STREAM_OUTPUT))
        code = utf8_append_display(&out, text, strlen(text), err);
    else
        code = buffer_append_string(&out, text, err);
    if (code == DOBBY_OK)
        code = buffer_append_byte(&out, '\n', err);
    if (code == DOBBY_OK)
        code = output_print(&out, err);
    if (code == DOBBY_OK && row->summary->degraded_reason != NULL)
        warn_of_quality(row->summary->degraded_reason);
    buffer_release(&out);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct text text = {.shown = NULL};
    struct run_progress totals = {0};
    struct answer answer = {.app = app, .totals = &totals};
    dobby_code code = read_text(app, &text, err);
    if (code == DOBBY_OK)
        code = check_text(&text, err);
    if (code == DOBBY_OK)
        code = store_memory_open(&store, err);
    if (code == DOBBY_OK)
        code = put_text(store, &text, err);
    if (code == DOBBY_OK)
        code = run_text(app, store, &totals, err);
    if (code == DOBBY_OK)
        code = store_get(store, record_id, print_row, &answer, err);
    store_close(store);
    buffer_release(&text.content);
    buffer_release(&text.path);
    return code;
}

static const struct option_spec option_specs[] = {
    {.name = "path",
     .type = OPTION_TEXT,
     .argument = "NAME",
     .help = "the path that the model is told; default FILE, none for standard input"},
    OPTION_MODEL,
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_PRECISION,
    {.name = "max-tokens-out", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_MAX_TOKENS},
    {.name = "prompt", .type = OPTION_KEY, .argument = "FILE", .key = CONFIG_RUN_PROMPT_FILE},
    OPTION_JSON,
};

const struct command command_summarize = {
    .name = "summarize",
    .arguments = "[FILE|-]",
    .summary = "Summarise one text and print the summary",
    .details =
        "Nothing is stored. The text is read from standard input when FILE is missing or \"-\"; it must "
        "fit the model's context, and be text: binary files and UTF-16 are refused with status 6.\n\n"
        "The summary is what dobby run would store: one that fails the quality gates is tried once more with "
        "other sampling, and when that does not help it is printed with a warning that says what is wrong, "
        "and status 0.",
    .options = OPTION_LIST(option_specs),
    .arguments_max = 1,
    .run = run,
};
