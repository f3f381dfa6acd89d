/* The reference: scalar C that says what every other set must compute. */
#include "infer/cpu/kernel_sets.h"
#include "infer/cpu/kv_f32.h"
#include "infer/cpu/packing.h"
#include "infer/cpu/tiles.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { PANEL_ROWS = 16 };

/* The reference rounds nothing unless it is told to. */
static enum product choose_product(enum tensor_type type)
{
    (void)type;
    return PRODUCT_F32;
}

static dobby_code pack(const struct tensor *tensors, size_t count, enum product product, bool gated,
                       struct packed_matrix *out, struct dobby_error *err)
{
    if (product != PRODUCT_F32)
        return tiles_pack(tensors, count, product, gated, out, err);
    return packing_pack(tensors, count, gated, PANEL_ROWS, out, err);
}

static size_t scratch_bytes(const struct packed_matrix *weights)
{
    return (size_t)weights->columns * PANEL_ROWS * sizeof(float);
}

/* A panel as F32: (columns, PANEL_ROWS). */
static void dequantize_panel(const struct packed_matrix *weights, uint32_t panel, float *output)
{
    const uint8_t *bytes = weights->panels + panel * weights->panel_bytes;
    size_t values = (size_t)weights->columns * PANEL_ROWS;
    const uint16_t *halves = (const uint16_t *)(const void *)bytes;
    switch (weights->type) {
    case TENSOR_F32:
        memcpy(output, bytes, values * sizeof(float));
        break;
    case TENSOR_F16:
        for (size_t i = 0; i < values; i++)
            output[i] = packing_f16_to_f32(halves[i]);
        break;
    case TENSOR_BF16:
        for (size_t i = 0; i < values; i++)
            output[i] = packing_bf16_to_f32(halves[i]);
        break;
    case TENSOR_Q8_0:
        for (uint32_t k = 0; k < weights->columns; k++) {
            const uint8_t *block = bytes + k / QUANT_BLOCK * packing_block_bytes(TENSOR_Q8_0, PANEL_ROWS);
            const uint16_t *scales = (const uint16_t *)(const void *)block;
            const int8_t *quants = (const int8_t *)(block + PANEL_ROWS * sizeof(uint16_t)) +
                                   (size_t)(k % QUANT_BLOCK) * PANEL_ROWS;
            for (size_t r = 0; r < PANEL_ROWS; r++)
                output[(size_t)k * PANEL_ROWS + r] = packing_f16_to_f32(scales[r]) * (float)quants[r];
        }
        break;
    case TENSOR_Q4_0:
        for (uint32_t k = 0; k < weights->columns; k++) {
            const uint8_t *block = bytes + k / QUANT_BLOCK * packing_block_bytes(TENSOR_Q4_0, PANEL_ROWS);
            const uint16_t *scales = (const uint16_t *)(const void *)block;
            const uint32_t at = k % (QUANT_BLOCK / 2), shift = k % QUANT_BLOCK < QUANT_BLOCK / 2 ? 0 : 4;
            const uint8_t *pairs = block + PANEL_ROWS * sizeof(uint16_t) + (size_t)at * PANEL_ROWS;
            for (size_t r = 0; r < PANEL_ROWS; r++)
                output[(size_t)k * PANEL_ROWS + r] =
                    packing_f16_to_f32(scales[r]) * (float)((pairs[r] >> shift & 0xf) - Q4_0_ZERO);
        }
        break;
    case TENSOR_UNKNOWN:
        break;
    }
}

static float silu(float x)
{
    return x / (1.0f + expf(-x));
}

/* Writes one token's sums of a panel. */
static void finish(const struct matmul_job *job, uint32_t panel, uint32_t token, const float sums[PANEL_ROWS])
{
    const uint32_t rows = job->weights->rows;
    float *output = (float *)job->output + token * job->output_stride;
    if (job->weights->gated) {
        enum { HALF = PANEL_ROWS / 2 };
        for (uint32_t r = 0; r < HALF && panel * HALF + r < rows / 2; r++)
            output[panel * HALF + r] = silu(sums[r]) * sums[HALF + r];
        return;
    }
    for (uint32_t r = 0, row = panel * PANEL_ROWS; r < PANEL_ROWS && row < rows; r++, row++) {
        float value = job->bias != NULL ? sums[r] + job->bias[row] : sums[r];
        float *to = output + (row - job->output_first);
        *to = job->accumulate ? *to + value : value;
    }
}

static void matmul(const struct matmul_job *job)
{
    if (job->weights->product != PRODUCT_F32) {
        tiles_matmul(job);
        return;
    }
    const struct packed_matrix *weights = job->weights;
    float *panel = job->scratch;
    for (uint32_t p = job->panel_first; p < job->panel_end; p++) {
        dequantize_panel(weights, p, panel);
        for (uint32_t t = 0; t < job->tokens; t++) {
            const float *input = job->input + t * job->input_stride;
            float sums[PANEL_ROWS] = {0};
            for (size_t k = 0; k < weights->columns; k++)
                for (size_t r = 0; r < PANEL_ROWS; r++)
                    sums[r] = fmaf(input[k], panel[k * PANEL_ROWS + r], sums[r]);
            finish(job, p, t, sums);
        }
    }
}

