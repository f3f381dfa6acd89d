/* PRODUCT_INT8 and PRODUCT_BF16 by vectors, for the sets without tiles, and packing for all: as the functions
 * of tiles.h, to the same bits but for the exponential of gated products. */
#ifndef INFER_CPU_TILES_VECTOR_H
#define INFER_CPU_TILES_VECTOR_H

#include "infer/cpu/tiles.h"

enum {
    TILES_BLOCK_TOKENS = 256,       /* at most: the sums of so many wait in scratch while a panel passes */
    TILES_BLOCK_BYTES = 320 * 1024, /* of rows, of an L2 of 512 KB */
    TILES_SLICE_BYTES = 16384,      /* of a panel as it is multiplied, half of L1 */
    TILES_ROWS_BYTES = 4096,        /* of rows as they are multiplied */
    TILES_AHEAD_BYTES = 4096        /* weights that only pass by are asked for so far ahead */
};

/* kernels.scratch_bytes for both products. */
struct tiles_scratch {
    int32_t sums[TILES_BLOCK_TOKENS][TILE_OUTPUTS];  /* of a group's slices so far */
    float outputs[TILES_BLOCK_TOKENS][TILE_OUTPUTS]; /* of the groups so far */
    uint8_t weights[TILES_SLICE_BYTES];
    uint8_t rows[TILES_ROWS_BYTES];
};

DOBBY_NODISCARD dobby_code tiles_pack_avx2(const struct tensor *tensors, size_t count, enum product product,
                                           bool gated, struct packed_matrix *out, struct dobby_error *err);
void tiles_matmul_avx2(const struct matmul_job *job);
void tiles_prepare_avx2(const struct prepare_job *job);

DOBBY_NODISCARD dobby_code tiles_pack_avx512(const struct tensor *tensors, size_t count, enum product product,
                                             bool gated, struct packed_matrix *out, struct dobby_error *err);
void tiles_matmul_avx512(const struct matmul_job *job);
void tiles_prepare_avx512(const struct prepare_job *job);
void tiles_matmul_vnni(const struct matmul_job *job); /* where cpu_features()->avx512_vnni */

#endif
