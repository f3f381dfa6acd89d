/* The products whose operands are rounded, PRODUCT_BF16, PRODUCT_INT8 and PRODUCT_INT4: how their operands
 * lie in memory (the order in which AMX tiles are loaded, used by all sets) and what they compute.
 *
 * Columns come in steps of 64 bytes: 64 int8 or 32 bf16. What is missing to a whole step is zero.
 *   rows (activations)   [tokens / 32][steps][32 tokens][64 bytes]
 *   panel (weights)      [steps][2][16][16 outputs][4 bytes]: a quad of int8 or a pair of bf16 of consecutive
 *                        columns for each output; then for INT8 [groups][32 outputs] int32, the sums of the
 *                        group's weights, and struct int8_panel_tail
 * A gated panel's first 16 outputs are gate's, its last 16 up's.
 *
 * INT8, the same to the bit in every set:
 *   A row's group of columns has scale = largest |x| / 127 and q = x * (127 / largest), rounded once, ties
 * to even; a group of zeros has scale 0. A weight row has scale = largest |w| / 127 likewise, over all its
 * columns. An output is sum over groups of fma(scale, (float)(int32 sum of q * w), sum so far), from 0, where
 * the sum so far waits as BF16: that loses less than the groups' own rounding, and halves what goes to L2 and
 * back; then * the weight row's scale; then + bias; then added to the residual. BF16: rows and weights
 * rounded to nearest even, subnormal numbers to 0; sums in F32, whose order is the set's own (tiles sum
 * pairs).
 *
 * INT4 is INT8 but for the way its weights lie in memory: they are unpacked into steps of an INT8 panel just
 * before they are multiplied, some steps at a time, so that what follows is INT8's. panel   [steps][2][8][16
 * outputs][2][2 bytes]: four weights q of four bits, -8 to 7, in each two bytes. From the lowest bits up:
 * columns 8p + 2h, 8p + 2h + 1, 8p + 4 + 2h, 8p + 5 + 2h of the step, where p counts to 8 and h to 2; then
 * [steps][2][32 outputs] int8 multipliers m, one for each 32 columns; then the sums and the tail as in INT8,
 * both of what unpacking gives weight  (q * m + 4) >> 3, an int8 from -127 to 127. Q4_0's weight d * q: m =
 * round(d * 127 / largest |d| of the row), and the row's scale is 8 / 127 of that largest one. */
#ifndef INFER_CPU_TILES_H
#define INFER_CPU_TILES_H

#include "infer/cpu/kernels.h"

#include <math.h>
#include <string.h>

enum {
    TILE_TOKENS = 32,  /* a block of rows: two tiles */
    TILE_OUTPUTS = 32, /* a panel: two tiles */
    TILE_STEP_BYTES = 64,
    TILE_BLOCK_BYTES = 32 * TILE_STEP_BYTES, /* one step of 32 tokens or of 32 outputs */
    TILE_BYTES = TILE_BLOCK_BYTES / 2,
    /* INT8: up to this many columns share one scale a row. Longer rows (the feed-forward's) hold outliers
     * that would cost the other columns their precision, so they have one scale a group, the last one of
     * what is left. A panel's group is 16 to 22 KB: it stays in L1 while the rows stream by. */
    INT8_ONE_GROUP_COLUMNS = 1024,
    INT8_GROUP_COLUMNS_LEAST = 512,
    INT8_GROUP_COLUMNS_MOST = 704,
    INT4_GROUP_COLUMNS = 32, /* that share a multiplier, as Q4_0's share a scale */
    INT4_STEP_BYTES = TILE_BLOCK_BYTES / 2,
    INT4_PAIR_BYTES = 64, /* the same eight columns of 16 outputs */
    INT4_STEP_GROUPS = TILE_STEP_BYTES / INT4_GROUP_COLUMNS
};

/* Added to a small number, leaves the nearest whole one, ties to even, in the lowest bits of the sum. */
#define NEAREST_WHOLE 0x1.8p23f

/* Below this, 127 / largest could overflow; no such group means anything. */
#define INT8_SMALLEST 0x1p-100f

struct int8_panel_tail {
    float scales[TILE_OUTPUTS];
};

/* Columns in one step: 64 for INT8 and INT4, 32 for BF16. */
static inline uint32_t tile_step_columns(enum product product)
{
    return product == PRODUCT_BF16 ? TILE_STEP_BYTES / 2 : TILE_STEP_BYTES;
}

static inline uint32_t tile_steps(enum product product, uint32_t columns)
{
    return (columns + tile_step_columns(product) - 1) / tile_step_columns(product);
}

static inline uint32_t int8_group_columns(uint32_t columns)
{
    if (columns <= INT8_ONE_GROUP_COLUMNS)
        return INT8_ONE_GROUP_COLUMNS;
    const uint32_t groups = (columns + INT8_GROUP_COLUMNS_MOST - 1) / INT8_GROUP_COLUMNS_MOST;
    const uint32_t even = (columns + groups - 1) / groups;
    return (even + TILE_STEP_BYTES - 1) / TILE_STEP_BYTES * TILE_STEP_BYTES;
}

static inline uint32_t int8_groups(uint32_t columns)
{
    return (columns + int8_group_columns(columns) - 1) / int8_group_columns(columns);
}

/* The 64 bytes of a token's step. */
static inline uint8_t *tile_row(const struct packed_rows *rows, uint32_t steps, uint32_t token, uint32_t step)
{
    return rows->values + ((size_t)(token / TILE_TOKENS) * steps + step) * TILE_BLOCK_BYTES +
           (size_t)(token % TILE_TOKENS) * TILE_STEP_BYTES;
}

