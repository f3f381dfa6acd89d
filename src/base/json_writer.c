#include "base/json_writer.h"

#include "base/json.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_writer_init(struct json_writer *writer, struct buffer *out, bool indent)
{
    *writer = (struct json_writer){.out = out, .indent = indent};
}

static void append(struct json_writer *writer, const char *bytes, size_t length)
{
    if (writer->code == DOBBY_OK)
        writer->code = buffer_append(writer->out, bytes, length, NULL);
}

static void new_line(struct json_writer *writer)
{
    append(writer, "\n", 1);
    for (size_t i = 0; i < writer->depth; i++)
        append(writer, "  ", 2);
}

/* The comma and the line break that go before a value or a key. */
static void separate(struct json_writer *writer)
{
    if (writer->after_key) {
        writer->after_key = false;
        return;
    }
    if (writer->depth == 0)
        return;
    if (writer->has_member[writer->depth])
        append(writer, writer->indent ? "," : ", ", writer->indent ? 1 : 2);
    writer->has_member[writer->depth] = true;
    if (writer->indent)
        new_line(writer);
}

static void begin(struct json_writer *writer, const char *bracket)
{
    separate(writer);
    append(writer, bracket, 1);
    if (writer->depth == JSON_WRITER_DEPTH_MAX) {
        writer->code = DOBBY_LIMIT_EXCEEDED;
        return;
    }
    writer->has_member[++writer->depth] = false;
}

static void end(struct json_writer *writer, const char *bracket)
{
    if (writer->code != DOBBY_OK || writer->depth == 0)
        return;
    bool had_member = writer->has_member[writer->depth--];
    if (had_member && writer->indent)
        new_line(writer);
    append(writer, bracket, 1);
}

void json_begin_object(struct json_writer *writer)
{
    begin(writer, "{");
}

void json_end_object(struct json_writer *writer)
{
    end(writer, "}");
}

void json_begin_array(struct json_writer *writer)
{
    begin(writer, "[");
}

void json_end_array(struct json_writer *writer)
{
    end(writer, "]");
}

/* RFC 8259: quote, backslash and controls below U+0020 must be escaped; DEL is for terminals' sake. */
static void append_escaped(struct json_writer *writer, const char *bytes, size_t length)
{
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7F)
            continue;
        append(writer, bytes + plain, i - plain);
        plain = i + 1;
        static const char named[] = "\"\"\\\\\nn\rr\tt\bb\ff";
        const char *found = NULL;
        for (const char *pair = named; *pair != '\0' && found == NULL; pair += 2)
            if ((uint8_t)*pair == byte)
                found = pair + 1;
        char escape[8];
        int escape_length = found != NULL ? snprintf(escape, sizeof escape, "\\%c", *found)
                                          : snprintf(escape, sizeof escape, "\\u%04x", (unsigned)byte);
        append(writer, escape, (size_t)escape_length);
    }
    append(writer, bytes + plain, length - plain);
}

static void append_string(struct json_writer *writer, const char *bytes, size_t length)
{
    append(writer, "\"", 1);
    size_t at = 0;
    while (writer->code == DOBBY_OK && at < length) {
        size_t valid = utf8_valid_prefix(bytes + at, length - at);
        append_escaped(writer, bytes + at, valid);
        at += valid;
        if (at == length)
            break;
        uint32_t code_point;
        at += utf8_decode(bytes + at, length - at, &code_point);
        append(writer, "\xEF\xBF\xBD", 3); /* U+FFFD */
    }
    append(writer, "\"", 1);
}

void json_key(struct json_writer *writer, const char *key)
{
    separate(writer);
    append_string(writer, key, strlen(key));
    append(writer, ": ", 2);
    writer->after_key = true;
}

void json_put_string(struct json_writer *writer, const char *bytes, size_t length)
{
    separate(writer);
    append_string(writer, bytes, length);
}

void json_put_text(struct json_writer *writer, const char *text)
{
    if (text == NULL)
        json_put_null(writer);
    else
        json_put_string(writer, text, strlen(text));
}

static void put_literal(struct json_writer *writer, const char *literal)
{
    separate(writer);
    append(writer, literal, strlen(literal));
}

void json_put_integer(struct json_writer *writer, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    put_literal(writer, text);
}

void json_put_number(struct json_writer *writer, double value)
{
    if (!isfinite(value)) {
        json_put_null(writer);
        return;
    }
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) /* exact: the shortest text that reads back equal is wanted */
            break;
    }
    put_literal(writer, text);
}

void json_put_boolean(struct json_writer *writer, bool value)
{
    put_literal(writer, value ? "true" : "false");
}

void json_put_null(struct json_writer *writer)
{
    put_literal(writer, "null");
}

static bool put_member(void *context, const char *key, size_t key_length, struct json *value)
{
    struct json_writer *writer = context;
    (void)key_length;
    json_key(writer, key);
    json_put_value(writer, value);
    return writer->code == DOBBY_OK;
}

/* Recursion ends with the writer's depth. */
void json_put_value(struct json_writer *writer, const struct json *value)
{
    int64_t integer = 0;
    double number = 0;
    bool boolean = false;
    size_t length = 0;
    const char *text;
    switch (json_kind_of(value)) {
    case JSON_KIND_OBJECT:
        json_begin_object(writer);
        if (writer->code == DOBBY_OK)
            json_each_member(value, put_member, writer);
        json_end_object(writer);
        break;
    case JSON_KIND_ARRAY:
        json_begin_array(writer);
        for (size_t i = 0; writer->code == DOBBY_OK && i < json_count(value); i++)
            json_put_value(writer, json_element(value, i));
        json_end_array(writer);
        break;
    case JSON_KIND_STRING:
        text = json_to_text(value, &length);
        json_put_string(writer, text, length);
        break;
    case JSON_KIND_INTEGER:
        (void)json_to_integer(value, &integer);
        json_put_integer(writer, integer);
        break;
    case JSON_KIND_REAL:
        (void)json_to_number(value, &number);
        json_put_number(writer, number);
        break;
    case JSON_KIND_BOOLEAN:
        (void)json_to_boolean(value, &boolean);
        json_put_boolean(writer, boolean);
        break;
    case JSON_KIND_NULL:
    case JSON_KIND_NONE:
        json_put_null(writer);
        break;
    }
}

dobby_code json_writer_end(struct json_writer *writer, struct dobby_error *err)
{
    if (writer->code == DOBBY_OK && (writer->depth != 0 || writer->after_key))
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "a JSON value was left open at depth %zu", writer->depth);
    if (writer->code != DOBBY_OK)
        return DOBBY_FAIL(err, writer->code, "writing JSON at %zu bytes, depth %zu", writer->out->length,
                          writer->depth);
    return DOBBY_OK;
}
