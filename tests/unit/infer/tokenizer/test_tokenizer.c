#include "infer/tokenizer/tokenizer.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

/* A tokenizer of the printable ASCII letters and a few merges; what varies is filled in by %s. */
#define VOCABULARY                                                                                           \
    "\"a\":0,\"b\":1,\"c\":2,\"\xC4\xA0\":3,\"<\":4,\">\":5,\"|\":6,\"x\":7,\"ab\":8,\"abc\":9,"             \
    "\"\xC3\xAF\":10,\"\xC2\xBF\":11,\"\xC2\xBD\":12,\"\xC3\x83\":13,\"\xC2\xA9\":14,\"e\":15"
#define ADDED                                                                                                \
    "[{\"id\":16,\"content\":\"<x>\",\"special\":true},{\"id\":17,\"content\":\"<x>x\",\"special\":true},"   \
    "{\"id\":18,\"content\":\"<a>\",\"special\":false}]"
#define MERGES "[\"a b\",\"ab c\"]"
#define MODEL(rest) "\"model\":{\"type\":\"BPE\",\"vocab\":{" VOCABULARY "},\"merges\":" MERGES rest "}"
#define BYTE_LEVEL "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define WHOLE "{\"added_tokens\":" ADDED ",\"normalizer\":{\"type\":\"NFC\"}," BYTE_LEVEL "," MODEL("") "}"

static struct tokenizer *open_whole(void)
{
    struct tokenizer *tokenizer = NULL;
    struct dobby_error err = {0};
    assert_ok(tokenizer_from_json(WHOLE, strlen(WHOLE), &tokenizer, &err), &err);
    return tokenizer;
}

static void spans_are_encoded_as_one_text(void **state)
{
    static const struct {
        const char *name;
        struct {
            const char *text;
            bool special;
        } spans[4];
        int32_t want[12];
        size_t count;
    } cases[] = {
        {"nothing", {{NULL, false}}, {0}, 0},
        {"an empty span", {{"", true}}, {0}, 0},
        {"merges", {{"abc", false}}, {9}, 1},
        {"merges cross borders", {{"a", false}, {"b", true}, {"c", false}}, {9}, 1},
        {"special where allowed", {{"a<x>b", true}}, {0, 16, 1}, 3},
        {"not special elsewhere", {{"a<x>b", false}}, {0, 4, 7, 5, 1}, 5},
        {"the longest one", {{"<x>x<x>", true}}, {17, 16}, 2},
        {"not across a border", {{"<x", true}, {">", true}}, {4, 7, 5}, 3},
        {"not across a record", {{"<", true}, {"x", false}, {">", true}}, {4, 7, 5}, 3},
        {"added but not special", {{"<a>", true}}, {18}, 1},
        {"text before and after", {{"ab", false}, {"c<x>a", true}, {"bc", false}}, {9, 16, 9}, 3},
        {"specials side by side", {{"<x><x>", true}, {"<x>", true}}, {16, 16, 16}, 3},
        {"composed across a border", {{"e", false}, {"\xCC\x81", false}}, {13, 14}, 2},
        {"an invalid byte", {{"a\xFF", false}}, {0, 10, 11, 12}, 4},
        {"repaired span by span", {{"\xC3", false}, {"\xA9", false}}, {10, 11, 12, 10, 11, 12}, 6},
        {"one for each maximal part", {{"\xE6\x97", false}}, {10, 11, 12}, 3},
        {"an invalid byte beside a special token", {{"\xC3<x>", true}}, {10, 11, 12, 16}, 4},
        {"bytes without a token are left out", {{"a\x01z", false}}, {0}, 1},
    };
    (void)state;
    struct tokenizer *tokenizer = open_whole();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text_span spans[4];
        size_t span_count = 0;
        struct token_list ids = {0};
        struct dobby_error err = {0};
        for (; span_count < 4 && cases[i].spans[span_count].text != NULL; span_count++)
            spans[span_count] = (struct text_span){.bytes = cases[i].spans[span_count].text,
                                                   .length = strlen(cases[i].spans[span_count].text),
                                                   .special = cases[i].spans[span_count].special};
        assert_ok(tokenizer_encode(tokenizer, spans, span_count, &ids, &err), &err);
        if (ids.count != cases[i].count ||
            (ids.count > 0 && memcmp(ids.ids, cases[i].want, ids.count * sizeof(ids.ids[0])) != 0)) {
            for (size_t k = 0; k < ids.count; k++)
                print_error("%d ", ids.ids[k]);
            fail_msg("%s", cases[i].name);
        }
        token_list_release(&ids);
    }
    tokenizer_free(tokenizer);
}

