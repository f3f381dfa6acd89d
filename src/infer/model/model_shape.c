#include "infer/model/model_shape.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* As their config.json has them. None ends a text: what is generated means nothing. */
static const struct model_config shapes[] = {
    {.architecture = MODEL_QWEN2,
     .name = "qwen2.5-0.5b",
     .layers = 24,
     .hidden = 896,
     .heads = 14,
     .kv_heads = 2,
     .head_dim = 64,
     .feed_forward = 4864,
     .vocabulary = 151936,
     .context_tokens = 32768,
     .norm_epsilon = 1e-6f,
     .rope_base = 1e6f,
     .tied_head = true,
     .qkv_bias = true,
     .begin_token = -1,
     .chat = CHAT_NONE},
    {.architecture = MODEL_LLAMA,
     .name = "smollm2-135m",
     .layers = 30,
     .hidden = 576,
     .heads = 9,
     .kv_heads = 3,
     .head_dim = 64,
     .feed_forward = 1536,
     .vocabulary = 49152,
     .context_tokens = 8192,
     .norm_epsilon = 1e-5f,
     .rope_base = 1e5f,
     .tied_head = true,
     .begin_token = -1,
     .chat = CHAT_NONE},
    /* No model is as small: it shows within a second that measuring works. */
    {.architecture = MODEL_QWEN2,
     .name = "tiny",
     .layers = 2,
     .hidden = 128,
     .heads = 4,
     .kv_heads = 2,
     .head_dim = 32,
     .feed_forward = 256,
     .vocabulary = 512,
     .context_tokens = 1024,
     .norm_epsilon = 1e-6f,
     .rope_base = 1e4f,
     .tied_head = true,
     .qkv_bias = true,
     .begin_token = -1,
     .chat = CHAT_NONE},
};
enum { SHAPE_COUNT = sizeof shapes / sizeof shapes[0] };

dobby_code model_shape_find(const char *name, struct model_config *out, struct dobby_error *err)
{
    char list[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            *out = shapes[i];
            return DOBBY_OK;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", shapes[i].name);
    }
    *out = (struct model_config){0};
    return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "there is no shape '%.64s'; there are: %s", name, list);
}

uint64_t model_shape_parameters(const struct model_config *config)
{
    const uint64_t hidden = config->hidden, feed_forward = config->feed_forward;
    const uint64_t q = (uint64_t)config->heads * config->head_dim;
    const uint64_t kv = (uint64_t)config->kv_heads * config->head_dim;
    const uint64_t qkv = (q + 2 * kv) * (hidden + (config->qkv_bias ? 1 : 0));
    const uint64_t layer = 2 * hidden + qkv + q * hidden + 3 * hidden * feed_forward;
    return config->layers * layer + hidden + config->vocabulary * hidden * (config->tied_head ? 1 : 2);
}
