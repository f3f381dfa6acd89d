#include "infer/format/gguf.h"

#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAGIC_BYTES = 4,
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_MAX = 65536,
    KEY_BYTES_MAX = 256,             /* the longest known is under 64 */
    VALUE_BYTES_MIN = 8 + 4 + 1,     /* key length, type, a value's smallest form */
    TENSOR_BYTES_MIN = 8 + 4 + 4 + 8 /* name length, dimension count, type, offset */
};

struct reader {
    const uint8_t *bytes;
    size_t length;
    size_t at;
    char context[KEY_BYTES_MAX + 32]; /* what is being read, for errors: "tensor blk.3.attn_q.weight" */
    struct dobby_error *err;
};

static uint64_t load_unsigned(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* Bytes of a number's type; 0 for strings and arrays. */
static size_t type_width(enum gguf_type type)
{
    static const uint8_t widths[GGUF_TYPE_COUNT] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
        [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8};
    return type < GGUF_TYPE_COUNT ? widths[type] : 0;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static dobby_code take(struct reader *r, uint64_t count, const char *field, const uint8_t **out)
{
    if (count > r->length - r->at)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "%s: %s: offset %zu + %" PRIu64 " bytes beyond the file's end %zu", r->context,
                          field, r->at, count, r->length);
    *out = r->bytes + r->at;
    r->at += (size_t)count;
    return DOBBY_OK;
}

static dobby_code take_unsigned(struct reader *r, size_t width, const char *field, uint64_t *out)
{
    const uint8_t *bytes = NULL;
    dobby_code code = take(r, width, field, &bytes);
    if (code == DOBBY_OK)
        *out = load_unsigned(bytes, width);
    return code;
}

static dobby_code take_string(struct reader *r, const char *field, const uint8_t **bytes, size_t *length)
{
    uint64_t count = 0;
    dobby_code code = take_unsigned(r, 8, field, &count);
    if (code == DOBBY_OK)
        code = take(r, count, field, bytes);
    if (code == DOBBY_OK)
        *length = (size_t)count;
    return code;
}

/* A key or a tensor's name: short, without NULs, copied to be NUL-terminated. */
static dobby_code take_name(struct reader *r, struct arena *arena, const char *field, const char **out)
{
    const uint8_t *bytes = NULL;
    size_t length = 0;
    dobby_code code = take_string(r, field, &bytes, &length);
    if (code != DOBBY_OK)
        return code;
    if (length == 0 || length > KEY_BYTES_MAX || memchr(bytes, 0, length) != NULL)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "%s: %s has %zu bytes: must be 1 to %d and hold no NUL", r->context, field, length,
                          KEY_BYTES_MAX);
    *out = arena_copy(arena, bytes, length);
    if (*out == NULL)
        return DOBBY_FAIL(r->err, DOBBY_OUT_OF_MEMORY, "%s: %s", r->context, field);
    return DOBBY_OK;
}

static dobby_code take_array(struct reader *r, struct gguf_value *value)
{
    uint64_t type = 0;
    dobby_code code = take_unsigned(r, 4, "array type", &type);
    if (code == DOBBY_OK)
        code = take_unsigned(r, 8, "array count", &value->count);
    if (code != DOBBY_OK)
        return code;
    if (type >= GGUF_TYPE_COUNT || type == GGUF_ARRAY)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "%s: array type %" PRIu64 " is unknown", r->context,
                          type);
    value->element_type = (enum gguf_type)type;
    value->bytes = r->bytes + r->at;
    size_t begin = r->at;
    if (type != GGUF_STRING) {
        size_t width = type_width(value->element_type);
        const uint8_t *ignored = NULL;
        uint64_t bytes = value->count > UINT64_MAX / width ? UINT64_MAX : value->count * width;
        code = take(r, bytes, "array elements", &ignored);
    } else {
        for (uint64_t i = 0; i < value->count && code == DOBBY_OK; i++) {
            const uint8_t *ignored = NULL;
            size_t length = 0;
            code = take_string(r, "array string", &ignored, &length);
        }
    }
    value->length = r->at - begin;
    return code;
}

static dobby_code take_value(struct reader *r, struct arena *arena, struct gguf_value *value)
{
    uint64_t type = 0;
    dobby_code code = take_name(r, arena, "key", &value->key);
    if (code != DOBBY_OK)
        return code;
    snprintf(r->context, sizeof(r->context), "metadata %s", value->key);
    code = take_unsigned(r, 4, "type", &type);
    if (code != DOBBY_OK)
        return code;
    if (type >= GGUF_TYPE_COUNT)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "%s: type %" PRIu64 " is unknown", r->context, type);
    value->type = (enum gguf_type)type;
    if (value->type == GGUF_ARRAY)
        return take_array(r, value);
    if (value->type == GGUF_STRING)
        return take_string(r, "string", &value->bytes, &value->length);
    value->length = type_width(value->type);
    return take(r, value->length, "value", &value->bytes);
}