static void encoding_appends(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_whole();
    struct token_list ids = {0};
    struct dobby_error err = {0};
    const struct text_span span = {.bytes = "abc", .length = 3};
    for (int i = 0; i < 100; i++)
        assert_ok(tokenizer_encode(tokenizer, &span, 1, &ids, &err), &err);
    assert_int_equal(ids.count, 100);
    assert_int_equal(ids.ids[99], 9);
    token_list_release(&ids);
    assert_null(ids.ids);
    tokenizer_free(tokenizer);
}

static void decoding(void **state)
{
    (void)state;
    static const int32_t ids[] = {9, 3, 16, 18, 13};
    static const int32_t unknown[] = {9, 19}, negative[] = {-1};
    struct tokenizer *tokenizer = open_whole();
    struct buffer out = {0};
    struct dobby_error err = {0};
    assert_ok(tokenizer_decode(tokenizer, ids, COUNT_OF(ids), false, &out, &err), &err);
    assert_string_equal(out.bytes, "abc <a>\xC3");
    assert_ok(tokenizer_decode(tokenizer, ids, COUNT_OF(ids), true, &out, &err), &err);
    assert_string_equal(out.bytes, "abc <a>\xC3"
                                   "abc <x><a>\xC3");
    buffer_clear(&out);
    assert_code(tokenizer_decode(tokenizer, unknown, 2, true, &out, &err), DOBBY_INVALID_ARGUMENT);
    assert_code(tokenizer_decode(tokenizer, negative, 1, true, &out, &err), DOBBY_INVALID_ARGUMENT);
    assert_int_equal(out.length, 0);
    assert_int_equal(tokenizer_special_id(tokenizer, "<x>"), 16);
    assert_int_equal(tokenizer_special_id(tokenizer, "<y>"), -1);
    assert_int_equal(tokenizer_special_id(tokenizer, "abc"), -1);
    assert_int_equal(tokenizer_vocabulary(tokenizer), 19);
    buffer_release(&out);
    tokenizer_free(tokenizer);
    tokenizer_free(NULL);
}

/* "normalized": true: such a token is looked for in what the others leave, even if it begins earlier. */
static void late_tokens_come_second(void **state)
{
    static const char text[] =
        "{\"added_tokens\":[{\"id\":16,\"content\":\"bc\",\"special\":true},"
        "{\"id\":17,\"content\":\"ab\",\"special\":true,\"normalized\":true}]," BYTE_LEVEL "," MODEL("") "}";
    static const int32_t want[] = {0, 16, 17, 7};
    (void)state;
    struct tokenizer *tokenizer = NULL;
    struct token_list ids = {0};
    struct dobby_error err = {0};
    const struct text_span span = {.bytes = "abcabx", .length = 6, .special = true};
    assert_ok(tokenizer_from_json(text, strlen(text), &tokenizer, &err), &err);
    assert_ok(tokenizer_encode(tokenizer, &span, 1, &ids, &err), &err);
    assert_int_equal(ids.count, COUNT_OF(want));
    assert_memory_equal(ids.ids, want, sizeof(want));
    token_list_release(&ids);
    tokenizer_free(tokenizer);
}

#define SEQUENCE(steps) "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]}"
#define BYTES_ONLY "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SPLIT(rest) "{\"type\":\"Split\"," rest "}"
#define ADD(rest) "{\"added_tokens\":[{\"id\":16,\"content\":\"<x>\"" rest "}]," BYTE_LEVEL "," MODEL("") "}"

static uint64_t fingerprint_of(const char *text)
{
    struct tokenizer *tokenizer = NULL;
    struct dobby_error err = {0};
    assert_ok(tokenizer_from_json(text, strlen(text), &tokenizer, &err), &err);
    const uint64_t fingerprint = tokenizer_fingerprint(tokenizer);
    tokenizer_free(tokenizer);
    return fingerprint;
}

