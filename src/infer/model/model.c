#include "infer/model/model.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* One weight vector as F32, appended at output. */
static dobby_code load_vector(const struct model_file *file, const struct kernels *kernels,
                              enum weight_role role, uint32_t layer, float *output, struct dobby_error *err)
{
    struct tensor tensor;
    dobby_code code = model_file_weight(file, role, layer, &tensor, err);
    if (code != DOBBY_OK)
        return code;
    kernels->dequantize_row(&tensor, 0, output);
    return DOBBY_OK;
}

static dobby_code load_norm(const struct model_file *file, const struct model *model, enum weight_role role,
                            uint32_t layer, float **out, struct dobby_error *err)
{
    *out = calloc(model->config.hidden, sizeof(float));
    if (!*out)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a norm of %u weights", model->config.hidden);
    return load_vector(file, model->kernels, role, layer, *out, err);
}

/* Packs the tensors of `count` roles as one matrix. */
static dobby_code load_matrix(const struct model_file *file, const struct model *model,
                              const enum weight_role *roles, size_t count, bool gated, uint32_t layer,
                              struct packed_matrix *out, struct dobby_error *err)
{
    enum { STACKED_MAX = 3 };
    struct tensor tensors[STACKED_MAX];
    assert(count <= STACKED_MAX);
    for (size_t i = 0; i < count; i++) {
        dobby_code code = model_file_weight(file, roles[i], layer, &tensors[i], err);
        if (code != DOBBY_OK)
            return code;
    }
    return model->kernels->pack(tensors, count, model->product, gated, out, err);
}

static dobby_code load_qkv_bias(const struct model_file *file, struct model *model, uint32_t layer,
                                struct dobby_error *err)
{
    const struct model_config *config = &model->config;
    const size_t q = (size_t)config->heads * config->head_dim;
    const size_t kv = (size_t)config->kv_heads * config->head_dim;
    const struct kernels *kernels = model->kernels;
    float *bias = calloc(q + 2 * kv, sizeof *bias);
    if (!bias)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the biases of layer %u", layer);
    model->layers[layer].qkv_bias = bias;
    dobby_code code = load_vector(file, kernels, WEIGHT_Q_BIAS, layer, bias, err);
    if (code == DOBBY_OK)
        code = load_vector(file, kernels, WEIGHT_K_BIAS, layer, bias + q, err);
    if (code == DOBBY_OK)
        code = load_vector(file, kernels, WEIGHT_V_BIAS, layer, bias + q + kv, err);
    return code;
}

/* After the norm and the biases. */
static dobby_code load_key_balance(const struct model_file *file, struct model *model, uint32_t layer,
                                   struct dobby_error *err)
{
    const struct model_config *config = &model->config;
    struct model_layer *out = &model->layers[layer];
    struct key_balance_source source = {.norm = out->attention_norm,
                                        .bias = out->qkv_bias,
                                        .heads = config->heads,
                                        .kv_heads = config->kv_heads,
                                        .head_dim = config->head_dim,
                                        .rope_interleaved = config->rope_interleaved};
    dobby_code code = model_file_weight(file, WEIGHT_Q, layer, &source.query, err);
    if (code == DOBBY_OK)
        code = model_file_weight(file, WEIGHT_K, layer, &source.key, err);
    if (code == DOBBY_OK)
        code = key_balance_make(&source, &out->key_balance, err);
    return code;
}

static dobby_code load_layer(const struct model_file *file, struct model *model, uint32_t layer,
                             struct dobby_error *err)
{
    static const enum weight_role qkv[] = {WEIGHT_Q, WEIGHT_K, WEIGHT_V};
    static const enum weight_role attention_output[] = {WEIGHT_ATTENTION_OUTPUT};
    static const enum weight_role gate_up[] = {WEIGHT_FFN_GATE, WEIGHT_FFN_UP};
    static const enum weight_role down[] = {WEIGHT_FFN_DOWN};
    struct model_layer *out = &model->layers[layer];
    dobby_code code = load_norm(file, model, WEIGHT_ATTENTION_NORM, layer, &out->attention_norm, err);
    if (code == DOBBY_OK)
        code = load_norm(file, model, WEIGHT_FFN_NORM, layer, &out->ffn_norm, err);
    if (code == DOBBY_OK && model->config.qkv_bias)
        code = load_qkv_bias(file, model, layer, err);
    if (code == DOBBY_OK && model->kernels->rounds_keys)
        code = load_key_balance(file, model, layer, err);
    if (code == DOBBY_OK)
        code = load_matrix(file, model, qkv, 3, false, layer, &out->qkv, err);
    if (code == DOBBY_OK)
        code = load_matrix(file, model, attention_output, 1, false, layer, &out->attention_output, err);
    if (code == DOBBY_OK)
        code = load_matrix(file, model, gate_up, 2, true, layer, &out->gate_up, err);
    if (code == DOBBY_OK)
        code = load_matrix(file, model, down, 1, false, layer, &out->down, err);
    return code;
}

