/* The CPU's arithmetic: one table of functions per instruction set, the scalar one being the reference.
 *
 * 1. Each output sums its products in one fixed order (k = 0, 1, 2, ... with fused multiply-add), whatever
 *    the number of rows in the call and whatever part of the matrix a thread was given.
 * 2. Functions are pure over their arguments, take no locks and allocate nothing.
 * 3. Activations are F32 rows; strides count floats. */
#ifndef INFER_CPU_KERNELS_H
#define INFER_CPU_KERNELS_H

#include "infer/format/model_file.h"

/* A weight matrix (rows = outputs, columns = inputs) in the order a kernel set reads it: panels of
 * panel_rows outputs, k innermost but one (packing.h has the layout). The last panel is padded with zero
 * rows. Tensors of one type keep it; a stack of different types becomes F32. */
struct packed_matrix {
    uint32_t rows, columns;
    uint32_t panel_rows, panel_count;
    enum tensor_type type; /* as packed: F32, F16, BF16 or Q8_0 */
    size_t panel_bytes;
    uint8_t *panels; /* 64-byte aligned; owned */
};

struct matmul_job {
    const struct packed_matrix *weights;
    const float *input; /* (tokens, columns) */
    size_t input_stride;
    uint32_t tokens;
    const float *bias; /* (rows); NULL: none */
    bool accumulate;   /* output += instead of = (the residual) */
    float *output;     /* (tokens, rows) */
    size_t output_stride;
    uint32_t panel_first, panel_end; /* this call's part; disjoint parts may run at once */
    void *scratch; /* kernels.scratch_bytes(weights) bytes, one per thread, 64-byte aligned */
};

/* Causal grouped-query attention of one sequence's new tokens, over its paged KV cache. */
struct attention_job {
    const float *query; /* (tokens, heads * head_dim); RoPE applied */
    size_t query_stride;
    uint32_t tokens;         /* new tokens of this sequence in the batch */
    uint32_t position_first; /* of the first of them; token i sees positions 0 .. position_first + i */
    uint32_t heads, kv_heads, head_dim;
    /* Page p holds positions p * page_tokens ...: keys[p] and values[p] are
     * (kv_heads, page_tokens, head_dim) of this layer. The new tokens' K and V are already there. */
    const float *const *keys;
    const float *const *values;
    uint32_t page_tokens;
    float *output; /* (tokens, heads * head_dim) */
    size_t output_stride;
    uint32_t token_first, token_end; /* this call's part */
    uint32_t kv_head_first, kv_head_end;
    void *scratch; /* kernels.attention_scratch_bytes(...) */
};

struct kernels {
    const char *name; /* "ref", "avx2", "avx512" */
    uint32_t panel_rows;
    /* Packs `count` tensors of equal columns, stacked (Q, K and V as one matrix). Fails: OUT_OF_MEMORY. */
    dobby_code (*pack)(const struct tensor *tensors, size_t count, struct packed_matrix *out,
                       struct dobby_error *err);
    size_t (*scratch_bytes)(const struct packed_matrix *weights);
    void (*matmul)(const struct matmul_job *job);
    size_t (*attention_scratch_bytes)(uint32_t head_dim, uint32_t heads_per_kv_head);
    void (*attention)(const struct attention_job *job);
    /* output[i] = input[i] * weight[i] / sqrt(mean(input^2) + epsilon) */
    void (*rms_norm)(const float *input, const float *weight, float epsilon, uint32_t count, float *output);
    /* Rotates heads rows of head_dim in place by the angles of one position: cosine and sine hold
     * head_dim / 2 values. Pairs are (i, i + head_dim/2), or (2i, 2i+1) when interleaved. */
    void (*rope)(float *rows, uint32_t heads, uint32_t head_dim, const float *cosine, const float *sine,
                 bool interleaved);
    /* gate[i] = silu(gate[i]) * up[i] */
    void (*silu_multiply)(float *gate, const float *up, size_t count);
    /* One row of a tensor as F32: the embedding look-up. */
    void (*dequantize_row)(const struct tensor *tensor, uint32_t row, float *output);
    /* Index of the largest value (lowest index on ties), and log(sum(exp(x - max))) + max. */
    void (*argmax_logsumexp)(const float *values, uint32_t count, uint32_t *index, float *logsumexp);
};

void packed_matrix_release(struct packed_matrix *matrix);

/* The set of that name; with NULL the one that DOBBY_CPU names, and without that the best for this processor.
 * Fails: CPU_UNSUPPORTED, listing what there is. */
DOBBY_NODISCARD dobby_code kernels_choose(const char *name, const struct kernels **out,
                                          struct dobby_error *err);
/* All sets that run on this processor, the reference first. Returns how many. */
size_t kernels_available(const struct kernels *sets[], size_t capacity);

#endif
