/* The rounded products by vectors, for the sets without tiles, and packing and reading rows of weights for
 * all: as the functions of tiles.h and packing.h, to the same bits but for the exponential of gated
 * products. */
#ifndef INFER_CPU_TILES_VECTOR_H
#define INFER_CPU_TILES_VECTOR_H

#include "infer/cpu/tiles.h"

enum {
    TILES_BLOCK_TOKENS = 256,  /* at most: so many rows of a slice, of 256 KB, stay in L2 */
    TILES_PANEL_BLOCK = 4,     /* panels that they serve */
    TILES_SLICE_BYTES = 16384, /* of a panel made wider, half of L1 */
    TILES_ROW_BYTES = 512,     /* of a row made wider */
    TILES_UNPACKED_STEPS = 8,  /* of an INT4 panel, as INT8: half of L1 */
    TILES_AHEAD_BYTES = 16384  /* weights that only pass by are asked for so far ahead */
};

/* kernels.scratch_bytes for the rounded products. */
struct tiles_scratch {
    uint8_t weights[TILES_SLICE_BYTES];
    uint8_t unpacked[TILES_UNPACKED_STEPS * TILE_BLOCK_BYTES];
    int32_t sums[TILES_PANEL_BLOCK][TILES_BLOCK_TOKENS][TILE_OUTPUTS];     /* so far; BF16: the bits of F32 */
    uint16_t outputs[TILES_PANEL_BLOCK][TILES_BLOCK_TOKENS][TILE_OUTPUTS]; /* INT8: of the groups so far */
    uint8_t rows[TILES_BLOCK_TOKENS][TILES_ROW_BYTES];
};

/* A slice of a panel: some steps of one group's columns, by a block of tokens. */
struct slice {
    const struct matmul_job *job;
    const uint8_t *weights;     /* of its first step */
    const float *row_scales;    /* INT8: of its group, by token */
    const float *output_scales; /* INT8: of the panel */
    const int32_t *group_sums;  /* INT8: of the panel's weights in its group */
    size_t ahead;               /* how far ahead weights are to be asked for; 0: they are here already */
    uint32_t panel, panel_first, panel_end; /* the block of panels */
    uint32_t token_first, token_end;        /* the block of tokens */
    uint32_t group, step_first, steps, steps_all;
    bool begins, ends;            /* its group, BF16: its row */
    bool first_group, last_group; /* of the row */
};

void tiles_dequantize_row_avx2(const struct tensor *tensor, uint32_t row, float *output);
DOBBY_NODISCARD dobby_code tiles_pack_avx2(const struct tensor *tensors, size_t count, enum product product,
                                           bool gated, struct packed_matrix *out, struct dobby_error *err);
void tiles_matmul_avx2(const struct matmul_job *job);
void tiles_prepare_avx2(const struct prepare_job *job);

void tiles_dequantize_row_avx512(const struct tensor *tensor, uint32_t row, float *output);
DOBBY_NODISCARD dobby_code tiles_pack_avx512(const struct tensor *tensors, size_t count, enum product product,
                                             bool gated, struct packed_matrix *out, struct dobby_error *err);
void tiles_matmul_avx512(const struct matmul_job *job);
void tiles_prepare_avx512(const struct prepare_job *job);

/* INT8 where cpu_features()->avx512_vnni. Its rows are those of the others but for their top bit, since its
 * instruction takes them unsigned. */
enum { VNNI_ROW_SHIFT = 0x80 };
void tiles_matmul_vnni(const struct matmul_job *job);
void tiles_prepare_vnni(const struct prepare_job *job);
/* BF16 where cpu_features()->avx512_bf16. */
void tiles_matmul_bf16(const struct matmul_job *job);

#endif
