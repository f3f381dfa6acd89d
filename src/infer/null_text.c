#include "infer/null_text.h"

#include "base/limits.h"

#include <stdlib.h>

/* English prose: it passes every check that a plausible summary passes. */
static const char fixed_text[] = "Text of the null engine, which reads no input and stands in for a summary.";

enum {
    BYTE_BITS = 8,
    TEXT_TOKENS = (sizeof fixed_text - 1 + ENGINE_NULL_BYTES_A_TOKEN - 1) / ENGINE_NULL_BYTES_A_TOKEN
};

const char *engine_null_text(void)
{
    return fixed_text;
}

uint32_t null_text_tokens(void)
{
    return TEXT_TOKENS;
}

static dobby_code reserve(struct token_list *list, size_t more, struct dobby_error *err)
{
    if (list->capacity - list->count >= more)
        return DOBBY_OK;
    const size_t capacity = list->count + more > 2 * list->capacity ? list->count + more : 2 * list->capacity;
    int32_t *ids = realloc(list->ids, capacity * sizeof *ids);
    if (ids == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu tokens", capacity);
    list->ids = ids;
    list->capacity = capacity;
    return DOBBY_OK;
}

dobby_code null_text_tokenize(const struct text_span *spans, size_t count, struct token_list *out,
                              struct dobby_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].length > LIMIT_BUFFER_BYTES - bytes)
            return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "a prompt of more than %zu bytes",
                              LIMIT_BUFFER_BYTES);
        bytes += spans[i].length;
    }
    const size_t tokens = (bytes + ENGINE_NULL_BYTES_A_TOKEN - 1) / ENGINE_NULL_BYTES_A_TOKEN;
    const dobby_code code = reserve(out, tokens, err);
    if (code != DOBBY_OK)
        return code;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < spans[i].length; j++, at++) {
            const int32_t value = (unsigned char)spans[i].bytes[j];
            int32_t *id = &out->ids[out->count + at / ENGINE_NULL_BYTES_A_TOKEN];
            const size_t shift = at % ENGINE_NULL_BYTES_A_TOKEN * BYTE_BITS;
            *id = shift == 0 ? value : *id | value << shift;
        }
    }
    out->count += tokens;
    return DOBBY_OK;
}

bool null_text_holds(const int32_t *tokens, size_t count, const char *bytes, size_t length)
{
    const size_t text_length = count * ENGINE_NULL_BYTES_A_TOKEN;
    for (size_t i = 0; i + length <= text_length; i++) {
        size_t same = 0;
        while (same < length) {
            const size_t at = i + same, shift = at % ENGINE_NULL_BYTES_A_TOKEN * BYTE_BITS;
            if ((char)(tokens[at / ENGINE_NULL_BYTES_A_TOKEN] >> shift) != bytes[same])
                break;
            same++;
        }
        if (same == length)
            return true;
    }
    return false;
}

void null_text_fill(uint32_t count, enum finish_reason finish, struct engine_result *result)
{
    const uint32_t with_end = count + (finish == FINISH_END_TOKEN);
    const size_t text_length = sizeof fixed_text - 1;
    result->text_length =
        finish == FINISH_END_TOKEN ? text_length : (size_t)count * ENGINE_NULL_BYTES_A_TOKEN;
    result->text = malloc(result->text_length + 1);
    result->tokens = calloc(with_end, sizeof *result->tokens);
    result->logprobs = calloc(with_end, sizeof *result->logprobs); /* certain: the logarithm of 1 */
    if (result->text == NULL || result->tokens == NULL || result->logprobs == NULL) {
        engine_result_release(result);
        result->finish = FINISH_ERROR;
        (void)DOBBY_FAIL(&result->error, DOBBY_OUT_OF_MEMORY, "a result of %u tokens", (unsigned)count);
        return;
    }
    for (size_t i = 0; i < result->text_length; i++)
        result->text[i] = fixed_text[i % text_length];
    result->text[result->text_length] = '\0';
    for (size_t i = 0; i < (size_t)count * ENGINE_NULL_BYTES_A_TOKEN; i++) {
        const int32_t value = i < result->text_length ? (unsigned char)result->text[i] : 0;
        result->tokens[i / ENGINE_NULL_BYTES_A_TOKEN] |= value << (i % ENGINE_NULL_BYTES_A_TOKEN * BYTE_BITS);
    }
    result->finish = finish;
    result->tokens_out = count;
    result->confidence = 1;
}