static inline const struct int8_panel_tail *int8_tail(const struct packed_matrix *weights, uint32_t panel)
{
    const uint8_t *end = weights->panels + (size_t)(panel + 1) * weights->panel_bytes;
    return (const struct int8_panel_tail *)(const void *)(end - sizeof(struct int8_panel_tail));
}

/* (TILE_OUTPUTS): of each output's int8 weights in a group of columns, for instructions that want unsigned
 * rows. */
static inline const int32_t *int8_group_sums(const struct packed_matrix *weights, uint32_t panel,
                                             uint32_t group)
{
    const int32_t *end = (const int32_t *)(const void *)int8_tail(weights, panel);
    return end - (size_t)(int8_groups(weights->columns) - group) * TILE_OUTPUTS;
}

/* (INT4_STEP_GROUPS, TILE_OUTPUTS): the multipliers of a step. */
static inline const int8_t *int4_multipliers(const struct packed_matrix *weights, uint32_t panel,
                                             uint32_t step)
{
    const uint8_t *first = weights->panels + (size_t)panel * weights->panel_bytes +
                           (size_t)tile_steps(PRODUCT_INT4, weights->columns) * INT4_STEP_BYTES;
    return (const int8_t *)first + (size_t)step * INT4_STEP_GROUPS * TILE_OUTPUTS;
}

/* The int8 weight that a weight of four bits stands for. */
static inline int32_t int4_weight(int32_t q, int32_t multiplier)
{
    return (q * multiplier + 4) >> 3;
}

static inline int32_t tile_magnitude_bits(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x7fffffff;
}

/* Of a group of columns, or of a weight row, by the bits of its largest |value|: as whole numbers, those of
 * infinities and NaN are above all others. What is not finite makes the scale NaN, so that it reaches the
 * outputs and is found there; the values themselves then become 0. */
struct int8_scale {
    float factor, scale; /* 127 / largest, largest / 127 */
    bool finite;
};

static inline struct int8_scale int8_scale_of(int32_t largest_bits)
{
    const int32_t infinity_bits = 0x7f800000;
    float largest;
    memcpy(&largest, &largest_bits, sizeof largest);
    if (largest_bits >= infinity_bits)
        return (struct int8_scale){.scale = NAN};
    if (largest < INT8_SMALLEST)
        return (struct int8_scale){.finite = true};
    return (struct int8_scale){.factor = 127.0f / largest, .scale = largest / 127.0f, .finite = true};
}

/* Rounded to nearest, ties to even. */
static inline uint16_t tile_bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7f800000u) == 0) /* subnormal numbers count as 0, as in the instructions that tiles have */
        return (uint16_t)(bits >> 16 & 0x8000u);
    if ((bits & 0x7fffffffu) > 0x7f800000u) /* NaN stays NaN */
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* value * factor to the nearest whole number, ties to even, rounded once: what fma(value, factor,
 * NEAREST_WHOLE) has in its lowest bits. */
static inline int8_t int8_nearest(float value, float factor)
{
    return (int8_t)lrint((double)value * (double)factor);
}

/* Puts a weight row, rounded and padded to whole steps, into its lane 0..31 of a panel. */
static inline void tile_scatter_row(const uint8_t *row, uint32_t steps, uint32_t lane, uint8_t *panel)
{
    enum { QUARTER_BYTES = 4, LANES_OF_TILE = 16 };
    uint8_t *to =
        panel + (size_t)(lane / LANES_OF_TILE) * TILE_BYTES + (size_t)(lane % LANES_OF_TILE) * QUARTER_BYTES;
    for (uint32_t step = 0; step < steps; step++, row += TILE_STEP_BYTES, to += TILE_BLOCK_BYTES)
        for (size_t quad = 0; quad < TILE_STEP_BYTES / QUARTER_BYTES; quad++)
            memcpy(to + quad * TILE_STEP_BYTES, row + quad * QUARTER_BYTES, QUARTER_BYTES);
}

/* A row on its way into a panel. */
struct tile_row_scratch {
    float *values;   /* (columns, and room to a whole step) */
    uint8_t *bytes;  /* (steps, 64): rounded, and 0 up to the last step's end; INT4: as int8 */
    float *steps;    /* INT4: (steps, INT4_STEP_GROUPS): what a weight's lowest bit is worth */
    int8_t *fours;   /* INT4: (steps, 64): of four bits each */
    int8_t *factors; /* INT4: (steps, INT4_STEP_GROUPS): multipliers */
};

/* Rounds a row of a tensor into scratch->bytes; *scale is INT8's. INT4: only into scratch->values, as F32. */
typedef void tile_round_row(const struct tensor *tensor, uint32_t row, enum product product,
                            const struct tile_row_scratch *scratch, float *scale);

/* kernels.pack for these products, the same for every set; a set may have its own way to round a row.
 * Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code tiles_pack_by(tile_round_row *round_row, const struct tensor *tensors,
                                         size_t count, enum product product, bool gated,
                                         struct packed_matrix *out, struct dobby_error *err);
DOBBY_NODISCARD dobby_code tiles_pack(const struct tensor *tensors, size_t count, enum product product,
                                      bool gated, struct packed_matrix *out, struct dobby_error *err);

/* The references, also used by sets that have nothing faster. */
void tiles_prepare(const struct prepare_job *job);
void tiles_matmul(const struct matmul_job *job);
#if defined(__x86_64__)
/* Steps of an INT4 panel as those of an INT8 panel: TILE_BLOCK_BYTES each. */
void tiles_unpack_int4_avx2(const struct packed_matrix *weights, uint32_t panel, uint32_t step_first,
                            uint32_t steps, uint8_t *to);
void tiles_unpack_int4_avx512(const struct packed_matrix *weights, uint32_t panel, uint32_t step_first,
                              uint32_t steps, uint8_t *to);
#endif

#endif
