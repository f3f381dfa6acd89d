/* How weights lie in memory for the kernels; one layout for all sets, with panel_rows as its parameter.
 *
 * A panel holds panel_rows outputs:
 *   F32, F16, BF16   [columns][panel_rows] values
 *   Q8_0             [columns / 32] blocks of: panel_rows F16 scales, then [32][panel_rows] int8
 *   Q4_0             [columns / 32] blocks of: panel_rows F16 scales, then [16][panel_rows] bytes: byte i has
 * 8 more than the weight of column i in its lower half, of column 16 + i in its upper half Its size is
 * rounded up to 64 bytes, so that every panel starts on a cache line. */
#ifndef INFER_CPU_PACKING_H
#define INFER_CPU_PACKING_H

#include "infer/cpu/kernels.h"

enum { QUANT_BLOCK = 32, Q8_0_BLOCK_BYTES = 34, Q4_0_BLOCK_BYTES = 18, Q4_0_ZERO = 8 };

/* As kernels.pack for PRODUCT_F32, in panels of panel_rows outputs; a gated panel's first half is gate's.
 * Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code packing_pack(const struct tensor *tensors, size_t count, bool gated,
                                        uint32_t panel_rows, struct packed_matrix *out,
                                        struct dobby_error *err);

/* Panels that the matrix' rows fill. */
uint32_t packed_matrix_panels(const struct packed_matrix *matrix);
/* The place (panel * panel_rows + lane) of a row of one of its tensors; before: rows of the tensors before.
 */
uint32_t packed_matrix_place(const struct packed_matrix *matrix, size_t tensor, uint32_t before,
                             uint32_t row);

/* Whether weights of a type come in blocks of QUANT_BLOCK columns with a scale of their own. */
static inline bool packing_has_blocks(enum tensor_type type)
{
    return type == TENSOR_Q8_0 || type == TENSOR_Q4_0;
}

/* One panel's block of columns, of a type that has blocks: scales and values together. */
static inline size_t packing_block_bytes(enum tensor_type type, uint32_t panel_rows)
{
    return (size_t)panel_rows * (type == TENSOR_Q4_0 ? Q4_0_BLOCK_BYTES : Q8_0_BLOCK_BYTES);
}

/* Exact for every finite value, subnormal ones included. */
float packing_f16_to_f32(uint16_t half);
float packing_bf16_to_f32(uint16_t value);

/* One row of a tensor as F32: the reference. Sets by vectors have faster ones, to the same bits. */
void packing_dequantize_row(const struct tensor *tensor, uint32_t row, float *output);

#endif
