/* Keys are rounded to INT8 with one scale a position, so a dimension of large keys, as some models' biases
 * make, would cost the others their precision. Queries and keys only meet in products of the same dimension:
 * what one is multiplied by there, the other may be divided by. Half of the difference between them goes to
 * the queries, which are rounded likewise (SmoothQuant, arXiv 2211.10438, with alpha 0.5). Factors are powers
 * of two, by which no value of its own is rounded, and the same for both dimensions of a RoPE pair, between
 * which rotation moves values. */
#ifndef INFER_MODEL_KEY_BALANCE_H
#define INFER_MODEL_KEY_BALANCE_H

#include "infer/cpu/kernels.h"

/* (kv_heads, head_dim) each; owned. NULL: nothing is multiplied. */
struct key_balance {
    float *queries; /* what rotated queries are multiplied by */
    float *keys;    /* what rotated keys are: 1 / queries */
};

/* What a layer's queries and keys are made of. */
struct key_balance_source {
    struct tensor query, key; /* (heads * head_dim, hidden), (kv_heads * head_dim, hidden) */
    const float *norm;        /* (hidden): what the layer's input is scaled by */
    const float *bias;        /* (heads * head_dim + kv_heads * head_dim + ...): Q's, then K's; NULL: none */
    uint32_t heads, kv_heads, head_dim;
    bool rope_interleaved;
};

/* How large queries and keys are follows from their weights and biases, for inputs of independent values.
 * Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code key_balance_make(const struct key_balance_source *source, struct key_balance *out,
                                            struct dobby_error *err);
void key_balance_release(struct key_balance *balance);

#endif
