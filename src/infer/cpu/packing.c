#include "infer/cpu/packing.h"

#include "base/error.h"
#include "os/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL_ALIGNMENT = 64 };

float packing_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t fraction = half & 0x3ffu;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000u | fraction << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        /* A subnormal half counts units of 2^-24, which F32 holds as a normal number. */
        float magnitude = (float)fraction * 0x1p-24f;
        memcpy(&bits, &magnitude, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float packing_bf16_to_f32(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static uint16_t load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static size_t row_bytes(enum tensor_type type, uint32_t columns)
{
    switch (type) {
    case TENSOR_F32:
        return (size_t)columns * 4;
    case TENSOR_F16:
    case TENSOR_BF16:
        return (size_t)columns * 2;
    case TENSOR_Q8_0:
        return (size_t)columns / QUANT_BLOCK * Q8_0_BLOCK_BYTES;
    case TENSOR_Q4_0:
        return (size_t)columns / QUANT_BLOCK * Q4_0_BLOCK_BYTES;
    case TENSOR_UNKNOWN:
        break;
    }
    assert(false && "a tensor's type was checked when it was read");
    return 0;
}

static size_t panel_bytes(enum tensor_type type, uint32_t columns, uint32_t panel_rows)
{
    size_t bytes = row_bytes(type, columns) * panel_rows;
    return (bytes + PANEL_ALIGNMENT - 1) / PANEL_ALIGNMENT * PANEL_ALIGNMENT;
}

void packing_dequantize_row(const struct tensor *tensor, uint32_t row, float *output)
{
    const uint8_t *source = (const uint8_t *)tensor->data + row * row_bytes(tensor->type, tensor->columns);
    uint32_t columns = tensor->columns;
    switch (tensor->type) {
    case TENSOR_F32:
        memcpy(output, source, (size_t)columns * sizeof(float));
        break;
    case TENSOR_F16:
        for (uint32_t k = 0; k < columns; k++)
            output[k] = packing_f16_to_f32(load_u16(source + 2 * (size_t)k));
        break;
    case TENSOR_BF16:
        for (uint32_t k = 0; k < columns; k++)
            output[k] = packing_bf16_to_f32(load_u16(source + 2 * (size_t)k));
        break;
    case TENSOR_Q8_0:
        for (uint32_t k = 0; k < columns; k += QUANT_BLOCK, source += Q8_0_BLOCK_BYTES) {
            float scale = packing_f16_to_f32(load_u16(source));
            for (uint32_t i = 0; i < QUANT_BLOCK; i++)
                output[k + i] = scale * (float)(int8_t)source[2 + i];
        }
        break;
    case TENSOR_Q4_0:
        for (uint32_t k = 0; k < columns; k += QUANT_BLOCK, source += Q4_0_BLOCK_BYTES) {
            float scale = packing_f16_to_f32(load_u16(source));
            for (uint32_t i = 0; i < QUANT_BLOCK / 2; i++) {
                output[k + i] = scale * (float)((source[2 + i] & 0xf) - Q4_0_ZERO);
                output[k + QUANT_BLOCK / 2 + i] = scale * (float)((source[2 + i] >> 4) - Q4_0_ZERO);
            }
        }
        break;
    case TENSOR_UNKNOWN:
        assert(false && "a tensor's type was checked when it was read");
        break;
    }
}

/* Writes one row of values into column `lane` of a panel. */
static void scatter_f32(const uint8_t *source, uint32_t columns, uint32_t panel_rows, uint32_t lane,
                        uint8_t *panel)
{
    uint8_t *to = panel + (size_t)lane * 4;
    for (uint32_t k = 0; k < columns; k++)
        memcpy(to + (size_t)k * panel_rows * 4, source + (size_t)k * 4, 4);
}

static void scatter_u16(const uint8_t *source, uint32_t columns, uint32_t panel_rows, uint32_t lane,
                        uint8_t *panel)
{
    uint8_t *to = panel + (size_t)lane * 2;
    for (uint32_t k = 0; k < columns; k++)
        memcpy(to + (size_t)k * panel_rows * 2, source + (size_t)k * 2, 2);
}

/* Blocks of a scale and value_bytes bytes. */
static void scatter_blocks(const uint8_t *source, uint32_t columns, uint32_t value_bytes, uint32_t panel_rows,
                           uint32_t lane, uint8_t *panel)
{
    const size_t block_bytes = (size_t)panel_rows * (sizeof(uint16_t) + value_bytes);
    for (uint32_t k = 0; k < columns; k += QUANT_BLOCK) {
        memcpy(panel + (size_t)lane * 2, source, 2);
        uint8_t *to = panel + (size_t)panel_rows * 2 + lane;
        for (uint32_t i = 0; i < value_bytes; i++)
            to[(size_t)i * panel_rows] = source[2 + i];
        panel += block_bytes;
        source += sizeof(uint16_t) + value_bytes;
    }
}

/* row_f32 is used when the packed type is not the tensor's own. */
static void scatter_row(const struct tensor *tensor, uint32_t row, enum tensor_type type, uint32_t panel_rows,
                        uint32_t lane, float *row_f32, uint8_t *panel)
{
    uint32_t columns = tensor->columns;
    const uint8_t *source = (const uint8_t *)tensor->data + row * row_bytes(tensor->type, columns);
    if (type != tensor->type) {
        packing_dequantize_row(tensor, row, row_f32);
        scatter_f32((const uint8_t *)row_f32, columns, panel_rows, lane, panel);
    } else if (type == TENSOR_F32) {
        scatter_f32(source, columns, panel_rows, lane, panel);
    } else if (type == TENSOR_Q8_0) {
        scatter_blocks(source, columns, QUANT_BLOCK, panel_rows, lane, panel);
    } else if (type == TENSOR_Q4_0) {
        scatter_blocks(source, columns, QUANT_BLOCK / 2, panel_rows, lane, panel);
    } else {
        scatter_u16(source, columns, panel_rows, lane, panel);
    }
}

dobby_code packing_pack(const struct tensor *tensors, size_t count, bool gated, uint32_t panel_rows,
                        struct packed_matrix *out, struct dobby_error *err)
{
    assert(gated ? count == 2 && tensors[0].rows == tensors[1].rows : count > 0);
    dobby_code code = DOBBY_OK;
    float *row_f32 = NULL;
    struct packed_matrix packed = {.columns = tensors[0].columns,
                                   .panel_rows = panel_rows,
                                   .product = PRODUCT_F32,
                                   .type = tensors[0].type,
                                   .gated = gated};
    *out = (struct packed_matrix){0};
    for (size_t i = 0; i < count; i++) {
        assert(tensors[i].columns == packed.columns);
        packed.rows += tensors[i].rows;
        if (tensors[i].type != packed.type)
            packed.type = TENSOR_F32;
    }
    packed.panel_count = packed_matrix_panels(&packed);
    packed.panel_bytes = panel_bytes(packed.type, packed.columns, panel_rows);
    size_t bytes = packed.panel_bytes * packed.panel_count;
    packed.panels = memory_allocate(bytes);
    row_f32 = malloc(packed.columns * sizeof *row_f32);
    if (packed.panels == NULL || row_f32 == NULL) {
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "packing a (%u, %u) matrix needs %zu bytes", packed.rows,
                          packed.columns, bytes);
        goto done;
    }
    memset(packed.panels + bytes - packed.panel_bytes, 0, packed.panel_bytes);
    uint32_t before = 0;
    for (size_t i = 0; i < count; before += tensors[i++].rows) {
        for (uint32_t row = 0; row < tensors[i].rows; row++) {
            const uint32_t place = packed_matrix_place(&packed, i, before, row);
            uint8_t *panel = packed.panels + place / panel_rows * packed.panel_bytes;
            scatter_row(&tensors[i], row, packed.type, panel_rows, place % panel_rows, row_f32, panel);
        }
    }
    *out = packed;
    packed.panels = NULL;
done:
    packed_matrix_release(&packed);
    free(row_f32);
    return code;
}

uint32_t packed_matrix_panels(const struct packed_matrix *matrix)
{
    const uint32_t outputs = matrix->gated ? matrix->rows / 2 : matrix->rows;
    const uint32_t per_panel = matrix->gated ? matrix->panel_rows / 2 : matrix->panel_rows;
    return (outputs + per_panel - 1) / per_panel;
}

uint32_t packed_matrix_place(const struct packed_matrix *matrix, size_t tensor, uint32_t before, uint32_t row)
{
    if (!matrix->gated)
        return before + row;
    const uint32_t half = matrix->panel_rows / 2;
    return row / half * matrix->panel_rows + (uint32_t)tensor * half + row % half;
}

void packed_matrix_release(struct packed_matrix *matrix)
{
    free(matrix->panels);
    *matrix = (struct packed_matrix){0};
}
