/* A tokenizer from Hugging Face's tokenizer.json. */
#include "infer/tokenizer/tokenizer_parts.h"

#include "base/json.h"
#include "base/limits.h"

#include <inttypes.h>
#include <string.h>

struct json_reader {
    struct tokenizer *tokenizer;
    const struct json *model, *vocabulary, *merges, *added;
    int64_t largest_id;
    dobby_code code; /* of a visitor */
    struct dobby_error *err;
};

static bool is_absent(const struct json *value)
{
    return json_kind_of(value) <= JSON_KIND_NULL;
}

/* Absent, null and false are all "off". */
static bool is_on(const struct json *object, const char *key)
{
    bool on = false;
    return json_to_boolean(json_member(object, key), &on) && on;
}

static bool text_equals(const struct json *value, const char *text)
{
    const char *have = json_to_text(value, NULL);
    return have != NULL && strcmp(have, text) == 0;
}

static const char *type_of(const struct json *object)
{
    const char *type = json_to_text(json_member(object, "type"), NULL);
    return type != NULL ? type : "(none)";
}

/* ---- the model: vocabulary and merges --------------------------------------------------------------- */

static dobby_code check_model(struct json_reader *r)
{
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    double dropout = 0;
    if (!is_absent(json_member(r->model, "type")) && !text_equals(json_member(r->model, "type"), "BPE"))
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "model.type is %.64s, not BPE",
                          type_of(r->model));
    if (json_kind_of(r->vocabulary) != JSON_KIND_OBJECT || json_kind_of(r->merges) != JSON_KIND_ARRAY)
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_INVALID, "model.vocab or model.merges is missing");
    if (json_to_number(json_member(r->model, "dropout"), &dropout) && dropout != 0)
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "model.dropout is %g", dropout);
    if (is_on(r->model, "byte_fallback"))
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "model.byte_fallback is true");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct json *text = json_member(r->model, texts[i]);
        if (!is_absent(text) && !text_equals(text, ""))
            return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "model.%s is set", texts[i]);
    }
    return DOBBY_OK;
}

static bool visit_largest_id(void *context, const char *key, size_t key_length, struct json *value)
{
    struct json_reader *r = context;
    int64_t id = -1;
    if (!json_to_integer(value, &id) || id < 0 || id >= LIMIT_VOCABULARY_TOKENS) {
        r->code =
            DOBBY_FAIL(r->err, DOBBY_TOKENIZER_INVALID, "model.vocab: %.*s: the id must be a number below %u",
                       (int)(key_length < 64 ? key_length : 64), key, LIMIT_VOCABULARY_TOKENS);
        return false;
    }
    if (id > r->largest_id)
        r->largest_id = id;
    return true;
}

static bool visit_token(void *context, const char *key, size_t key_length, struct json *value)
{
    struct json_reader *r = context;
    int64_t id = -1;
    (void)json_to_integer(value, &id);
    r->code = bpe_add_spelled(&r->tokenizer->bpe, id, key, key_length, r->err);
    return r->code == DOBBY_OK;
}

/* A merge is "a b" or ["a", "b"]. */
static dobby_code read_merge(struct json_reader *r, uint32_t rank)
{
    const struct json *merge = json_element(r->merges, rank);
    size_t left_length = 0;
    size_t right_length = 0;
    const char *left = json_to_text(merge, &left_length);
    const char *right = NULL;
    if (left != NULL) {
        const char *space = memchr(left, ' ', left_length);
        if (space != NULL) {
            right = space + 1;
            right_length = left_length - (size_t)(right - left);
            left_length = (size_t)(space - left);
        }
    } else if (json_count(merge) == 2) {
        left = json_to_text(json_element(merge, 0), &left_length);
        right = json_to_text(json_element(merge, 1), &right_length);
    }
    if (left == NULL || right == NULL)
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_INVALID, "model.merges[%u] is no pair", rank);
    return bpe_add_merge(&r->tokenizer->bpe, rank, left, left_length, right, right_length, r->err);
}

