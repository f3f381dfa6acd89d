/* Byte-level byte-pair encoding: the vocabulary, the merges by rank, and their use on one piece of text.
 *
 * Files spell a token's bytes as Unicode characters (a space is U+0120); here a token is its bytes. Filled
 * once, then immutable. */
#ifndef INFER_TOKENIZER_BPE_H
#define INFER_TOKENIZER_BPE_H

#include "base/arena.h"
#include "infer/tokenizer/tokenizer.h"

struct bpe_token {
    const char *bytes; /* NULL: no token has this id */
    uint32_t length;
    bool spelled; /* found by its bytes: part of the vocabulary that merges build */
    bool special; /* never the result of encoding plain text */
};

struct bpe_merge {
    uint64_t pair; /* left id << 32 | right id */
    uint32_t rank; /* UINT32_MAX: an empty slot */
    int32_t id;    /* of the merged token */
};

struct bpe {
    struct arena *arena; /* borrowed: holds all below */
    struct bpe_token *tokens;
    uint32_t token_count;  /* largest id + 1 */
    uint32_t *token_slots; /* hash table of ids + 1 by bytes; 0 is empty */
    uint32_t token_slot_mask;
    struct bpe_merge *merges; /* hash table by pair */
    uint32_t merge_slot_mask;
    int32_t byte_ids[256];  /* -1: the byte has no token and is left out */
    bool whole_piece_first; /* a piece that is a token needs no merges ("ignore_merges") */
};

/* Room for ids below token_count and for merge_count merges.
 * Fails: LIMIT_EXCEEDED, TOKENIZER_INVALID (no tokens), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code bpe_init(struct bpe *bpe, struct arena *arena, size_t token_count,
                                    size_t merge_count, struct dobby_error *err);
/* A token whose text stands for itself: an added token, or one that only decoding needs. It comes before
 * the vocabulary's entry of the same id. Fails: TOKENIZER_INVALID, LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code bpe_add_literal(struct bpe *bpe, int64_t id, const char *bytes, size_t length,
                                           bool special, struct dobby_error *err);
/* A vocabulary entry in the byte-level spelling. Fails as bpe_add_literal. */
DOBBY_NODISCARD dobby_code bpe_add_spelled(struct bpe *bpe, int64_t id, const char *spelling, size_t length,
                                           struct dobby_error *err);
/* After all tokens. A pair given again takes the later rank. Fails: TOKENIZER_INVALID (a part or the whole
 * is no token), LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code bpe_add_merge(struct bpe *bpe, uint32_t rank, const char *left, size_t left_length,
                                         const char *right, size_t right_length, struct dobby_error *err);
/* After all merges. */
void bpe_finish(struct bpe *bpe);

/* The id of a token's bytes, or -1. */
int32_t bpe_find(const struct bpe *bpe, const char *bytes, size_t length);
/* NULL when the pair does not merge. */
const struct bpe_merge *bpe_find_merge(const struct bpe *bpe, int32_t left, int32_t right);

/* Working memory of one thread's encoding; zeroed is empty. */
struct bpe_scratch {
    struct bpe_symbol *symbols;
    uint64_t *heap;
    size_t capacity; /* of symbols; the heap has twice as many */
};
void bpe_scratch_release(struct bpe_scratch *scratch);

/* Appends the tokens of one piece of text. Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code bpe_encode(const struct bpe *bpe, const char *piece, size_t length,
                                      struct bpe_scratch *scratch, struct token_list *out,
                                      struct dobby_error *err);
DOBBY_NODISCARD dobby_code token_list_append(struct token_list *list, int32_t id, struct dobby_error *err);

#endif
