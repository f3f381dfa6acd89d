#include "app/screen.h"

#include "unit/test.h"

#include <string.h>

static void redraws_within_the_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        struct screen_size size;
        bool colour;
        const char *want;
    } cases[] = {
        {"nothing", "", {80, 24}, false, "\x1b[H\x1b[J"},
        {"lines", "a\n b\n", {80, 24}, false, "\x1b[Ha\x1b[K\n b\x1b[K\n\x1b[J"},
        {"a paragraph's first line is bold",
         "a\nb\n",
         {80, 24},
         true,
         "\x1b[H\x1b[1ma\x1b[0m\x1b[K\nb\x1b[K\n\x1b[J"},
        {"an empty line is not", "\na", {80, 24}, true, "\x1b[H\x1b[K\n\x1b[1ma\x1b[0m\x1b[K\n\x1b[J"},
        {"the last column stays free", "abcd\nabc\n", {4, 24}, false, "\x1b[Habc\x1b[K\nabc\x1b[K\n\x1b[J"},
        {"the last row stays free", "a\nb\nc\n", {80, 3}, false, "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"},
        {"a wide character is not halved", "a\xe4\xb8\xad\n", {3, 24}, false, "\x1b[Ha\x1b[K\n\x1b[J"},
        {"one column", "abc\n", {1, 24}, false, "\x1b[H\x1b[K\n\x1b[J"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        assert_int_equal(screen_append(&out, cases[i].text, cases[i].size, cases[i].colour, NULL), DOBBY_OK);
        if (strcmp(out.bytes, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].name, out.bytes);
        buffer_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(redraws_within_the_terminal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