/* ---- tensors -------------------------------------------------------------------------------------- */

static enum tensor_type type_of_ggml(uint64_t type)
{
    switch (type) {
    case 0:
        return TENSOR_F32;
    case 1:
        return TENSOR_F16;
    case 2:
        return TENSOR_Q4_0;
    case 8:
        return TENSOR_Q8_0;
    case 30:
        return TENSOR_BF16;
    default:
        return TENSOR_UNKNOWN;
    }
}

/* The names of ggml's types, for the error that refuses them. */
static const char *ggml_type_name(uint64_t type)
{
    static const char *const names[] = {"F32",   "F16",   "Q4_0",    "Q4_1",   "type 4",  "type 5", "Q5_0",
                                        "Q5_1",  "Q8_0",  "Q8_1",    "Q2_K",   "Q3_K",    "Q4_K",   "Q5_K",
                                        "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL",
                                        "IQ3_S", "IQ2_S", "IQ4_XS",  "I8",     "I16",     "I32",    "I64",
                                        "F64",   "IQ1_M", "BF16"};
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

/* The offset stays relative to the data's begin until that is known: it is kept in *offset. */
static dobby_code take_tensor(struct reader *r, struct arena *arena, struct tensor_entry *tensor,
                              uint64_t *offset)
{
    uint64_t dimension_count = 0;
    uint64_t type = 0;
    dobby_code code = take_name(r, arena, "name", &tensor->name);
    if (code != DOBBY_OK)
        return code;
    snprintf(r->context, sizeof(r->context), "tensor %s", tensor->name);
    code = take_unsigned(r, 4, "dimension count", &dimension_count);
    if (code != DOBBY_OK)
        return code;
    if (dimension_count < 1 || dimension_count > TENSOR_DIMENSIONS_MAX)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "%s: %" PRIu64 " dimensions: must be 1 to %d",
                          r->context, dimension_count, TENSOR_DIMENSIONS_MAX);
    uint64_t inner_first[TENSOR_DIMENSIONS_MAX] = {0};
    for (uint64_t i = 0; i < dimension_count && code == DOBBY_OK; i++)
        code = take_unsigned(r, 8, "dimension", &inner_first[i]);
    if (code == DOBBY_OK)
        code = take_unsigned(r, 4, "type", &type);
    if (code == DOBBY_OK)
        code = take_unsigned(r, 8, "offset", offset);
    if (code != DOBBY_OK)
        return code;

    uint64_t count = dimension_count;
    while (count > 2 && inner_first[count - 1] == 1)
        count--;
    tensor->dimension_count = (uint32_t)count;
    for (uint64_t i = 0; i < count; i++)
        tensor->dimensions[i] = inner_first[count - 1 - i];
    tensor->type = type_of_ggml(type);
    tensor->type_name = ggml_type_name(type);
    if (tensor->type == TENSOR_UNKNOWN)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED, "%s has type %s (%" PRIu64 ")", r->context,
                          tensor->type_name, type);
    uint64_t elements = 0;
    uint64_t bytes = 0;
    if (!tensor_elements(tensor->dimensions, tensor->dimension_count, &elements) || elements == 0 ||
        !tensor_bytes(tensor->type, elements, inner_first[0], &bytes) || bytes > SIZE_MAX)
        return DOBBY_FAIL(
            r->err, DOBBY_MODEL_CORRUPT,
            "%s: shape %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64 " is not possible for %s",
            r->context, inner_first[0], inner_first[1], inner_first[2], inner_first[3], tensor->type_name);
    tensor->bytes = (size_t)bytes;
    return DOBBY_OK;
}

static dobby_code place_tensor(struct reader *r, size_t data_begin, uint64_t alignment,
                               struct tensor_entry *tensor, uint64_t offset)
{
    size_t data_length = r->length - data_begin;
    if (offset % alignment != 0)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "tensor %s: offset %" PRIu64 " is not a multiple of the alignment %" PRIu64,
                          tensor->name, offset, alignment);
    if (offset > data_length || tensor->bytes > data_length - offset)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "tensor %s: offset %zu + %" PRIu64 " + %zu bytes beyond the file's end %zu",
                          tensor->name, data_begin, offset, tensor->bytes, r->length);
    tensor->data = r->bytes + data_begin + (size_t)offset;
    return DOBBY_OK;
}

/* ---- the file ------------------------------------------------------------------------------------- */

bool gguf_has_magic(const uint8_t *bytes, size_t length)
{
    return length >= MAGIC_BYTES && memcmp(bytes, "GGUF", MAGIC_BYTES) == 0;
}

