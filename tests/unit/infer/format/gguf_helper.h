/* Builds a small whole GGUF model in memory, with single things changed for a test. */
#ifndef TESTS_UNIT_INFER_FORMAT_GGUF_HELPER_H
#define TESTS_UNIT_INFER_FORMAT_GGUF_HELPER_H

#include "base/buffer.h"

enum edit_kind {
    EDIT_NONE,
    EDIT_DROP, /* the key or tensor is left out */
    EDIT_U32,  /* the key has this number */
    EDIT_F32,
    EDIT_BOOL,
    EDIT_TEXT,
    EDIT_U32_ARRAY,     /* an array of one number */
    EDIT_TENSOR_TYPE,   /* the tensor's type becomes number, its bytes stay */
    EDIT_TENSOR_SHAPE,  /* the tensor's first dimension becomes number */
    EDIT_TENSOR_OFFSET, /* number is added to the tensor's offset */
    EDIT_TENSOR_NAME,   /* the tensor gets the name text */
    EDIT_MATRIX_TYPE,   /* key is not used: all matrices are of ggml's type number, 8 or 2 (Q8_0, Q4_0) */
    EDIT_WEIGHTS,       /* key is not used: weights are not 0 but a small model's */
    EDIT_MERGE,         /* key is not used: one more merge, text */
    EDIT_TOKEN,         /* key is not used: one more token, text, of the kind number */
};

struct gguf_edit {
    enum edit_kind kind;
    const char *key; /* of the metadata, or the tensor's name */
    uint32_t number;
    float real;
    const char *text;
};

enum {
    SMALL_LAYERS = 2,
    SMALL_HIDDEN = 32,
    SMALL_HEADS = 4,
    SMALL_KV_HEADS = 2,
    SMALL_FEED_FORWARD = 64,
    SMALL_CONTEXT = 128,
    /* 256 bytes, "ab", "abc", two control tokens */
    SMALL_VOCABULARY = 260
};

/* A Qwen2 model, tied, matrices in Q8_0; all weights are 0 unless an edit says otherwise. Replaces *out.
 * edits end with EDIT_NONE; NULL: none.
 */
void small_gguf_build(struct buffer *out, const struct gguf_edit *edits);

#endif
