#include "app/commands.h"
#include "app/export.h"
#include "app/progress.h"
#include "app/record_fields.h"
#include "app/stores.h"
#include "app/table.h"
#include "base/utf8.h"
#include "os/terminal.h"

#include <stdlib.h>
#include <string.h>

/* ---- dobby list --------------------------------------------------------------------------------- */

struct listing {
    struct output *output;
    struct table_style style;
    uint64_t rows;
    uint64_t sources;     /* that hold records */
    struct buffer source; /* of the last row */
};

static dobby_code count_source(void *context, const struct source_row *row, struct dobby_error *err)
{
    struct listing *listing = context;
    (void)err;
    listing->sources += !row->empty;
    return DOBBY_OK;
}

/* Paths are told apart by their source where there is more than one: a line before the first of its records.
 */
static dobby_code append_source(struct listing *listing, const struct record_row *row,
                                struct dobby_error *err)
{
    if (listing->sources < 2 ||
        (listing->source.bytes != NULL && strcmp(listing->source.bytes, row->source) == 0))
        return DOBBY_OK;
    buffer_clear(&listing->source);
    dobby_code code = buffer_append_string(&listing->source, row->source, err);
    if (code == DOBBY_OK)
        code = buffer_append_string(&listing->output->text, "source ", err);
    if (code == DOBBY_OK)
        code = utf8_append_display(&listing->output->text, row->source, strlen(row->source), err);
    return code == DOBBY_OK ? buffer_append_byte(&listing->output->text, '\n', err) : code;
}

static dobby_code list_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct listing *listing = context;
    struct buffer *text = &listing->output->text;
    dobby_code code = listing->rows++ == 0 ? table_append_header(text, &listing->style, err) : DOBBY_OK;
    if (code == DOBBY_OK)
        code = append_source(listing, row, err);
    if (code == DOBBY_OK)
        code = table_append_row(text, row, &listing->style, err);
    return code == DOBBY_OK ? output_put(listing->output, err) : code;
}

static dobby_code list_table(struct store *store, const struct record_filter *filter, struct output *output,
                             struct dobby_error *err)
{
    const bool terminal = terminal_is_terminal(STREAM_OUTPUT);
    const struct progress_style style = progress_style_of(terminal, getenv("TERM"), getenv("NO_COLOR"));
    struct listing listing = {.output = output,
                              .style = {.columns = terminal_columns(STREAM_OUTPUT),
                                        .colour = style.colour,
                                        .versions = filter->with_versions}};
    dobby_code code = store_sources(store, count_source, &listing, err);
    if (code == DOBBY_OK)
        code = store_list(store, filter, list_row, &listing, err);
    if (code == DOBBY_OK && listing.rows == 0)
        code = buffer_append_string(&output->text, "no records\n", err);
    buffer_release(&listing.source);
    return code;
}

/* What dobby show tells of the record and this summary, and whether it is the current one. */
static dobby_code version_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct exporter *exporter = context;
    struct buffer *text = &exporter->output->text;
    struct record_fields fields;
    struct json_writer json;
    dobby_code code = buffer_append_string(text, exporter->rows++ == 0 ? "[\n" : ",\n", err);
    if (code != DOBBY_OK)
        return code;
    record_fields_of(row, true, &fields);
    json_writer_init(&json, text, false);
    json_begin_object(&json);
    record_fields_write_json(&fields, &json);
    json_key(&json, "current");
    json_put_boolean(&json, row->summary != NULL && row->summary_current);
    json_key(&json, "of_present_content");
    json_put_boolean(&json, row->summary != NULL && row->summary_of_present_content);
    json_end_object(&json);
    code = json_writer_end(&json, err);
    return code == DOBBY_OK ? output_put(exporter->output, err) : code;
}

static dobby_code list_json(struct store *store, const struct record_filter *filter, struct output *output,
                            struct dobby_error *err)
{
    struct exporter exporter;
    dobby_code code = export_begin(&exporter, EXPORT_JSON, output, err);
    if (code == DOBBY_OK)
        code = store_list(store, filter, filter->with_versions ? version_row : export_row, &exporter, err);
    if (code == DOBBY_OK)
        code = export_end(&exporter, err);
    export_release(&exporter);
    return code;
}

static dobby_code run_list(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct output output = {0};
    const char *state = options_text(&app->options, "state");
    const struct record_filter filter = {
        .state = state != NULL ? record_state_parse(state) : RECORD_UNKNOWN,
        .path_glob = options_text(&app->options, "path"),
        .id_prefix = options_text(&app->options, "id"),
        .limit = options_integer(&app->options, "limit", 0),
        .with_versions = options_switch(&app->options, "versions"),
    };
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_READ, &store, err);
    if (code == DOBBY_OK)
        code = output_open(&output, NULL, err);
    if (code == DOBBY_OK)
        code = options_switch(&app->options, "json") ? list_json(store, &filter, &output, err)
                                                     : list_table(store, &filter, &output, err);
    if (code == DOBBY_OK)
        code = output_finish(&output, err);
    output_release(&output);
    store_close(store);
    return code;
}

