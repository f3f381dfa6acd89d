#include "gguf_helper.h"

#include "base/utf8.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 32, TYPE_F32 = 0, TYPE_Q4_0 = 2, TYPE_Q8_0 = 8 };
enum { VALUE_U32 = 4, VALUE_I32 = 5, VALUE_F32 = 6, VALUE_BOOL = 7, VALUE_STRING = 8, VALUE_ARRAY = 9 };

static void put(struct buffer *out, const void *bytes, size_t length)
{
    assert_int_equal(buffer_append(out, bytes, length, NULL), DOBBY_OK);
}

static void put_number(struct buffer *out, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        uint8_t byte = (uint8_t)(number >> (8 * i));
        put(out, &byte, 1);
    }
}

static void put_string(struct buffer *out, const char *text)
{
    put_number(out, strlen(text), 8);
    put(out, text, strlen(text));
}

static void put_edit(struct buffer *out, const struct gguf_edit *edit)
{
    uint32_t bits = 0;
    put_string(out, edit->key);
    switch (edit->kind) {
    case EDIT_F32:
        memcpy(&bits, &edit->real, sizeof(bits));
        put_number(out, VALUE_F32, 4);
        put_number(out, bits, 4);
        break;
    case EDIT_BOOL:
        put_number(out, VALUE_BOOL, 4);
        put_number(out, edit->number, 1);
        break;
    case EDIT_TEXT:
        put_number(out, VALUE_STRING, 4);
        put_string(out, edit->text);
        break;
    case EDIT_U32_ARRAY:
        put_number(out, VALUE_ARRAY, 4);
        put_number(out, VALUE_U32, 4);
        put_number(out, 1, 8);
        put_number(out, edit->number, 4);
        break;
    default:
        put_number(out, VALUE_U32, 4);
        put_number(out, edit->number, 4);
        break;
    }
}

static bool is_metadata(enum edit_kind kind)
{
    return kind == EDIT_DROP || (kind >= EDIT_U32 && kind <= EDIT_U32_ARRAY);
}

static const struct gguf_edit *edit_of(const struct gguf_edit *edits, const char *key)
{
    for (; edits != NULL && edits->kind != EDIT_NONE; edits++) {
        if (edits->key != NULL && strcmp(edits->key, key) == 0)
            return edits;
    }
    return NULL;
}

/* ---- tokenizer ----------------------------------------------------------------------------------------- */

/* The byte-level spelling of a byte. */
static void put_byte_token(struct buffer *out, uint32_t byte)
{
    uint32_t character = byte;
    if (byte < 33)
        character = 256 + byte;
    else if (byte >= 127 && byte <= 160)
        character = 256 + 33 + byte - 127;
    else if (byte == 173)
        character = 256 + 67;
    char text[5] = {0};
    (void)utf8_encode(character, text);
    put_string(out, text);
}

static uint32_t count_edits(const struct gguf_edit *edits, enum edit_kind kind)
{
    uint32_t count = 0;
    for (; edits != NULL && edits->kind != EDIT_NONE; edits++)
        count += edits->kind == kind;
    return count;
}

static void put_array_head(struct buffer *out, const char *key, uint32_t type, uint64_t count)
{
    put_string(out, key);
    put_number(out, VALUE_ARRAY, 4);
    put_number(out, type, 4);
    put_number(out, count, 8);
}

/* Three arrays: tokens, their kinds, merges. */
static void put_tokenizer(struct buffer *out, const struct gguf_edit *edits)
{
    static const char *const more[] = {"ab", "abc", "<|endoftext|>", "<|im_end|>"};
    uint32_t extra = count_edits(edits, EDIT_TOKEN);
    put_array_head(out, "tokenizer.ggml.tokens", VALUE_STRING, SMALL_VOCABULARY + extra);
    for (uint32_t byte = 0; byte < 256; byte++)
        put_byte_token(out, byte);
    for (size_t i = 0; i < COUNT_OF(more); i++)
        put_string(out, more[i]);
    for (const struct gguf_edit *e = edits; extra > 0 && e->kind != EDIT_NONE; e++) {
        if (e->kind == EDIT_TOKEN)
            put_string(out, e->text);
    }
    put_array_head(out, "tokenizer.ggml.token_type", VALUE_I32, SMALL_VOCABULARY + extra);
    for (uint32_t id = 0; id < SMALL_VOCABULARY; id++)
        put_number(out, id < 258 ? 1 : 3, 4);
    for (const struct gguf_edit *e = edits; extra > 0 && e->kind != EDIT_NONE; e++) {
        if (e->kind == EDIT_TOKEN)
            put_number(out, e->number, 4);
    }
    put_array_head(out, "tokenizer.ggml.merges", VALUE_STRING, 2 + count_edits(edits, EDIT_MERGE));
    put_string(out, "a b");
    put_string(out, "ab c");
    for (const struct gguf_edit *e = edits; e != NULL && e->kind != EDIT_NONE; e++) {
        if (e->kind == EDIT_MERGE)
            put_string(out, e->text);
    }
}

