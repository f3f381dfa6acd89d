#include "base/arena.h"
#include "gguf_helper.h"
#include "infer/tokenizer/tokenizer_gguf.h"
#include "unit/test.h"

#include <string.h>

static dobby_code open_small(const struct gguf_edit *edits, struct tokenizer **out, struct dobby_error *err)
{
    struct buffer file = {0};
    struct arena arena;
    struct gguf gguf;
    small_gguf_build(&file, edits);
    arena_init(&arena, 0);
    assert_ok(gguf_parse((const uint8_t *)file.bytes, file.length, &arena, &gguf, err), err);
    dobby_code code = tokenizer_from_gguf(&gguf, out, err);
    arena_release(&arena); /* the tokenizer keeps nothing of the file */
    buffer_release(&file);
    return code;
}

static void texts_are_encoded(void **state)
{
    static const struct {
        const char *name, *pre;
        struct gguf_edit edit;
        const char *text;
        int32_t want[8];
        size_t count;
    } cases[] = {
        {"merges", "qwen2", {EDIT_NONE, NULL, 0, 0, NULL}, "abcab", {257, 256}, 2},
        {"control tokens", "qwen2", {EDIT_NONE, NULL, 0, 0, NULL}, "a<|im_end|>", {'a', 259}, 2},
        {"NFC with qwen2", "qwen2", {EDIT_NONE, NULL, 0, 0, NULL}, "e\xCC\x81", {0xC3, 0xA9}, 2},
        {"none with gpt-2", "gpt-2", {EDIT_NONE, NULL, 0, 0, NULL}, "e\xCC\x81", {'e', 0xCC, 0x81}, 3},
        {"smollm", "smollm", {EDIT_NONE, NULL, 0, 0, NULL}, "12", {'1', '2'}, 2},
        {"llama-bpe", "llama-bpe", {EDIT_NONE, NULL, 0, 0, NULL}, "abc", {257}, 1},
        {"user-defined tokens", "qwen2", {EDIT_TOKEN, NULL, 4, 0, "  "}, "a  b", {'a', 260, 'b'}, 3},
        {"unused tokens are no text", "qwen2", {EDIT_TOKEN, NULL, 5, 0, "[PAD]"}, "[P", {'[', 'P'}, 2},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tokenizer *tokenizer = NULL;
        struct token_list ids = {0};
        struct dobby_error err = {0};
        const struct gguf_edit edits[] = {
            {.kind = EDIT_TEXT, .key = "tokenizer.ggml.pre", .text = cases[i].pre},
            cases[i].edit,
            {.kind = EDIT_NONE}};
        const struct text_span span = {
            .bytes = cases[i].text, .length = strlen(cases[i].text), .special = true};
        assert_ok(open_small(edits, &tokenizer, &err), &err);
        assert_ok(tokenizer_encode(tokenizer, &span, 1, &ids, &err), &err);
        if (ids.count != cases[i].count ||
            memcmp(ids.ids, cases[i].want, ids.count * sizeof(ids.ids[0])) != 0)
            fail_msg("%s: %zu tokens, the first %d", cases[i].name, ids.count, ids.ids[0]);
        token_list_release(&ids);
        tokenizer_free(tokenizer);
    }
}

static void metadata_is_checked(void **state)
{
    static const struct {
        const char *name;
        struct gguf_edit edit;
        dobby_code want;
        const char *detail;
    } cases[] = {
        {"no model", {EDIT_DROP, "tokenizer.ggml.model", 0, 0, NULL}, DOBBY_TOKENIZER_UNSUPPORTED, "(none)"},
        {"another model",
         {EDIT_TEXT, "tokenizer.ggml.model", 0, 0, "llama"},
         DOBBY_TOKENIZER_UNSUPPORTED,
         "tokenizer.ggml.model is llama"},
        {"no split", {EDIT_DROP, "tokenizer.ggml.pre", 0, 0, NULL}, DOBBY_TOKENIZER_UNSUPPORTED, "(none)"},
        {"another split",
         {EDIT_TEXT, "tokenizer.ggml.pre", 0, 0, "default"},
         DOBBY_TOKENIZER_UNSUPPORTED,
         "tokenizer.ggml.pre is default"},
        {"a merge of one", {EDIT_MERGE, NULL, 0, 0, "ab"}, DOBBY_TOKENIZER_INVALID, "merge 2 is no pair"},
        {"a merge of nothing", {EDIT_MERGE, NULL, 0, 0, " b"}, DOBBY_TOKENIZER_INVALID, "merge 2"},
        {"a merge without a token",
         {EDIT_MERGE, NULL, 0, 0, "b b"},
         DOBBY_TOKENIZER_INVALID,
         "merge 2: bb is no token"},
        {"an empty control token", {EDIT_TOKEN, NULL, 3, 0, ""}, DOBBY_TOKENIZER_INVALID, "260 is empty"},
        {"one control token twice",
         {EDIT_TOKEN, NULL, 3, 0, "<|im_end|>"},
         DOBBY_TOKENIZER_INVALID,
         "same text"},
        {"one token twice", {EDIT_TOKEN, NULL, 1, 0, "ab"}, DOBBY_TOKENIZER_INVALID, "same bytes"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tokenizer *tokenizer = NULL;
        struct dobby_error err = {0};
        const struct gguf_edit edits[] = {cases[i].edit, {.kind = EDIT_NONE}};
        dobby_code code = open_small(edits, &tokenizer, &err);
        if (code != cases[i].want || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
        assert_null(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_encoded),
        cmocka_unit_test(metadata_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
