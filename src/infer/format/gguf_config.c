/* A model's configuration from GGUF metadata. */
#include "infer/format/model_config.h"

#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct config_reader {
    const struct gguf *gguf;
    const char *architecture; /* the prefix of its keys */
    struct dobby_error *err;
};

static const struct gguf_value *find(const struct config_reader *r, const char *suffix)
{
    char key[96];
    snprintf(key, sizeof(key), "%s.%s", r->architecture, suffix);
    return gguf_find(r->gguf, key);
}

/* A missing key leaves *out as it is. */
static dobby_code read_size(const struct config_reader *r, const char *suffix, uint32_t *out)
{
    int64_t number = 0;
    const struct gguf_value *value = find(r, suffix);
    if (value == NULL)
        return DOBBY_OK;
    if (value->type == GGUF_ARRAY)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED, "metadata %s differs between layers", value->key);
    if (!gguf_integer(value, &number) || number < 0 || number > UINT32_MAX)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "metadata %s is not a 32-bit size", value->key);
    *out = (uint32_t)number;
    return DOBBY_OK;
}

static dobby_code read_float(const struct config_reader *r, const char *suffix, float *out)
{
    double number = 0;
    const struct gguf_value *value = find(r, suffix);
    if (value == NULL)
        return DOBBY_OK;
    if (!gguf_number(value, &number))
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "metadata %s is not a number", value->key);
    *out = (float)number;
    return DOBBY_OK;
}

static dobby_code read_architecture(struct config_reader *r, struct model_config *out)
{
    static const struct {
        const char *name;
        enum model_architecture architecture;
    } known[] = {{"qwen2", MODEL_QWEN2}, {"llama", MODEL_LLAMA}};
    const char *name = NULL;
    size_t length = 0;
    const struct gguf_value *value = gguf_find(r->gguf, "general.architecture");
    if (!gguf_string(value, &name, &length))
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT, "metadata general.architecture is missing");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (gguf_string_equals(value, known[i].name)) {
            r->architecture = known[i].name;
            out->architecture = known[i].architecture;
            return DOBBY_OK;
        }
    }
    return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED, "architecture %.*s: only qwen2 and llama are known",
                      (int)(length < 64 ? length : 64), name);
}

static dobby_code read_sizes(const struct config_reader *r, struct model_config *out)
{
    const struct {
        const char *suffix;
        uint32_t *out;
    } sizes[] = {
        {"context_length", &out->context_tokens},
        {"embedding_length", &out->hidden},
        {"block_count", &out->layers},
        {"feed_forward_length", &out->feed_forward},
        {"attention.head_count", &out->heads},
    };
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && code == DOBBY_OK; i++)
        code = read_size(r, sizes[i].suffix, sizes[i].out);
    out->kv_heads = out->heads;
    if (code == DOBBY_OK)
        code = read_size(r, "attention.head_count_kv", &out->kv_heads);
    if (out->heads != 0)
        out->head_dim = out->hidden / out->heads;
    if (code == DOBBY_OK)
        code = read_size(r, "attention.key_length", &out->head_dim);
    if (code == DOBBY_OK)
        code = read_float(r, "attention.layer_norm_rms_epsilon", &out->norm_epsilon);
    out->rope_base = 10000.0F;
    if (code == DOBBY_OK)
        code = read_float(r, "rope.freq_base", &out->rope_base);
    return code;
}

/* What would change the arithmetic in a way that the engine does not know. */
static dobby_code refuse_unsupported(const struct config_reader *r, const struct model_config *config)
{
    uint32_t window = 0;
    uint32_t experts = 0;
    uint32_t value_length = config->head_dim;
    uint32_t rotated = config->head_dim;
    float factor = 1;
    float scale = 1;
    dobby_code code = read_size(r, "attention.sliding_window", &window);
    if (code == DOBBY_OK)
        code = read_size(r, "expert_count", &experts);
    if (code == DOBBY_OK)
        code = read_size(r, "attention.value_length", &value_length);
    if (code == DOBBY_OK)
        code = read_size(r, "rope.dimension_count", &rotated);
    if (code == DOBBY_OK)
        code = read_float(r, "rope.scaling.factor", &factor);
    if (code == DOBBY_OK)
        code = read_float(r, "rope.scale_linear", &scale);
    if (code != DOBBY_OK)
        return code;
    const struct gguf_value *scaling = find(r, "rope.scaling.type");
    bool scaled = scaling != NULL ? !gguf_string_equals(scaling, "none") : factor > 0 && factor != 1;
    if (scaled || (scale > 0 && scale != 1) ||
        tensor_table_find(&r->gguf->tensors, "rope_freqs.weight") != NULL)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED, "RoPE scaling");
    if (window != 0 && window < config->context_tokens)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED, "a sliding attention window of %u tokens", window);
    if (experts != 0)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED, "a mixture of %u experts", experts);
    if (value_length != config->head_dim || rotated != config->head_dim)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED,
                          "head size %u with %u rotated dimensions and values of %u", config->head_dim,
                          rotated, value_length);
    return DOBBY_OK;
}

