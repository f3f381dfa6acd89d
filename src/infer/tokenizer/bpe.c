#include "infer/tokenizer/bpe.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

/* ---- hash tables ------------------------------------------------------------------------------------ */

/* A power of two that keeps the table at most two thirds full. */
static size_t slots_for(size_t count)
{
    size_t slots = 16;
    while (slots < count + count / 2)
        slots *= 2;
    return slots;
}

static uint64_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001B3);
    return hash ^ hash >> 29;
}

static uint64_t hash_pair(uint64_t pair)
{
    pair *= UINT64_C(0x9E3779B97F4A7C15);
    return pair ^ pair >> 32;
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot that holds the bytes' token, or the empty one where it belongs. */
static uint32_t *token_slot(const struct bpe *bpe, const char *bytes, size_t length)
{
    for (uint64_t at = hash_bytes(bytes, length);; at++) {
        uint32_t *slot = &bpe->token_slots[at & bpe->token_slot_mask];
        if (*slot == 0)
            return slot;
        const struct bpe_token *token = &bpe->tokens[*slot - 1];
        if (token->length == length && memcmp(token->bytes, bytes, length) == 0)
            return slot;
    }
}

static struct bpe_merge *merge_slot(const struct bpe *bpe, uint64_t pair)
{
    for (uint64_t at = hash_pair(pair);; at++) {
        struct bpe_merge *slot = &bpe->merges[at & bpe->merge_slot_mask];
        if (slot->rank == UINT32_MAX || slot->pair == pair)
            return slot;
    }
}

int32_t bpe_find(const struct bpe *bpe, const char *bytes, size_t length)
{
    return (int32_t)*token_slot(bpe, bytes, length) - 1;
}

const struct bpe_merge *bpe_find_merge(const struct bpe *bpe, int32_t left, int32_t right)
{
    const struct bpe_merge *slot = merge_slot(bpe, pair_of(left, right));
    return slot->rank == UINT32_MAX ? NULL : slot;
}

/* ---- filling ---------------------------------------------------------------------------------------- */

dobby_code bpe_init(struct bpe *bpe, struct arena *arena, size_t token_count, size_t merge_count,
                    struct dobby_error *err)
{
    *bpe = (struct bpe){.arena = arena};
    if (token_count == 0)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "the vocabulary is empty");
    if (token_count > LIMIT_VOCABULARY_TOKENS || merge_count > LIMIT_VOCABULARY_TOKENS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%zu token ids and %zu merges: the limit of each is %u",
                          token_count, merge_count, LIMIT_VOCABULARY_TOKENS);
    size_t token_slots = slots_for(token_count);
    size_t merge_slots = slots_for(merge_count);
    bpe->tokens = arena_alloc_array(arena, token_count, sizeof(bpe->tokens[0]));
    bpe->token_slots = arena_alloc_array(arena, token_slots, sizeof(bpe->token_slots[0]));
    bpe->merges = arena_alloc_array(arena, merge_slots, sizeof(bpe->merges[0]));
    if (bpe->tokens == NULL || bpe->token_slots == NULL || bpe->merges == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a vocabulary of %zu tokens", token_count);
    for (size_t i = 0; i < merge_slots; i++)
        bpe->merges[i].rank = UINT32_MAX;
    bpe->token_count = (uint32_t)token_count;
    bpe->token_slot_mask = (uint32_t)(token_slots - 1);
    bpe->merge_slot_mask = (uint32_t)(merge_slots - 1);
    return DOBBY_OK;
}

static dobby_code check_token(const struct bpe *bpe, int64_t id, size_t length, struct dobby_error *err)
{
    if (id < 0 || id >= (int64_t)bpe->token_count)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "token id %" PRId64 " is not below %u", id,
                          bpe->token_count);
    if (length > LIMIT_TOKEN_BYTES)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "token %" PRId64 " has %zu bytes, the limit is %d", id,
                          length, LIMIT_TOKEN_BYTES);
    return DOBBY_OK;
}

dobby_code bpe_add_literal(struct bpe *bpe, int64_t id, const char *bytes, size_t length, bool special,
                           struct dobby_error *err)
{
    dobby_code code = check_token(bpe, id, length, err);
    if (code != DOBBY_OK)
        return code;
    struct bpe_token *token = &bpe->tokens[id];
    if (token->bytes != NULL)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "two tokens have the id %" PRId64, id);
    token->bytes = arena_copy(bpe->arena, bytes, length);
    if (token->bytes == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "token %" PRId64, id);
    token->length = (uint32_t)length;
    token->special = special;
    return DOBBY_OK;
}

