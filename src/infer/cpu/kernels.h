/* The CPU's arithmetic: one table of functions per instruction set, the scalar one being the reference.
 *
 * 1. Each output sums its products in one fixed order, whatever the number of rows in the call and whatever
 *    part of the matrix a thread was given: a row's result depends on that row alone.
 * 2. Functions are pure over their arguments, take no locks and allocate nothing.
 * 3. Plain rows are F32 or BF16; strides count values. */
#ifndef INFER_CPU_KERNELS_H
#define INFER_CPU_KERNELS_H

#include "infer/format/model_file.h"

/* How a matrix is multiplied: what its weights are packed as, and what its input rows are prepared as.
 * PRODUCT_F32 is exact in the weights and takes F32 rows as they are: sum = fma(input[k], weight[k], sum), k
 * ascending. The others round the rows (and INT8 and INT4 the weights) and are what tiles are fast at:
 * tiles.h says how. INT4 differs from INT8 in its weights alone, which take half the memory. */
enum product { PRODUCT_UNKNOWN, PRODUCT_F32, PRODUCT_BF16, PRODUCT_INT8, PRODUCT_INT4, PRODUCT_COUNT };
const char *product_name(enum product product); /* "f32", "bf16", "int8", "int4" */

/* A weight matrix (rows = outputs, columns = inputs) in the order a kernel set reads it: panels of
 * panel_rows outputs. The last panel is padded with zero rows. A gated matrix holds two of equal shape, gate
 * and up: each panel has half its outputs from either, and yields silu(gate x) * up x. */
struct packed_matrix {
    uint32_t rows, columns; /* rows counts gate and up */
    uint32_t panel_rows, panel_count;
    enum product product;
    enum tensor_type type; /* PRODUCT_F32: as packed, F32, F16, BF16, Q8_0 or Q4_0 */
    bool gated;
    size_t panel_bytes;
    uint8_t *panels; /* 64-byte aligned; owned */
};

/* Input rows prepared for the rounded products, in the order of tiles.h. Made by packed_rows_new. */
struct packed_rows {
    enum product product; /* PRODUCT_BF16, or PRODUCT_INT8 for INT4 too */
    uint32_t tokens_max, columns_max;
    uint8_t *values; /* owned */
    float *scales;   /* INT8: (groups, tokens_max); owned */
};

enum value_type { VALUES_UNKNOWN, VALUES_F32, VALUES_BF16 };