/* An unknown token would be needed only for a byte that has none of its own. */
static dobby_code check_unknown(const struct json_reader *r)
{
    const struct json *unknown = json_member(r->model, "unk_token");
    if (is_absent(unknown) || text_equals(unknown, ""))
        return DOBBY_OK;
    for (int byte = 0; byte < 256; byte++) {
        if (r->tokenizer->bpe.byte_ids[byte] < 0)
            return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED,
                              "model.unk_token is set and byte %d has no token", byte);
    }
    return DOBBY_OK;
}

/* ---- added tokens
 * ------------------------------------------------------------------------------------------ */

static dobby_code find_largest_added(struct json_reader *r)
{
    for (size_t i = 0; i < json_count(r->added); i++) {
        int64_t id = -1;
        if (!json_to_integer(json_member(json_element(r->added, i), "id"), &id) || id < 0 ||
            id >= LIMIT_VOCABULARY_TOKENS)
            return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_INVALID, "added_tokens[%zu].id must be below %u", i,
                              LIMIT_VOCABULARY_TOKENS);
        if (id > r->largest_id)
            r->largest_id = id;
    }
    return DOBBY_OK;
}

static dobby_code read_added(struct json_reader *r)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    struct tokenizer *tokenizer = r->tokenizer;
    size_t count = json_count(r->added);
    struct added_tokens *added = &tokenizer->added;
    added->tokens = arena_alloc_array(&tokenizer->arena, count, sizeof(added->tokens[0]));
    if (added->tokens == NULL)
        return DOBBY_FAIL(r->err, DOBBY_OUT_OF_MEMORY, "%zu added tokens", count);
    for (size_t i = 0; i < count; i++) {
        const struct json *entry = json_element(r->added, i);
        int64_t id = -1;
        size_t length = 0;
        const char *content = json_to_text(json_member(entry, "content"), &length);
        bool late = is_on(entry, "normalized");
        (void)json_to_integer(json_member(entry, "id"), &id);
        if (content == NULL || length == 0)
            return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_INVALID, "added_tokens[%zu].content is missing", i);
        for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++) {
            if (is_on(entry, flags[k]))
                return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "added_tokens[%zu].%s is true", i,
                                  flags[k]);
        }
        if (late && tokenizer->nfc)
            return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED,
                              "added_tokens[%zu].normalized is true and the text is normalised", i);
        dobby_code code =
            bpe_add_literal(&tokenizer->bpe, id, content, length, is_on(entry, "special"), r->err);
        if (code != DOBBY_OK)
            return code;
        added->tokens[added->count++] = (struct added_token){
            .bytes = tokenizer->bpe.tokens[id].bytes, .length = length, .id = (int32_t)id, .late = late};
    }
    return added_tokens_finish(added, r->err);
}

static dobby_code read_vocabulary(struct json_reader *r)
{
    struct bpe *bpe = &r->tokenizer->bpe;
    r->largest_id = -1;
    json_each_member(r->vocabulary, visit_largest_id, r);
    dobby_code code = r->code;
    if (code == DOBBY_OK)
        code = find_largest_added(r);
    if (code == DOBBY_OK)
        code =
            bpe_init(bpe, &r->tokenizer->arena, (size_t)(r->largest_id + 1), json_count(r->merges), r->err);
    if (code == DOBBY_OK)
        code = read_added(r);
    if (code != DOBBY_OK)
        return code;
    json_each_member(r->vocabulary, visit_token, r);
    code = r->code;
    for (uint32_t i = 0; i < json_count(r->merges) && code == DOBBY_OK; i++)
        code = read_merge(r, i);
    bpe_finish(bpe);
    bpe->whole_piece_first = is_on(r->model, "ignore_merges");
    return code == DOBBY_OK ? check_unknown(r) : code;
}

/* ---- normaliser and split
 * ---------------------------------------------------------------------------------- */

static dobby_code read_normalizer(struct json_reader *r, const struct json *normalizer)
{
    if (is_absent(normalizer))
        return DOBBY_OK;
    if (text_equals(json_member(normalizer, "type"), "NFC")) {
        r->tokenizer->nfc = true;
        return DOBBY_OK;
    }
    if (!text_equals(json_member(normalizer, "type"), "Sequence"))
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "normalizer %.64s", type_of(normalizer));
    const struct json *list = json_member(normalizer, "normalizers");
    for (size_t i = 0; i < json_count(list); i++) {
        if (!text_equals(json_member(json_element(list, i), "type"), "NFC"))
            return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "normalizer %.64s in a sequence",
                              type_of(json_element(list, i)));
        r->tokenizer->nfc = true;
    }
    return DOBBY_OK;
}

