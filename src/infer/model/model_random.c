/* A model with random weights, made matrix by matrix so that no more than one is held unpacked. */
#include "infer/model/model.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct maker {
    struct model *model;
    uint64_t state;
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_bits(struct maker *maker)
{
    uint64_t z = maker->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* BF16 values, uniform with the variance 1 / columns: a product then keeps its input's size. */
static dobby_code random_tensor(struct maker *maker, uint32_t rows, uint32_t columns, struct tensor *out,
                                struct dobby_error *err)
{
    const size_t count = (size_t)rows * columns;
    uint16_t *values = malloc(count * sizeof *values);
    if (values == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a random (%u, %u) matrix", rows, columns);
    const float scale = sqrtf(3.0f / (float)columns) * 0x1p-15f;
    for (size_t i = 0; i < count; i += 4) {
        uint64_t bits = next_bits(maker);
        for (size_t j = i; j < count && j < i + 4; j++, bits >>= 16) {
            const float value = (float)(int16_t)(bits & 0xffff) * scale;
            uint32_t wide;
            memcpy(&wide, &value, sizeof wide);
            values[j] = (uint16_t)(wide >> 16);
        }
    }
    *out = (struct tensor){.type = TENSOR_BF16,
                           .rows = rows,
                           .columns = columns,
                           .data = values,
                           .bytes = count * sizeof *values};
    return DOBBY_OK;
}

static dobby_code random_matrix(struct maker *maker, uint32_t rows, uint32_t columns, bool gated,
                                struct packed_matrix *out, struct dobby_error *err)
{
    struct tensor tensors[2] = {0};
    const size_t count = gated ? 2 : 1;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < count; i++)
        code = random_tensor(maker, rows / (uint32_t)count, columns, &tensors[i], err);
    if (code == DOBBY_OK)
        code = maker->model->kernels->pack(tensors, count, maker->model->product, gated, out, err);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)tensors[i].data);
    return code;
}

static dobby_code constant_vector(uint32_t count, float value, float **out, struct dobby_error *err)
{
    *out = malloc(count * sizeof **out);
    if (*out == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a vector of %u weights", count);
    for (uint32_t i = 0; i < count; i++)
        (*out)[i] = value;
    return DOBBY_OK;
}

static dobby_code random_layer(struct maker *maker, struct model_layer *out, struct dobby_error *err)
{
    const struct model_config *config = &maker->model->config;
    const uint32_t q_width = config->heads * config->head_dim;
    const uint32_t qkv_width = q_width + 2 * config->kv_heads * config->head_dim;
    dobby_code code = constant_vector(config->hidden, 1.0f, &out->attention_norm, err);
    if (code == DOBBY_OK)
        code = constant_vector(config->hidden, 1.0f, &out->ffn_norm, err);
    if (code == DOBBY_OK && config->qkv_bias)
        code = constant_vector(qkv_width, 0.0f, &out->qkv_bias, err);
    if (code == DOBBY_OK)
        code = random_matrix(maker, qkv_width, config->hidden, false, &out->qkv, err);
    if (code == DOBBY_OK)
        code = random_matrix(maker, config->hidden, q_width, false, &out->attention_output, err);
    if (code == DOBBY_OK)
        code = random_matrix(maker, 2 * config->feed_forward, config->hidden, true, &out->gate_up, err);
    if (code == DOBBY_OK)
        code = random_matrix(maker, config->hidden, config->feed_forward, false, &out->down, err);
    return code;
}

dobby_code model_make_random(const struct model_config *config, const struct kernels *kernels,
                             enum product product, uint32_t positions, struct model *out,
                             struct dobby_error *err)
{
    struct model model = {
        .kernels = kernels,
        .product = product != PRODUCT_UNKNOWN ? product : kernels->choose_product(TENSOR_BF16),
        .config = *config,
        .positions = positions,
    };
    struct maker maker = {.model = &model, .state = 1};
    *out = (struct model){0};
    dobby_code code = DOBBY_OK;
    model.layers = calloc(config->layers, sizeof *model.layers);
    if (model.layers == NULL)
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u layers", config->layers);
    if (code == DOBBY_OK)
        code = random_tensor(&maker, config->vocabulary, config->hidden, &model.embedding, err);
    if (code == DOBBY_OK) {
        model.embedding_owned = (void *)(uintptr_t)model.embedding.data;
        code = kernels->pack(&model.embedding, 1, model.product, false, &model.head, err);
    }
    if (code == DOBBY_OK)
        code = constant_vector(config->hidden, 1.0f, &model.output_norm, err);
    for (uint32_t layer = 0; code == DOBBY_OK && layer < config->layers; layer++)
        code = random_layer(&maker, &model.layers[layer], err);
    if (code == DOBBY_OK)
        code = model_make_rope(&model, err);
    if (code == DOBBY_OK) {
        *out = model;
        model = (struct model){0};
    }
    model_release(&model);
    return code;
}
