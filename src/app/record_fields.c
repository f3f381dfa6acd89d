#include "app/record_fields.h"

#include <assert.h>
#include <inttypes.h>

static void add_text(struct record_fields *out, const char *name, const char *text)
{
    assert(out->count < RECORD_FIELDS_MAX);
    const enum field_type type = text != NULL ? FIELD_TEXT : FIELD_NULL;
    out->fields[out->count++] = (struct record_field){.name = name, .type = type, .text = text};
}

static void add_integer(struct record_fields *out, const char *name, bool known, int64_t value)
{
    assert(out->count < RECORD_FIELDS_MAX);
    const enum field_type type = known ? FIELD_INTEGER : FIELD_NULL;
    out->fields[out->count++] = (struct record_field){.name = name, .type = type, .integer = value};
}

static void add_boolean(struct record_fields *out, const char *name, bool known, bool value)
{
    assert(out->count < RECORD_FIELDS_MAX);
    const enum field_type type = known ? FIELD_BOOLEAN : FIELD_NULL;
    out->fields[out->count++] = (struct record_field){.name = name, .type = type, .integer = value};
}

static void add_number(struct record_fields *out, const char *name, bool known, double value)
{
    assert(out->count < RECORD_FIELDS_MAX);
    const enum field_type type = known ? FIELD_NUMBER : FIELD_NULL;
    out->fields[out->count++] = (struct record_field){.name = name, .type = type, .number = value};
}

static void add_details(struct record_fields *out, const struct record_row *row,
                        const struct summary *summary)
{
    const struct summary none = {0};
    const struct summary *s = summary != NULL ? summary : &none;
    clock_format(row->state_unix_us, out->state_at);
    sha256_hex(s->result_key, out->result_key);
    add_integer(out, "position", true, row->position);
    add_integer(out, "attempt", true, row->attempt);
    add_text(out, "state_at", out->state_at);
    add_text(out, "summary_id", summary != NULL ? s->id : NULL);
    add_text(out, "model_fingerprint", s->model_fingerprint);
    add_text(out, "precision", s->precision);
    add_text(out, "sampling", s->sampling);
    add_text(out, "template", s->template_id);
    add_text(out, "engine", s->engine);
    add_text(out, "result_key", summary != NULL ? out->result_key : NULL);
    add_boolean(out, "reused", summary != NULL, s->reused);
}

void record_fields_of(const struct record_row *row, bool details, struct record_fields *out)
{
    const struct summary *s = row->summary;
    const bool has_lines = row->first_line > 0;
    out->count = 0;
    sha256_hex(row->content_sha256, out->content_sha256);
    clock_format(row->summary_unix_us, out->created_at);
    add_text(out, "id", row->id);
    add_text(out, "path", row->path);
    add_text(out, "language", row->language);
    add_integer(out, "first_line", has_lines, row->first_line);
    add_integer(out, "last_line", has_lines, row->last_line);
    add_text(out, "state", record_state_name(row->state));
    add_text(out, "summary", s != NULL ? s->text : NULL);
    add_number(out, "confidence", s != NULL, s != NULL ? s->confidence : 0);
    add_text(out, "model", s != NULL ? s->model : NULL);
    add_integer(out, "tokens_in", s != NULL, s != NULL ? s->tokens_in : 0);
    add_integer(out, "tokens_out", s != NULL, s != NULL ? s->tokens_out : 0);
    add_integer(out, "inference_ms", s != NULL, s != NULL ? s->inference_ms : 0);
    add_text(out, "content_sha256", out->content_sha256);
    add_text(out, "created_at", s != NULL ? out->created_at : NULL);
    add_text(out, "source", row->source);
    add_text(out, "error_id", row->error_id);
    add_text(out, "reason", row->reason);
    add_integer(out, "content_bytes", true, (int64_t)row->content_length);
    assert(out->count == RECORD_FIELDS_EXPORTED);
    if (details)
        add_details(out, row, s);
}

static void write_value(const struct record_field *field, struct json_writer *json)
{
    switch (field->type) {
    case FIELD_TEXT:
        json_put_text(json, field->text);
        break;
    case FIELD_INTEGER:
        json_put_integer(json, field->integer);
        break;
    case FIELD_NUMBER:
        json_put_number(json, field->number);
        break;
    case FIELD_BOOLEAN:
        json_put_boolean(json, field->integer != 0);
        break;
    case FIELD_NULL:
    case FIELD_UNKNOWN:
        json_put_null(json);
        break;
    }
}

void record_fields_write_json(const struct record_fields *fields, struct json_writer *json)
{
    for (size_t i = 0; i < fields->count; i++) {
        json_key(json, fields->fields[i].name);
        write_value(&fields->fields[i], json);
    }
}

dobby_code record_field_append(const struct record_field *field, struct buffer *out, struct dobby_error *err)
{
    struct json_writer number;
    switch (field->type) {
    case FIELD_TEXT:
        return buffer_append_string(out, field->text, err);
    case FIELD_INTEGER:
        return buffer_append_format(out, err, "%" PRId64, field->integer);
    case FIELD_BOOLEAN:
        return buffer_append_string(out, field->integer != 0 ? "yes" : "no", err);
    case FIELD_NUMBER:
        json_writer_init(&number, out, false);
        write_value(field, &number);
        return json_writer_end(&number, err);
    case FIELD_NULL:
    case FIELD_UNKNOWN:
        break;
    }
    return DOBBY_OK;
}
