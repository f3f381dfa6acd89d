#include "app/commands.h"
#include "app/context.h"
#include "app/models.h"
#include "app/output.h"
#include "app/report.h"
#include "app/stores.h"
#include "base/utf8.h"
#include "ingest/ingest.h"
#include "os/file.h"
#include "os/interrupt.h"

#include <inttypes.h>
#include <string.h>

enum { PATHS_MAX = 1 << 16 };

static bool canceled(void *context)
{
    (void)context;
    return interrupt_count() > 0;
}

static void write_json(struct json_writer *json, const char *path, const struct ingest_report *report)
{
    const struct {
        const char *name;
        uint64_t value;
    } integers[] = {
        {"files_seen", report->files_seen},
        {"files_chunked", report->files_chunked},
        {"chunks", report->chunks},
        {"bytes", report->bytes},
        {"added", report->records.added},
        {"updated", report->records.updated},
        {"unchanged", report->records.unchanged},
        {"removed", report->records.removed},
    };
    json_begin_object(json);
    json_key(json, "path");
    json_put_text(json, path);
    json_key(json, "source");
    json_put_text(json, report->source);
    json_key(json, "git");
    json_put_boolean(json, report->git);
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        json_key(json, integers[i].name);
        json_put_integer(json, (int64_t)integers[i].value);
    }
    json_key(json, "skipped");
    json_begin_object(json);
    for (size_t i = 0; i < report->skipped_count; i++) {
        json_key(json, report->skipped[i].reason);
        json_put_integer(json, (int64_t)report->skipped[i].files);
    }
    json_end_object(json);
    json_end_object(json);
}

static dobby_code append_text(struct buffer *out, const char *path, const struct ingest_report *report,
                              struct dobby_error *err)
{
    const bool in_mb = report->bytes >= 1000000;
    dobby_code code = utf8_append_display(out, path, strlen(path), err);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err,
                                    "%s: %" PRIu64 " file%s, %" PRIu64 " of them text, %" PRIu64
                                    " chunk%s, %.1f %s\n  records: %" PRIu64 " added, %" PRIu64
                                    " updated, %" PRIu64 " unchanged, %" PRIu64 " removed\n",
                                    report->git ? " (git)" : "", report->files_seen,
                                    plural_s(report->files_seen), report->files_chunked, report->chunks,
                                    plural_s(report->chunks), (double)report->bytes / (in_mb ? 1e6 : 1e3),
                                    in_mb ? "MB" : "kB", report->records.added, report->records.updated,
                                    report->records.unchanged, report->records.removed);
    if (code == DOBBY_OK && report->files_seen == 0)
        code = buffer_append_string(
            out, "  no file is left there: what it held is removed, with its summaries\n", err);
    for (size_t i = 0; code == DOBBY_OK && i < report->skipped_count; i++)
        code = buffer_append_format(out, err, "%s%" PRIu64 " %s%s", i == 0 ? "  skipped: " : ", ",
                                    report->skipped[i].files, report->skipped[i].reason,
                                    i + 1 == report->skipped_count ? "\n" : "");
    return code;
}

/* A misspelt path must not leave the ones before it half ingested, nor an empty database behind. */
static dobby_code check_paths(const struct app *app, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < app->options.argument_count; i++) {
        struct file_info info;
        code = file_stat(app->options.arguments[i], true, &info, err);
    }
    return code;
}

/* Records are cut all the same: another model may have the room. What cannot be measured is the run's to say.
 */
static void warn_of_context(const struct app *app, const struct model_file *model,
                            const struct tokenizer *tokenizer)
{
    struct context_fit fit;
    struct dobby_error warning = {0};
    if (context_measure(&app->config, model, tokenizer, &fit, NULL) == DOBBY_OK &&
        context_check(&fit, &warning) != DOBBY_OK)
        report_error(&warning);
}

static dobby_code ingest_all(struct app *app, struct store *store, const struct ingest_options *options,
                             struct dobby_error *err)
{
    const bool as_json = options_switch(&app->options, "json");
    struct ingest_report report;
    struct buffer text = {0};
    struct json_writer json;
    dobby_code code = DOBBY_OK;
    json_writer_init(&json, &text, false);
    if (as_json)
        json_begin_array(&json);
    for (size_t i = 0; code == DOBBY_OK && i < app->options.argument_count; i++) {
        const char *path = app->options.arguments[i];
        code = ingest_path(store, path, options, &report, err);
        if (code == DOBBY_OK && as_json)
            write_json(&json, path, &report);
        else if (code == DOBBY_OK)
            code = append_text(&text, path, &report, err);
    }
    if (code == DOBBY_OK && as_json) {
        json_end_array(&json);
        code = json_writer_end(&json, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(&text, '\n', err);
    }
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct model_file *model = NULL;
    struct tokenizer *tokenizer = NULL;
    struct store *store = NULL;
    dobby_code code = check_paths(app, err);
    if (code == DOBBY_OK)
        code = models_open_tokenizer(&app->config, &model, &tokenizer, err);
    if (code == DOBBY_OK)
        code = stores_open(&app->config, SQLITE_ACCESS_CREATE, &store, err);
    if (code != DOBBY_OK)
        goto done;
    warn_of_context(app, model, tokenizer);
    interrupt_catch();
    const struct ingest_options options = {
        .chunk_tokens_max = (uint32_t)config_integer(&app->config, CONFIG_INGEST_CHUNK_TOKENS),
        .emptied = options_switch(&app->options, "emptied"),
        .tokenizer = tokenizer,
        .canceled = canceled,
    };
    code = ingest_all(app, store, &options, err);
done:
    store_close(store);
    tokenizer_free(tokenizer);
    model_file_close(model);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    OPTION_MODEL,
    {.name = "chunk-tokens", .type = OPTION_KEY, .argument = "N", .key = CONFIG_INGEST_CHUNK_TOKENS},
    {.name = "emptied",
     .type = OPTION_SWITCH,
     .help = "a directory without any file is meant so: remove its records and their summaries"},
    OPTION_JSON,
};

const struct command command_ingest = {
    .name = "ingest",
    .arguments = "PATH...",
    .summary = "Bring the records of files and directories up to date",
    .details =
        "Text files are split into chunks at the boundaries of their code, each a record to be "
        "summarised. In a git work tree these are the tracked files and the untracked ones that are not "
        "ignored. What is not summarised (binary, generated, too large, ...) is kept as a skipped "
        "record with the reason.\n\n"
        "Doing it again changes nothing where nothing changed: summaries of unchanged chunks stay, "
        "changed chunks become new records, and those of deleted text go. A directory outside git that has "
        "no file "
        "any more may be a disk that is not mounted, so its records stay until --emptied says otherwise.\n\n"
        "The model's tokenizer measures the chunks. The database is created when it is missing.",
    .options = OPTION_LIST(option_specs),
    .arguments_min = 1,
    .arguments_max = PATHS_MAX,
    .run = run,
};
