#include "base/crypto.h"
#include "ingest/chunker.h"
#include "ingest/cut.h"
#include "store/store_memory.h"
#include "store/store_versions.h"
#include "tokenizer_helper.h"
#include "tree_helper.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static struct ingest_options options_of(uint32_t tokens)
{
    return (struct ingest_options){.chunk_tokens_max = tokens, .tokenizer = embedded_tokenizer()};
}

static void a_cut_names_all_that_decides_it(void **state)
{
    static const char *const names[] = {"chunker=", " rules=", " chunk_tokens=400 ",
                                        " file_bytes=", " tokenizer="};
    const struct ingest_options options = options_of(400), others = options_of(401);
    char text[INGEST_CUT_BYTES], other[INGEST_CUT_BYTES];
    (void)state;
    ingest_cut_text(&options, text);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strstr(text, names[i]) == NULL)
            fail_msg("no '%s' in '%s'", names[i], text);
    assert_in_range(strlen(text), 1, INGEST_CUT_BYTES - 2);
    ingest_cut_text(&others, other);
    assert_string_not_equal(text, other);
    ingest_cut_text(&options, other);
    assert_string_equal(text, other);
}

static void differences_are_told(void **state)
{
    static const struct {
        const char *name, *was, *now, *want;
    } cases[] = {
        {"one", "chunker=a@1 chunk_tokens=400", "chunker=a@1 chunk_tokens=800", "chunk_tokens 400, now 800"},
        {"two", "chunker=a@1 chunk_tokens=400", "chunker=a@2 chunk_tokens=800",
         "chunker a@1, now a@2; chunk_tokens 400, now 800"},
        {"a tokenizer", "chunk_tokens=4 tokenizer=00", "chunk_tokens=4 tokenizer=01",
         "another model's tokenizer"},
        {"one that begins alike", "chunk_tokens=40", "chunk_tokens=400", "chunk_tokens 40, now 400"},
        {"a new one", "chunk_tokens=4", "chunk_tokens=4 overlap=2", "overlap none, now 2"},
        {"one that is gone", "chunk_tokens=4 overlap=2", "chunk_tokens=4", "other settings"},
        {"an unknown one", "", "chunk_tokens=4", "by a version that did not keep how"},
        {"no settings at all", "by hand", "chunk_tokens=4", "chunk_tokens none, now 4"},
        {"an empty value", "chunk_tokens=", "chunk_tokens=4", "chunk_tokens , now 4"},
        {"no value", "chunk_tokens", "chunk_tokens=4", "chunk_tokens , now 4"},
        {"hostile bytes", "x=\x1b[2J", "x=1", "x \\x1B[2J, now 1"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        struct dobby_error err;
        assert_ok(ingest_cut_difference(cases[i].was, cases[i].now, &out, &err), &err);
        if (strcmp(out.bytes, cases[i].want) != 0)
            fail_msg("%s: '%s', not '%s'", cases[i].name, out.bytes, cases[i].want);
        buffer_release(&out);
    }
}

static dobby_code see_cut(void *context, const struct cut_row *row, struct dobby_error *err)
{
    return buffer_append_format(context, err, "%s %u\n", row->cut, (unsigned)row->records);
}

/* What is skipped was never cut. */
static void ingest_keeps_how_chunks_were_cut(void **state)
{
    const struct ingest_options options = options_of(400);
    char text[INGEST_CUT_BYTES], want[INGEST_CUT_BYTES + 8];
    struct tree tree;
    struct store *store;
    struct ingest_report report;
    struct dobby_error err;
    struct buffer seen = {0};
    (void)state;
    tree_make(&tree);
    tree_write_text(&tree, "a.c", "int a;\n");
    tree_write_text(&tree, "b.c", "int b;\n");
    tree_write(&tree, "c",
               "\x7f"
               "ELF\0\0",
               6);
    assert_ok(store_memory_open(&store, &err), &err);
    assert_ok(ingest_path(store, tree.root, &options, &report, &err), &err);
    assert_int_equal(report.records.added, 3);
    assert_ok(store_cuts(store, NULL, see_cut, &seen, &err), &err);
    ingest_cut_text(&options, text);
    (void)snprintf(want, sizeof(want), "%s 2\n", text);
    assert_string_equal(seen.bytes, want);
    buffer_release(&seen);
    store_close(store);
    tree_remove(&tree);
}

#define BODY "    total += values[i] * weights[i] + offset_of(table, i, \"a text of some length\");\n"
#define FUNCTION(name) "/* What it does. */\nint " name "(void)\n{\n" BODY BODY BODY BODY BODY BODY "}\n\n"

#define SMALL(name) "int " name "(void)\n{\n    return 1;\n}\n\n"

/* A stored cut is compared by its chunker's name, so a chunker that cuts otherwise must have another. */
static void a_chunker_that_cuts_otherwise_has_another_name(void **state)
{
    static const char *const texts[][2] = {
        {"c",
         "#include <stdio.h>\n\nstatic int x;\nint one(void);\n\n" FUNCTION("a") SMALL("b") SMALL("c")
             SMALL("d") FUNCTION("e") "struct s {\n    int a;\n    int b;\n};\n\n" SMALL("f") FUNCTION("g")},
        {"python", "import os\n\nclass A:\n    def a(self):\n" BODY BODY "\n    def b(self):\n" BODY BODY},
        {"markdown", "# Title\n\n" BODY BODY BODY "\n## One\n\n" BODY BODY BODY "\n## Two\n\n" BODY},
        {"text", BODY BODY "\n" BODY BODY BODY "\n\n" BODY BODY BODY BODY},
    };
    struct sha256 sha = {0};
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    struct dobby_error err;
    (void)state;
    assert_ok(sha256_init(&sha, &err), &err);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (uint32_t tokens = 16; tokens <= 512; tokens += 8) {
            const struct chunker_input input = {.text = texts[i][1],
                                                .length = strlen(texts[i][1]),
                                                .language = texts[i][0],
                                                .tokens_max = tokens,
                                                .tokenizer = embedded_tokenizer()};
            struct chunk_list list;
            assert_ok(chunker_split(chunker_for(input.language), &input, &list, &err), &err);
            for (size_t j = 0; j < list.count; j++) {
                const uint32_t end = (uint32_t)(list.chunks[j].offset + list.chunks[j].length);
                assert_ok(sha256_field(&sha, &end, sizeof(end), &err), &err);
            }
            chunk_list_release(&list);
        }
    }
    assert_ok(sha256_final(&sha, digest, &err), &err);
    sha256_release(&sha);
    sha256_hex(digest, hex);
    hex[16] = '\0';
    if (strcmp(chunker_for("")->name, "layout@1") != 0 || strcmp(hex, "5ec0a527b02c5b94") != 0)
        fail_msg(
            "%s cuts these texts as %s: where that is intended, raise the version in its name, and keep both "
            "here",
            chunker_for("")->name, hex);
}

static int close_tokenizer(void **state)
{
    (void)state;
    embedded_tokenizer_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_names_all_that_decides_it),
        cmocka_unit_test(differences_are_told),
        cmocka_unit_test(ingest_keeps_how_chunks_were_cut),
        cmocka_unit_test(a_chunker_that_cuts_otherwise_has_another_name),
    };
    return cmocka_run_group_tests_name("cut", tests, NULL, close_tokenizer);
}