static inline size_t value_type_bytes(enum value_type type)
{
    return type == VALUES_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/* Rounds rows [token_first, token_end) of plain input into packed rows; disjoint parts may run at once. What
 * is missing to a whole tile of tokens after token_end must be left to whoever prepares those tokens. */
struct prepare_job {
    const void *input; /* (tokens from input_first on, columns) of input_type */
    enum value_type input_type;
    size_t input_stride;
    uint32_t columns; /* of the whole rows */
    /* The part of them that input holds and that is rounded: both are multiples of
     * packed_rows_part_columns(columns), but that column_end may be columns. */
    uint32_t column_first, column_end;
    uint32_t input_first; /* the token that is input's first row; at most token_first */
    uint32_t token_first, token_end;
    struct packed_rows *rows;
};

struct matmul_job {
    const struct packed_matrix *weights;
    const float *input; /* PRODUCT_F32: (tokens, columns) */
    size_t input_stride;
    const struct packed_rows *rows; /* the other products */
    uint32_t tokens;
    const float *bias; /* (rows); NULL: none; never with gated weights */
    bool accumulate;   /* output += instead of = (the residual); never with gated weights */
    /* (tokens, rows) F32; with gated weights (tokens, rows / 2): F32 for PRODUCT_F32, else BF16 */
    void *output;
    size_t output_stride;
    uint32_t output_first;           /* the output that `output` begins with */
    uint32_t panel_first, panel_end; /* this call's part; disjoint parts may run at once */
    void *scratch; /* kernels.scratch_bytes(weights) bytes, one per thread, 64-byte aligned */
};

/* What greedy choice needs of a row of outputs. */
struct best_output {
    int32_t output; /* of the largest value, the lowest on ties; -1: a value is infinite or no number */
    float value, logsumexp;
};

/* Where a sequence's keys and values lie: pages of KV_PAGE_TOKENS positions, and in a page one area for each
 * layer, laid out as the kernel set wants. */
enum { KV_PAGE_TOKENS = 64 };
struct kv_layout {
    uint32_t kv_heads, head_dim;
    const float *key_factors; /* (kv_heads, head_dim): what keys are multiplied by; NULL: nothing */
};

/* Causal grouped-query attention of one sequence's new tokens, over its paged KV cache. */
struct attention_job {
    const float *query; /* (tokens, heads * head_dim); RoPE applied */
    size_t query_stride;
    const float *query_factors; /* (kv_heads, head_dim): 1 / key_factors, for the query; NULL: none */
    uint32_t tokens;            /* new tokens of this sequence in the batch */
    uint32_t position_first;    /* of the first of them; token i sees positions 0 .. position_first + i */
    uint32_t heads, kv_heads, head_dim;
    const void *const *pages; /* page p's area of this layer holds positions p * KV_PAGE_TOKENS ...; the new
                                 tokens' K and V are already there */
    void *output;             /* (tokens, heads * head_dim) of output_type; BF16: rounded as rows are */
    enum value_type output_type;
    size_t output_stride;
    uint32_t token_first, token_end; /* this call's part */
    uint32_t kv_head_first, kv_head_end;
    void *scratch; /* kernels.attention_scratch_bytes(...) */
};

struct kernels {
    const char *name; /* "ref", "avx2", "avx512", "amx" */
    /* What --precision exact takes instead of this set, whose attention rounds; NULL: this set. */
    const struct kernels *exact;
    /* Rows worth having in one pass: with them the products take several times as long as reading the weights
     * from memory, so that more would make a pass longer, not cheaper. The faster the products, the more. */
    uint32_t step_rows;
    /* Weights that one task of a product should multiply with at most: a pass that is given up is over once
     * the tasks that run are, which for step_rows rows takes the scalar set a tenth of a second, others a few
     * milliseconds. */
    uint32_t task_weights;
    /* What PRODUCT_UNKNOWN (automatic) means for weights of this type on this set. */
    enum product (*choose_product)(enum tensor_type type);
    /* Packs `count` tensors of equal columns, stacked (Q, K and V as one matrix); gated: two, as gate and up.
     * Fails: OUT_OF_MEMORY. */
    dobby_code (*pack)(const struct tensor *tensors, size_t count, enum product product, bool gated,
                       struct packed_matrix *out, struct dobby_error *err);
    size_t (*scratch_bytes)(const struct packed_matrix *weights);
    void (*prepare)(const struct prepare_job *job);
    /* prepare of what rms_norm would make of the input, whole rows of F32, but for rounding, of sums and
     * products taken in another order; NULL: there is nothing faster than both apart. */
    void (*prepare_normed)(const struct prepare_job *job, const float *weight, float epsilon);
    void (*matmul)(const struct matmul_job *job);
    /* kernels_matmul_best, where the set need not write the outputs for it; else NULL. */
    void (*matmul_best)(const struct matmul_job *job, struct best_output *best);

    /* Whether attention rounds keys, so that it makes use of key_factors and query_factors; sets that do not
     * ignore them. */
    bool rounds_keys;
    size_t (*kv_bytes)(const struct kv_layout *layout); /* of one layer's area in a page; a multiple of 64 */
    /* Stores one position's K and V, each (kv_heads, head_dim), at slot 0..KV_PAGE_TOKENS-1 of an area. Areas
     * begin zeroed, and positions are written in order. */
    void (*kv_write)(const struct kv_layout *layout, void *area, uint32_t slot, const float *key,
                     const float *value);
    size_t (*attention_scratch_bytes)(uint32_t head_dim, uint32_t heads_per_kv_head);
    void (*attention)(const struct attention_job *job);

    /* output[i] = input[i] * weight[i] / sqrt(mean(input^2) + epsilon) */
    void (*rms_norm)(const float *input, const float *weight, float epsilon, uint32_t count, float *output);
    /* Rotates heads rows of head_dim in place by the angles of one position: cosine and sine hold
     * head_dim / 2 values. Pairs are (i, i + head_dim/2), or (2i, 2i+1) when interleaved. */
    void (*rope)(float *rows, uint32_t heads, uint32_t head_dim, const float *cosine, const float *sine,
                 bool interleaved);
    /* One row of a tensor as F32: the embedding look-up. */
    void (*dequantize_row)(const struct tensor *tensor, uint32_t row, float *output);
    /* Index of the largest value (lowest index on ties), and log(sum(exp(x - max))) + max. */
    void (*argmax_logsumexp)(const float *values, uint32_t count, uint32_t *index, float *logsumexp);
};

/* What matmul's outputs of the job's panels (one at least) come to, token by token: best (tokens). Without
 * gate, bias or accumulate. job->output is scratch, 64-byte aligned; output_stride is BEST_STRIDE_MIN at
 * least, and no less than the panels have outputs. */
enum { BEST_STRIDE_MIN = 64 };
void kernels_matmul_best(const struct kernels *kernels, const struct matmul_job *job,
                         struct best_output *best);
/* Of a product's outputs so many at a time, so that what they are written to stays in L2: a multiple of every
 * set's panel. The part-th of them, as kernels_matmul_best; the job has no panels of its own. */
enum { BEST_PART_OUTPUTS = 1024 };
uint32_t kernels_best_parts(const struct packed_matrix *weights);
void kernels_matmul_best_part(const struct kernels *kernels, const struct matmul_job *job, uint32_t part,
                              struct best_output *best);
/* Of count values of a row, of which the first is output_first's. */
struct best_output kernels_best_of(const struct kernels *kernels, const float *values, uint32_t count,
                                   int32_t output_first);
bool values_are_finite(const float *values, uint32_t count);

void packed_matrix_release(struct packed_matrix *matrix);
/* Room for tokens_max rows of up to columns_max columns. product must not be PRODUCT_F32. Fails:
 * OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code packed_rows_new(enum product product, uint32_t tokens_max, uint32_t columns_max,
                                           struct packed_rows *out, struct dobby_error *err);
void packed_rows_release(struct packed_rows *rows);
/* Rows of so many columns can be prepared in parts of so many: what a part holds is rounded on its own. */
uint32_t packed_rows_part_columns(uint32_t columns);

/* The set of that name, or with NULL the best for this processor. Fails: CPU_UNSUPPORTED, listing what there
 * is. */
DOBBY_NODISCARD dobby_code kernels_choose(const char *name, const struct kernels **out,
                                          struct dobby_error *err);
/* All sets that run on this processor, the reference first. Returns how many. */
size_t kernels_available(const struct kernels *sets[], size_t capacity);

#endif
