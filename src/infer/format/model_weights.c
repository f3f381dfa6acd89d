#include "infer/format/model_weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Sizes of the configuration that shapes are made of. */
enum extent { ONE, HIDDEN, VOCABULARY, QUERY, KEY_VALUE, FEED_FORWARD };

static const struct role {
    const char *gguf, *huggingface; /* behind the layer's prefix when per_layer */
    bool per_layer, is_bias;
    enum extent rows, columns; /* rows ONE: a vector */
} roles[WEIGHT_ROLE_COUNT] = {
    [WEIGHT_TOKEN_EMBEDDING] = {"token_embd.weight", "model.embed_tokens.weight", false, false, VOCABULARY,
                                HIDDEN},
    [WEIGHT_OUTPUT_NORM] = {"output_norm.weight", "model.norm.weight", false, false, ONE, HIDDEN},
    [WEIGHT_OUTPUT_HEAD] = {"output.weight", "lm_head.weight", false, false, VOCABULARY, HIDDEN},
    [WEIGHT_ATTENTION_NORM] = {"attn_norm.weight", "input_layernorm.weight", true, false, ONE, HIDDEN},
    [WEIGHT_Q] = {"attn_q.weight", "self_attn.q_proj.weight", true, false, QUERY, HIDDEN},
    [WEIGHT_K] = {"attn_k.weight", "self_attn.k_proj.weight", true, false, KEY_VALUE, HIDDEN},
    [WEIGHT_V] = {"attn_v.weight", "self_attn.v_proj.weight", true, false, KEY_VALUE, HIDDEN},
    [WEIGHT_Q_BIAS] = {"attn_q.bias", "self_attn.q_proj.bias", true, true, ONE, QUERY},
    [WEIGHT_K_BIAS] = {"attn_k.bias", "self_attn.k_proj.bias", true, true, ONE, KEY_VALUE},
    [WEIGHT_V_BIAS] = {"attn_v.bias", "self_attn.v_proj.bias", true, true, ONE, KEY_VALUE},
    [WEIGHT_ATTENTION_OUTPUT] = {"attn_output.weight", "self_attn.o_proj.weight", true, false, HIDDEN, QUERY},
    [WEIGHT_FFN_NORM] = {"ffn_norm.weight", "post_attention_layernorm.weight", true, false, ONE, HIDDEN},
    [WEIGHT_FFN_GATE] = {"ffn_gate.weight", "mlp.gate_proj.weight", true, false, FEED_FORWARD, HIDDEN},
    [WEIGHT_FFN_UP] = {"ffn_up.weight", "mlp.up_proj.weight", true, false, FEED_FORWARD, HIDDEN},
    [WEIGHT_FFN_DOWN] = {"ffn_down.weight", "mlp.down_proj.weight", true, false, HIDDEN, FEED_FORWARD},
};

static uint32_t extent_of(enum extent extent, const struct model_config *config)
{
    switch (extent) {
    case HIDDEN:
        return config->hidden;
    case VOCABULARY:
        return config->vocabulary;
    case QUERY:
        return config->heads * config->head_dim;
    case KEY_VALUE:
        return config->kv_heads * config->head_dim;
    case FEED_FORWARD:
        return config->feed_forward;
    case ONE:
        break;
    }
    return 1;
}

static void make_name(char *out, size_t capacity, enum weight_role role, uint32_t layer, bool huggingface)
{
    const char *name = huggingface ? roles[role].huggingface : roles[role].gguf;
    if (roles[role].per_layer)
        snprintf(out, capacity, "%s.%u.%s", huggingface ? "model.layers" : "blk", layer, name);
    else
        snprintf(out, capacity, "%s", name);
}

static dobby_code check_shape(const struct tensor_entry *entry, uint32_t rows, uint32_t columns,
                              struct dobby_error *err)
{
    const uint64_t *have = entry->dimensions;
    if (rows == 1 && entry->dimension_count == 1 && have[0] == columns)
        return DOBBY_OK;
    if (entry->dimension_count == 2 && have[0] == rows && have[1] == columns)
        return DOBBY_OK;
    if (entry->dimension_count == 1)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT,
                          "tensor %s: shape (%" PRIu64 ") where the configuration asks for (%u, %u)",
                          entry->name, have[0], rows, columns);
    return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT,
                      "tensor %s: %u dimensions (%" PRIu64 ", %" PRIu64
                      ") where the configuration asks for (%u, %u)",
                      entry->name, entry->dimension_count, have[0], have[1], rows, columns);
}

