#include "app/commands.h"
#include "app/output.h"
#include "app/run_view.h"
#include "app/stores.h"
#include "os/clock.h"

enum { RUNS_SHOWN = 20 };

struct listing {
    struct output *output;
    struct json_writer *json; /* NULL: text */
    bool block;               /* text: a paragraph instead of a line */
    uint64_t runs;
};

static dobby_code show(void *context, const struct run_row *row, struct dobby_error *err)
{
    struct listing *listing = context;
    struct buffer *text = &listing->output->text;
    struct run_view view;
    dobby_code code = DOBBY_OK;
    run_view_init(&view, row, clock_unix_us());
    if (listing->json != NULL) {
        run_view_write_json(&view, listing->json);
        code = listing->json->code;
    } else if (listing->block) {
        code = run_view_append_block(text, &view, err);
    } else {
        code = listing->runs == 0 ? run_view_append_header(text, err) : DOBBY_OK;
        if (code == DOBBY_OK)
            code = run_view_append_row(text, &view, err);
    }
    listing->runs++;
    run_view_release(&view);
    return code == DOBBY_OK ? output_put(listing->output, err) : code;
}

static dobby_code count_run(void *context, const struct run_row *row, struct dobby_error *err)
{
    (void)row;
    (void)err;
    (*(uint64_t *)context)++;
    return DOBBY_OK;
}

/* One run only, before anything is printed. */
static dobby_code check_prefix(struct store *store, const char *prefix, struct dobby_error *err)
{
    uint64_t runs = 0;
    const struct run_filter filter = {.id_prefix = prefix, .limit = 2};
    dobby_code code = store_run_list(store, &filter, count_run, &runs, err);
    if (code == DOBBY_OK && runs == 0)
        code = DOBBY_FAIL(err, DOBBY_RUN_NOT_FOUND, "no run's id begins with '%.60s'", prefix);
    if (code == DOBBY_OK && runs > 1)
        code = DOBBY_FAIL(err, DOBBY_RUN_AMBIGUOUS, "several runs' ids begin with '%.60s'", prefix);
    return code;
}

static dobby_code list(struct app *app, struct store *store, struct output *output, struct dobby_error *err)
{
    const bool one = app->options.argument_count > 0, as_json = options_switch(&app->options, "json");
    const struct run_filter filter = {
        .id_prefix = one ? app->options.arguments[0] : NULL,
        .active_only = options_switch(&app->options, "active"),
        .limit = options_integer(&app->options, "limit", RUNS_SHOWN),
    };
    struct json_writer json;
    struct listing listing = {.output = output, .json = as_json ? &json : NULL, .block = one};
    json_writer_init(&json, &output->text, true);
    dobby_code code = one ? check_prefix(store, filter.id_prefix, err) : DOBBY_OK;
    if (code == DOBBY_OK && as_json && !one)
        json_begin_array(&json);
    if (code == DOBBY_OK)
        code = store_run_list(store, &filter, show, &listing, err);
    if (code == DOBBY_OK && as_json && !one)
        json_end_array(&json);
    if (code == DOBBY_OK && as_json)
        code = json_writer_end(&json, err);
    if (code == DOBBY_OK && as_json)
        code = buffer_append_byte(&output->text, '\n', err);
    if (code == DOBBY_OK && !as_json && listing.runs == 0)
        code =
            buffer_append_string(&output->text, filter.active_only ? "no run is active\n" : "no runs\n", err);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct output output = {0};
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_READ, &store, err);
    if (code == DOBBY_OK)
        code = output_open(&output, NULL, err);
    if (code == DOBBY_OK)
        code = list(app, store, &output, err);
    if (code == DOBBY_OK)
        code = output_finish(&output, err);
    output_release(&output);
    store_close(store);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    {.name = "active", .type = OPTION_SWITCH, .help = "only runs that are running or paused"},
    {.name = "limit",
     .type = OPTION_INTEGER,
     .argument = "N",
     .help = "at most N runs, the last ones; 0: all; default 20"},
    OPTION_JSON,
};

const struct command command_runs = {
    .name = "runs",
    .arguments = "[RUN]",
    .summary = "List the runs, the last one first, or show one with its settings and figures",
    .details =
        "RUN is a run's id or the beginning of it. A run whose process died without a word is shown as "
        "lost: what it had finished is stored, and the next dobby run does the rest.",
    .options = OPTION_LIST(option_specs),
    .arguments_max = 1,
    .run = run,
};
