#include "ingest/language.h"
#include "unit/test.h"

#include <string.h>

static const struct {
    const char *path, *text, *want;
} rows[] = {
    {"src/main.c", "", "c"},
    {"MAIN.PY", "", "python"},
    {"include/a.h", "struct a;\n", "c"},
    {"include/a.h", "#pragma once\n  namespace a {\n}\n", "cpp"},
    {"include/a.h", "/* a class of things */\nint x;\n", "c"},
    {"a.hpp", "", "cpp"},
    {"lib.rs", "", "rust"},
    {"x.tsx", "", "typescript"},
    {"Makefile", "", "make"},
    {"sub/Makefile.am", "", "make"},
    {"Dockerfile", "", "dockerfile"},
    {"Dockerfile.test", "", "dockerfile"},
    {"CMakeLists.txt", "", "cmake"},
    {"notes.txt", "", "text"},
    {"README", "", "text"},
    {"README.md", "", "markdown"},
    {".gitignore", "", "text"},
    {"run", "#!/bin/sh\n", "shell"},
    {"run", "#!/usr/bin/env python3\n", "python"},
    {"run", "#!/usr/bin/env -S python3.11 -u\n", "python"},
    {"run", "#! /usr/bin/perl -w", "perl"},
    {"run", "#!/usr/bin/env node\r\n", "javascript"},
    {"run", "#!", "text"},
    {"run", "#!\n", "text"},
    {"run", "#!/usr/bin/env", "text"},
    {"run", "plain", "text"},
    {"script.py", "#!/bin/sh\n", "python"},
    {"a.", "", "text"},
    {"", "", "text"},
    {"a.unknown", "", "text"},
};

static void language_follows_name_extension_and_interpreter(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *got = language_of(rows[i].path, rows[i].text, strlen(rows[i].text));
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s with \"%s\": got %s, want %s", rows[i].path, rows[i].text, got, rows[i].want);
    }
}

static void any_language_has_a_syntax(void **state)
{
    (void)state;
    assert_int_equal(language_syntax("no such language")->kind, LAYOUT_PARAGRAPHS);
    assert_int_equal(language_syntax("c")->kind, LAYOUT_BRACES);
    assert_int_equal(language_syntax("python")->kind, LAYOUT_INDENT);
    assert_int_equal(language_syntax("markdown")->kind, LAYOUT_HEADINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(language_follows_name_extension_and_interpreter),
        cmocka_unit_test(any_language_has_a_syntax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
