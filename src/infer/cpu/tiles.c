#include "infer/cpu/tiles.h"

#include "base/error.h"
#include "infer/cpu/int4.h"
#include "infer/cpu/packing.h"
#include "os/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, QUARTER_BYTES = 4, TILE_LANES = 16 };

const char *product_name(enum product product)
{
    static const char *const names[PRODUCT_COUNT] = {"auto", "f32", "bf16", "int8", "int4"};
    return product < PRODUCT_COUNT ? names[product] : names[PRODUCT_UNKNOWN];
}

/* ---- packed rows -------------------------------------------------------------------------------------- */

dobby_code packed_rows_new(enum product product, uint32_t tokens_max, uint32_t columns_max,
                           struct packed_rows *out, struct dobby_error *err)
{
    assert(product > PRODUCT_F32 && product < PRODUCT_COUNT);
    if (product == PRODUCT_INT4)
        product = PRODUCT_INT8;
    const uint32_t tokens = (tokens_max + TILE_TOKENS - 1) / TILE_TOKENS * TILE_TOKENS;
    const size_t value_bytes =
        (size_t)(tokens / TILE_TOKENS) * tile_steps(product, columns_max) * TILE_BLOCK_BYTES;
    /* One scale for so many columns is the most that a row of any width up to columns_max has. */
    const size_t groups = columns_max / INT8_GROUP_COLUMNS_LEAST + 1;
    *out = (struct packed_rows){.product = product, .tokens_max = tokens, .columns_max = columns_max};
    out->values = memory_allocate(value_bytes);
    out->scales = aligned_alloc(ALIGNMENT, groups * tokens * sizeof *out->scales);
    if (out->values == NULL || out->scales == NULL) {
        packed_rows_release(out);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u rows of %u columns", tokens_max, columns_max);
    }
    /* Rows beyond the last token take part in a tile's product; their results are dropped. */
    memset(out->values, 0, value_bytes);
    memset(out->scales, 0, groups * tokens * sizeof *out->scales);
    return DOBBY_OK;
}

void packed_rows_release(struct packed_rows *rows)
{
    free(rows->values);
    free(rows->scales);
    *rows = (struct packed_rows){0};
}

uint32_t packed_rows_part_columns(uint32_t columns)
{
    return int8_group_columns(columns);
}

static float input_value(const struct prepare_job *job, uint32_t token, uint32_t column)
{
    const size_t at = (token - job->input_first) * job->input_stride + (column - job->column_first);
    if (job->input_type == VALUES_F32)
        return ((const float *)job->input)[at];
    return packing_bf16_to_f32(((const uint16_t *)job->input)[at]);
}

static void prepare_int8_group(const struct prepare_job *job, uint32_t token, uint32_t first, uint32_t end)
{
    const uint32_t steps = tile_steps(PRODUCT_INT8, job->columns);
    int32_t largest = 0;
    for (uint32_t k = first; k < end; k++) {
        const int32_t magnitude = tile_magnitude_bits(input_value(job, token, k));
        largest = magnitude > largest ? magnitude : largest;
    }
    const struct int8_scale scale = int8_scale_of(largest);
    job->rows->scales[first / int8_group_columns(job->columns) * job->rows->tokens_max + token] = scale.scale;
    for (uint32_t k = first; k < end; k++) {
        int8_t *step = (int8_t *)tile_row(job->rows, steps, token, k / TILE_STEP_BYTES);
        step[k % TILE_STEP_BYTES] = scale.finite ? int8_nearest(input_value(job, token, k), scale.factor) : 0;
    }
}

