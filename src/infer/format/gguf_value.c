/* The getters over parsed GGUF metadata. All lengths were checked by gguf_parse. */
#include "infer/format/gguf.h"

#include <stdlib.h>
#include <string.h>

static uint64_t load_unsigned(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static int compare_key(const void *key, const void *value)
{
    return strcmp(key, ((const struct gguf_value *)value)->key);
}

const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key)
{
    if (gguf->value_count == 0)
        return NULL;
    return bsearch(key, gguf->values, gguf->value_count, sizeof(gguf->values[0]), compare_key);
}

static bool load_integer(enum gguf_type type, const uint8_t *bytes, int64_t *out)
{
    switch (type) {
    case GGUF_U8:
        *out = bytes[0];
        return true;
    case GGUF_I8:
        *out = (int8_t)bytes[0];
        return true;
    case GGUF_U16:
        *out = (int64_t)load_unsigned(bytes, 2);
        return true;
    case GGUF_I16:
        *out = (int16_t)load_unsigned(bytes, 2);
        return true;
    case GGUF_U32:
        *out = (int64_t)load_unsigned(bytes, 4);
        return true;
    case GGUF_I32:
        *out = (int32_t)load_unsigned(bytes, 4);
        return true;
    case GGUF_U64:
    case GGUF_I64: {
        uint64_t value = load_unsigned(bytes, 8);
        *out = (int64_t)value;
        return type == GGUF_I64 || value <= INT64_MAX;
    }
    default:
        return false;
    }
}

static size_t integer_width(enum gguf_type type)
{
    switch (type) {
    case GGUF_U8:
    case GGUF_I8:
        return 1;
    case GGUF_U16:
    case GGUF_I16:
        return 2;
    case GGUF_U32:
    case GGUF_I32:
        return 4;
    case GGUF_U64:
    case GGUF_I64:
        return 8;
    default:
        return 0;
    }
}

bool gguf_integer(const struct gguf_value *value, int64_t *out)
{
    return value != NULL && load_integer(value->type, value->bytes, out);
}

bool gguf_number(const struct gguf_value *value, double *out)
{
    int64_t integer = 0;
    if (value == NULL)
        return false;
    if (value->type == GGUF_F32) {
        uint32_t bits = (uint32_t)load_unsigned(value->bytes, 4);
        float number = 0;
        memcpy(&number, &bits, sizeof(number));
        *out = (double)number;
        return true;
    }
    if (value->type == GGUF_F64) {
        uint64_t bits = load_unsigned(value->bytes, 8);
        memcpy(out, &bits, sizeof(*out));
        return true;
    }
    if (!gguf_integer(value, &integer))
        return false;
    *out = (double)integer;
    return true;
}

bool gguf_boolean(const struct gguf_value *value, bool *out)
{
    if (value == NULL || value->type != GGUF_BOOL)
        return false;
    *out = value->bytes[0] != 0;
    return true;
}

bool gguf_string(const struct gguf_value *value, const char **bytes, size_t *length)
{
    if (value == NULL || value->type != GGUF_STRING)
        return false;
    *bytes = (const char *)value->bytes;
    *length = value->length;
    return true;
}

bool gguf_string_equals(const struct gguf_value *value, const char *text)
{
    const char *bytes = NULL;
    size_t length = 0;
    return gguf_string(value, &bytes, &length) && length == strlen(text) && memcmp(bytes, text, length) == 0;
}

bool gguf_array_integer(const struct gguf_value *value, uint64_t index, int64_t *out)
{
    if (value == NULL || value->type != GGUF_ARRAY || index >= value->count)
        return false;
    size_t width = integer_width(value->element_type);
    return width > 0 && load_integer(value->element_type, value->bytes + index * width, out);
}

bool gguf_strings_begin(const struct gguf_value *value, struct gguf_strings *out)
{
    if (value == NULL || value->type != GGUF_ARRAY || value->element_type != GGUF_STRING)
        return false;
    *out = (struct gguf_strings){.at = value->bytes, .left = value->count};
    return true;
}

bool gguf_strings_next(struct gguf_strings *strings, const char **bytes, size_t *length)
{
    if (strings->left == 0)
        return false;
    *length = (size_t)load_unsigned(strings->at, 8);
    *bytes = (const char *)strings->at + 8;
    strings->at += 8 + *length;
    strings->left--;
    return true;
}
