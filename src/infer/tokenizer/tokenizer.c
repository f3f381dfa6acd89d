/* Encoding and decoding. The order of the steps is that of Hugging Face's tokenizers: added tokens are split
 * off, what lies between them is normalised, split into pieces, and each piece is merged. */
#include "infer/tokenizer/tokenizer_parts.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "infer/tokenizer/normalize.h"

#include <stdlib.h>
#include <string.h>

struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
    if (tokenizer != NULL)
        arena_init(&tokenizer->arena, 0);
    return tokenizer;
}

void tokenizer_free(struct tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    splitter_release(&tokenizer->splitter);
    arena_release(&tokenizer->arena);
    free(tokenizer);
}

dobby_code tokenizer_add_split(struct tokenizer *tokenizer, const char *pattern, struct dobby_error *err)
{
    return splitter_add(&tokenizer->splitter, pattern, strlen(pattern), err);
}

/* ---- encoding ------------------------------------------------------------------------------------------ */

struct encoding {
    const struct tokenizer *tokenizer;
    struct buffer text;   /* all spans so far, repaired */
    size_t begin;         /* up to here the text was encoded */
    struct buffer normal; /* of one stretch between added tokens */
    struct bpe_scratch scratch;
    struct token_list *out;
};

static dobby_code encode_piece(void *context, const char *piece, size_t length, struct dobby_error *err)
{
    struct encoding *e = context;
    return bpe_encode(&e->tokenizer->bpe, piece, length, &e->scratch, e->out, err);
}

/* Encodes the text up to `end` as one stretch. */
static dobby_code encode_stretch(struct encoding *e, size_t end, struct dobby_error *err)
{
    if (end == e->begin)
        return DOBBY_OK;
    const char *text = e->text.bytes + e->begin;
    size_t length = end - e->begin;
    e->begin = end;
    if (e->tokenizer->nfc && !normalize_is_trivial(text, length)) {
        buffer_clear(&e->normal);
        dobby_code code = normalize_append_nfc(&e->normal, text, length, err);
        if (code != DOBBY_OK)
            return code;
        text = e->normal.bytes;
        length = e->normal.length;
    }
    return splitter_run(&e->tokenizer->splitter, text, length, encode_piece, e, err);
}

/* Splits off the added tokens of text between begin and end, which one special span covers. */
static dobby_code split_added(struct encoding *e, bool late, size_t begin, size_t end,
                              struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    while (code == DOBBY_OK) {
        struct added_match match = added_tokens_find(&e->tokenizer->added, late, e->text.bytes, begin, end);
        if (!late)
            code = split_added(e, true, begin, match.begin, err);
        if (match.id < 0)
            break;
        if (code == DOBBY_OK)
            code = encode_stretch(e, match.begin, err);
        if (code == DOBBY_OK)
            code = token_list_append(e->out, match.id, err);
        begin = match.end;
        e->begin = match.end;
    }
    return code;
}

static dobby_code add_span(struct encoding *e, const struct text_span *span, struct dobby_error *err)
{
    size_t begin = e->text.length;
    if (span->length == 0)
        return DOBBY_OK;
    dobby_code code = utf8_append_repaired(&e->text, span->bytes, span->length, err);
    if (code == DOBBY_OK && span->special)
        code = split_added(e, false, begin, e->text.length, err);
    return code;
}

dobby_code tokenizer_encode(const struct tokenizer *tokenizer, const struct text_span *spans,
                            size_t span_count, struct token_list *out, struct dobby_error *err)
{
    struct encoding e = {.tokenizer = tokenizer, .out = out};
    size_t count_before = out->count;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < span_count && code == DOBBY_OK; i++)
        code = add_span(&e, &spans[i], err);
    if (code == DOBBY_OK)
        code = encode_stretch(&e, e.text.length, err);
    if (code != DOBBY_OK)
        out->count = count_before;
    buffer_release(&e.text);
    buffer_release(&e.normal);
    bpe_scratch_release(&e.scratch);
    return code;
}

/* ---- decoding ------------------------------------------------------------------------------------------ */

dobby_code tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                            bool with_special, struct buffer *out, struct dobby_error *err)
{
    const struct bpe *bpe = &tokenizer->bpe;
    size_t length_before = out->length;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= bpe->token_count || bpe->tokens[ids[i]].bytes == NULL) {
            code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "token id %d at %zu is not in the vocabulary",
                              ids[i], i);
            break;
        }
        const struct bpe_token *token = &bpe->tokens[ids[i]];
        if (with_special || !token->special)
            code = buffer_append(out, token->bytes, token->length, err);
    }
    if (code != DOBBY_OK && out->bytes != NULL) {
        out->length = length_before;
        out->bytes[length_before] = '\0';
    }
    return code;
}

int32_t tokenizer_special_id(const struct tokenizer *tokenizer, const char *text)
{
    for (size_t i = 0; i < tokenizer->added.count; i++) {
        const struct added_token *token = &tokenizer->added.tokens[i];
        if (token->length == strlen(text) && memcmp(token->bytes, text, token->length) == 0)
            return token->id;
    }
    return -1;
}

uint32_t tokenizer_vocabulary(const struct tokenizer *tokenizer)
{
    return tokenizer->bpe.token_count;
}