void tiles_prepare(const struct prepare_job *job)
{
    const enum product product = job->rows->product;
    const uint32_t steps = tile_steps(product, job->columns);
    const uint32_t step_columns = tile_step_columns(product);
    for (uint32_t token = job->token_first; token < job->token_end; token++) {
        if (job->column_end % step_columns != 0)
            memset(tile_row(job->rows, steps, token, steps - 1), 0, TILE_STEP_BYTES);
        if (product == PRODUCT_INT8) {
            const uint32_t group = int8_group_columns(job->columns);
            for (uint32_t k = job->column_first; k < job->column_end; k += group)
                prepare_int8_group(job, token, k, job->column_end - k < group ? job->column_end : k + group);
            continue;
        }
        for (uint32_t k = job->column_first; k < job->column_end; k++) {
            uint16_t *step = (uint16_t *)(void *)tile_row(job->rows, steps, token, k / step_columns);
            step[k % step_columns] = tile_bf16_of(input_value(job, token, k));
        }
    }
}

/* ---- packed weights ------------------------------------------------------------------------------------ */

static void int8_round_row(const float *values, uint32_t columns, int8_t *to, float *scale)
{
    int32_t largest = 0;
    for (uint32_t k = 0; k < columns; k++) {
        const int32_t magnitude = tile_magnitude_bits(values[k]);
        largest = magnitude > largest ? magnitude : largest;
    }
    const struct int8_scale found = int8_scale_of(largest);
    *scale = found.scale;
    for (uint32_t k = 0; found.finite && k < columns; k++)
        to[k] = int8_nearest(values[k], found.factor);
}

static void round_row(const struct tensor *tensor, uint32_t row, enum product product,
                      const struct tile_row_scratch *scratch, float *scale)
{
    const uint32_t columns = tensor->columns;
    const float *values = scratch->values;
    memset(scratch->bytes, 0, (size_t)tile_steps(product, columns) * TILE_STEP_BYTES);
    packing_dequantize_row(tensor, row, scratch->values);
    for (uint32_t k = columns; k < tile_steps(product, columns) * tile_step_columns(product); k++)
        scratch->values[k] = 0.0f;
    if (product == PRODUCT_BF16) {
        for (uint32_t k = 0; k < columns; k++)
            ((uint16_t *)(void *)scratch->bytes)[k] = tile_bf16_of(values[k]);
        return;
    }
    if (product == PRODUCT_INT8)
        int8_round_row(values, columns, (int8_t *)scratch->bytes, scale);
}

/* Puts a rounded row's scale and its groups' sums into its lane of an INT8 panel. */
static void write_tail(const struct packed_matrix *packed, uint32_t panel, uint32_t lane, const int8_t *row,
                       float scale)
{
    const uint32_t padded = tile_steps(PRODUCT_INT8, packed->columns) * TILE_STEP_BYTES;
    const uint32_t group_columns = int8_group_columns(packed->columns);
    float *scales = (float *)(uintptr_t)int8_tail(packed, panel)->scales;
    scales[lane] = scale;
    for (uint32_t first = 0, group = 0; first < padded; first += group_columns, group++) {
        const uint32_t count = padded - first < group_columns ? padded - first : group_columns;
        int32_t sum = 0;
        for (uint32_t k = 0; k < count; k++)
            sum += row[first + k];
        ((int32_t *)(uintptr_t)int8_group_sums(packed, panel, group))[lane] = sum;
    }
}

/* Rounds all rows of a tensor into their panels. */
static void pack_tensor(tile_round_row *round, const struct tensor *tensors, size_t index, uint32_t before,
                        const struct tile_row_scratch *scratch, struct packed_matrix *out)
{
    const uint32_t steps = tile_steps(out->product, out->columns);
    for (uint32_t row = 0; row < tensors[index].rows; row++) {
        const uint32_t place = packed_matrix_place(out, index, before, row), lane = place % TILE_OUTPUTS;
        const uint32_t panel = place / TILE_OUTPUTS;
        float scale = 0.0f;
        round(&tensors[index], row, out->product, scratch, &scale);
        if (out->product == PRODUCT_INT4) {
            int4_round_row(&tensors[index], row, scratch, &scale);
            int4_scatter_row(scratch, steps, lane, out->panels + (size_t)panel * out->panel_bytes);
        } else {
            tile_scatter_row(scratch->bytes, steps, lane, out->panels + (size_t)panel * out->panel_bytes);
        }
        if (out->product != PRODUCT_BF16)
            write_tail(out, panel, lane, (const int8_t *)scratch->bytes, scale);
    }
}

