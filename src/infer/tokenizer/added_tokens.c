#include "infer/tokenizer/added_tokens.h"

#include <stdlib.h>
#include <string.h>

static int compare_tokens(const void *left, const void *right)
{
    const struct added_token *a = left;
    const struct added_token *b = right;
    uint8_t first_a = (uint8_t)a->bytes[0];
    uint8_t first_b = (uint8_t)b->bytes[0];
    if (first_a != first_b)
        return first_a < first_b ? -1 : 1;
    if (a->length != b->length)
        return a->length > b->length ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->length);
}

dobby_code added_tokens_finish(struct added_tokens *added, struct dobby_error *err)
{
    if (added->count > 1)
        qsort(added->tokens, added->count, sizeof(added->tokens[0]), compare_tokens);
    for (size_t i = 1; i < added->count; i++) {
        if (compare_tokens(&added->tokens[i - 1], &added->tokens[i]) == 0)
            return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "added tokens %d and %d have the same text",
                              added->tokens[i - 1].id, added->tokens[i].id);
    }
    size_t at = 0;
    for (size_t byte = 0; byte < 256; byte++) {
        added->first[byte] = (uint32_t)at;
        while (at < added->count && (uint8_t)added->tokens[at].bytes[0] == byte)
            at++;
    }
    added->first[256] = (uint32_t)at;
    return DOBBY_OK;
}

struct added_match added_tokens_find(const struct added_tokens *added, bool late, const char *text,
                                     size_t begin, size_t end)
{
    for (size_t at = begin; at < end && added->count > 0; at++) {
        uint8_t byte = (uint8_t)text[at];
        for (uint32_t i = added->first[byte]; i < added->first[byte + 1]; i++) {
            const struct added_token *token = &added->tokens[i];
            if (token->late == late && token->length <= end - at &&
                memcmp(text + at, token->bytes, token->length) == 0)
                return (struct added_match){.begin = at, .end = at + token->length, .id = token->id};
        }
    }
    return (struct added_match){.begin = end, .end = end, .id = -1};
}
