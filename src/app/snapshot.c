#include "app/snapshot.h"

#include "base/crypto.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

enum { LABEL_COLUMNS = 14, HASH_CHARACTERS = 12 };

dobby_code snapshot_append_name(struct buffer *out, const char *name, struct dobby_error *err)
{
    const size_t begin = out->length;
    const dobby_code code = utf8_append_display(out, name, strlen(name), err);
    for (size_t i = begin; code == DOBBY_OK && i < out->length; i++) {
        if (out->bytes[i] == '_')
            out->bytes[i] = ' ';
    }
    return code;
}

static dobby_code append_label(struct buffer *out, const char *name, struct dobby_error *err)
{
    dobby_code code = buffer_append_string(out, "  ", err);
    const size_t begin = out->length;
    if (code == DOBBY_OK)
        code = snapshot_append_name(out, name, err);
    while (code == DOBBY_OK && out->length - begin < LABEL_COLUMNS)
        code = buffer_append_byte(out, ' ', err);
    return code;
}

static bool is_nested(const struct json *value)
{
    return json_kind_of(value) == JSON_KIND_OBJECT || json_kind_of(value) == JSON_KIND_ARRAY;
}

static bool is_zero(const struct json *value)
{
    double number = 1;
    return json_to_number(value, &number) && number == 0;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), end_length = strlen(end);
    return length > end_length && strcmp(name + length - end_length, end) == 0;
}

static dobby_code append_number(struct buffer *out, const char *name, double number, struct dobby_error *err)
{
    if (ends_with(name, "_bytes"))
        return buffer_append_format(out, err, "%.0f MB", number / 1e6);
    const bool whole = number == floor(number) || fabs(number) >= 1000;
    return buffer_append_format(out, err, whole ? "%.0f" : "%.1f", number);
}

/* A hash is known by its beginning. */
static dobby_code append_text(struct buffer *out, const char *text, struct dobby_error *err)
{
    const size_t length = strlen(text);
    const bool hash = length == SHA256_HEX_BYTES - 1 && strspn(text, "0123456789abcdef") == length;
    return utf8_append_display(out, text, hash ? HASH_CHARACTERS : length, err);
}

static dobby_code append_scalar(struct buffer *out, const char *name, const struct json *value,
                                struct dobby_error *err)
{
    double number = 0;
    bool boolean = false;
    if (json_to_number(value, &number))
        return append_number(out, name, number, err);
    if (json_to_boolean(value, &boolean))
        return buffer_append_string(out, boolean ? "yes" : "no", err);
    const char *text = json_to_text(value, NULL);
    return append_text(out, text != NULL ? text : "", err);
}

/* The members of an object on one line: "p50 12.5, p95 30". */
struct members {
    struct buffer *out;
    struct dobby_error *err;
    dobby_code code;
    const char *const *without; /* names that are shown elsewhere; NULL: none */
    bool without_zeros;
    bool nested; /* in parentheses behind the state of the object that holds them */
    size_t shown;
};

static bool is_left_out(const struct members *members, const char *key, const struct json *value)
{
    if (json_kind_of(value) == JSON_KIND_NULL || (members->without_zeros && is_zero(value)))
        return true;
    for (size_t i = 0; members->without != NULL && members->without[i] != NULL; i++) {
        if (strcmp(members->without[i], key) == 0)
            return true;
    }
    return json_kind_of(value) == JSON_KIND_ARRAY ||
           (is_nested(value) && (members->nested || json_to_text(json_member(value, "state"), NULL) == NULL));
}

static bool append_member(void *context, const char *key, size_t key_length, struct json *value);

/* "open (opened 2, last error STORE-0003)": what is nested shows when it has a state, such as a breaker. */
static dobby_code append_nested(struct buffer *out, const struct json *object, struct dobby_error *err)
{
    static const char *const without[] = {"state", NULL};
    struct members inner = {
        .out = out, .err = err, .without = without, .without_zeros = true, .nested = true};
    inner.code = append_text(out, json_to_text(json_member(object, "state"), NULL), err);
    if (inner.code == DOBBY_OK)
        json_each_member(object, append_member, &inner);
    return inner.code == DOBBY_OK && inner.shown > 0 ? buffer_append_byte(out, ')', err) : inner.code;
}

static bool append_member(void *context, const char *key, size_t key_length, struct json *value)
{
    struct members *members = context;
    (void)key_length;
    if (is_left_out(members, key, value))
        return true;
    const char *before = members->shown > 0 ? ", " : members->nested ? " (" : "";
    members->shown++;
    members->code = buffer_append_string(members->out, before, members->err);
    if (members->code == DOBBY_OK)
        members->code = snapshot_append_name(members->out, key, members->err);
    if (members->code == DOBBY_OK)
        members->code = buffer_append_byte(members->out, ' ', members->err);
    if (members->code == DOBBY_OK)
        members->code = is_nested(value) ? append_nested(members->out, value, members->err)
                                         : append_scalar(members->out, key, value, members->err);
    return members->code == DOBBY_OK;
}

dobby_code snapshot_append_line(struct buffer *out, const char *label, const struct json *object,
                                const char *const *without, bool without_zeros, struct dobby_error *err)
{
    struct buffer line = {0};
    struct members members = {.out = &line, .err = err, .without = without, .without_zeros = without_zeros};
    json_each_member(object, append_member, &members);
    dobby_code code = members.code;
    if (code == DOBBY_OK && members.shown > 0)
        code = append_label(out, label, err);
    if (code == DOBBY_OK && members.shown > 0)
        code = buffer_append(out, line.bytes, line.length, err);
    if (code == DOBBY_OK && members.shown > 0)
        code = buffer_append_byte(out, '\n', err);
    buffer_release(&line);
    return code;
}

/* An empty queue tells something; a gate that refused nothing does not. */
static bool shows_zeros(const char *part)
{
    return strcmp(part, "queues") == 0 || strcmp(part, "sessions") == 0;
}

/* Any part of a snapshot gets its line, so that what a run measures is what is shown. */
static bool append_part(void *context, const char *key, size_t key_length, struct json *value)
{
    struct members *members = context;
    (void)key_length;
    if (json_kind_of(value) == JSON_KIND_OBJECT)
        members->code = snapshot_append_line(members->out, key, value, NULL, !shows_zeros(key), members->err);
    for (size_t i = 0; json_kind_of(value) == JSON_KIND_ARRAY && i < json_count(value); i++) {
        if (members->code == DOBBY_OK)
            members->code =
                snapshot_append_line(members->out, key, json_element(value, i), NULL, false, members->err);
    }
    return members->code == DOBBY_OK;
}

dobby_code snapshot_append_parts(struct buffer *out, const struct json *snapshot, struct dobby_error *err)
{
    struct members parts = {.out = out, .err = err};
    json_each_member(snapshot, append_part, &parts);
    return parts.code;
}
