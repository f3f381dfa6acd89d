/* A decoder's weights, packed for one kernel set. This struct is the architecture (Qwen2 and Llama):
 *
 *   x = embedding[token]
 *   for each layer:
 *     n = rms_norm(x, attention_norm)
 *     q, k, v = qkv n + qkv_bias;  q, k = rope(q), rope(k)
 *     x += attention_output attention(q, cache of k and v)
 *     n = rms_norm(x, ffn_norm)
 *     x += down (silu(gate n) * up n)
 *   logits = head rms_norm(x, output_norm)
 *
 * Immutable once loaded. Matrices are (outputs, inputs). */
#ifndef INFER_MODEL_MODEL_H
#define INFER_MODEL_MODEL_H

#include "infer/model/key_balance.h"
#include "infer/model/kv_cache.h"

struct model_layer {
    float *attention_norm;    /* (hidden) */
    struct packed_matrix qkv; /* ((heads + 2 * kv_heads) * head_dim, hidden): Q, K, V stacked */
    float *qkv_bias;          /* ((heads + 2 * kv_heads) * head_dim); NULL: the model has none */
    struct key_balance key_balance;
    struct packed_matrix attention_output; /* (hidden, heads * head_dim) */
    float *ffn_norm;                       /* (hidden) */
    struct packed_matrix gate_up;          /* (2 * feed_forward, hidden), gated */
    struct packed_matrix down;             /* (hidden, feed_forward) */
};

struct model {
    const struct kernels *kernels;
    enum product product; /* of all matrices */
    struct model_config config;
    struct tensor embedding; /* (vocabulary, hidden); rows are read from the mapped file, or from: */
    void *embedding_owned;   /* of a model made in memory; else NULL */
    struct model_layer *layers;
    float *output_norm;        /* (hidden) */
    struct packed_matrix head; /* (vocabulary, hidden) */
    uint32_t positions;        /* a sequence's longest */
    float *rope_cosine;        /* (positions, head_dim / 2) */
    float *rope_sine;
};

/* Packs the file's weights; the file must stay open as long as the model. product PRODUCT_UNKNOWN: what the
 * kernels choose for the file's weights. positions bounds the length of any sequence. Afterwards the file's
 * pages are dropped.
 * Fails: as model_file_weight, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code model_load(const struct model_file *file, const struct kernels *kernels,
                                      enum product product, uint32_t positions, struct model *out,
                                      struct dobby_error *err);
/* A model of this shape with random weights that is not a file: for measuring. It needs no tokenizer and says
 * nothing sensible, but its activations stay of ordinary size. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code model_make_random(const struct model_config *config, const struct kernels *kernels,
                                             enum product product, uint32_t positions, struct model *out,
                                             struct dobby_error *err);
void model_release(struct model *model);
/* The table of angles for model->positions; part of making a model. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code model_make_rope(struct model *model, struct dobby_error *err);
/* What a page of this model's KV cache holds. */
struct kv_shape model_kv_shape(const struct model *model);
/* Bytes of the packed matrices and the vectors. */
uint64_t model_weight_bytes(const struct model *model);

#endif
