#include "infer/format/safetensors.h"

#include "base/json.h"
#include "base/limits.h"

#include <inttypes.h>
#include <string.h>

enum { PREFIX_BYTES = 8, NAME_BYTES_MAX = 256 };

struct table_reader {
    const uint8_t *data; /* behind the header */
    size_t data_length;
    size_t data_end; /* the largest end of a tensor */
    struct arena *arena;
    struct tensor_table table;
    dobby_code code;
    struct dobby_error *err;
};

static const struct {
    const char *name;
    enum tensor_type type; /* UNKNOWN: its size is known, so that a file which holds one can be walked */
    uint8_t bytes;
} data_types[] = {
    {"F32", TENSOR_F32, 4},      {"F16", TENSOR_F16, 2},         {"BF16", TENSOR_BF16, 2},
    {"F64", TENSOR_UNKNOWN, 8},  {"I64", TENSOR_UNKNOWN, 8},     {"U64", TENSOR_UNKNOWN, 8},
    {"I32", TENSOR_UNKNOWN, 4},  {"U32", TENSOR_UNKNOWN, 4},     {"I16", TENSOR_UNKNOWN, 2},
    {"U16", TENSOR_UNKNOWN, 2},  {"I8", TENSOR_UNKNOWN, 1},      {"U8", TENSOR_UNKNOWN, 1},
    {"BOOL", TENSOR_UNKNOWN, 1}, {"F8_E4M3", TENSOR_UNKNOWN, 1}, {"F8_E5M2", TENSOR_UNKNOWN, 1},
};

static dobby_code read_shape(const struct json *shape, struct tensor_entry *tensor, struct dobby_error *err)
{
    size_t count = json_count(shape);
    if (json_kind_of(shape) != JSON_KIND_ARRAY || count > TENSOR_DIMENSIONS_MAX)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "tensor %s: shape must be a list of at most %d sizes",
                          tensor->name, TENSOR_DIMENSIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        int64_t size = 0;
        if (!json_to_integer(json_element(shape, i), &size) || size < 0)
            return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "tensor %s: shape[%zu] must be a size", tensor->name,
                              i);
        tensor->dimensions[i] = (uint64_t)size;
    }
    tensor->dimension_count = (uint32_t)count;
    return DOBBY_OK;
}

/* The bytes of one value of the tensor's dtype. */
static dobby_code read_type(const struct json *dtype, struct tensor_entry *tensor, uint64_t *value_bytes,
                            struct dobby_error *err)
{
    const char *name = json_to_text(dtype, NULL);
    for (size_t i = 0; name != NULL && i < sizeof(data_types) / sizeof(data_types[0]); i++) {
        if (strcmp(name, data_types[i].name) == 0) {
            tensor->type = data_types[i].type;
            tensor->type_name = data_types[i].name;
            *value_bytes = data_types[i].bytes;
            return DOBBY_OK;
        }
    }
    return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "tensor %s: dtype %.32s is unknown", tensor->name,
                      name != NULL ? name : "(none)");
}

static dobby_code read_tensor(struct table_reader *r, const struct json *value, struct tensor_entry *tensor)
{
    uint64_t value_bytes = 0;
    uint64_t elements = 0;
    int64_t begin = 0;
    int64_t end = 0;
    const struct json *offsets = json_member(value, "data_offsets");
    dobby_code code = read_type(json_member(value, "dtype"), tensor, &value_bytes, r->err);
    if (code == DOBBY_OK)
        code = read_shape(json_member(value, "shape"), tensor, r->err);
    if (code != DOBBY_OK)
        return code;
    if (json_count(offsets) != 2 || !json_to_integer(json_element(offsets, 0), &begin) ||
        !json_to_integer(json_element(offsets, 1), &end) || begin < 0 || end < begin)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "tensor %s: data_offsets must be [begin, end]",
                          tensor->name);
    if ((uint64_t)end > r->data_length)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "tensor %s: data_offsets %" PRId64 " to %" PRId64
                          " lie beyond the data's end %zu: the file is cut off",
                          tensor->name, begin, end, r->data_length);
    uint64_t bytes = (uint64_t)(end - begin);
    if (!tensor_elements(tensor->dimensions, tensor->dimension_count, &elements) ||
        elements != bytes / value_bytes || bytes % value_bytes != 0)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "tensor %s: data_offsets hold %" PRIu64
                          " bytes, which its shape in %s does not take",
                          tensor->name, bytes, tensor->type_name);
    tensor->bytes = (size_t)bytes;
    tensor->data = r->data + begin;
    if ((size_t)end > r->data_end)
        r->data_end = (size_t)end;
    return DOBBY_OK;
}