static size_t panel_bytes(enum product product, uint32_t columns)
{
    const size_t steps = tile_steps(product, columns);
    const size_t tail =
        int8_groups(columns) * TILE_OUTPUTS * sizeof(int32_t) + sizeof(struct int8_panel_tail);
    return product == PRODUCT_BF16   ? steps * TILE_BLOCK_BYTES
           : product == PRODUCT_INT8 ? steps * TILE_BLOCK_BYTES + tail
                                     : steps * (INT4_STEP_BYTES + INT4_STEP_GROUPS * TILE_OUTPUTS) + tail;
}

/* Room for a row of any product. False: out of memory. */
static bool scratch_new(uint32_t steps, struct tile_row_scratch *out)
{
    const size_t columns = (size_t)steps * TILE_STEP_BYTES, groups = (size_t)steps * INT4_STEP_GROUPS;
    const size_t bytes = columns * (sizeof *out->values + 2) + groups * (sizeof *out->steps + 1);
    uint8_t *at = memory_allocate(bytes);
    if (at == NULL)
        return false;
    out->values = (float *)(void *)at;
    out->steps = out->values + columns;
    out->bytes = (uint8_t *)(out->steps + groups);
    out->fours = (int8_t *)out->bytes + columns;
    out->factors = out->fours + columns;
    return true;
}

dobby_code tiles_pack_by(tile_round_row *round, const struct tensor *tensors, size_t count,
                         enum product product, bool gated, struct packed_matrix *out, struct dobby_error *err)
{
    struct packed_matrix packed = {.columns = tensors[0].columns,
                                   .panel_rows = TILE_OUTPUTS,
                                   .product = product,
                                   .type = tensors[0].type,
                                   .gated = gated};
    *out = (struct packed_matrix){0};
    assert(!gated || (count == 2 && tensors[0].rows == tensors[1].rows));
    for (size_t i = 0; i < count; i++) {
        assert(tensors[i].columns == packed.columns);
        packed.rows += tensors[i].rows;
    }
    const uint32_t steps = tile_steps(product, packed.columns);
    packed.panel_count = packed_matrix_panels(&packed);
    packed.panel_bytes = panel_bytes(product, packed.columns);
    const size_t bytes = packed.panel_bytes * packed.panel_count;
    dobby_code code = DOBBY_OK;
    struct tile_row_scratch scratch = {0};
    packed.panels = memory_allocate(bytes);
    if (packed.panels == NULL || !scratch_new(steps, &scratch)) {
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "packing a (%u, %u) matrix needs %zu bytes", packed.rows,
                          packed.columns, bytes);
        goto done;
    }
    /* Lanes without a row: only the last panel has them. */
    memset(packed.panels + bytes - packed.panel_bytes, 0, packed.panel_bytes);
    for (uint32_t i = 0, before = 0; i < count; before += tensors[i++].rows)
        pack_tensor(round, tensors, i, before, &scratch, &packed);
    *out = packed;
    packed.panels = NULL;
done:
    packed_matrix_release(&packed);
    free(scratch.values); /* the others lie behind it */
    return code;
}

dobby_code tiles_pack(const struct tensor *tensors, size_t count, enum product product, bool gated,
                      struct packed_matrix *out, struct dobby_error *err)
{
    return tiles_pack_by(round_row, tensors, count, product, gated, out, err);
}

/* ---- the reference product -------------------------------------------------------------------------- */

/* The weight of a lane at column k, as its integer or its BF16 value. */
static float packed_weight(const struct packed_matrix *weights, const uint8_t *panel, uint32_t lane,
                           uint32_t k)
{
    const uint32_t step_columns = tile_step_columns(weights->product);
    const uint32_t width = weights->product == PRODUCT_BF16 ? 2 : 1;
    const uint32_t per_quarter = QUARTER_BYTES / width;
    const uint8_t *from = panel + (size_t)(k / step_columns) * TILE_BLOCK_BYTES +
                          (size_t)(lane / TILE_LANES) * TILE_BYTES +
                          (size_t)(k % step_columns / per_quarter) * TILE_STEP_BYTES +
                          (size_t)(lane % TILE_LANES) * QUARTER_BYTES + (size_t)(k % per_quarter) * width;
    if (width == 1)
        return (float)*(const int8_t *)from;
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return packing_bf16_to_f32(value);
}

