#include "app/export.h"

#include "app/record_fields.h"
#include "base/utf8.h"

#include <string.h>

enum export_format export_format_parse(const char *name)
{
    static const struct {
        const char *name;
        enum export_format format;
    } formats[] = {
        {"jsonl", EXPORT_JSONL}, {"json", EXPORT_JSON}, {"csv", EXPORT_CSV}, {"md", EXPORT_MARKDOWN}};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].format;
    }
    return EXPORT_UNKNOWN;
}

void export_release(struct exporter *exporter)
{
    buffer_release(&exporter->source);
    buffer_release(&exporter->path);
    *exporter = (struct exporter){0};
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static dobby_code json_row(struct buffer *out, const struct record_row *row, struct dobby_error *err)
{
    struct record_fields fields;
    struct json_writer json;
    record_fields_of(row, false, &fields);
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    record_fields_write_json(&fields, &json);
    json_end_object(&json);
    return json_writer_end(&json, err);
}

/* ---- CSV: RFC 4180 ------------------------------------------------------------------------------ */

/* Quotes only where it must be: a quote, comma, CR or LF in the value. */
static dobby_code csv_append(struct buffer *out, const char *value, size_t length, struct dobby_error *err)
{
    bool plain = true;
    for (size_t i = 0; i < length && plain; i++)
        plain = value[i] != '"' && value[i] != ',' && value[i] != '\r' && value[i] != '\n';
    if (plain)
        return buffer_append(out, value, length, err);
    dobby_code code = buffer_append_byte(out, '"', err);
    for (size_t i = 0; code == DOBBY_OK && i < length; i++) {
        if (value[i] == '"')
            code = buffer_append_byte(out, '"', err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, value[i], err);
    }
    return code == DOBBY_OK ? buffer_append_byte(out, '"', err) : code;
}

static dobby_code csv_header(struct buffer *out, struct dobby_error *err)
{
    const struct record_row none = {.id = ""};
    struct record_fields fields;
    record_fields_of(&none, false, &fields);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < fields.count; i++)
        code = buffer_append_format(out, err, "%s%s", i == 0 ? "" : ",", fields.fields[i].name);
    return code == DOBBY_OK ? buffer_append_string(out, "\r\n", err) : code;
}

static dobby_code csv_row(struct buffer *out, const struct record_row *row, struct dobby_error *err)
{
    struct record_fields fields;
    struct buffer value = {0}, repaired = {0};
    record_fields_of(row, false, &fields);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < fields.count; i++) {
        buffer_clear(&value);
        buffer_clear(&repaired);
        if (i > 0)
            code = buffer_append_byte(out, ',', err);
        if (code == DOBBY_OK)
            code = record_field_append(&fields.fields[i], &value, err);
        if (code == DOBBY_OK && value.length > 0)
            code = utf8_append_repaired(&repaired, value.bytes, value.length, err);
        if (code == DOBBY_OK && repaired.length > 0)
            code = csv_append(out, repaired.bytes, repaired.length, err);
    }
    if (code == DOBBY_OK)
        code = buffer_append_string(out, "\r\n", err);
    buffer_release(&value);
    buffer_release(&repaired);
    return code;
}

/* ---- Markdown ----------------------------------------------------------------------------------- */

/* Appends running text on one line, with what Markdown would take for markup escaped. */
static dobby_code markdown_text(struct buffer *out, const char *text, struct dobby_error *err)
{
    struct buffer shown = {0};
    dobby_code code = utf8_append_display(&shown, text, strlen(text), err);
    for (size_t i = 0; code == DOBBY_OK && i < shown.length; i++) {
        const char c = shown.bytes[i];
        if (strchr("\\`*_[]<>&|", c) != NULL && c != '\0')
            code = buffer_append_byte(out, '\\', err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, c, err);
    }
    buffer_release(&shown);
    return code;
}

/* Writes a heading of the level when what it names has changed; *changed says so. */
static dobby_code markdown_heading(struct buffer *out, const char *level, const char *name, bool first,
                                   struct buffer *last, bool *changed, struct dobby_error *err)
{
    const char *previous = last->bytes != NULL ? last->bytes : "";
    *changed = first || strcmp(previous, name) != 0;
    if (!*changed)
        return DOBBY_OK;
    buffer_clear(last);
    dobby_code code = buffer_append_string(last, name, err);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%s%s ", first ? "" : "\n", level);
    if (code == DOBBY_OK)
        code = markdown_text(out, name[0] != '\0' ? name : "(no name)", err);
    return code == DOBBY_OK ? buffer_append_string(out, "\n\n", err) : code;
}

static dobby_code markdown_row(struct exporter *exporter, const struct record_row *row,
                               struct dobby_error *err)
{
    struct buffer *out = &exporter->output->text;
    bool new_source, new_path;
    dobby_code code =
        markdown_heading(out, "#", row->source, exporter->rows == 0, &exporter->source, &new_source, err);
    if (code == DOBBY_OK && new_source)
        buffer_clear(&exporter->path);
    if (code == DOBBY_OK) {
        /* The first heading below a source follows its blank line. */
        const bool follows = new_source && exporter->path.length == 0;
        code = markdown_heading(out, "##", row->path, follows, &exporter->path, &new_path, err);
    }
    if (code == DOBBY_OK && row->first_line > 0)
        code = buffer_append_format(out, err, "- lines %u-%u: ", row->first_line, row->last_line);
    else if (code == DOBBY_OK)
        code = buffer_append_string(out, "- ", err);
    if (code == DOBBY_OK && row->summary != NULL)
        code = markdown_text(out, row->summary->text, err);
    else if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "*%s*%s", record_state_name(row->state),
                                    row->reason != NULL ? ": " : "");
    if (code == DOBBY_OK && row->summary == NULL && row->reason != NULL)
        code = markdown_text(out, row->reason, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

/* ---- the stream --------------------------------------------------------------------------------- */

dobby_code export_begin(struct exporter *exporter, enum export_format format, struct output *output,
                        struct dobby_error *err)
{
    *exporter = (struct exporter){.format = format, .output = output};
    return format == EXPORT_CSV ? csv_header(&output->text, err) : DOBBY_OK;
}

dobby_code export_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct exporter *exporter = context;
    struct buffer *out = &exporter->output->text;
    dobby_code code = DOBBY_OK;
    if (exporter->canceled != NULL && exporter->canceled())
        return DOBBY_FAIL(err, DOBBY_CANCELED, "after %llu records", (unsigned long long)exporter->rows);
    switch (exporter->format) {
    case EXPORT_JSON:
        code = buffer_append_string(out, exporter->rows == 0 ? "[\n" : ",\n", err);
        if (code == DOBBY_OK)
            code = json_row(out, row, err);
        break;
    case EXPORT_CSV:
        code = csv_row(out, row, err);
        break;
    case EXPORT_MARKDOWN:
        code = markdown_row(exporter, row, err);
        break;
    case EXPORT_JSONL:
    case EXPORT_UNKNOWN:
        code = json_row(out, row, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
        break;
    }
    exporter->rows++;
    return code == DOBBY_OK ? output_put(exporter->output, err) : code;
}

dobby_code export_end(struct exporter *exporter, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    if (exporter->format == EXPORT_JSON)
        code = buffer_append_string(&exporter->output->text, exporter->rows == 0 ? "[]\n" : "\n]\n", err);
    return code == DOBBY_OK ? output_put(exporter->output, err) : code;
}
