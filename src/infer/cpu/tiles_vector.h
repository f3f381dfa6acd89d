/* PRODUCT_INT8 and PRODUCT_BF16 by vectors, for the sets without tiles, and packing for all: as the functions
 * of tiles.h, to the same bits but for the exponential of gated products. */
#ifndef INFER_CPU_TILES_VECTOR_H
#define INFER_CPU_TILES_VECTOR_H

#include "infer/cpu/tiles.h"

enum {
    TILES_BLOCK_TOKENS =
        256, /* whose sums wait in scratch, and whose rows stay in L2, while a panel passes */
    TILES_SLICE_STEPS_MAX = 8, /* of INT8: 16 KB of a panel, half of L1 */
    TILES_TILE_TOKENS_MAX = 8
};

/* Of the matmul functions below, whatever the matrix. */
static inline size_t tiles_vector_scratch_bytes(void)
{
    return (size_t)TILES_BLOCK_TOKENS * TILE_OUTPUTS * sizeof(float) +
           (size_t)TILES_TILE_TOKENS_MAX * TILES_SLICE_STEPS_MAX * TILE_STEP_BYTES;
}

void tiles_matmul_avx2(const struct matmul_job *job);
void tiles_prepare_avx2(const struct prepare_job *job);

void tiles_matmul_avx512(const struct matmul_job *job);
void tiles_prepare_avx512(const struct prepare_job *job);
void tiles_matmul_vnni(const struct matmul_job *job); /* where cpu_features()->avx512_vnni */

#endif