static dobby_code read_split(struct json_reader *r, const struct json *split)
{
    size_t length = 0;
    const char *pattern = json_to_text(json_member(json_member(split, "pattern"), "Regex"), &length);
    if (pattern == NULL)
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "a Split without a Regex");
    if (!text_equals(json_member(split, "behavior"), "Isolated") || is_on(split, "invert"))
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "a Split that is not Isolated, or inverted");
    return splitter_add(&r->tokenizer->splitter, pattern, length, r->err);
}

/* One step other than Sequence. *byte_level is set by the step that every byte-level tokenizer has. */
static dobby_code read_pre_tokenizer(struct json_reader *r, const struct json *step, bool *byte_level)
{
    const struct json *type = json_member(step, "type");
    if (text_equals(type, "Split"))
        return read_split(r, step);
    if (text_equals(type, "Digits")) {
        if (!is_on(step, "individual_digits"))
            return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "Digits that are not individual");
        return tokenizer_add_split(r->tokenizer, split_pattern_digit, r->err);
    }
    if (!text_equals(type, "ByteLevel"))
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "pre_tokenizer %.64s", type_of(step));
    if (is_on(step, "add_prefix_space"))
        return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "ByteLevel with add_prefix_space");
    *byte_level = true;
    bool use_pattern = true;
    if (!is_absent(json_member(step, "use_regex")))
        use_pattern = is_on(step, "use_regex");
    return use_pattern ? tokenizer_add_split(r->tokenizer, split_pattern_gpt2, r->err) : DOBBY_OK;
}

static dobby_code read_pre_tokenizers(struct json_reader *r, const struct json *pre_tokenizer)
{
    bool byte_level = false;
    dobby_code code = DOBBY_OK;
    if (text_equals(json_member(pre_tokenizer, "type"), "Sequence")) {
        const struct json *steps = json_member(pre_tokenizer, "pretokenizers");
        for (size_t i = 0; i < json_count(steps) && code == DOBBY_OK; i++) {
            if (byte_level) /* it would split the spelling, not the text */
                return DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "a step behind ByteLevel");
            code = read_pre_tokenizer(r, json_element(steps, i), &byte_level);
        }
    } else {
        code = read_pre_tokenizer(r, pre_tokenizer, &byte_level);
    }
    if (code == DOBBY_OK && !byte_level)
        code = DOBBY_FAIL(r->err, DOBBY_TOKENIZER_UNSUPPORTED, "a pre_tokenizer without ByteLevel");
    return code;
}

dobby_code tokenizer_from_json(const char *bytes, size_t length, struct tokenizer **out,
                               struct dobby_error *err)
{
    *out = NULL;
    struct json *json = NULL;
    dobby_code code = json_parse(bytes, length, &json, err);
    if (code != DOBBY_OK)
        return code;
    struct json_reader r = {.tokenizer = tokenizer_new(), .err = err};
    if (r.tokenizer == NULL) {
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a tokenizer");
        goto done;
    }
    r.model = json_member(json, "model");
    r.vocabulary = json_member(r.model, "vocab");
    r.merges = json_member(r.model, "merges");
    r.added = json_member(json, "added_tokens");
    const struct json *decoder = json_member(json, "decoder");
    code = check_model(&r);
    if (code == DOBBY_OK && !is_absent(decoder) && !text_equals(json_member(decoder, "type"), "ByteLevel"))
        code = DOBBY_FAIL(err, DOBBY_TOKENIZER_UNSUPPORTED, "decoder %.64s", type_of(decoder));
    if (code == DOBBY_OK)
        code = read_normalizer(&r, json_member(json, "normalizer"));
    if (code == DOBBY_OK)
        code = read_pre_tokenizers(&r, json_member(json, "pre_tokenizer"));
    if (code == DOBBY_OK)
        code = read_vocabulary(&r);
    if (code == DOBBY_OK) {
        *out = r.tokenizer;
        r.tokenizer = NULL;
    }
done:
    tokenizer_free(r.tokenizer);
    json_free(json);
    return code;
}