static dobby_code bind_role(struct tensor_table *table, bool huggingface, const struct model_config *config,
                            enum weight_role role, uint32_t layer, struct tensor *out,
                            struct dobby_error *err)
{
    char name[128];
    make_name(name, sizeof(name), role, layer, huggingface);
    struct tensor_entry *entry = tensor_table_find(table, name);
    if (entry == NULL)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "tensor %s is missing", name);
    uint32_t rows = extent_of(roles[role].rows, config);
    uint32_t columns = extent_of(roles[role].columns, config);
    bool is_vector = roles[role].rows == ONE;
    if (entry->type == TENSOR_UNKNOWN ||
        (is_vector && (entry->type == TENSOR_Q8_0 || entry->type == TENSOR_Q4_0)))
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "tensor %s has type %s", name, entry->type_name);
    dobby_code code = check_shape(entry, rows, columns, err);
    if (code != DOBBY_OK)
        return code;
    entry->used = true;
    *out = (struct tensor){
        .type = entry->type, .rows = rows, .columns = columns, .data = entry->data, .bytes = entry->bytes};
    return DOBBY_OK;
}

/* Tensors that some writers leave in the file and no computation needs. */
static bool is_harmless(const char *name, bool huggingface, const struct model_config *config)
{
    static const char inverse_frequencies[] = "rotary_emb.inv_freq";
    size_t length = strlen(name);
    size_t suffix = sizeof(inverse_frequencies) - 1;
    if (!huggingface)
        return false;
    if (config->tied_head && strcmp(name, roles[WEIGHT_OUTPUT_HEAD].huggingface) == 0)
        return true;
    return length >= suffix && strcmp(name + length - suffix, inverse_frequencies) == 0;
}

static void count_weights(struct model_weights *weights)
{
    uint32_t counts[TENSOR_Q4_0 + 1] = {0};
    weights->parameters = 0;
    for (size_t i = 0; i < (size_t)weights->layers * WEIGHT_ROLE_COUNT; i++) {
        const struct tensor *tensor = &weights->tensors[i];
        weights->parameters += (uint64_t)tensor->rows * tensor->columns;
        if (tensor->type != TENSOR_UNKNOWN && tensor->rows > 1)
            counts[tensor->type]++;
    }
    for (enum tensor_type type = TENSOR_F32; type <= TENSOR_Q4_0; type++) {
        if (counts[type] > counts[weights->matrix_type])
            weights->matrix_type = type;
    }
}

dobby_code model_weights_bind(struct tensor_table *table, bool huggingface, struct model_config *config,
                              struct arena *arena, struct model_weights *out, struct dobby_error *err)
{
    char name[128];
    *out = (struct model_weights){0};
    struct model_weights weights = {.layers = config->layers};
    weights.tensors =
        arena_alloc_array(arena, (size_t)config->layers * WEIGHT_ROLE_COUNT, sizeof(weights.tensors[0]));
    if (weights.tensors == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u layers", config->layers);
    make_name(name, sizeof(name), WEIGHT_Q_BIAS, 0, huggingface);
    config->qkv_bias = tensor_table_find(table, name) != NULL;
    for (uint32_t layer = 0; layer < config->layers; layer++) {
        struct tensor *row = &weights.tensors[(size_t)layer * WEIGHT_ROLE_COUNT];
        for (enum weight_role role = WEIGHT_UNKNOWN + 1; role < WEIGHT_ROLE_COUNT; role++) {
            if ((!roles[role].per_layer && layer > 0) || (roles[role].is_bias && !config->qkv_bias) ||
                (role == WEIGHT_OUTPUT_HEAD && config->tied_head))
                continue;
            dobby_code code = bind_role(table, huggingface, config, role, layer, &row[role], err);
            if (code != DOBBY_OK)
                return code;
        }
    }
    for (size_t i = 0; i < table->count; i++) {
        if (!table->entries[i].used && !is_harmless(table->entries[i].name, huggingface, config))
            return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED,
                              "tensor %s: no such tensor in the models that are known",
                              table->entries[i].name);
    }
    count_weights(&weights);
    if (config->tied_head)
        weights.tensors[WEIGHT_OUTPUT_HEAD] = weights.tensors[WEIGHT_TOKEN_EMBEDDING];
    *out = weights;
    return DOBBY_OK;
}
