#include "app/commands.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/screen.h"
#include "app/secret.h"
#include "app/status_report.h"
#include "app/stores.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/terminal.h"

#include <stdlib.h>

enum { INTERVAL_S_DEFAULT = 1, INTERVAL_S_MAX = 3600 };

static dobby_code print_once(struct status_report *report, bool as_json, struct dobby_error *err)
{
    struct buffer text = {0};
    report->now_unix_us = clock_unix_us();
    dobby_code code = status_read(report, err);
    if (code == DOBBY_OK)
        code = status_read_reasons(report, err);
    if (code == DOBBY_OK)
        code =
            as_json ? status_append_json(&text, report, true, err) : status_append_text(&text, report, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

/* ---- --watch ---------------------------------------------------------------------------------------- */

struct watch {
    bool as_json;
    struct progress_style style; /* a terminal that cannot be redrawn gets lines, as a file does */
    bool idle;                   /* lines: that no run is active has been said */
};

static dobby_code append_view(struct buffer *out, const struct watch *watch,
                              const struct status_report *report, struct dobby_error *err)
{
    struct buffer view = {0};
    const struct screen_size size = {.columns = terminal_columns(STREAM_OUTPUT),
                                     .rows = terminal_rows(STREAM_OUTPUT)};
    dobby_code code = status_append_view(&view, report, err);
    if (code == DOBBY_OK)
        code = screen_append(out, view.bytes, size, watch->style.colour, err);
    buffer_release(&view);
    return code;
}

static dobby_code append_lines(struct buffer *out, struct watch *watch, const struct status_report *report,
                               struct dobby_error *err)
{
    bool active = false;
    const dobby_code code = status_append_lines(out, report, &active, err);
    if (code == DOBBY_OK && !active && watch->idle)
        buffer_clear(out);
    watch->idle = !active;
    return code;
}

static dobby_code watch_once(struct watch *watch, struct status_report *report, struct output *output,
                             struct dobby_error *err)
{
    report->now_unix_us = clock_unix_us();
    dobby_code code = status_read(report, err);
    if (code == DOBBY_OK && watch->as_json)
        code = status_append_json(&output->text, report, false, err);
    else if (code == DOBBY_OK && watch->style.redraw)
        code = append_view(&output->text, watch, report, err);
    else if (code == DOBBY_OK)
        code = append_lines(&output->text, watch, report, err);
    return code == DOBBY_OK ? output_flush(output, err) : code;
}

static dobby_code watch_until_interrupted(struct status_report *report, bool as_json, int64_t interval_ms,
                                          struct dobby_error *err)
{
    const bool terminal = terminal_is_terminal(STREAM_OUTPUT);
    struct watch watch = {.as_json = as_json,
                          .style = progress_style_of(terminal, getenv("TERM"), getenv("NO_COLOR"))};
    struct output output = {0};
    dobby_code code = output_open(&output, NULL, err);
    interrupt_catch();
    if (code == DOBBY_OK && watch.style.redraw && !as_json)
        code = buffer_append_string(&output.text, "\x1b[2J", err);
    while (code == DOBBY_OK && interrupt_count() == 0) {
        code = watch_once(&watch, report, &output, err);
        if (code == DOBBY_OK && interrupt_count() == 0)
            clock_sleep_ms(interval_ms);
    }
    if (code == DOBBY_OK)
        code = output_finish(&output, err);
    output_release(&output);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    const bool as_json = options_switch(&app->options, "json"),
               watch = options_switch(&app->options, "watch");
    const uint64_t interval_s = options_integer(&app->options, "interval", INTERVAL_S_DEFAULT);
    struct status_report report = {0};
    struct buffer url = {0};
    if (interval_s < 1 || interval_s > INTERVAL_S_MAX)
        return DOBBY_FAIL(err, DOBBY_USAGE, "--interval is from 1 to %d seconds", INTERVAL_S_MAX);
    if (!watch && options_text(&app->options, "interval") != NULL)
        return DOBBY_FAIL(err, DOBBY_USAGE, "--interval goes with --watch");
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_READ, &report.store, err);
    if (code == DOBBY_OK)
        code = secret_append_masked(&url, config_text(&app->config, CONFIG_DB_URL), err);
    report.url = url.bytes;
    if (code == DOBBY_OK)
        code = watch ? watch_until_interrupted(&report, as_json, (int64_t)interval_s * 1000, err)
                     : print_once(&report, as_json, err);
    status_release(&report);
    buffer_release(&url);
    store_close(report.store);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    {.name = "watch", .type = OPTION_SWITCH, .help = "go on telling, until Ctrl-C"},
    {.name = "interval",
     .type = OPTION_INTEGER,
     .argument = "SECONDS",
     .help = "with --watch: how often; default 1"},
    OPTION_JSON,
};

const struct command command_status = {
    .name = "status",
    .arguments = "",
    .summary = "Count the records by state, show why some have no summary, and what runs now",
    .details =
        "With --watch a terminal shows one view that is redrawn: the records, the active runs with their "
        "rates, latencies, queues, breakers and last errors, and the runs that ended last. Elsewhere it is a "
        "line for each active run, and with --json one object a line. Ctrl-C ends it with status 0.\n\n"
        "The database's tokens are those of the summaries that it holds, each counted, also where several "
        "records "
        "share one result; a run's are those that it inferred.",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
