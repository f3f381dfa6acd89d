/* PRODUCT_INT4's weights: from a row of a tensor into a panel (tiles.h), and back. */
#ifndef INFER_CPU_INT4_H
#define INFER_CPU_INT4_H

#include "infer/cpu/tiles.h"

/* Rounds a row, whose values are in scratch as F32 and 0 up to the last step's end; fills the rest of
 * scratch. What is not finite makes the scale NaN and the weights 0. */
void int4_round_row(const struct tensor *tensor, uint32_t row, const struct tile_row_scratch *scratch,
                    float *scale);
/* Puts a rounded row into its lane 0..31 of a panel. */
void int4_scatter_row(const struct tile_row_scratch *scratch, uint32_t steps, uint32_t lane, uint8_t *panel);

/* The weight of a lane at column k, as int8. */
int32_t int4_weight_at(const struct packed_matrix *weights, uint32_t panel, uint32_t lane, uint32_t k);

#endif
