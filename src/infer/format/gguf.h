/* GGUF, versions 2 and 3, little endian: a pure parser over bytes.
 *
 * Source: the GGUF specification of the ggml project. Everything is checked while parsing, so that the
 * getters need no further checks: what they return lies within the bytes. */
#ifndef INFER_FORMAT_GGUF_H
#define INFER_FORMAT_GGUF_H

#include "infer/format/tensor_table.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

struct gguf_value {
    const char *key; /* in the arena */
    enum gguf_type type;
    enum gguf_type element_type; /* of an array */
    uint64_t count;              /* of an array */
    const uint8_t *bytes;        /* the number, the string's bytes, or the array's elements */
    size_t length;
};

struct gguf {
    uint32_t version;
    struct gguf_value *values; /* sorted by key */
    size_t value_count;
    struct tensor_table tensors;
};

/* Whether the bytes begin as a GGUF file does. */
bool gguf_has_magic(const uint8_t *bytes, size_t length);

/* The result lives in the arena and points into bytes. Fails: MODEL_FORMAT_UNKNOWN (no magic),
 * MODEL_CORRUPT (naming the field), MODEL_UNSUPPORTED (version, or a tensor's type), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code gguf_parse(const uint8_t *bytes, size_t length, struct arena *arena,
                                      struct gguf *out, struct dobby_error *err);

/* NULL when there is none. The getters below take NULL, and return false when the type does not fit. */
const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key);
bool gguf_integer(const struct gguf_value *value, int64_t *out); /* any integer type that fits */
bool gguf_number(const struct gguf_value *value, double *out);   /* any number type */
bool gguf_boolean(const struct gguf_value *value, bool *out);
bool gguf_string(const struct gguf_value *value, const char **bytes, size_t *length);
bool gguf_string_equals(const struct gguf_value *value, const char *text);
/* The integer at index < count of an array of integers. */
bool gguf_array_integer(const struct gguf_value *value, uint64_t index, int64_t *out);

/* Walks an array of strings. */
struct gguf_strings {
    const uint8_t *at;
    uint64_t left;
};
bool gguf_strings_begin(const struct gguf_value *value, struct gguf_strings *out);
bool gguf_strings_next(struct gguf_strings *strings, const char **bytes, size_t *length);

#endif