/* The byte that a character of the byte-level spelling stands for, or -1. The 188 printable bytes of Latin-1
 * stand for themselves; the other 68, in their order, are U+0100 and on. */
static int byte_of_character(uint32_t character)
{
    if ((character >= 33 && character <= 126) || (character >= 161 && character <= 255 && character != 173))
        return (int)character;
    if (character >= 256 && character < 256 + 33)
        return (int)character - 256;
    if (character >= 256 + 33 && character < 256 + 67)
        return (int)character - 256 - 33 + 127;
    return character == 256 + 67 ? 173 : -1;
}

/* Turns a spelling into bytes (room for LIMIT_TOKEN_BYTES); false when it is none or too long. */
static bool read_spelling(const char *spelling, size_t length, char *out, size_t *out_length)
{
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        uint32_t character = 0;
        at += utf8_decode(spelling + at, length - at, &character);
        int byte = byte_of_character(character);
        if (byte < 0 || count == LIMIT_TOKEN_BYTES)
            return false;
        out[count++] = (char)(uint8_t)byte;
    }
    *out_length = count;
    return true;
}

dobby_code bpe_add_spelled(struct bpe *bpe, int64_t id, const char *spelling, size_t length,
                           struct dobby_error *err)
{
    char bytes[LIMIT_TOKEN_BYTES];
    size_t byte_count = 0;
    dobby_code code = check_token(bpe, id, length / 2, err);
    if (code != DOBBY_OK)
        return code;
    bool readable = read_spelling(spelling, length, bytes, &byte_count) && byte_count > 0;
    struct bpe_token *token = &bpe->tokens[id];
    if (token->bytes == NULL) {
        code = readable ? bpe_add_literal(bpe, id, bytes, byte_count, false, err)
                        : bpe_add_literal(bpe, id, spelling, length, false, err);
    } else if (token->spelled) {
        code = DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "two tokens have the id %" PRId64, id);
    } else { /* an added token: only its own bytes may find it */
        readable = readable && token->length == byte_count && memcmp(token->bytes, bytes, byte_count) == 0;
    }
    if (code != DOBBY_OK || !readable)
        return code;
    uint32_t *slot = token_slot(bpe, bytes, byte_count);
    if (*slot != 0)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "tokens %u and %" PRId64 " have the same bytes",
                          *slot - 1, id);
    *slot = (uint32_t)id + 1;
    token->spelled = true;
    return DOBBY_OK;
}

static dobby_code find_part(const struct bpe *bpe, uint32_t rank, const char *bytes, size_t length,
                            int32_t *out, struct dobby_error *err)
{
    *out = bpe_find(bpe, bytes, length);
    if (*out < 0)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "merge %u: %.*s is no token", rank, (int)length,
                          bytes);
    return DOBBY_OK;
}

dobby_code bpe_add_merge(struct bpe *bpe, uint32_t rank, const char *left, size_t left_length,
                         const char *right, size_t right_length, struct dobby_error *err)
{
    char bytes[2 * LIMIT_TOKEN_BYTES];
    size_t left_bytes = 0;
    size_t right_bytes = 0;
    if (!read_spelling(left, left_length, bytes, &left_bytes) || left_bytes == 0 ||
        !read_spelling(right, right_length, bytes + left_bytes, &right_bytes) || right_bytes == 0)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID,
                          "merge %u is not two tokens in the byte-level spelling", rank);
    int32_t left_id = -1;
    int32_t right_id = -1;
    int32_t merged_id = -1;
    dobby_code code = find_part(bpe, rank, bytes, left_bytes, &left_id, err);
    if (code == DOBBY_OK)
        code = find_part(bpe, rank, bytes + left_bytes, right_bytes, &right_id, err);
    if (code == DOBBY_OK)
        code = find_part(bpe, rank, bytes, left_bytes + right_bytes, &merged_id, err);
    if (code != DOBBY_OK)
        return code;
    uint64_t pair = pair_of(left_id, right_id);
    *merge_slot(bpe, pair) = (struct bpe_merge){.pair = pair, .rank = rank, .id = merged_id};
    return DOBBY_OK;
}

void bpe_finish(struct bpe *bpe)
{
    for (int byte = 0; byte < 256; byte++) {
        const char text = (char)(uint8_t)byte;
        bpe->byte_ids[byte] = bpe_find(bpe, &text, 1);
    }
}
