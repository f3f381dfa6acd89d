#include "unit/infer/model/tiny_model_helper.h"

#include "unit/test.h"

#include <math.h>
#include <stdlib.h>

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Values in (-scale, scale). */
static float *random_floats(size_t count, float scale, uint32_t *state)
{
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = ((float)next_random(state) / 8388608.0f - 1.0f) * scale;
    return values;
}

static float *norm_weights(uint32_t *state)
{
    float *values = random_floats(TINY_HIDDEN, 0.2f, state);
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        values[i] += 1.0f;
    return values;
}

/* rows counts both halves of a gated matrix. */
static void random_matrix(const struct model *model, uint32_t rows, uint32_t columns, bool gated,
                          uint32_t *state, struct packed_matrix *out)
{
    struct dobby_error err;
    struct tensor tensors[2];
    const size_t count = gated ? 2 : 1;
    const size_t values = (size_t)rows / count * columns;
    for (size_t i = 0; i < count; i++)
        tensors[i] = (struct tensor){.type = TENSOR_F32,
                                     .rows = rows / (uint32_t)count,
                                     .columns = columns,
                                     .data = random_floats(values, 2.0f / sqrtf((float)columns), state),
                                     .bytes = values * sizeof(float)};
    assert_ok(model->kernels->pack(tensors, count, model->product, gated, out, &err), &err);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)tensors[i].data);
}

static void random_angles(struct model *model)
{
    const uint32_t half = model->config.head_dim / 2;
    model->rope_cosine = malloc((size_t)TINY_POSITIONS * half * sizeof(float));
    model->rope_sine = malloc((size_t)TINY_POSITIONS * half * sizeof(float));
    assert_true(model->rope_cosine && model->rope_sine);
    for (uint32_t position = 0; position < TINY_POSITIONS; position++) {
        for (uint32_t i = 0; i < half; i++) {
            const double angle = position * pow(10000, -2.0 * i / model->config.head_dim);
            model->rope_cosine[position * half + i] = (float)cos(angle);
            model->rope_sine[position * half + i] = (float)sin(angle);
        }
    }
}

void tiny_model_open(const struct kernels *kernels, enum product product, struct tiny_model *out)
{
    uint32_t state = 20;
    *out = (struct tiny_model){.model = {.kernels = kernels,
                                         .product = product,
                                         .config = {.architecture = MODEL_QWEN2,
                                                    .name = "tiny",
                                                    .layers = 2,
                                                    .hidden = TINY_HIDDEN,
                                                    .heads = 6,
                                                    .kv_heads = 2,
                                                    .head_dim = 12,
                                                    .feed_forward = 72,
                                                    .vocabulary = TINY_VOCABULARY,
                                                    .context_tokens = TINY_POSITIONS,
                                                    .norm_epsilon = 1e-6f,
                                                    .rope_base = 10000,
                                                    .qkv_bias = true,
                                                    .end_tokens = {TINY_END_TOKEN, TINY_BROKEN_TOKEN},
                                                    .end_token_count = 2,
                                                    .begin_token = -1},
                                         .positions = TINY_POSITIONS}};
    struct model *model = &out->model;
    const struct model_config *config = &model->config;
    const uint32_t qkv_width = (config->heads + 2 * config->kv_heads) * config->head_dim;
    out->embedding = random_floats(TINY_VOCABULARY * TINY_HIDDEN, 1, &state);
    out->embedding[TINY_BROKEN_TOKEN * TINY_HIDDEN] = NAN;
    model->embedding = (struct tensor){.type = TENSOR_F32,
                                       .rows = TINY_VOCABULARY,
                                       .columns = TINY_HIDDEN,
                                       .data = out->embedding,
                                       .bytes = TINY_VOCABULARY * TINY_HIDDEN * sizeof(float)};
    model->layers = calloc(config->layers, sizeof *model->layers);
    assert_non_null(model->layers);
    for (uint32_t i = 0; i < config->layers; i++) {
        struct model_layer *layer = &model->layers[i];
        layer->attention_norm = norm_weights(&state);
        random_matrix(model, qkv_width, TINY_HIDDEN, false, &state, &layer->qkv);
        layer->qkv_bias = random_floats(qkv_width, 0.1f, &state);
        random_matrix(model, TINY_HIDDEN, config->heads * config->head_dim, false, &state,
                      &layer->attention_output);
        layer->ffn_norm = norm_weights(&state);
        random_matrix(model, 2 * config->feed_forward, TINY_HIDDEN, true, &state, &layer->gate_up);
        random_matrix(model, TINY_HIDDEN, config->feed_forward, false, &state, &layer->down);
    }
    model->output_norm = norm_weights(&state);
    random_matrix(model, TINY_VOCABULARY, TINY_HIDDEN, false, &state, &model->head);
    random_angles(model);
}

void tiny_model_close(struct tiny_model *tiny)
{
    model_release(&tiny->model);
    free(tiny->embedding);
    tiny->embedding = NULL;
}

void tiny_prompt(uint32_t number, int32_t *tokens, size_t count)
{
    uint32_t state = number * 7919 + 1;
    for (size_t i = 0; i < count; i++)
        tokens[i] = (int32_t)(next_random(&state) % TINY_BROKEN_TOKEN);
}
