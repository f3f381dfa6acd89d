/* A model's configuration from the JSON files of a Hugging Face directory. */
#include "infer/format/model_config.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

/* What is no JSON object is damage of the model, named by its file. */
static dobby_code parse_object(const char *file, const char *bytes, size_t length, struct json **out,
                               struct dobby_error *err)
{
    dobby_code code = json_parse(bytes, length, out, err);
    if (code == DOBBY_OUT_OF_MEMORY)
        return code;
    if (code != DOBBY_OK)
        return DOBBY_WRAP(err, DOBBY_MODEL_CORRUPT, "%s", file);
    if (json_kind_of(*out) == JSON_KIND_OBJECT)
        return DOBBY_OK;
    json_free(*out);
    *out = NULL;
    return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "%s: is not a JSON object", file);
}

static bool is_absent(const struct json *value)
{
    return json_kind_of(value) <= JSON_KIND_NULL;
}

/* An absent or null key leaves *out as it is. */
static dobby_code read_size(const struct json *config, const char *key, uint32_t *out,
                            struct dobby_error *err)
{
    int64_t number = 0;
    const struct json *value = json_member(config, key);
    if (is_absent(value))
        return DOBBY_OK;
    if (!json_to_integer(value, &number) || number < 0 || number > UINT32_MAX)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "config.json: %s is not a 32-bit size", key);
    *out = (uint32_t)number;
    return DOBBY_OK;
}

static dobby_code read_float(const struct json *config, const char *key, float *out, struct dobby_error *err)
{
    double number = 0;
    const struct json *value = json_member(config, key);
    if (is_absent(value))
        return DOBBY_OK;
    if (!json_to_number(value, &number))
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "config.json: %s is not a number", key);
    *out = (float)number;
    return DOBBY_OK;
}

static bool text_equals(const struct json *value, const char *text)
{
    const char *have = json_to_text(value, NULL);
    return have != NULL && strcmp(have, text) == 0;
}

static dobby_code read_architecture(const struct json *config, struct model_config *out,
                                    struct dobby_error *err)
{
    const struct json *type = json_member(config, "model_type");
    const char *name = json_to_text(type, NULL);
    if (name == NULL)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "config.json: model_type is missing");
    if (text_equals(type, "qwen2"))
        out->architecture = MODEL_QWEN2;
    else if (text_equals(type, "llama"))
        out->architecture = MODEL_LLAMA;
    else
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED,
                          "config.json: model_type %.64s: only qwen2 and llama are known", name);
    return DOBBY_OK;
}

static dobby_code read_sizes(const struct json *config, struct model_config *out, struct dobby_error *err)
{
    const struct {
        const char *key;
        uint32_t *out;
    } sizes[] = {
        {"vocab_size", &out->vocabulary},          {"hidden_size", &out->hidden},
        {"intermediate_size", &out->feed_forward}, {"num_hidden_layers", &out->layers},
        {"num_attention_heads", &out->heads},      {"max_position_embeddings", &out->context_tokens},
    };
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && code == DOBBY_OK; i++)
        code = read_size(config, sizes[i].key, sizes[i].out, err);
    out->kv_heads = out->heads;
    if (code == DOBBY_OK)
        code = read_size(config, "num_key_value_heads", &out->kv_heads, err);
    if (out->heads != 0)
        out->head_dim = out->hidden / out->heads;
    if (code == DOBBY_OK)
        code = read_size(config, "head_dim", &out->head_dim, err);
    out->norm_epsilon = 1e-6F;
    if (code == DOBBY_OK)
        code = read_float(config, "rms_norm_eps", &out->norm_epsilon, err);
    out->rope_base = 10000.0F;
    if (code == DOBBY_OK)
        code = read_float(json_member(config, "rope_parameters"), "rope_theta", &out->rope_base, err);
    if (code == DOBBY_OK)
        code = read_float(config, "rope_theta", &out->rope_base, err);
    return code;
}

static bool rope_is_scaled(const struct json *rope)
{
    const struct json *type = json_member(rope, "rope_type");
    if (is_absent(type))
        type = json_member(rope, "type");
    return json_kind_of(type) == JSON_KIND_STRING ? !text_equals(type, "default") : json_count(rope) > 0;
}

/* What would change the arithmetic in a way that the engine does not know. */
static dobby_code refuse_unsupported(const struct json *config, struct dobby_error *err)
{
    const struct json *activation = json_member(config, "hidden_act");
    const struct json *layer_types = json_member(config, "layer_types");
    const struct json *parameters = json_member(config, "rope_parameters");
    bool window = false;
    float rotated = 1;
    if (!is_absent(activation) && !text_equals(activation, "silu"))
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "config.json: hidden_act is not silu");
    if (rope_is_scaled(json_member(config, "rope_scaling")) ||
        (!is_absent(json_member(parameters, "rope_type")) && rope_is_scaled(parameters)))
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "config.json: RoPE scaling");
    if (json_to_boolean(json_member(config, "use_sliding_window"), &window) && window)
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "config.json: use_sliding_window is true");
    for (size_t i = 0; i < json_count(layer_types); i++) {
        if (!text_equals(json_element(layer_types, i), "full_attention"))
            return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED,
                              "config.json: layer_types[%zu] is not full_attention", i);
    }
    if (!is_absent(json_member(config, "quantization_config")))
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "config.json: quantization_config");
    dobby_code code = read_float(config, "partial_rotary_factor", &rotated, err);
    if (code == DOBBY_OK && rotated != 1)
        code = DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "config.json: partial_rotary_factor %g",
                          (double)rotated);
    return code;
}