static dobby_code take_header(struct reader *r, struct gguf *out)
{
    uint64_t version = 0;
    uint64_t tensor_count = 0;
    uint64_t value_count = 0;
    dobby_code code = take_unsigned(r, 4, "version", &version);
    if (code != DOBBY_OK)
        return code;
    if (version != 2 && version != 3)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED,
                          "GGUF version %" PRIu64 ": only 2 and 3, little endian, are known", version);
    code = take_unsigned(r, 8, "tensor count", &tensor_count);
    if (code == DOBBY_OK)
        code = take_unsigned(r, 8, "metadata count", &value_count);
    if (code != DOBBY_OK)
        return code;
    size_t left = r->length - r->at;
    if (tensor_count > LIMIT_MODEL_TENSORS || tensor_count > left / TENSOR_BYTES_MIN)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "header: tensor count %" PRIu64 " is beyond the limit of %d or the file's end %zu",
                          tensor_count, LIMIT_MODEL_TENSORS, r->length);
    if (value_count > LIMIT_MODEL_METADATA || value_count > left / VALUE_BYTES_MIN)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "header: metadata count %" PRIu64
                          " is beyond the limit of %d or the file's end %zu",
                          value_count, LIMIT_MODEL_METADATA, r->length);
    out->version = (uint32_t)version;
    out->tensors.count = (size_t)tensor_count;
    out->value_count = (size_t)value_count;
    return DOBBY_OK;
}

static int compare_values(const void *left, const void *right)
{
    return strcmp(((const struct gguf_value *)left)->key, ((const struct gguf_value *)right)->key);
}

static dobby_code take_values(struct reader *r, struct arena *arena, struct gguf *out)
{
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < out->value_count && code == DOBBY_OK; i++) {
        snprintf(r->context, sizeof(r->context), "metadata entry %zu", i);
        code = take_value(r, arena, &out->values[i]);
    }
    if (code != DOBBY_OK)
        return code;
    if (out->value_count > 1)
        qsort(out->values, out->value_count, sizeof(out->values[0]), compare_values);
    for (size_t i = 1; i < out->value_count; i++) {
        if (strcmp(out->values[i - 1].key, out->values[i].key) == 0)
            return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "metadata %s is there twice", out->values[i].key);
    }
    return DOBBY_OK;
}

static dobby_code take_tensors(struct reader *r, struct arena *arena, struct gguf *out)
{
    int64_t alignment = ALIGNMENT_DEFAULT;
    const struct gguf_value *value = gguf_find(out, "general.alignment");
    if (value != NULL && (!gguf_integer(value, &alignment) || alignment < 1 || alignment > ALIGNMENT_MAX ||
                          (alignment & (alignment - 1)) != 0))
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "metadata general.alignment must be a power of two up to %d", ALIGNMENT_MAX);
    uint64_t *offsets = arena_alloc_array(arena, out->tensors.count, sizeof(*offsets));
    if (offsets == NULL)
        return DOBBY_FAIL(r->err, DOBBY_OUT_OF_MEMORY, "%zu tensors", out->tensors.count);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < out->tensors.count && code == DOBBY_OK; i++) {
        snprintf(r->context, sizeof(r->context), "tensor entry %zu", i);
        code = take_tensor(r, arena, &out->tensors.entries[i], &offsets[i]);
    }
    if (code != DOBBY_OK)
        return code;
    size_t padding = (size_t)alignment - 1;
    if (r->at > SIZE_MAX - padding || ((r->at + padding) & ~padding) > r->length)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "tensor data: begins beyond the file's end %zu: the file is cut off", r->length);
    size_t data_begin = (r->at + padding) & ~padding;
    for (size_t i = 0; i < out->tensors.count && code == DOBBY_OK; i++)
        code = place_tensor(r, data_begin, (uint64_t)alignment, &out->tensors.entries[i], offsets[i]);
    if (code == DOBBY_OK)
        code = tensor_table_sort(&out->tensors, r->err);
    return code;
}

dobby_code gguf_parse(const uint8_t *bytes, size_t length, struct arena *arena, struct gguf *out,
                      struct dobby_error *err)
{
    memset(out, 0, sizeof(*out));
    if (!gguf_has_magic(bytes, length))
        return DOBBY_FAIL(err, DOBBY_MODEL_FORMAT_UNKNOWN, "the file does not begin with \"GGUF\"");
    struct reader r = {.bytes = bytes, .length = length, .at = MAGIC_BYTES, .context = "header", .err = err};
    struct gguf gguf = {0};
    dobby_code code = take_header(&r, &gguf);
    if (code != DOBBY_OK)
        return code;
    gguf.values = arena_alloc_array(arena, gguf.value_count, sizeof(gguf.values[0]));
    gguf.tensors.entries = arena_alloc_array(arena, gguf.tensors.count, sizeof(gguf.tensors.entries[0]));
    if (gguf.values == NULL || gguf.tensors.entries == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu metadata entries and %zu tensors", gguf.value_count,
                          gguf.tensors.count);
    code = take_values(&r, arena, &gguf);
    if (code == DOBBY_OK)
        code = take_tensors(&r, arena, &gguf);
    if (code == DOBBY_OK)
        *out = gguf;
    return code;
}
