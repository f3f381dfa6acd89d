#include "infer/tokenizer/split_pattern.h"
#include "infer/tokenizer/splitter.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static void patterns_are_translated(void **state)
{
#define S                                                                                                    \
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{" \
    "3000}"
    static const struct {
        const char *pattern, *want; /* NULL: refused */
    } cases[] = {
        {"", ""},
        {"\\s+(?!\\S)", "[" S "]+(?![^" S "])"},
        {"[^\\s\\p{L}]", "[^" S "\\p{L}]"},
        {"[\\s-]", "[" S "-]"},
        {"(?i:'s|'t)", "(?i:'s|'t)"},
        {"\\p{N}{1,3}", "\\p{N}{1,3}"},
        {"a?+b*+c++", "a?+b*+c++"},
        {"[^\\r\\n\\]]", "[^\\r\\n\\]]"},
        {"(?<=a)b(?<!c)(?>d)(e)(?:f)(?=g)", "(?<=a)b(?<!c)(?>d)(e)(?:f)(?=g)"},
        {"\xE6\x97\xA5", "\xE6\x97\xA5"},
        {".", NULL},
        {"^a", NULL},
        {"a$", NULL},
        {"\\w", NULL},
        {"\\b", NULL},
        {"\\K", NULL},
        {"\\1", NULL},
        {"\\x41", NULL},
        {"\\", NULL},
        {"\\pL", NULL},
        {"\\p{}", NULL},
        {"\\p{L", NULL},
        {"[\\S]", NULL},
        {"[\\s-z]", NULL},
        {"[a[b]]", NULL},
        {"[a&&b]", NULL},
        {"[]a]", NULL},
        {"[a", NULL},
        {"a{2}+", NULL},
        {"a{2}?", NULL},
        {"a{,2}", NULL},
        {"{", NULL},
        {"(?i)a", NULL},
        {"(?m:a)", NULL},
        {"(?P<n>a)", NULL},
        {"(*UTF)", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        struct dobby_error err = {0};
        dobby_code code = split_pattern_translate(cases[i].pattern, strlen(cases[i].pattern), &out, &err);
        if (cases[i].want == NULL && code != DOBBY_TOKENIZER_UNSUPPORTED)
            fail_msg("%s: got %s", cases[i].pattern, dobby_code_name(code));
        if (cases[i].want != NULL &&
            (code != DOBBY_OK || strcmp(out.bytes != NULL ? out.bytes : "", cases[i].want) != 0))
            fail_msg("%s: got %s", cases[i].pattern, out.bytes);
        buffer_release(&out);
    }
}

struct pieces {
    struct buffer joined; /* pieces with | between them */
    size_t count;
};

static dobby_code collect(void *context, const char *piece, size_t length, struct dobby_error *err)
{
    struct pieces *pieces = context;
    if (pieces->count++ > 0)
        assert_ok(buffer_append_byte(&pieces->joined, '|', err), err);
    return buffer_append(&pieces->joined, piece, length, err);
}

static void texts_are_split(void **state)
{
    static const struct {
        const char *name, *patterns[2], *text, *want;
    } cases[] = {
        {"nothing to do", {NULL}, "a b", "a b"},
        {"contractions", {split_pattern_gpt2}, "don't I'LL", "don|'t| I|'|LL"},
        {"contractions in any case", {split_pattern_qwen2}, "DON'T I'll", "DON|'T| I|'ll"},
        {"long s is an s", {split_pattern_qwen2}, "a'\xC5\xBF", "a|'\xC5\xBF"},
        {"digits together", {split_pattern_gpt2}, "a 12345", "a| 12345"},
        {"digits one by one", {split_pattern_qwen2}, "a 123", "a| |1|2|3"},
        {"digits by threes", {split_pattern_llama3}, "a 12345", "a| |123|45"},
        {"digits first", {split_pattern_digit, split_pattern_gpt2}, "a 12b", "a| |1|2|b"},
        {"spaces before a word", {split_pattern_gpt2}, "a   b", "a|  | b"},
        {"spaces at the end", {split_pattern_qwen2}, "a   ", "a|   "},
        {"line ends", {split_pattern_qwen2}, "a;\n\n  b \n", "a|;\n\n| | b| \n"},
        {"a tab leads a word", {split_pattern_qwen2}, "\tx", "\tx"},
        {"next line is a space", {split_pattern_gpt2}, "a\xC2\x85!", "a|\xC2\x85|!"},
        {"ideographic space is a space", {split_pattern_gpt2}, "a\xE3\x80\x80!", "a|\xE3\x80\x80|!"},
        {"Mongolian vowel separator is none", {split_pattern_gpt2}, "a\xE1\xA0\x8E!", "a|\xE1\xA0\x8E!"},
        {"gaps are pieces", {"b+"}, "abbc", "a|bb|c"},
        {"empty matches split nothing",
         {"b*"},
         "a\xC3\xA9"
         "bbc",
         "a\xC3\xA9|bb|c"},
        {"only empty matches", {"(?=a)"}, "aa", "aa"},
        {"empty text", {split_pattern_gpt2}, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct splitter splitter = {0};
        struct pieces pieces = {0};
        struct dobby_error err = {0};
        for (size_t k = 0; k < 2 && cases[i].patterns[k] != NULL; k++)
            assert_ok(splitter_add(&splitter, cases[i].patterns[k], strlen(cases[i].patterns[k]), &err),
                      &err);
        assert_ok(splitter_run(&splitter, cases[i].text, strlen(cases[i].text), collect, &pieces, &err),
                  &err);
        const char *have = pieces.joined.bytes != NULL ? pieces.joined.bytes : "";
        if (strcmp(have, cases[i].want) != 0)
            fail_msg("%s: got %s, want %s", cases[i].name, have, cases[i].want);
        buffer_release(&pieces.joined);
        splitter_release(&splitter);
    }
}

static void bad_patterns_are_refused(void **state)
{
    static const char *const patterns[] = {"a)", "(a", "*", "\\p{Nonsense}", "[z-a]", "\xFF"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct splitter splitter = {0};
        struct dobby_error err = {0};
        assert_code(splitter_add(&splitter, patterns[i], strlen(patterns[i]), &err),
                    DOBBY_TOKENIZER_UNSUPPORTED);
        assert_int_equal(splitter.stage_count, 0);
    }
    struct splitter splitter = {0};
    struct dobby_error err = {0};
    for (int i = 0; i < SPLIT_STAGES_MAX; i++)
        assert_ok(splitter_add(&splitter, "a", 1, &err), &err);
    assert_code(splitter_add(&splitter, "a", 1, &err), DOBBY_TOKENIZER_UNSUPPORTED);
    splitter_release(&splitter);
}

static void endless_backtracking_is_ended(void **state)
{
    static const char pattern[] = "(?:a+a+)+[bc]";
    (void)state;
    struct splitter splitter = {0};
    struct pieces pieces = {0};
    struct dobby_error err = {0};
    char text[64];
    memset(text, 'a', sizeof(text));
    assert_ok(splitter_add(&splitter, pattern, strlen(pattern), &err), &err);
    assert_code(splitter_run(&splitter, text, sizeof(text), collect, &pieces, &err), DOBBY_LIMIT_EXCEEDED);
    buffer_release(&pieces.joined);
    splitter_release(&splitter);
}

static dobby_code count_bytes(void *context, const char *piece, size_t length, struct dobby_error *err)
{
    (void)piece;
    (void)err;
    *(size_t *)context += length;
    return DOBBY_OK;
}

/* Runs of five million bytes, of each kind that a pattern repeats: none may run into a limit. */
static void long_runs_are_split(void **state)
{
    static const char *const patterns[] = {split_pattern_gpt2, split_pattern_qwen2, split_pattern_llama3};
    static const char runs[] = "a1. \n\t'";
    enum { LENGTH = 5000000 };
    (void)state;
    char *text = malloc(LENGTH);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct splitter splitter = {0};
        struct dobby_error err = {0};
        assert_ok(splitter_add(&splitter, patterns[i], strlen(patterns[i]), &err), &err);
        for (const char *run = runs; *run != '\0'; run++) {
            size_t bytes = 0;
            memset(text, *run, LENGTH);
            text[LENGTH / 2] = 'x';
            assert_ok(splitter_run(&splitter, text, LENGTH, count_bytes, &bytes, &err), &err);
            assert_int_equal(bytes, LENGTH);
        }
        splitter_release(&splitter);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_translated),  cmocka_unit_test(texts_are_split),
        cmocka_unit_test(bad_patterns_are_refused), cmocka_unit_test(endless_backtracking_is_ended),
        cmocka_unit_test(long_runs_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