/* <|im_end|> and <|endoftext|> end an answer wherever they are control tokens: files of chat models often
 * name only one of them as the end. */
static dobby_code add_control_ends(const struct config_reader *r, struct model_config *out)
{
    enum { TOKEN_CONTROL = 3 };
    static const char *const ends[] = {"<|im_end|>", "<|endoftext|>"};
    const struct gguf_value *types = gguf_find(r->gguf, "tokenizer.ggml.token_type");
    struct gguf_strings tokens;
    const char *bytes = NULL;
    size_t length = 0;
    if (!gguf_strings_begin(gguf_find(r->gguf, "tokenizer.ggml.tokens"), &tokens))
        return DOBBY_OK;
    for (uint64_t id = 0; gguf_strings_next(&tokens, &bytes, &length); id++) {
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
            int64_t type = 0;
            if (length != strlen(ends[i]) || memcmp(bytes, ends[i], length) != 0 ||
                !gguf_array_integer(types, id, &type) || type != TOKEN_CONTROL)
                continue;
            dobby_code code = model_config_add_end(out, (int64_t)id, r->err);
            if (code != DOBBY_OK)
                return code;
        }
    }
    return DOBBY_OK;
}

static dobby_code read_tokens(const struct config_reader *r, struct model_config *out)
{
    static const char *const end_keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"};
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < sizeof(end_keys) / sizeof(end_keys[0]) && code == DOBBY_OK; i++) {
        int64_t end = 0;
        if (gguf_integer(gguf_find(r->gguf, end_keys[i]), &end))
            code = model_config_add_end(out, end, r->err);
    }
    if (code == DOBBY_OK)
        code = add_control_ends(r, out);
    if (code != DOBBY_OK)
        return code;

    int64_t begin = -1;
    /* Llama 3 files may leave the flag out: for their split pattern it defaults to true. */
    bool add_begin = gguf_string_equals(gguf_find(r->gguf, "tokenizer.ggml.pre"), "llama-bpe");
    (void)gguf_boolean(gguf_find(r->gguf, "tokenizer.ggml.add_bos_token"), &add_begin);
    if (!add_begin)
        return DOBBY_OK;
    if (!gguf_integer(gguf_find(r->gguf, "tokenizer.ggml.bos_token_id"), &begin) || begin < 0 ||
        begin >= (int64_t)out->vocabulary)
        return DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                          "metadata tokenizer.ggml.bos_token_id is missing or outside the vocabulary");
    out->begin_token = (int32_t)begin;
    return DOBBY_OK;
}

dobby_code model_config_from_gguf(const struct gguf *gguf, struct model_config *out, struct dobby_error *err)
{
    memset(out, 0, sizeof(*out));
    struct config_reader r = {.gguf = gguf, .err = err};
    struct model_config config = {.begin_token = -1};
    const char *text = NULL;
    size_t length = 0;
    dobby_code code = read_architecture(&r, &config);
    if (code == DOBBY_OK)
        code = read_sizes(&r, &config);
    if (code != DOBBY_OK)
        return code;

    const struct tensor_entry *embedding = tensor_table_find(&gguf->tensors, "token_embd.weight");
    if (embedding == NULL || embedding->dimension_count != 2)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "tensor token_embd.weight is missing or no matrix");
    if (embedding->dimensions[0] > LIMIT_VOCABULARY_TOKENS)
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "the vocabulary %" PRIu64 " exceeds the limit of %u",
                          embedding->dimensions[0], LIMIT_VOCABULARY_TOKENS);
    config.vocabulary = (uint32_t)embedding->dimensions[0];
    config.tied_head = tensor_table_find(&gguf->tensors, "output.weight") == NULL;
    config.rope_interleaved = config.architecture == MODEL_LLAMA;
    code = model_config_check(&config, err);
    if (code == DOBBY_OK)
        code = refuse_unsupported(&r, &config);
    if (code == DOBBY_OK)
        code = read_tokens(&r, &config);
    if (code == DOBBY_OK && gguf_string(gguf_find(gguf, "general.name"), &text, &length))
        code = model_config_set_name(&config, text, length, err);
    if (code != DOBBY_OK)
        return code;
    config.chat = gguf_string(gguf_find(gguf, "tokenizer.chat_template"), &text, &length)
                      ? model_config_chat_of(text, length)
                      : CHAT_NONE;
    *out = config;
    return DOBBY_OK;
}
