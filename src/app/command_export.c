#include "app/commands.h"
#include "app/export.h"
#include "app/stores.h"
#include "os/interrupt.h"

static bool canceled(void)
{
    return interrupt_count() > 0;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct output output = {0};
    struct exporter exporter = {0};
    const char *format = options_text(&app->options, "format");
    const struct record_filter filter = {0};
    dobby_code code = DOBBY_OK;
    if (format == NULL)
        return DOBBY_FAIL(err, DOBBY_USAGE, "dobby export needs --format jsonl, json, csv or md");
    code = stores_open(&app->config, SQLITE_ACCESS_READ, &store, err);
    if (code == DOBBY_OK)
        code = output_open(&output, options_text(&app->options, "output"), err);
    if (code != DOBBY_OK)
        goto done;
    interrupt_catch();
    code = export_begin(&exporter, export_format_parse(format), &output, err);
    exporter.canceled = canceled;
    if (code == DOBBY_OK)
        code = store_list(store, &filter, export_row, &exporter, err);
    if (code == DOBBY_OK)
        code = export_end(&exporter, err);
    if (code == DOBBY_OK)
        code = output_finish(&output, err);
done:
    export_release(&exporter);
    output_release(&output);
    store_close(store);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    {.name = "format",
     .type = OPTION_CHOICE,
     .argument = "FORMAT",
     .help = "jsonl (one object a record), json (an array), csv (RFC 4180) or md",
     .choices = {"jsonl", "json", "csv", "md"}},
    {.name = "output",
     .letter = 'o',
     .type = OPTION_TEXT,
     .argument = "FILE",
     .help = "write there instead of standard output; the file appears whole or not at all"},
};

const struct command command_export = {
    .name = "export",
    .arguments = "",
    .summary = "Write all records with their summaries",
    .details =
        "Each record has: id, path, language, first_line, last_line, state, summary, confidence, model, "
        "tokens_in, tokens_out, inference_ms, content_sha256, created_at, source, error_id, reason, "
        "content_bytes. What is not known is null (empty in CSV). The output is valid UTF-8.",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