static float product_int8(const struct matmul_job *job, uint32_t panel, uint32_t lane, uint32_t token)
{
    const struct packed_matrix *weights = job->weights;
    const uint8_t *bytes = weights->panels + (size_t)panel * weights->panel_bytes;
    const uint32_t steps = tile_steps(PRODUCT_INT8, weights->columns);
    const uint32_t group_columns = int8_group_columns(weights->columns);
    float sum = 0.0f;
    for (uint32_t first = 0, group = 0; first < weights->columns; first += group_columns, group++) {
        if (group > 0)
            sum = packing_bf16_to_f32(tile_bf16_of(sum));
        const uint32_t end =
            weights->columns - first < group_columns ? weights->columns : first + group_columns;
        int32_t dot = 0;
        for (uint32_t k = first; k < end; k++) {
            const int8_t *row = (const int8_t *)tile_row(job->rows, steps, token, k / TILE_STEP_BYTES);
            const int32_t weight = weights->product == PRODUCT_INT4
                                       ? int4_weight_at(weights, panel, lane, k)
                                       : (int32_t)packed_weight(weights, bytes, lane, k);
            dot += (int32_t)row[k % TILE_STEP_BYTES] * weight;
        }
        sum = fmaf(job->rows->scales[(size_t)group * job->rows->tokens_max + token], (float)dot, sum);
    }
    return sum * int8_tail(weights, panel)->scales[lane];
}

static float product_bf16(const struct matmul_job *job, uint32_t panel, uint32_t lane, uint32_t token)
{
    const struct packed_matrix *weights = job->weights;
    const uint8_t *bytes = weights->panels + (size_t)panel * weights->panel_bytes;
    const uint32_t step_columns = tile_step_columns(PRODUCT_BF16);
    const uint32_t steps = tile_steps(PRODUCT_BF16, weights->columns);
    float sum = 0.0f;
    for (uint32_t k = 0; k < weights->columns; k++) {
        const uint16_t *row =
            (const uint16_t *)(const void *)tile_row(job->rows, steps, token, k / step_columns);
        sum = fmaf(packing_bf16_to_f32(row[k % step_columns]), packed_weight(weights, bytes, lane, k), sum);
    }
    return sum;
}

void tiles_matmul(const struct matmul_job *job)
{
    const struct packed_matrix *weights = job->weights;
    float (*product)(const struct matmul_job *, uint32_t, uint32_t, uint32_t) =
        weights->product == PRODUCT_BF16 ? product_bf16 : product_int8;
    const uint32_t panel_outputs = weights->gated ? TILE_LANES : TILE_OUTPUTS;
    const uint32_t outputs = weights->gated ? weights->rows / 2 : weights->rows;
    for (uint32_t panel = job->panel_first; panel < job->panel_end; panel++) {
        for (uint32_t lane = 0; lane < panel_outputs && panel * panel_outputs + lane < outputs; lane++) {
            const uint32_t row = panel * panel_outputs + lane;
            for (uint32_t token = 0; token < job->tokens; token++) {
                float value = product(job, panel, lane, token);
                const size_t at = token * job->output_stride + row;
                if (weights->gated) {
                    const float up = product(job, panel, lane + TILE_LANES, token);
                    ((uint16_t *)job->output)[at - job->output_first] =
                        tile_bf16_of(value / (1.0f + expf(-value)) * up);
                    continue;
                }
                if (job->bias != NULL)
                    value += job->bias[row];
                float *output = (float *)job->output + at - job->output_first;
                *output = job->accumulate ? *output + value : value;
            }
        }
    }
}
