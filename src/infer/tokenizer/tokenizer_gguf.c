#include "infer/tokenizer/tokenizer_gguf.h"

#include "base/limits.h"
#include "infer/tokenizer/tokenizer_parts.h"

#include <inttypes.h>
#include <string.h>

/* The kinds of tokens, as the GGUF specification numbers them. */
enum { KIND_NORMAL = 1, KIND_CONTROL = 3, KIND_USER_DEFINED = 4 };

/* What a split is called in tokenizer.ggml.pre. GGUF has no flag for normalisation: the name implies it. */
static const struct split_kind {
    const char *name;
    const char *patterns[2];
    bool nfc, whole_piece_first;
} split_kinds[] = {
    {"qwen2", {split_pattern_qwen2}, true, false},
    {"gpt-2", {split_pattern_gpt2}, false, false},
    {"smollm", {split_pattern_digit, split_pattern_gpt2}, false, false},
    {"llama-bpe", {split_pattern_llama3}, false, true},
    {"llama3", {split_pattern_llama3}, false, true},
};

struct metadata {
    const struct gguf_value *tokens, *kinds, *merges;
};

static dobby_code add_splits(const struct gguf *gguf, struct tokenizer *tokenizer, struct dobby_error *err)
{
    const char *name = "(none)";
    size_t length = strlen(name);
    const struct gguf_value *value = gguf_find(gguf, "tokenizer.ggml.pre");
    for (size_t i = 0; i < sizeof(split_kinds) / sizeof(split_kinds[0]); i++) {
        const struct split_kind *kind = &split_kinds[i];
        if (!gguf_string_equals(value, kind->name))
            continue;
        tokenizer->nfc = kind->nfc;
        tokenizer->bpe.whole_piece_first = kind->whole_piece_first;
        dobby_code code = DOBBY_OK;
        for (size_t k = 0; k < 2 && kind->patterns[k] != NULL && code == DOBBY_OK; k++)
            code = tokenizer_add_split(tokenizer, kind->patterns[k], err);
        return code;
    }
    (void)gguf_string(value, &name, &length);
    return DOBBY_FAIL(err, DOBBY_TOKENIZER_UNSUPPORTED, "tokenizer.ggml.pre is %.*s",
                      (int)(length < 64 ? length : 64), name);
}

static dobby_code find_metadata(const struct gguf *gguf, struct metadata *out, struct dobby_error *err)
{
    const char *model = "(none)";
    size_t length = strlen(model);
    struct gguf_strings strings;
    int64_t kind = 0;
    const struct gguf_value *value = gguf_find(gguf, "tokenizer.ggml.model");
    if (!gguf_string_equals(value, "gpt2")) {
        (void)gguf_string(value, &model, &length);
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_UNSUPPORTED, "tokenizer.ggml.model is %.*s, not gpt2",
                          (int)(length < 64 ? length : 64), model);
    }
    out->tokens = gguf_find(gguf, "tokenizer.ggml.tokens");
    out->kinds = gguf_find(gguf, "tokenizer.ggml.token_type");
    out->merges = gguf_find(gguf, "tokenizer.ggml.merges");
    if (!gguf_strings_begin(out->tokens, &strings))
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "tokenizer.ggml.tokens is no list of texts");
    if (!gguf_strings_begin(out->merges, &strings))
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "tokenizer.ggml.merges is no list of texts");
    if (out->kinds != NULL && (out->kinds->type != GGUF_ARRAY || out->kinds->count != out->tokens->count ||
                               (out->kinds->count > 0 && !gguf_array_integer(out->kinds, 0, &kind))))
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID,
                          "tokenizer.ggml.token_type is no list of numbers, one for each token");
    if (out->tokens->count > LIMIT_VOCABULARY_TOKENS || out->merges->count > LIMIT_VOCABULARY_TOKENS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED,
                          "%" PRIu64 " tokens and %" PRIu64 " merges: the limit of each is %u",
                          out->tokens->count, out->merges->count, LIMIT_VOCABULARY_TOKENS);
    return DOBBY_OK;
}

