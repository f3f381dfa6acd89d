#include "base/limits.h"
#include "infer/tokenizer/bpe.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % bound;
}

/* A vocabulary over the letters a to d: the letters, and `merge_count` merges of earlier tokens. */
static void make_random_bpe(struct bpe *bpe, struct arena *arena, uint32_t merge_count)
{
    struct dobby_error err = {0};
    uint32_t count = 0;
    assert_ok(bpe_init(bpe, arena, 4 + merge_count, merge_count, &err), &err);
    for (; count < 4; count++) {
        const char letter = (char)('a' + count);
        assert_ok(bpe_add_spelled(bpe, count, &letter, 1, &err), &err);
    }
    uint32_t lefts[256], rights[256];
    uint32_t made = 0;
    for (int tries = 0; made < merge_count && tries < 4000; tries++) {
        char bytes[64];
        uint32_t left = random_below(count);
        uint32_t right = random_below(count);
        uint32_t length = bpe->tokens[left].length + bpe->tokens[right].length;
        if (length > 12)
            continue;
        memcpy(bytes, bpe->tokens[left].bytes, bpe->tokens[left].length);
        memcpy(bytes + bpe->tokens[left].length, bpe->tokens[right].bytes, bpe->tokens[right].length);
        if (bpe_find(bpe, bytes, length) >= 0)
            continue;
        assert_ok(bpe_add_spelled(bpe, count++, bytes, length, &err), &err);
        lefts[made] = left;
        rights[made++] = right;
    }
    for (uint32_t rank = 0; rank < made; rank++) {
        const struct bpe_token *left = &bpe->tokens[lefts[rank]];
        const struct bpe_token *right = &bpe->tokens[rights[rank]];
        assert_ok(bpe_add_merge(bpe, rank, left->bytes, left->length, right->bytes, right->length, &err),
                  &err);
    }
    bpe_finish(bpe);
}

/* The definition: merge the leftmost pair of the lowest rank until there is none. */
static void encode_naively(const struct bpe *bpe, const char *piece, size_t length, struct token_list *out)
{
    for (size_t i = 0; i < length; i++)
        assert_int_equal(token_list_append(out, bpe->byte_ids[(uint8_t)piece[i]], NULL), DOBBY_OK);
    for (;;) {
        const struct bpe_merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < out->count; i++) {
            const struct bpe_merge *merge = bpe_find_merge(bpe, out->ids[i], out->ids[i + 1]);
            if (merge != NULL && (best == NULL || merge->rank < best->rank)) {
                best = merge;
                at = i;
            }
        }
        if (best == NULL)
            return;
        out->ids[at] = best->id;
        out->count--;
        memmove(out->ids + at + 1, out->ids + at + 2, (out->count - at - 1) * sizeof(out->ids[0]));
    }
}

static void merging_equals_its_definition(void **state)
{
    (void)state;
    random_state = 1;
    for (int round = 0; round < 60; round++) {
        struct arena arena;
        struct bpe bpe;
        struct bpe_scratch scratch = {0};
        arena_init(&arena, 0);
        make_random_bpe(&bpe, &arena, 1 + random_below(200));
        for (int text = 0; text < 60; text++) {
            char piece[400];
            size_t length = 1 + random_below(text % 2 == 0 ? 60 : 400);
            uint32_t letters = 1 + random_below(4);
            struct token_list have = {0};
            struct token_list want = {0};
            for (size_t i = 0; i < length; i++)
                piece[i] = (char)('a' + random_below(letters));
            assert_int_equal(bpe_encode(&bpe, piece, length, &scratch, &have, NULL), DOBBY_OK);
            encode_naively(&bpe, piece, length, &want);
            assert_int_equal(have.count, want.count);
            assert_memory_equal(have.ids, want.ids, want.count * sizeof(want.ids[0]));
            token_list_release(&have);
            token_list_release(&want);
        }
        bpe_scratch_release(&scratch);
        arena_release(&arena);
    }
}

static void make_small(struct bpe *bpe, struct arena *arena)
{
    struct dobby_error err = {0};
    arena_init(arena, 0);
    assert_ok(bpe_init(bpe, arena, 8, 1, &err), &err);
    assert_ok(bpe_add_literal(bpe, 5, "bc", 2, true, &err), &err);
    assert_ok(bpe_add_spelled(bpe, 0, "a", 1, &err), &err);
    assert_ok(bpe_add_spelled(bpe, 1, "b", 1, &err), &err);
    assert_ok(bpe_add_spelled(bpe, 2, "c", 1, &err), &err);
    assert_ok(bpe_add_spelled(bpe, 3, "ab", 2, &err), &err);
    assert_ok(bpe_add_spelled(bpe, 4, "abc", 3, &err), &err);
    assert_ok(bpe_add_spelled(bpe, 5, "bc", 2, &err), &err);
    assert_ok(bpe_add_merge(bpe, 0, "a", 1, "b", 1, &err), &err);
    bpe_finish(bpe);
}