static const struct option_spec list_options[] = {
    OPTION_DB,
    {.name = "state",
     .type = OPTION_CHOICE,
     .argument = "S",
     .help = "only records in this state: pending, leased, completed, degraded, failed or skipped",
     .choices = {"pending", "leased", "completed", "degraded", "failed", "skipped"}},
    {.name = "path",
     .type = OPTION_TEXT,
     .argument = "GLOB",
     .help = "only paths that match; * also matches /, as in 'src/*.c'"},
    {.name = "id", .type = OPTION_TEXT, .argument = "ID", .help = "only ids that begin with this"},
    {.name = "limit", .type = OPTION_INTEGER, .argument = "N", .help = "at most N lines; 0: all"},
    {.name = "versions",
     .type = OPTION_SWITCH,
     .help = "a line for each summary that a record ever got, the newest first; * marks the current one"},
    OPTION_JSON,
};

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .summary = "List records with their summaries",
    .details =
        "On a terminal lines are cut to its width. Where there is more than one source, a line names each "
        "before its records. With --json an array of the objects that dobby export writes; with --versions "
        "too, of those that dobby show writes, each with current and of_present_content: false where it "
        "summarises what the record held before.",
    .options = OPTION_LIST(list_options),
    .run = run_list,
};

/* ---- dobby show --------------------------------------------------------------------------------- */

struct showing {
    struct output *output;
    bool json, content;
};

static dobby_code show_json(struct buffer *out, const struct record_row *row, bool content,
                            struct dobby_error *err)
{
    struct record_fields fields;
    struct json_writer json;
    record_fields_of(row, true, &fields);
    json_writer_init(&json, out, true);
    json_begin_object(&json);
    record_fields_write_json(&fields, &json);
    if (content && row->content != NULL) {
        json_key(&json, "content");
        json_put_string(&json, row->content, row->content_length);
    }
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

/* A terminal gets the content line by line with controls escaped, anything else gets its bytes. */
static dobby_code append_content(struct buffer *out, const struct record_row *row, struct dobby_error *err)
{
    dobby_code code = buffer_append_byte(out, '\n', err);
    if (code == DOBBY_OK && !terminal_is_terminal(STREAM_OUTPUT))
        return buffer_append(out, row->content, row->content_length, err);
    size_t at = 0;
    while (code == DOBBY_OK && at < row->content_length) {
        const char *line = row->content + at;
        const char *end = memchr(line, '\n', row->content_length - at);
        const size_t length = end != NULL ? (size_t)(end - line) : row->content_length - at;
        size_t tabs = 0;
        while (code == DOBBY_OK && tabs < length && line[tabs] == '\t') { /* Indentation is no threat. */
            code = buffer_append_byte(out, '\t', err);
            tabs++;
        }
        if (code == DOBBY_OK && length > tabs)
            code = utf8_append_display(out, line + tabs, length - tabs, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
        at += length + 1;
    }
    return code;
}

static dobby_code show_text(struct buffer *out, const struct record_row *row, bool content,
                            struct dobby_error *err)
{
    struct record_fields fields;
    struct buffer value = {0};
    record_fields_of(row, true, &fields);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < fields.count; i++) {
        const struct record_field *field = &fields.fields[i];
        if (field->type == FIELD_NULL)
            continue;
        buffer_clear(&value);
        code = buffer_append_format(out, err, "%-18s", field->name);
        if (code == DOBBY_OK)
            code = record_field_append(field, &value, err);
        if (code == DOBBY_OK && value.length > 0)
            code = utf8_append_display(out, value.bytes, value.length, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    if (code == DOBBY_OK && content && row->content != NULL)
        code = append_content(out, row, err);
    buffer_release(&value);
    return code;
}

static dobby_code show_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct showing *showing = context;
    struct buffer *text = &showing->output->text;
    return showing->json ? show_json(text, row, showing->content, err)
                         : show_text(text, row, showing->content, err);
}

static dobby_code run_show(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct output output = {0};
    struct showing showing = {
        .output = &output,
        .json = options_switch(&app->options, "json"),
        .content = options_switch(&app->options, "content"),
    };
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_READ, &store, err);
    if (code == DOBBY_OK)
        code = output_open(&output, NULL, err);
    if (code == DOBBY_OK)
        code = store_get(store, app->options.arguments[0], show_row, &showing, err);
    if (code == DOBBY_OK)
        code = output_finish(&output, err);
    output_release(&output);
    store_close(store);
    return code;
}

static const struct option_spec show_options[] = {
    OPTION_DB,
    {.name = "content", .type = OPTION_SWITCH, .help = "also the text that was summarised"},
    OPTION_JSON,
};

const struct command command_show = {
    .name = "show",
    .arguments = "ID",
    .summary = "Show all that is known of one record",
    .details = "ID is a record's id or the beginning of it, as dobby list prints it.",
    .options = OPTION_LIST(show_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_show,
};