static int64_t kind_of(const struct metadata *metadata, uint64_t id)
{
    int64_t kind = KIND_NORMAL;
    (void)gguf_array_integer(metadata->kinds, id, &kind);
    return kind;
}

static bool is_added(int64_t kind)
{
    return kind == KIND_CONTROL || kind == KIND_USER_DEFINED;
}

static dobby_code add_token(struct tokenizer *tokenizer, int64_t kind, uint64_t id, const char *bytes,
                            size_t length, struct dobby_error *err)
{
    struct bpe *bpe = &tokenizer->bpe;
    if (kind == KIND_NORMAL)
        return bpe_add_spelled(bpe, (int64_t)id, bytes, length, err);
    dobby_code code = bpe_add_literal(bpe, (int64_t)id, bytes, length, kind == KIND_CONTROL, err);
    if (code != DOBBY_OK || !is_added(kind))
        return code;
    if (length == 0)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "special token %" PRIu64 " is empty", id);
    tokenizer->added.tokens[tokenizer->added.count++] =
        (struct added_token){.bytes = bpe->tokens[id].bytes, .length = length, .id = (int32_t)id};
    return DOBBY_OK;
}

static dobby_code add_tokens(struct tokenizer *tokenizer, const struct metadata *metadata,
                             struct dobby_error *err)
{
    struct gguf_strings strings;
    const char *bytes = NULL;
    size_t length = 0;
    size_t added_count = 0;
    for (uint64_t id = 0; id < metadata->tokens->count; id++)
        added_count += is_added(kind_of(metadata, id));
    tokenizer->added.tokens =
        arena_alloc_array(&tokenizer->arena, added_count, sizeof(tokenizer->added.tokens[0]));
    if (tokenizer->added.tokens == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu special tokens", added_count);
    (void)gguf_strings_begin(metadata->tokens, &strings);
    dobby_code code = DOBBY_OK;
    for (uint64_t id = 0; code == DOBBY_OK && gguf_strings_next(&strings, &bytes, &length); id++)
        code = add_token(tokenizer, kind_of(metadata, id), id, bytes, length, err);
    return code == DOBBY_OK ? added_tokens_finish(&tokenizer->added, err) : code;
}

static dobby_code add_merges(struct tokenizer *tokenizer, const struct metadata *metadata,
                             struct dobby_error *err)
{
    struct gguf_strings strings;
    const char *bytes = NULL;
    size_t length = 0;
    dobby_code code = DOBBY_OK;
    (void)gguf_strings_begin(metadata->merges, &strings);
    for (uint32_t rank = 0; code == DOBBY_OK && gguf_strings_next(&strings, &bytes, &length); rank++) {
        const char *space = memchr(bytes, ' ', length);
        if (space == NULL)
            return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "merge %u is no pair", rank);
        size_t left = (size_t)(space - bytes);
        code = bpe_add_merge(&tokenizer->bpe, rank, bytes, left, space + 1, length - left - 1, err);
    }
    return code;
}

dobby_code tokenizer_from_gguf(const struct gguf *gguf, struct tokenizer **out, struct dobby_error *err)
{
    *out = NULL;
    struct metadata metadata = {0};
    dobby_code code = find_metadata(gguf, &metadata, err);
    if (code != DOBBY_OK)
        return code;
    struct tokenizer *tokenizer = tokenizer_new();
    if (tokenizer == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a tokenizer");
    code = bpe_init(&tokenizer->bpe, &tokenizer->arena, (size_t)metadata.tokens->count,
                    (size_t)metadata.merges->count, err);
    if (code == DOBBY_OK)
        code = add_splits(gguf, tokenizer, err);
    if (code == DOBBY_OK)
        code = add_tokens(tokenizer, &metadata, err);
    if (code == DOBBY_OK)
        code = add_merges(tokenizer, &metadata, err);
    if (code == DOBBY_OK) {
        bpe_finish(&tokenizer->bpe);
        *out = tokenizer;
        return DOBBY_OK;
    }
    tokenizer_free(tokenizer);
    return code;
}