static void whole_pieces_and_unknown_bytes(void **state)
{
    static const struct {
        const char *name, *piece;
        bool whole_piece_first;
        size_t count;
        int32_t ids[4];
    } cases[] = {
        {"merges alone", "abc", false, 2, {3, 2}},
        {"a whole piece", "abc", true, 1, {4}},
        {"never a special token", "bc", true, 2, {1, 2}},
        {"a byte without a token is left out", "azb", false, 1, {3}},
        {"nothing left", "zz", false, 0, {0}},
    };
    (void)state;
    struct arena arena;
    struct bpe bpe;
    struct bpe_scratch scratch = {0};
    make_small(&bpe, &arena);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct token_list ids = {0};
        bpe.whole_piece_first = cases[i].whole_piece_first;
        assert_int_equal(bpe_encode(&bpe, cases[i].piece, strlen(cases[i].piece), &scratch, &ids, NULL),
                         DOBBY_OK);
        if (ids.count != cases[i].count ||
            (ids.count > 0 && memcmp(ids.ids, cases[i].ids, 4 * ids.count) != 0))
            fail_msg("%s", cases[i].name);
        token_list_release(&ids);
    }
    char unknown[100];
    struct token_list ids = {0};
    memset(unknown, 'z', sizeof(unknown));
    assert_int_equal(bpe_encode(&bpe, unknown, sizeof(unknown), &scratch, &ids, NULL), DOBBY_OK);
    assert_int_equal(ids.count, 0);
    token_list_release(&ids);
    bpe_scratch_release(&scratch);
    arena_release(&arena);
}

static void spellings_become_bytes(void **state)
{
    static const struct {
        const char *spelling, *bytes; /* NULL: no spelling of bytes */
    } cases[] = {
        {"\xC4\xA0", " "},            /* U+0120 */
        {"\xC4\x80\xC4\x8A", "\0\n"}, /* U+0100, U+010A */
        {"\xC4\xA1", "\x7F"},         /* U+0121 */
        {"\xC5\x82", "\xA0"},         /* U+0142 */
        {"\xC5\x83", "\xAD"},         /* U+0143 */
        {"\xC3\xBF~!", "\xFF~!"},
        {"\xC5\x84", NULL}, /* U+0144 */
        {" ", NULL},
        {"\xC2\xAD", NULL},
        {"a\xFF", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena;
        struct bpe bpe;
        struct dobby_error err = {0};
        arena_init(&arena, 0);
        assert_ok(bpe_init(&bpe, &arena, 1, 0, &err), &err);
        size_t length = strlen(cases[i].spelling);
        assert_ok(bpe_add_spelled(&bpe, 0, cases[i].spelling, length, &err), &err);
        if (cases[i].bytes == NULL) {
            assert_false(bpe.tokens[0].spelled);
            assert_memory_equal(bpe.tokens[0].bytes, cases[i].spelling, length);
        } else {
            assert_true(bpe.tokens[0].spelled);
            assert_memory_equal(bpe.tokens[0].bytes, cases[i].bytes, bpe.tokens[0].length);
        }
        arena_release(&arena);
    }
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct arena arena;
    struct bpe bpe;
    struct dobby_error err = {0};
    char *spelling = calloc(1, 2 * LIMIT_TOKEN_BYTES + 4);
    assert_non_null(spelling);
    for (size_t i = 0; i < 2 * LIMIT_TOKEN_BYTES + 4; i++)
        spelling[i] = 'a';
    arena_init(&arena, 0);
    assert_code(bpe_init(&bpe, &arena, 0, 0, &err), DOBBY_TOKENIZER_INVALID);
    assert_code(bpe_init(&bpe, &arena, LIMIT_VOCABULARY_TOKENS + 1, 0, &err), DOBBY_LIMIT_EXCEEDED);
    assert_code(bpe_init(&bpe, &arena, 1, LIMIT_VOCABULARY_TOKENS + 1, &err), DOBBY_LIMIT_EXCEEDED);
    assert_ok(bpe_init(&bpe, &arena, 4, 4, &err), &err);
    assert_code(bpe_add_literal(&bpe, 0, spelling, LIMIT_TOKEN_BYTES + 1, false, &err), DOBBY_LIMIT_EXCEEDED);
    assert_code(bpe_add_spelled(&bpe, 0, spelling, LIMIT_TOKEN_BYTES + 1, &err), DOBBY_LIMIT_EXCEEDED);
    assert_ok(bpe_add_spelled(&bpe, 0, spelling, LIMIT_TOKEN_BYTES, &err), &err);
    assert_code(bpe_add_spelled(&bpe, 0, "b", 1, &err), DOBBY_TOKENIZER_INVALID);
    assert_code(bpe_add_literal(&bpe, 0, "b", 1, false, &err), DOBBY_TOKENIZER_INVALID);
    assert_code(bpe_add_spelled(&bpe, 1, spelling, LIMIT_TOKEN_BYTES, &err), DOBBY_TOKENIZER_INVALID);
    assert_code(bpe_add_spelled(&bpe, 4, "b", 1, &err), DOBBY_TOKENIZER_INVALID);
    assert_code(bpe_add_spelled(&bpe, -1, "b", 1, &err), DOBBY_TOKENIZER_INVALID);
    assert_code(bpe_add_merge(&bpe, 0, spelling, LIMIT_TOKEN_BYTES, spelling, LIMIT_TOKEN_BYTES, &err),
                DOBBY_TOKENIZER_INVALID);
    assert_code(bpe_add_merge(&bpe, 0, "", 0, "a", 1, &err), DOBBY_TOKENIZER_INVALID);
    arena_release(&arena);
    free(spelling);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_equals_its_definition),
        cmocka_unit_test(whole_pieces_and_unknown_bytes),
        cmocka_unit_test(spellings_become_bytes),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
