#include "infer/cpu/int4.h"

#include "infer/cpu/packing.h"

#include <math.h>
#include <string.h>

enum { QUARTER_BYTES = 4, TILE_LANES = 16 };

/* To the nearest whole number, ties to even, from -2^22 to 2^22: as rintf, but in two additions that
 * compilers make vectors of. */
static inline float nearest(float value)
{
    const float shift = 0x1.8p23f;
    return (value + shift) - shift;
}

static inline float clamp_four(float value)
{
    const float least = value < -8.0f ? -8.0f : value;
    return least > 7.0f ? 7.0f : least;
}

/* The value of a group that is furthest from 0; what is not finite comes before all that is. */
static float furthest_of(const float *group)
{
    int32_t largest = 0;
    float highest = 0.0f;
    for (uint32_t k = 0; k < INT4_GROUP_COLUMNS; k++) {
        const int32_t magnitude = tile_magnitude_bits(group[k]);
        largest = magnitude > largest ? magnitude : largest;
        highest = group[k] > highest ? group[k] : highest;
    }
    float furthest;
    memcpy(&furthest, &largest, sizeof furthest);
    return highest == furthest ? furthest : -furthest;
}

/* The squares of what a step loses of a group, in units of the step. */
static float lost_by(const float *group, float factor)
{
    enum { SUMS = 8 };
    float sums[SUMS] = {0.0f};
    for (uint32_t first = 0; first < INT4_GROUP_COLUMNS; first += SUMS) {
        for (uint32_t k = 0; k < SUMS; k++) {
            const float at = group[first + k] * factor;
            const float off = at - nearest(clamp_four(at));
            sums[k] += off * off;
        }
    }
    float sum = 0.0f;
    for (uint32_t k = 0; k < SUMS; k++)
        sum += sums[k];
    return sum;
}

/* The step of a group, whose value furthest from 0 is given, that loses least of those which make that value
 * -8, a little more or less, or 7: the sum of the squares decides. */
static float best_step(const float *group, float furthest)
{
    static const float divisors[] = {-8.0f, -7.25f, -9.0f, 7.0f};
    enum { DIVISORS = sizeof divisors / sizeof divisors[0] };
    float best = furthest / divisors[0], least = INFINITY;
    for (size_t i = 0; i < DIVISORS && furthest != 0.0f; i++) {
        const float step = furthest / divisors[i];
        const float lost = lost_by(group, divisors[i] / furthest) * (step * step);
        if (lost < least) {
            least = lost;
            best = step;
        }
    }
    return best;
}

/* Step sizes d of a row's groups, weight being d * q: Q4_0's own, or such that the value furthest from 0
 * becomes -8. Returns the largest magnitude, by its bits. */
static int32_t int4_steps(const struct tensor *tensor, uint32_t row, const float *values, uint32_t groups,
                          float *steps)
{
    const size_t row_blocks = tensor->columns / QUANT_BLOCK;
    const uint8_t *blocks = (const uint8_t *)tensor->data + row * row_blocks * Q4_0_BLOCK_BYTES;
    int32_t largest = 0;
    for (uint32_t g = 0; g < groups; g++) {
        const float *group = values + (size_t)g * INT4_GROUP_COLUMNS;
        if (tensor->type == TENSOR_Q4_0 && g < row_blocks) {
            uint16_t half;
            memcpy(&half, blocks + (size_t)g * Q4_0_BLOCK_BYTES, sizeof half);
            steps[g] = packing_f16_to_f32(half);
        } else {
            steps[g] = best_step(group, furthest_of(group));
        }
        const int32_t magnitude = tile_magnitude_bits(steps[g]);
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

void int4_round_row(const struct tensor *tensor, uint32_t row, const struct tile_row_scratch *scratch,
                    float *scale)
{
    const uint32_t padded = tile_steps(PRODUCT_INT4, tensor->columns) * TILE_STEP_BYTES;
    const uint32_t groups = padded / INT4_GROUP_COLUMNS;
    const struct int8_scale found =
        int8_scale_of(int4_steps(tensor, row, scratch->values, groups, scratch->steps));
    *scale = found.scale * 8.0f;
    int8_t *restrict bytes = (int8_t *)scratch->bytes, *restrict fours = scratch->fours;
    memset(bytes, 0, padded);
    memset(fours, 0, padded);
    memset(scratch->factors, 0, groups);
    for (uint32_t g = 0; found.finite && g < groups; g++) {
        const int32_t multiplier = (int32_t)lrintf(scratch->steps[g] * found.factor);
        /* Of the step as the multiplier has it: so its rounding costs little. Q4_0's own weights stay. */
        const float step = tensor->type == TENSOR_Q4_0 ? scratch->steps[g] : (float)multiplier * found.scale;
        const float factor = step != 0.0f ? 1.0f / step : 0.0f;
        scratch->factors[g] = (int8_t)multiplier;
        for (uint32_t k = g * INT4_GROUP_COLUMNS; k < (g + 1) * INT4_GROUP_COLUMNS; k++) {
            const int32_t q = (int32_t)nearest(clamp_four(scratch->values[k] * factor));
            fours[k] = (int8_t)q;
            bytes[k] = (int8_t)int4_weight(q, multiplier);
        }
    }
}

/* Where the weights of a lane lie that share two bytes with column k of a step. */
static size_t int4_place(uint32_t step, uint32_t lane, uint32_t k)
{
    return (size_t)step * INT4_STEP_BYTES + (size_t)(lane / TILE_LANES) * (INT4_STEP_BYTES / 2) +
           (size_t)(k / 8) * INT4_PAIR_BYTES + (size_t)(lane % TILE_LANES) * QUARTER_BYTES + k % 4 / 2 * 2;
}

void int4_scatter_row(const struct tile_row_scratch *scratch, uint32_t steps, uint32_t lane, uint8_t *panel)
{
    const int8_t *from = scratch->fours;
    int8_t *factors = (int8_t *)panel + (size_t)steps * INT4_STEP_BYTES + lane;
    for (uint32_t step = 0; step < steps; step++, from += TILE_STEP_BYTES) {
        for (uint32_t pair = 0; pair < TILE_STEP_BYTES; pair += 8) {
            for (uint32_t k = pair; k < pair + 4; k += 2) {
                uint8_t *to = panel + int4_place(step, lane, k);
                to[0] = (uint8_t)((from[k] & 0xf) | (from[k + 1] & 0xf) << 4);
                to[1] = (uint8_t)((from[k + 4] & 0xf) | (from[k + 5] & 0xf) << 4);
            }
        }
    }
    for (uint32_t group = 0; group < steps * INT4_STEP_GROUPS; group++)
        factors[(size_t)group * TILE_OUTPUTS] = scratch->factors[group];
}

int32_t int4_weight_at(const struct packed_matrix *weights, uint32_t panel, uint32_t lane, uint32_t k)
{
    const uint8_t *bytes = weights->panels + (size_t)panel * weights->panel_bytes;
    const uint32_t step = k / TILE_STEP_BYTES, column = k % TILE_STEP_BYTES;
    const uint8_t both = bytes[int4_place(step, lane, column) + column / 4 % 2];
    const int32_t four = both >> (column % 2 * 4) & 0xf;
    const int8_t *factors = int4_multipliers(weights, panel, step);
    return int4_weight(four < 8 ? four : four - 16,
                       factors[column / INT4_GROUP_COLUMNS * TILE_OUTPUTS + lane]);
}