static void a_fingerprint_tells_tokenizers_apart(void **state)
{
#define PARTS(vocabulary, merges, rest)                                                                      \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocabulary "},\"merges\":" merges rest "}"
#define NFC "\"normalizer\":{\"type\":\"NFC\"},"
    static const struct {
        const char *name, *text;
        bool same;
    } cases[] = {
        {"the same", WHOLE, true},
        {"other special tokens", "{" NFC BYTE_LEVEL "," MODEL("") "}", true},
        {"not normalised", "{" BYTE_LEVEL "," MODEL("") "}", false},
        {"whole pieces first", "{" NFC BYTE_LEVEL "," MODEL(",\"ignore_merges\":true") "}", false},
        {"other merges", "{" NFC BYTE_LEVEL "," PARTS(VOCABULARY, "[\"a b\"]", "") "}", false},
        {"another order of merges", "{" NFC BYTE_LEVEL "," PARTS(VOCABULARY, "[\"ab c\",\"a b\"]", "") "}",
         false},
        {"one more token", "{" NFC BYTE_LEVEL "," PARTS(VOCABULARY ",\"f\":16", MERGES, "") "}", false},
        {"another split",
         "{" NFC "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
         "\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]}," MODEL("") "}",
         false},
    };
    (void)state;
    const uint64_t whole = fingerprint_of(WHOLE);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if ((fingerprint_of(cases[i].text) == whole) != cases[i].same)
            fail_msg("%s", cases[i].name);
}