/* eos_token_id: a number, a list, or absent. */
static dobby_code read_ends(const struct json *json, const char *file, struct model_config *out,
                            struct dobby_error *err)
{
    const struct json *ends = json_member(json, "eos_token_id");
    bool is_list = json_kind_of(ends) == JSON_KIND_ARRAY;
    size_t count = is_list ? json_count(ends) : !is_absent(ends);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++) {
        int64_t token = 0;
        if (!json_to_integer(is_list ? json_element(ends, i) : ends, &token))
            return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "%s: eos_token_id is not a token", file);
        code = model_config_add_end(out, token, err);
    }
    return code;
}

/* chat_template: a text, or a list of {name, template} of which "default" counts. */
static enum chat_format read_chat(const struct json *tokenizer)
{
    const struct json *chat = json_member(tokenizer, "chat_template");
    size_t length = 0;
    for (size_t i = 0; json_kind_of(chat) == JSON_KIND_ARRAY && i < json_count(chat); i++) {
        if (text_equals(json_member(json_element(chat, i), "name"), "default")) {
            chat = json_member(json_element(chat, i), "template");
            break;
        }
    }
    const char *text = json_to_text(chat, &length);
    return model_config_chat_of(text, length);
}

/* The token that a TemplateProcessing step puts before a single text, or NULL. */
static const struct json *template_begin(const struct json *step)
{
    const struct json *single = json_member(step, "single");
    const char *text =
        json_to_text(json_member(json_member(json_element(single, 0), "SpecialToken"), "id"), NULL);
    if (text == NULL || !text_equals(json_member(step, "type"), "TemplateProcessing"))
        return NULL;
    return json_element(json_member(json_member(json_member(step, "special_tokens"), text), "ids"), 0);
}

/* Llama 3 directories say it in tokenizer.json's post_processor, alone or in a sequence. */
static dobby_code find_template_begin(const struct huggingface_texts *texts, int64_t *out,
                                      struct dobby_error *err)
{
    struct json *json = NULL;
    dobby_code code = parse_object("tokenizer.json", texts->tokenizer, texts->tokenizer_length, &json, err);
    if (code != DOBBY_OK)
        return code;
    const struct json *post_processor = json_member(json, "post_processor");
    const struct json *steps = json_member(post_processor, "processors");
    const struct json *token = template_begin(post_processor);
    for (size_t i = 0; i < json_count(steps) && token == NULL; i++)
        token = template_begin(json_element(steps, i));
    if (!json_to_integer(token, out))
        *out = -1;
    json_free(json);
    return DOBBY_OK;
}

static dobby_code read_begin(const struct huggingface_texts *texts, const struct json *config,
                             const struct json *tokenizer, struct model_config *out, struct dobby_error *err)
{
    bool add = false;
    int64_t token = -1;
    out->begin_token = -1;
    if (json_to_boolean(json_member(tokenizer, "add_bos_token"), &add)) {
        if (add && !json_to_integer(json_member(config, "bos_token_id"), &token))
            return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "config.json: bos_token_id is missing");
    } else if (texts->tokenizer != NULL && out->architecture == MODEL_LLAMA) {
        dobby_code code = find_template_begin(texts, &token, err);
        if (code != DOBBY_OK)
            return code;
    }
    if (token < -1 || token >= (int64_t)out->vocabulary)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "the begin token is outside the vocabulary of %u",
                          out->vocabulary);
    out->begin_token = (int32_t)token;
    return DOBBY_OK;
}

static dobby_code read_all(const struct huggingface_texts *texts, const struct json *config,
                           const struct json *generation, const struct json *tokenizer,
                           struct model_config *out, struct dobby_error *err)
{
    dobby_code code = read_architecture(config, out, err);
    if (code == DOBBY_OK)
        code = read_sizes(config, out, err);
    if (code == DOBBY_OK)
        code = refuse_unsupported(config, err);
    if (code == DOBBY_OK)
        code = read_begin(texts, config, tokenizer, out, err);
    if (code == DOBBY_OK)
        code = model_config_check(out, err);
    if (code == DOBBY_OK)
        code = read_ends(config, "config.json", out, err);
    if (code == DOBBY_OK)
        code = read_ends(generation, "generation_config.json", out, err);
    out->chat = read_chat(tokenizer);
    (void)json_to_boolean(json_member(config, "tie_word_embeddings"), &out->tied_head);
    return code;
}

dobby_code model_config_from_json(const struct huggingface_texts *texts, struct model_config *out,
                                  struct dobby_error *err)
{
    memset(out, 0, sizeof(*out));
    struct json *config = NULL;
    struct json *generation = NULL;
    struct json *tokenizer = NULL;
    struct model_config read = {0};
    dobby_code code = parse_object("config.json", texts->config, texts->config_length, &config, err);
    if (code == DOBBY_OK && texts->generation_config != NULL)
        code = parse_object("generation_config.json", texts->generation_config,
                            texts->generation_config_length, &generation, err);
    if (code == DOBBY_OK && texts->tokenizer_config != NULL)
        code = parse_object("tokenizer_config.json", texts->tokenizer_config, texts->tokenizer_config_length,
                            &tokenizer, err);
    if (code == DOBBY_OK)
        code = read_all(texts, config, generation, tokenizer, &read, err);
    if (code == DOBBY_OK) {
        if (texts->chat_template != NULL)
            read.chat = model_config_chat_of(texts->chat_template, texts->chat_template_length);
        *out = read;
    }
    json_free(config);
    json_free(generation);
    json_free(tokenizer);
    return code;
}