/* The angle of pair i at a position is position * base^(-2i / head_dim): in double, since F32 loses the
 * fourth digit of an angle of some thousands. */
dobby_code model_make_rope(struct model *model, struct dobby_error *err)
{
    const uint32_t half = model->config.head_dim / 2;
    const size_t count = (size_t)model->positions * half;
    model->rope_cosine = malloc(count * sizeof(float));
    model->rope_sine = malloc(count * sizeof(float));
    if (!model->rope_cosine || !model->rope_sine)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "RoPE angles of %u positions", model->positions);
    for (uint32_t i = 0; i < half; i++) {
        const double frequency =
            pow((double)model->config.rope_base, -2.0 * (double)i / (double)model->config.head_dim);
        for (uint32_t position = 0; position < model->positions; position++) {
            const double angle = (double)position * frequency;
            model->rope_cosine[(size_t)position * half + i] = (float)cos(angle);
            model->rope_sine[(size_t)position * half + i] = (float)sin(angle);
        }
    }
    return DOBBY_OK;
}

dobby_code model_load(const struct model_file *file, const struct kernels *kernels, enum product product,
                      uint32_t positions, struct model *out, struct dobby_error *err)
{
    static const enum weight_role head[] = {WEIGHT_OUTPUT_HEAD};
    struct model model = {.kernels = kernels,
                          .product = product != PRODUCT_UNKNOWN
                                         ? product
                                         : kernels->choose_product(model_file_weight_type(file)),
                          .config = *model_file_config(file),
                          .positions = positions};
    *out = (struct model){0};

    dobby_code code = model_file_weight(file, WEIGHT_TOKEN_EMBEDDING, 0, &model.embedding, err);
    if (code != DOBBY_OK)
        return code;
    model.layers = calloc(model.config.layers, sizeof *model.layers);
    if (!model.layers) {
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u layers", model.config.layers);
        goto done;
    }
    code = load_norm(file, &model, WEIGHT_OUTPUT_NORM, 0, &model.output_norm, err);
    if (code != DOBBY_OK)
        goto done;
    code = load_matrix(file, &model, head, 1, false, 0, &model.head, err);
    for (uint32_t layer = 0; code == DOBBY_OK && layer < model.config.layers; layer++)
        code = load_layer(file, &model, layer, err);
    if (code != DOBBY_OK)
        goto done;
    code = model_make_rope(&model, err);
    if (code != DOBBY_OK)
        goto done;
    model_file_drop_pages(file);
    *out = model;
    model = (struct model){0};

done:
    model_release(&model);
    return code;
}

void model_release(struct model *model)
{
    for (uint32_t i = 0; model->layers && i < model->config.layers; i++) {
        struct model_layer *layer = &model->layers[i];
        free(layer->attention_norm);
        free(layer->ffn_norm);
        free(layer->qkv_bias);
        key_balance_release(&layer->key_balance);
        packed_matrix_release(&layer->qkv);
        packed_matrix_release(&layer->attention_output);
        packed_matrix_release(&layer->gate_up);
        packed_matrix_release(&layer->down);
    }
    free(model->layers);
    free(model->output_norm);
    packed_matrix_release(&model->head);
    free(model->embedding_owned);
    free(model->rope_cosine);
    free(model->rope_sine);
    *model = (struct model){0};
}

struct kv_shape model_kv_shape(const struct model *model)
{
    struct kv_shape shape = {
        .layers = model->config.layers,
        .layout = {.kv_heads = model->config.kv_heads, .head_dim = model->config.head_dim}};
    shape.layer_bytes = model->kernels->kv_bytes(&shape.layout);
    return shape;
}

static uint64_t matrix_bytes(const struct packed_matrix *matrix)
{
    return (uint64_t)matrix->panel_count * matrix->panel_bytes;
}

uint64_t model_weight_bytes(const struct model *model)
{
    uint64_t bytes = matrix_bytes(&model->head) + (uint64_t)model->config.hidden * sizeof(float);
    for (uint32_t i = 0; i < model->config.layers; i++) {
        const struct model_layer *layer = &model->layers[i];
        bytes += matrix_bytes(&layer->qkv) + matrix_bytes(&layer->attention_output);
        bytes += matrix_bytes(&layer->gate_up) + matrix_bytes(&layer->down);
        bytes += 2 * (uint64_t)model->config.hidden * sizeof(float);
        if (layer->qkv_bias)
            bytes += (uint64_t)layer->qkv.rows * sizeof(float);
        if (layer->key_balance.keys)
            bytes += 2 * (uint64_t)model->config.kv_heads * model->config.head_dim * sizeof(float);
    }
    return bytes;
}
