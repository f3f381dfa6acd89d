#include "infer/format/model_config.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { HEAD_DIM_MAX = 1024 }; /* the largest known is 256 */

dobby_code model_config_check(const struct model_config *config, struct dobby_error *err)
{
    const struct {
        const char *name;
        uint64_t value, max;
    } sizes[] = {
        {"number of layers", config->layers, LIMIT_MODEL_LAYERS},
        {"hidden size", config->hidden, LIMIT_MODEL_WIDTH},
        {"number of heads", config->heads, LIMIT_MODEL_HEADS},
        {"number of KV heads", config->kv_heads, LIMIT_MODEL_HEADS},
        {"head size", config->head_dim, HEAD_DIM_MAX},
        {"heads times head size", (uint64_t)config->heads * config->head_dim, LIMIT_MODEL_WIDTH},
        {"feed-forward size", config->feed_forward, LIMIT_MODEL_WIDTH},
        {"vocabulary", config->vocabulary, LIMIT_VOCABULARY_TOKENS},
        {"context", config->context_tokens, LIMIT_CONTEXT_TOKENS},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (sizes[i].value == 0)
            return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "the %s is missing or 0", sizes[i].name);
        if (sizes[i].value > sizes[i].max)
            return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED,
                              "the %s %" PRIu64 " exceeds the limit of %" PRIu64, sizes[i].name,
                              sizes[i].value, sizes[i].max);
    }
    if (config->heads % config->kv_heads != 0)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "%u heads are no multiple of %u KV heads", config->heads,
                          config->kv_heads);
    if (config->head_dim % 2 != 0)
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "the head size %u is odd", config->head_dim);
    if (!(config->norm_epsilon > 0 && config->norm_epsilon < 1))
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "the norm's epsilon %g is not between 0 and 1",
                          (double)config->norm_epsilon);
    if (!(config->rope_base >= 1 && isfinite(config->rope_base)))
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "the RoPE base %g is not a number from 1",
                          (double)config->rope_base);
    if (config->begin_token >= 0 && (uint32_t)config->begin_token >= config->vocabulary)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "begin token %d is outside the vocabulary of %u",
                          config->begin_token, config->vocabulary);
    return DOBBY_OK;
}

dobby_code model_config_add_end(struct model_config *config, int64_t token, struct dobby_error *err)
{
    if (token < 0 || token >= (int64_t)config->vocabulary)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "end token %" PRId64 " is outside the vocabulary of %u",
                          token, config->vocabulary);
    for (size_t i = 0; i < config->end_token_count; i++) {
        if (config->end_tokens[i] == token)
            return DOBBY_OK;
    }
    if (config->end_token_count == MODEL_END_TOKENS_MAX)
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "more than %d end tokens", MODEL_END_TOKENS_MAX);
    config->end_tokens[config->end_token_count++] = (int32_t)token;
    return DOBBY_OK;
}

dobby_code model_config_set_name(struct model_config *config, const char *name, size_t length,
                                 struct dobby_error *err)
{
    struct buffer shown = {0};
    size_t room = sizeof(config->name) - 1;
    dobby_code code = utf8_append_display(&shown, name, length < room ? length : room, err);
    if (code == DOBBY_OK) {
        size_t kept = shown.length < room ? shown.length : room;
        if (kept > 0)
            memcpy(config->name, shown.bytes, kept);
        config->name[utf8_valid_prefix(config->name, kept)] = '\0';
    }
    buffer_release(&shown);
    return code;
}

enum chat_format model_config_chat_of(const char *chat_template, size_t length)
{
    static const char marker[] = "<|im_start|>";
    size_t marker_length = sizeof(marker) - 1;
    if (chat_template == NULL)
        return CHAT_NONE;
    for (size_t i = 0; i + marker_length <= length; i++) {
        if (memcmp(chat_template + i, marker, marker_length) == 0)
            return CHAT_CHATML;
    }
    return CHAT_UNKNOWN;
}
