#include "infer/tokenizer/normalize.h"
#include "unit/test.h"

#include <string.h>

static void texts_are_composed(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"nothing", "", ""},
        {"ASCII", "plain text", "plain text"},
        {"Latin-1 stays", "caf\xC3\xA9", "caf\xC3\xA9"},
        {"a mark joins the letter before it", "cafe\xCC\x81!", "caf\xC3\xA9!"},
        {"a mark joins a composed letter", "\xC3\xA5\xCC\x81", "\xC7\xBB"},
        {"a mark at the begin",
         "\xCC\x81"
         "e",
         "\xCC\x81"
         "e"},
        {"two words", "e\xCC\x81 e\xCC\x80", "\xC3\xA9 \xC3\xA8"},
        {"marks in canonical order", "q\xCC\x87\xCC\xA3", "q\xCC\xA3\xCC\x87"},
        {"a blocked mark stays", "a\xCC\xA7\xCC\xA7\xCC\x81", "\xC3\xA1\xCC\xA7\xCC\xA7"},
        {"Hangul", "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"},
        {"singletons", "\xE2\x84\xAB\xE2\x84\xA6", "\xC3\x85\xCE\xA9"},
        {"excluded from composition", "\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC"},
        {"a mark newer than the reference's tables", "e\xE0\xA2\x98\xCC\x81", "e\xE0\xA2\x98\xCC\x81"},
        {"such a mark keeps its place", "e\xCC\x81\xE0\xA2\x99", "\xC3\xA9\xE0\xA2\x99"},
        {"a composite newer than them", "\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0\xF0\x91\xA4\xB8",
         "\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0\xF0\x91\xA4\xB8"},
        {"emoji", "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        struct dobby_error err = {0};
        assert_ok(normalize_append_nfc(&out, cases[i].text, strlen(cases[i].text), &err), &err);
        if (strcmp(out.bytes != NULL ? out.bytes : "", cases[i].want) != 0)
            fail_msg("%s: got %s", cases[i].name, out.bytes);
        buffer_release(&out);
    }
}

static void only_low_characters_are_trivial(void **state)
{
    (void)state;
    assert_true(normalize_is_trivial("", 0));
    assert_true(normalize_is_trivial("a\xC3\xA9\xCB\xBF", 5));
    assert_false(normalize_is_trivial("a\xCC\x80", 3));
    assert_false(normalize_is_trivial("\xE6\x97\xA5", 3));
}

/* A letter with 200,000 marks of two classes in turn: sorting them pairwise would take minutes. */
static void endless_marks_are_sorted(void **state)
{
    enum { PAIRS = 100000 };
    (void)state;
    struct buffer text = {0};
    struct buffer out = {0};
    struct dobby_error err = {0};
    assert_ok(buffer_append_string(&text, "q", &err), &err);
    for (int i = 0; i < PAIRS; i++)
        assert_ok(buffer_append_string(&text, "\xCC\x87\xCC\xA3", &err), &err);
    assert_ok(normalize_append_nfc(&out, text.bytes, text.length, &err), &err);
    assert_int_equal(out.length, text.length);
    for (size_t i = 0; i < 2 * PAIRS; i++)
        assert_memory_equal(out.bytes + 1 + 2 * i, i < PAIRS ? "\xCC\xA3" : "\xCC\x87", 2);
    buffer_release(&text);
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_composed),
        cmocka_unit_test(only_low_characters_are_trivial),
        cmocka_unit_test(endless_marks_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
