/* What two tokenizers must have in common to make the same tokens of any text. */
#include "base/mix.h"
#include "infer/tokenizer/tokenizer_parts.h"

static uint64_t add_bytes(uint64_t hash, const char *bytes, size_t length)
{
    hash = mix64(hash ^ length);
    for (size_t i = 0; i < length; i++)
        hash = mix64(hash ^ (uint8_t)bytes[i]);
    return hash;
}

uint64_t tokenizer_fingerprint(const struct tokenizer *tokenizer)
{
    const struct bpe *bpe = &tokenizer->bpe;
    uint64_t hash = mix64(tokenizer->splitter.patterns);
    hash = mix64(hash ^ (uint64_t)tokenizer->nfc);
    hash = mix64(hash ^ (uint64_t)bpe->whole_piece_first);
    for (uint32_t id = 0; id < bpe->token_count; id++) {
        const struct bpe_token *token = &bpe->tokens[id];
        if (token->bytes != NULL && token->spelled)
            hash = add_bytes(mix64(hash ^ id), token->bytes, token->length);
    }
    /* In which slots merges lie depends on the order in which a file names them, so their order must not
     * count. */
    uint64_t merges = 0;
    for (uint32_t i = 0; i <= bpe->merge_slot_mask && bpe->merges != NULL; i++)
        if (bpe->merges[i].rank != UINT32_MAX)
            merges += mix64(bpe->merges[i].pair ^ mix64(bpe->merges[i].rank));
    return mix64(hash ^ merges);
}
