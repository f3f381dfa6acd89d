/* One kernel at one shape, ready to be run again and again on data of its own. */
#ifndef INFER_BENCH_TRIAL_H
#define INFER_BENCH_TRIAL_H

#include "infer/bench/ceilings.h"

struct trial; /* begins a matmul's or an attention's own state */
struct trial {
    struct kernel_figures figures; /* its names and sizes */
    double operations, bytes;      /* of one run; bytes: what must come from beyond the caches */
    void (*run)(struct trial *trial);
    void (*close)(struct trial *trial);
};

struct matmul_shape {
    const char *name;
    uint32_t tokens, columns, rows;
    bool gated;      /* rows counts gate and up */
    bool bias, adds; /* its epilogue: a bias; adding to the residual */
    bool bf16_input; /* its input is what a gated product wrote */
    bool best;       /* greedy choice: the best of each row's outputs */
    bool prepared;   /* the product alone, of rows that are rounded already */
    bool every_type; /* worth measuring with weights of each type */
};

struct attention_shape {
    const char *name;
    uint32_t sequences, tokens, positions; /* of each sequence: new tokens, and positions in all */
    uint32_t heads, kv_heads, head_dim;
};

/* Both carve copies of their weights or cache out of ceilings->far. The trial must be closed before the next
 * is opened. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code trial_open_matmul(struct bench_ceilings *ceilings, const struct kernels *kernels,
                                             enum product product, enum tensor_type type,
                                             const struct matmul_shape *shape, struct trial **out,
                                             struct dobby_error *err);
DOBBY_NODISCARD dobby_code trial_open_attention(struct bench_ceilings *ceilings,
                                                const struct kernels *kernels,
                                                const struct attention_shape *shape, struct trial **out,
                                                struct dobby_error *err);

/* Shared by both. Numbers from -1 to 1, the same each time. */
void trial_fill(float *values, size_t count);
/* count * size bytes, zeroed, at a cache line; free releases them. NULL: out of memory. */
void *trial_allocate(size_t count, size_t size);

#endif
