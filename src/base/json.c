#include "base/json.h"

#include "base/limits.h"

#include <jansson.h>

/* struct json is never defined: its pointers are jansson's. */
static json_t *jansson_of(const struct json *value)
{
    return (json_t *)value;
}

static struct json *json_of(json_t *value)
{
    return (struct json *)value;
}

dobby_code json_parse(const char *bytes, size_t length, struct json **out, struct dobby_error *err)
{
    *out = NULL;
    if (length > LIMIT_JSON_BYTES)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "JSON of %zu bytes exceeds the limit of %zu", length,
                          LIMIT_JSON_BYTES);
    json_error_t detail;
    json_t *root =
        json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &detail);
    if (root == NULL) {
        if (json_error_code(&detail) == json_error_out_of_memory)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "parsing JSON of %zu bytes", length);
        return DOBBY_FAIL(err, DOBBY_JSON_INVALID, "line %d, column %d: %s", detail.line, detail.column,
                          detail.text);
    }
    *out = json_of(root);
    return DOBBY_OK;
}

void json_free(struct json *value)
{
    json_decref(jansson_of(value));
}

enum json_kind json_kind_of(const struct json *value)
{
    if (value == NULL)
        return JSON_KIND_NONE;
    switch (json_typeof(jansson_of(value))) {
    case JSON_OBJECT:
        return JSON_KIND_OBJECT;
    case JSON_ARRAY:
        return JSON_KIND_ARRAY;
    case JSON_STRING:
        return JSON_KIND_STRING;
    case JSON_INTEGER:
        return JSON_KIND_INTEGER;
    case JSON_REAL:
        return JSON_KIND_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_KIND_BOOLEAN;
    case JSON_NULL:
        break;
    }
    return JSON_KIND_NULL;
}

struct json *json_member(const struct json *object, const char *key)
{
    return json_of(json_object_get(jansson_of(object), key));
}

struct json *json_element(const struct json *array, size_t index)
{
    return json_of(json_array_get(jansson_of(array), index));
}

size_t json_count(const struct json *array_or_object)
{
    if (json_kind_of(array_or_object) == JSON_KIND_ARRAY)
        return json_array_size(jansson_of(array_or_object));
    return json_object_size(jansson_of(array_or_object));
}

const char *json_to_text(const struct json *value, size_t *length)
{
    if (length != NULL)
        *length = json_string_length(jansson_of(value));
    return json_string_value(jansson_of(value));
}

bool json_to_integer(const struct json *value, int64_t *out)
{
    bool fits = json_kind_of(value) == JSON_KIND_INTEGER;
    *out = fits ? json_integer_value(jansson_of(value)) : 0;
    return fits;
}

bool json_to_number(const struct json *value, double *out)
{
    enum json_kind kind = json_kind_of(value);
    bool fits = kind == JSON_KIND_INTEGER || kind == JSON_KIND_REAL;
    *out = fits ? json_number_value(jansson_of(value)) : 0;
    return fits;
}

bool json_to_boolean(const struct json *value, bool *out)
{
    bool fits = json_kind_of(value) == JSON_KIND_BOOLEAN;
    *out = fits && json_is_true(jansson_of(value));
    return fits;
}

void json_each_member(const struct json *object, json_member_fn *visit, void *context)
{
    json_t *members = jansson_of(object);
    for (void *at = json_object_iter(members); at != NULL; at = json_object_iter_next(members, at))
        if (!visit(context, json_object_iter_key(at), json_object_iter_key_len(at),
                   json_of(json_object_iter_value(at))))
            return;
}