static bool visit_tensor(void *context, const char *key, size_t key_length, struct json *value)
{
    struct table_reader *r = context;
    if (strcmp(key, "__metadata__") == 0)
        return true;
    if (key_length == 0 || key_length > NAME_BYTES_MAX || strlen(key) != key_length) {
        r->code = DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                             "a tensor's name has %zu bytes: must be 1 to %d and hold no NUL", key_length,
                             NAME_BYTES_MAX);
        return false;
    }
    struct tensor_entry *tensor = &r->table.entries[r->table.count];
    tensor->name = arena_copy(r->arena, key, key_length);
    if (tensor->name == NULL)
        r->code = DOBBY_FAIL(r->err, DOBBY_OUT_OF_MEMORY, "tensor names");
    else
        r->code = read_tensor(r, value, tensor);
    if (r->code == DOBBY_OK)
        r->table.count++;
    return r->code == DOBBY_OK;
}

static dobby_code read_header(struct table_reader *r, const char *header, size_t length)
{
    struct json *json = NULL;
    dobby_code code = json_parse(header, length, &json, r->err);
    if (code != DOBBY_OK)
        return code == DOBBY_OUT_OF_MEMORY ? code : DOBBY_WRAP(r->err, DOBBY_MODEL_CORRUPT, "header");
    size_t count = json_count(json);
    if (json_kind_of(json) != JSON_KIND_OBJECT || count > LIMIT_MODEL_TENSORS) {
        code = DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "header: must be an object of at most %d tensors",
                          LIMIT_MODEL_TENSORS);
        goto done;
    }
    r->table.entries = arena_alloc_array(r->arena, count, sizeof(r->table.entries[0]));
    if (r->table.entries == NULL) {
        code = DOBBY_FAIL(r->err, DOBBY_OUT_OF_MEMORY, "%zu tensors", count);
        goto done;
    }
    json_each_member(json, visit_tensor, r);
    code = r->code;
    if (code == DOBBY_OK && r->data_end != r->data_length)
        code = DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "header: the tensors end at %zu but the data at %zu",
                          r->data_end, r->data_length);
done:
    json_free(json);
    return code;
}

dobby_code safetensors_parse(const uint8_t *bytes, size_t length, struct arena *arena,
                             struct tensor_table *out, struct dobby_error *err)
{
    memset(out, 0, sizeof(*out));
    if (length < PREFIX_BYTES)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "header length: the file has only %zu bytes", length);
    uint64_t header_length = 0;
    for (size_t i = 0; i < PREFIX_BYTES; i++)
        header_length |= (uint64_t)bytes[i] << (8 * i);
    if (header_length > length - PREFIX_BYTES)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT,
                          "header length: offset %d + %" PRIu64 " bytes beyond the file's end %zu",
                          PREFIX_BYTES, header_length, length);
    size_t data_begin = PREFIX_BYTES + (size_t)header_length;
    struct table_reader r = {
        .data = bytes + data_begin, .data_length = length - data_begin, .arena = arena, .err = err};
    dobby_code code = read_header(&r, (const char *)bytes + PREFIX_BYTES, (size_t)header_length);
    if (code == DOBBY_OK)
        *out = r.table;
    return code;
}