static size_t attention_scratch_bytes(uint32_t head_dim, uint32_t heads_per_kv_head)
{
    (void)heads_per_kv_head;
    return (size_t)head_dim * sizeof(float);
}

/* One query row over positions 0 .. position; sums is scratch of head_dim floats. */
static void attend_row(const struct attention_job *job, uint32_t kv_head, uint32_t position,
                       const float *query, float *sums, size_t output_at)
{
    const uint32_t dim = job->head_dim;
    const float scale = 1.0f / sqrtf((float)dim);
    float maximum = -INFINITY, total = 0.0f;
    memset(sums, 0, dim * sizeof *sums);
    uint32_t end = 0;
    for (uint32_t first = 0; first <= position; first = end) {
        end = first + ATTENTION_BLOCK;
        uint32_t count = (end <= position ? end : position + 1) - first;
        const float *keys = kv_f32_keys(job, first, kv_head);
        const float *values = kv_f32_values(job, first, kv_head);
        float weights[ATTENTION_BLOCK];
        float block_maximum = maximum;
        for (uint32_t j = 0; j < count; j++) {
            float score = 0.0f;
            for (uint32_t d = 0; d < dim; d++)
                score = fmaf(query[d], keys[(size_t)j * dim + d], score);
            weights[j] = score * scale;
            block_maximum = fmaxf(block_maximum, weights[j]);
        }
        float correction = expf(maximum - block_maximum);
        maximum = block_maximum;
        total *= correction;
        for (uint32_t d = 0; d < dim; d++)
            sums[d] *= correction;
        for (uint32_t j = 0; j < count; j++) {
            float weight = expf(weights[j] - maximum);
            total += weight;
            for (uint32_t d = 0; d < dim; d++)
                sums[d] = fmaf(weight, values[(size_t)j * dim + d], sums[d]);
        }
    }
    for (uint32_t d = 0; d < dim; d++)
        if (job->output_type == VALUES_F32)
            ((float *)job->output)[output_at + d] = sums[d] / total;
        else
            ((uint16_t *)job->output)[output_at + d] = tile_bf16_of(sums[d] / total);
}

static void attention(const struct attention_job *job)
{
    assert(job->output_type != VALUES_UNKNOWN);
    uint32_t group = job->heads / job->kv_heads;
    for (uint32_t t = job->token_first; t < job->token_end; t++) {
        for (uint32_t h = job->kv_head_first * group; h < job->kv_head_end * group; h++) {
            size_t column = (size_t)h * job->head_dim;
            attend_row(job, h / group, job->position_first + t, job->query + t * job->query_stride + column,
                       job->scratch, t * job->output_stride + column);
        }
    }
}

static void rms_norm(const float *input, const float *weight, float epsilon, uint32_t count, float *output)
{
    float squares = 0.0f;
    for (uint32_t i = 0; i < count; i++)
        squares = fmaf(input[i], input[i], squares);
    float factor = 1.0f / sqrtf(squares / (float)count + epsilon);
    for (uint32_t i = 0; i < count; i++)
        output[i] = input[i] * factor * weight[i];
}

static void rope(float *rows, uint32_t heads, uint32_t head_dim, const float *cosine, const float *sine,
                 bool interleaved)
{
    uint32_t half = head_dim / 2;
    uint32_t step = interleaved ? 2 : 1, partner = interleaved ? 1 : half;
    for (uint32_t h = 0; h < heads; h++) {
        float *row = rows + (size_t)h * head_dim;
        for (uint32_t i = 0; i < half; i++) {
            float *first = row + (size_t)i * step, *second = first + partner;
            float a = *first, b = *second;
            *first = a * cosine[i] - b * sine[i];
            *second = b * cosine[i] + a * sine[i];
        }
    }
}

static void argmax_logsumexp(const float *values, uint32_t count, uint32_t *index, float *logsumexp)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++)
        sum += (double)expf(values[i] - values[best]);
    *index = best;
    *logsumexp = values[best] + (float)log(sum);
}

const struct kernels kernels_ref = {
    .name = "ref",
    .step_rows = 128,
    .task_weights = 1 << 20,
    .choose_product = choose_product,
    .pack = pack,
    .scratch_bytes = scratch_bytes,
    .prepare = tiles_prepare,
    .matmul = matmul,
    .kv_bytes = kv_f32_bytes,
    .kv_write = kv_f32_write,
    .attention_scratch_bytes = attention_scratch_bytes,
    .attention = attention,
    .rms_norm = rms_norm,
    .rope = rope,
    .dequantize_row = packing_dequantize_row,
    .argmax_logsumexp = argmax_logsumexp,
};