static uint64_t put_metadata(struct buffer *out, const struct gguf_edit *edits)
{
    static const struct gguf_edit defaults[] = {
        {.kind = EDIT_TEXT, .key = "general.architecture", .text = "qwen2"},
        {.kind = EDIT_TEXT, .key = "general.name", .text = "small"},
        {.kind = EDIT_U32, .key = "qwen2.context_length", .number = SMALL_CONTEXT},
        {.kind = EDIT_U32, .key = "qwen2.embedding_length", .number = SMALL_HIDDEN},
        {.kind = EDIT_U32, .key = "qwen2.block_count", .number = SMALL_LAYERS},
        {.kind = EDIT_U32, .key = "qwen2.feed_forward_length", .number = SMALL_FEED_FORWARD},
        {.kind = EDIT_U32, .key = "qwen2.attention.head_count", .number = SMALL_HEADS},
        {.kind = EDIT_U32, .key = "qwen2.attention.head_count_kv", .number = SMALL_KV_HEADS},
        {.kind = EDIT_F32, .key = "qwen2.attention.layer_norm_rms_epsilon", .real = 1e-6F},
        {.kind = EDIT_TEXT, .key = "tokenizer.ggml.model", .text = "gpt2"},
        {.kind = EDIT_TEXT, .key = "tokenizer.ggml.pre", .text = "qwen2"},
        {.kind = EDIT_U32, .key = "tokenizer.ggml.eos_token_id", .number = 259},
    };
    uint64_t count = 3;
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        if (edit_of(edits, defaults[i].key) == NULL) {
            put_edit(out, &defaults[i]);
            count++;
        }
    }
    for (const struct gguf_edit *e = edits; e != NULL && e->kind != EDIT_NONE; e++) {
        if (is_metadata(e->kind) && e->kind != EDIT_DROP) {
            put_edit(out, e);
            count++;
        }
    }
    put_tokenizer(out, edits);
    return count;
}

/* ---- tensors ---------------------------------------------------------------------------------------- */

struct small_tensor {
    const char *name; /* behind "blk.N." when per_layer */
    bool per_layer;
    uint32_t columns, rows; /* rows 0: a vector */
};

static const struct small_tensor tensors[] = {
    {"token_embd.weight", false, SMALL_HIDDEN, SMALL_VOCABULARY},
    {"output_norm.weight", false, SMALL_HIDDEN, 0},
    {"attn_norm.weight", true, SMALL_HIDDEN, 0},
    {"ffn_norm.weight", true, SMALL_HIDDEN, 0},
    {"attn_q.weight", true, SMALL_HIDDEN, SMALL_HIDDEN},
    {"attn_q.bias", true, SMALL_HIDDEN, 0},
    {"attn_k.weight", true, SMALL_HIDDEN, SMALL_HIDDEN / 2},
    {"attn_k.bias", true, SMALL_HIDDEN / 2, 0},
    {"attn_v.weight", true, SMALL_HIDDEN, SMALL_HIDDEN / 2},
    {"attn_v.bias", true, SMALL_HIDDEN / 2, 0},
    {"attn_output.weight", true, SMALL_HIDDEN, SMALL_HIDDEN},
    {"ffn_gate.weight", true, SMALL_HIDDEN, SMALL_FEED_FORWARD},
    {"ffn_up.weight", true, SMALL_HIDDEN, SMALL_FEED_FORWARD},
    {"ffn_down.weight", true, SMALL_FEED_FORWARD, SMALL_HIDDEN},
};

static const struct gguf_edit *edit_of_kind(const struct gguf_edit *edits, enum edit_kind kind)
{
    for (; edits != NULL && edits->kind != EDIT_NONE; edits++) {
        if (edits->kind == kind)
            return edits;
    }
    return NULL;
}

static uint32_t matrix_type(const struct gguf_edit *edits)
{
    const struct gguf_edit *edit = edit_of_kind(edits, EDIT_MATRIX_TYPE);
    return edit != NULL ? edit->number : TYPE_Q8_0;
}

static uint64_t block_bytes(const struct gguf_edit *edits)
{
    return matrix_type(edits) == TYPE_Q4_0 ? 18 : 34;
}