static void files_are_checked(void **state)
{
    static const struct {
        const char *name, *text;
        dobby_code want;
        const char *detail;
    } cases[] = {
        {"whole", WHOLE, DOBBY_OK, ""},
        {"no JSON", "{", DOBBY_JSON_INVALID, "line 1"},
        {"no model", "{}", DOBBY_TOKENIZER_INVALID, "model.vocab"},
        {"a list", "[]", DOBBY_TOKENIZER_INVALID, "model.vocab"},
        {"another model", "{\"model\":{\"type\":\"Unigram\"}}", DOBBY_TOKENIZER_UNSUPPORTED, "Unigram"},
        {"dropout", "{" BYTE_LEVEL "," MODEL(",\"dropout\":0.1") "}", DOBBY_TOKENIZER_UNSUPPORTED, "dropout"},
        {"byte fallback", "{" BYTE_LEVEL "," MODEL(",\"byte_fallback\":true") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "byte_fallback"},
        {"a prefix", "{" BYTE_LEVEL "," MODEL(",\"continuing_subword_prefix\":\"##\"") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "continuing_subword_prefix"},
        {"empty texts are none",
         "{" BYTE_LEVEL "," MODEL(",\"continuing_subword_prefix\":\"\",\"unk_token\":\"\"") "}", DOBBY_OK,
         ""},
        {"an unknown token", "{" BYTE_LEVEL "," MODEL(",\"unk_token\":\"a\"") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "unk_token"},
        {"no vocabulary", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{},\"merges\":[]}}", DOBBY_TOKENIZER_INVALID,
         "empty"},
        {"an id as text", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":\"0\"},\"merges\":[]}}",
         DOBBY_TOKENIZER_INVALID, "model.vocab: a"},
        {"a negative id", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}",
         DOBBY_TOKENIZER_INVALID, "model.vocab: a"},
        {"a huge id", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":1048576},\"merges\":[]}}",
         DOBBY_TOKENIZER_INVALID, "below 1048576"},
        {"one id twice", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
         DOBBY_TOKENIZER_INVALID, "two tokens have the id 0"},
        {"a merge of one", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}",
         DOBBY_TOKENIZER_INVALID, "model.merges[0]"},
        {"a merge of three",
         "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"a\",\"a\"]]}}",
         DOBBY_TOKENIZER_INVALID, "model.merges[0]"},
        {"a merge of a number", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[1]}}",
         DOBBY_TOKENIZER_INVALID, "model.merges[0]"},
        {"a merge into nothing", "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}",
         DOBBY_TOKENIZER_INVALID, "merge 0: aa is no token"},
        {"a merge as a pair",
         "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0,\"aa\":1},\"merges\":[[\"a\",\"a\"]]}}", DOBBY_OK,
         ""},
        {"no pre-tokenizer", "{" MODEL("") "}", DOBBY_TOKENIZER_UNSUPPORTED, "pre_tokenizer"},
        {"another pre-tokenizer", "{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "Metaspace"},
        {"a prefix space",
         "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "add_prefix_space"},
        {"digits in groups", "{" SEQUENCE("{\"type\":\"Digits\"}," BYTES_ONLY) "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "Digits"},
        {"digits one by one",
         "{" SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true}," BYTES_ONLY) "," MODEL("") "}",
         DOBBY_OK, ""},
        {"no byte level",
         "{" SEQUENCE(SPLIT("\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Isolated\"")) "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "without ByteLevel"},
        {"a step behind", "{" SEQUENCE(BYTES_ONLY "," BYTES_ONLY) "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "behind ByteLevel"},
        {"a split by a text",
         "{" SEQUENCE(SPLIT(
             "\"pattern\":{\"String\":\"a\"},\"behavior\":\"Isolated\"") "," BYTES_ONLY) "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "without a Regex"},
        {"a split that removes",
         "{" SEQUENCE(SPLIT(
             "\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Removed\"") "," BYTES_ONLY) "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "not Isolated"},
        {"a split by lines",
         "{" SEQUENCE(SPLIT(
             "\"pattern\":{\"Regex\":\"^a\"},\"behavior\":\"Isolated\"") "," BYTES_ONLY) "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "offset 0"},
        {"another normalizer", "{\"normalizer\":{\"type\":\"NFKC\"}," BYTE_LEVEL "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "NFKC"},
        {"a sequence of NFC",
         "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}," BYTE_LEVEL
         "," MODEL("") "}",
         DOBBY_OK, ""},
        {"a sequence of others",
         "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]}," BYTE_LEVEL
         "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "Lowercase"},
        {"another decoder", "{\"decoder\":{\"type\":\"WordPiece\"}," BYTE_LEVEL "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "WordPiece"},
        {"an added token without id", "{\"added_tokens\":[{\"content\":\"x\"}]," BYTE_LEVEL "," MODEL("") "}",
         DOBBY_TOKENIZER_INVALID, "added_tokens[0].id"},
        {"an added token without text", "{\"added_tokens\":[{\"id\":16}]," BYTE_LEVEL "," MODEL("") "}",
         DOBBY_TOKENIZER_INVALID, "added_tokens[0].content"},
        {"a stripping token", ADD(",\"lstrip\":true"), DOBBY_TOKENIZER_UNSUPPORTED, "added_tokens[0].lstrip"},
        {"a single word", ADD(",\"single_word\":true"), DOBBY_TOKENIZER_UNSUPPORTED, "single_word"},
        {"two added tokens of one text",
         "{\"added_tokens\":[{\"id\":16,\"content\":\"x\"},{\"id\":17,\"content\":\"x\"}]," BYTE_LEVEL
         "," MODEL("") "}",
         DOBBY_TOKENIZER_INVALID, "same text"},
        {"a normalised token with NFC",
         "{\"normalizer\":{\"type\":\"NFC\"},\"added_tokens\":[{\"id\":16,\"content\":\"x\","
         "\"normalized\":true}]," BYTE_LEVEL "," MODEL("") "}",
         DOBBY_TOKENIZER_UNSUPPORTED, "normalized"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tokenizer *tokenizer = NULL;
        struct dobby_error err = {0};
        dobby_code code = tokenizer_from_json(cases[i].text, strlen(cases[i].text), &tokenizer, &err);
        if (code != cases[i].want || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
        assert_int_equal(tokenizer != NULL, code == DOBBY_OK);
        tokenizer_free(tokenizer);
    }
}

/* One piece of five million bytes is merged, not scanned again for each merge. */
static void a_long_line_is_encoded(void **state)
{
    enum { LENGTH = 5000000 };
    (void)state;
    struct tokenizer *tokenizer = open_whole();
    struct token_list ids = {0};
    struct dobby_error err = {0};
    char *text = malloc(LENGTH);
    assert_non_null(text);
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = "abc"[i % 3];
    const struct text_span span = {.bytes = text, .length = LENGTH, .special = true};
    assert_ok(tokenizer_encode(tokenizer, &span, 1, &ids, &err), &err);
    assert_int_equal(ids.count, LENGTH / 3 + 1);
    assert_int_equal(ids.ids[0], 9);
    assert_int_equal(ids.ids[ids.count - 1], 8);
    token_list_release(&ids);
    free(text);
    tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_encoded_as_one_text),
        cmocka_unit_test(encoding_appends),
        cmocka_unit_test(decoding),
        cmocka_unit_test(late_tokens_come_second),
        cmocka_unit_test(a_fingerprint_tells_tokenizers_apart),
        cmocka_unit_test(files_are_checked),
        cmocka_unit_test(a_long_line_is_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