static uint64_t tensor_bytes_of(const struct small_tensor *tensor, const struct gguf_edit *edits)
{
    return tensor->rows == 0 ? 4 * (uint64_t)tensor->columns
                             : (uint64_t)tensor->rows * tensor->columns / 32 * block_bytes(edits);
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Appends one tensor's entry unless it is dropped; moves *offset behind its data. */
static uint64_t put_tensor(struct buffer *out, const struct small_tensor *tensor, const char *name,
                           const struct gguf_edit *edits, uint64_t *offset)
{
    const struct gguf_edit none = {0};
    const struct gguf_edit *edit = edit_of(edits, name);
    if (edit == NULL)
        edit = &none;
    if (edit->kind == EDIT_DROP)
        return 0;
    uint64_t bytes = tensor_bytes_of(tensor, edits);
    uint32_t type = tensor->rows == 0 ? TYPE_F32 : matrix_type(edits);
    put_string(out, edit->kind == EDIT_TENSOR_NAME ? edit->text : name);
    put_number(out, tensor->rows == 0 ? 1 : 2, 4);
    put_number(out, edit->kind == EDIT_TENSOR_SHAPE ? edit->number : tensor->columns, 8);
    if (tensor->rows != 0)
        put_number(out, tensor->rows, 8);
    put_number(out, edit->kind == EDIT_TENSOR_TYPE ? edit->number : type, 4);
    put_number(out, *offset + (edit->kind == EDIT_TENSOR_OFFSET ? edit->number : 0), 8);
    *offset += padded(bytes);
    return 1;
}

static uint64_t put_tensors(struct buffer *out, const struct gguf_edit *edits, uint64_t *data_bytes)
{
    uint64_t count = 0;
    for (size_t i = 0; i < COUNT_OF(tensors); i++) {
        for (int layer = 0; layer < (tensors[i].per_layer ? SMALL_LAYERS : 1); layer++) {
            char name[64];
            if (tensors[i].per_layer)
                snprintf(name, sizeof(name), "blk.%d.%s", layer, tensors[i].name);
            else
                snprintf(name, sizeof(name), "%s", tensors[i].name);
            count += put_tensor(out, &tensors[i], name, edits, data_bytes);
        }
    }
    return count;
}

/* Norms of 1, no biases, and blocks of scale 2^-5 (2^-8 for eight bits) with quants that look random. */
static void put_weights(struct buffer *out, const struct small_tensor *tensor, const struct gguf_edit *edits,
                        uint32_t *state)
{
    const uint64_t bytes = tensor_bytes_of(tensor, edits);
    const bool norm = strstr(tensor->name, "norm") != NULL;
    const float one = 1.0f;
    uint8_t *data = calloc(1, padded(bytes));
    assert_non_null(data);
    for (uint64_t at = 0; norm && at < bytes; at += sizeof one)
        memcpy(data + at, &one, sizeof one);
    for (uint64_t at = 0; tensor->rows > 0 && at < bytes; at++) {
        const uint64_t in_block = at % block_bytes(edits);
        *state = *state * 1664525 + 1013904223;
        data[at] = (uint8_t)(*state >> 24);
        if (in_block < 2)
            data[at] = in_block == 0 ? 0 : matrix_type(edits) == TYPE_Q4_0 ? 0x28 : 0x1c;
    }
    put(out, data, padded(bytes));
    free(data);
}

static void put_all_weights(struct buffer *out, const struct gguf_edit *edits)
{
    uint32_t state = 1;
    for (size_t i = 0; i < COUNT_OF(tensors); i++)
        for (int layer = 0; layer < (tensors[i].per_layer ? SMALL_LAYERS : 1); layer++)
            put_weights(out, &tensors[i], edits, &state);
}

void small_gguf_build(struct buffer *out, const struct gguf_edit *edits)
{
    static const char zeroes[ALIGNMENT] = {0};
    struct buffer metadata = {0};
    struct buffer entries = {0};
    uint64_t data_bytes = 0;
    uint64_t value_count = put_metadata(&metadata, edits);
    uint64_t tensor_count = put_tensors(&entries, edits, &data_bytes);
    buffer_clear(out);
    put(out, "GGUF", 4);
    put_number(out, 3, 4);
    put_number(out, tensor_count, 8);
    put_number(out, value_count, 8);
    put(out, metadata.bytes, metadata.length);
    put(out, entries.bytes, entries.length);
    put(out, zeroes, padded(out->length) - out->length);
    if (edit_of_kind(edits, EDIT_WEIGHTS) != NULL)
        put_all_weights(out, edits);
    for (uint64_t at = 0; edit_of_kind(edits, EDIT_WEIGHTS) == NULL && at < data_bytes; at += ALIGNMENT)
        put(out, zeroes, ALIGNMENT);
    buffer_release(&metadata);
    buffer_release(&entries);
}
