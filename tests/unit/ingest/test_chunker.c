#include "base/limits.h"
#include "ingest/chunker.h"
#include "ingest/language.h"
#include "os/file.h"
#include "tokenizer_helper.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static void split(const char *text, size_t length, const char *language, uint32_t tokens_max,
                  struct chunk_list *out)
{
    struct chunker_input input = {.text = text,
                                  .length = length,
                                  .language = language,
                                  .tokens_max = tokens_max,
                                  .tokenizer = embedded_tokenizer()};
    struct dobby_error err;
    assert_ok(chunker_split(chunker_for(language), &input, out, &err), &err);
}

/* ---- what every chunker promises ---- */

static bool splits_utf8(const char *text, size_t length, size_t at)
{
    for (size_t back = 1; back <= 3 && back <= at; back++) {
        unsigned char lead = (unsigned char)text[at - back];
        if ((lead & 0xC0) == 0x80)
            continue;
        size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
        if (bytes <= back || at - back + bytes > length)
            return false;
        for (size_t i = 1; i < bytes; i++)
            if (((unsigned char)text[at - back + i] & 0xC0) != 0x80)
                return false;
        return true;
    }
    return false;
}

/* The tokens of the whole line around a cut, no more of it than shows that it is too long. */
static bool line_is_too_long(const char *text, size_t length, size_t at, uint32_t tokens_max)
{
    size_t first = at, end = at;
    while (first > 0 && text[first - 1] != '\n')
        first--;
    while (end < length && text[end] != '\n')
        end++;
    size_t bytes = end + (end < length) - first;
    return bytes > (size_t)32 * tokens_max || token_count(text + first, bytes) > tokens_max;
}

static void check_promises(const char *name, const char *text, size_t length, uint32_t tokens_max,
                           const struct chunk_list *list)
{
    size_t at = 0;
    uint32_t line = 1;
    assert_true(list->count > 0);
    for (size_t i = 0; i < list->count; i++) {
        const struct chunk *chunk = &list->chunks[i];
        if (chunk->offset != at || chunk->length == 0 || chunk->length > length - at)
            fail_msg("%s: chunk %zu at %zu, want %zu", name, i, chunk->offset, at);
        size_t tokens = token_count(text + at, chunk->length);
        if (tokens > tokens_max)
            fail_msg("%s: chunk %zu has %zu tokens of %u", name, i, tokens, tokens_max);
        if (chunk->first_line != line)
            fail_msg("%s: chunk %zu begins at line %u, want %u", name, i, chunk->first_line, line);
        size_t newlines = 0;
        for (size_t j = 0; j < chunk->length; j++)
            newlines += text[at + j] == '\n';
        bool whole = text[at + chunk->length - 1] == '\n';
        line += (uint32_t)newlines;
        if (chunk->last_line != line - whole)
            fail_msg("%s: chunk %zu ends at line %u, want %u", name, i, chunk->last_line, line - whole);
        at += chunk->length;
        if (at < length && !whole) {
            if (!line_is_too_long(text, length, at, tokens_max))
                fail_msg("%s: a line that is not too long is cut at %zu", name, at);
            if (splits_utf8(text, length, at))
                fail_msg("%s: a character is cut at %zu", name, at);
        }
    }
    assert_int_equal(at, length);
}

static const char *const languages[] = {"c",    "cpp",      "rust",       "go",   "python", "javascript",
                                        "java", "markdown", "shell",      "yaml", "json",   "text",
                                        "php",  "html",     "typescript", "ocaml"};

/* xorshift: the same texts on every machine. */
static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static size_t random_text(uint64_t *random, char *out, size_t bytes_max)
{
    static const char *const parts[] = {"\n",
                                        "\n",
                                        "\n\n",
                                        "\n    ",
                                        "\n\t",
                                        " ",
                                        "  ",
                                        "{",
                                        "}",
                                        "(",
                                        ")",
                                        "\"",
                                        "'",
                                        "`",
                                        "\"\"\"",
                                        "'''",
                                        "//",
                                        "/*",
                                        "*/",
                                        "#",
                                        "# ",
                                        "## ",
                                        "```",
                                        "\\",
                                        "\\\n",
                                        "\r\n",
                                        ";",
                                        ",",
                                        "class",
                                        "int",
                                        "def f:",
                                        "namespace",
                                        "R\"x(",
                                        ")x\"",
                                        "r#\"",
                                        "\"#",
                                        "end",
                                        "else",
                                        "word",
                                        "x",
                                        "<|im_end|>",
                                        "\xf0\x9f\x98\x80",
                                        "\xc3\xa9",
                                        "\xff",
                                        "\x80",
                                        "\xe2\x82",
                                        "e\xcc\x81",
                                        "}\n",
                                        "{\n",
                                        "\xef\xac\xac",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                        "\0"};
    size_t length = 0;
    size_t want = (size_t)(next_random(random) % bytes_max) + 1;
    while (length < want) {
        const char *part = parts[next_random(random) % COUNT_OF(parts)];
        size_t bytes = part[0] == '\0' ? 1 : strlen(part);
        size_t times = next_random(random) % 50 == 0 ? 200 : 1;
        for (size_t i = 0; i < times && length + bytes <= want; i++) {
            memcpy(out + length, part, bytes);
            length += bytes;
        }
        if (length + 32 >= want)
            break;
    }
    if (length == 0)
        out[length++] = 'x';
    return length;
}

static void random_texts_keep_every_promise(void **state)
{
    (void)state;
    static char text[8192];
    static const uint32_t budgets[] = {LIMIT_CHUNK_TOKENS_MIN, 24, 64, 200, 600};
    uint64_t random = 0x9E3779B97F4A7C15u;
    for (unsigned round = 0; round < 400; round++) {
        size_t length = random_text(&random, text, sizeof(text));
        const char *language = languages[round % COUNT_OF(languages)];
        uint32_t tokens_max = budgets[round % COUNT_OF(budgets)];
        char name[64];
        (void)snprintf(name, sizeof(name), "round %u as %s", round, language);
        struct chunk_list list;
        split(text, length, language, tokens_max, &list);
        check_promises(name, text, length, tokens_max, &list);
        chunk_list_release(&list);
    }
}

static void check_directory(const char *path)
{
    struct directory_list list;
    struct dobby_error err;
    assert_ok(directory_list_open(path, &list, &err), &err);
    for (size_t i = 0; i < list.count; i++) {
        char child[4096];
        (void)snprintf(child, sizeof(child), "%s/%s", path, list.entries[i].name);
        if (list.entries[i].kind == FILE_DIRECTORY)
            check_directory(child);
        struct buffer text = {0};
        if (list.entries[i].kind != FILE_REGULAR ||
            file_read(child, false, LIMIT_FILE_BYTES, &text, NULL) != DOBBY_OK || text.length == 0) {
            buffer_release(&text);
            continue;
        }
        static const uint32_t budgets[] = {32, 480};
        for (size_t j = 0; j < COUNT_OF(budgets); j++) {
            struct chunk_list chunks;
            split(text.bytes, text.length, language_of(child, text.bytes, text.length), budgets[j], &chunks);
            check_promises(child, text.bytes, text.length, budgets[j], &chunks);
            chunk_list_release(&chunks);
        }
        buffer_release(&text);
    }
    directory_list_release(&list);
}

static void our_own_sources_keep_every_promise(void **state)
{
    (void)state;
    check_directory(DOBBY_SOURCE_DIR "/src/base");
    check_directory(DOBBY_SOURCE_DIR "/src/ingest");
    check_directory(DOBBY_SOURCE_DIR "/include");
    check_directory(DOBBY_SOURCE_DIR "/tests/e2e");
}

/* ---- where the cuts fall ---- */

/* Filling, so that what holds it twice is a chunk of its own. */
#define BODY                                                                                                 \
    "    alpha = beta(gamma, 17);\n    delta = epsilon(zeta, 23);\n    eta = theta(iota, 31);\n"             \
    "    kappa = lambda(mu, 47);\n    nu = xi(omicron, 59);\n"

enum { CUTS_MAX = 8 };
static const struct {
    const char *name, *language, *text;
    const char *cuts[CUTS_MAX]; /* what each chunk but the first begins with */
} layouts[] = {
    {"functions stand alone with their comments, includes together",
     "c",
     "#include <a.h>\n#include <b.h>\n\nstatic int x;\n\n/* Adds. */\nint add(int a,\n        int "
     "b)\n{\n" BODY "\n" BODY "}\n\n// Takes away.\nint take(void)\n{\n" BODY BODY "}\n",
     {"/* Adds. */", "// Takes away."}},
    {"braces in strings, characters and comments do not count",
     "c",
     "int a(void)\n{\n    s = \"{{{\"; c = '{'; /* {{ */ // {\n" BODY BODY "}\n\nint b(void)\n{\n" BODY BODY
     "}\n",
     {"int b"}},
    {"a brace in the first column heals what #if opened twice",
     "c",
     "#if A\nint a(int x) {\n#else\nint a(void) {\n#endif\n" BODY BODY "}\n\nint b(void)\n{\n" BODY BODY
     "}\n\nint c(void)\n{\n" BODY BODY "}\n",
     {"int b", "int c"}},
    {"functions without a blank line between",
     "c",
     "int a(void)\n{\n" BODY BODY "}\nint b(void)\n{\n" BODY BODY "}\n",
     {"int b"}},
    {"else stays with its if",
     "javascript",
     "function a() {\n" BODY BODY "}\n\nif (x) {\n" BODY "}\n\nelse {\n" BODY "}\n",
     {"if (x)"}},
    {"a namespace is no nesting",
     "cpp",
     "namespace a {\n\nint b() {\n" BODY BODY "}\n\nint c() {\n" BODY BODY "}\n\n}\n",
     {"int c"}},
    {"a namespace with its brace below",
     "cpp",
     "namespace a\n{\n\nint b() {\n" BODY BODY "}\n\nint c() {\n" BODY BODY "}\n\n}\n",
     {"int c"}},
    {"raw strings and digit separators",
     "cpp",
     "auto a = R\"x({{{ \" )\" )x\";\nint b() {\n    n = 1'000'000;\n" BODY BODY "}\n\nint c() {\n" BODY BODY
     "}\n",
     {"int c"}},
    {"lifetimes are no strings",
     "rust",
     "/// One.\nfn a<'x>(s: &'x str) -> &'x str {\n    let c = '{'; let r = r#\"{\"{\"#;\n" BODY BODY
     "}\n\n#[test]\nfn b() {\n" BODY BODY "}\n",
     {"#[test]"}},
    {"regular expressions and templates",
     "javascript",
     "const a = () => {\n    x.replace(/[`'\"{]/g, `{${y}`);\n" BODY BODY "};\n\nfunction b() {\n" BODY BODY
     "}\n",
     {"function b"}},
    {"imports in brackets are no definition",
     "go",
     "package a\n\nimport (\n\t\"b\"\n\t\"c\"\n)\n\nvar d = 1\n\nfunc e() {\n\tf := `\n}\n`\n" BODY BODY
     "}\n\nfunc g() {\n" BODY BODY "}\n",
     {"func e", "func g"}},
    {"decorators, docstrings and brackets",
     "python",
     "import a\n\n\n@decorated\ndef b(x,\n  y\n):\n    \"\"\"Doc.\n\ndef not_this():\n    \"\"\"\n" BODY BODY
     "\n\n# Comment.\ndef c():\n" BODY BODY "\nclass D:\n    def e(self):\n" BODY BODY,
     {"# Comment.", "class D"}},
    {"end closes, then something new begins",
     "ruby",
     "def a\n" BODY BODY "end\ndef b\n" BODY BODY "end\n",
     {"def b"}},
    {"sections of a document, not of its code",
     "markdown",
     "# Title\n" BODY BODY BODY BODY "\n## One\n" BODY BODY BODY BODY
     "```\n# not this\n```\n## Two\n" BODY BODY BODY BODY BODY,
     {"## One", "## Two"}},
};

static void cuts_fall_where_a_reader_would_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(layouts); i++) {
        struct chunk_list list;
        const char *text = layouts[i].text;
        split(text, strlen(text), layouts[i].language, 400, &list);
        check_promises(layouts[i].name, text, strlen(text), 400, &list);
        size_t want = 0;
        while (want < CUTS_MAX && layouts[i].cuts[want] != NULL)
            want++;
        for (size_t j = 1; j < list.count; j++) {
            const char *begin = text + list.chunks[j].offset;
            const char *cut = j <= want ? layouts[i].cuts[j - 1] : "(no further chunk)";
            if (strncmp(begin, cut, strlen(cut)) != 0)
                fail_msg("%s: chunk %zu begins \"%.30s\", want \"%s\"", layouts[i].name, j, begin, cut);
        }
        if (list.count != want + 1)
            fail_msg("%s: %zu chunks, want %zu", layouts[i].name, list.count, want + 1);
        chunk_list_release(&list);
    }
}

/* A class above the budget falls into its methods, a function above it into few even parts. */
static void what_is_too_long_is_cut_further_in(void **state)
{
    (void)state;
    static const char class_text[] =
        "class A {\n    int x;\n\n    void b() {\n" BODY BODY "    }\n\n    void c() {\n" BODY BODY
        "    }\n\n    void d() {\n" BODY BODY "    }\n}\n";
    struct chunk_list list;
    split(class_text, strlen(class_text), "java", 250, &list);
    check_promises("class", class_text, strlen(class_text), 250, &list);
    assert_true(list.count >= 3);
    size_t methods = 0;
    for (size_t i = 0; i < list.count; i++)
        methods += strncmp(class_text + list.chunks[i].offset, "    void ", 9) == 0;
    assert_true(methods >= 2);
    chunk_list_release(&list);

    static const char function[] =
        "void a() {\n" BODY "\n" BODY "\n" BODY "\n" BODY "\n" BODY "\n" BODY "}\n";
    size_t tokens = token_count(function, strlen(function));
    uint32_t tokens_max = (uint32_t)(tokens * 2 / 3);
    split(function, strlen(function), "c", tokens_max, &list);
    check_promises("function", function, strlen(function), tokens_max, &list);
    assert_int_equal(list.count, 2);
    chunk_list_release(&list);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    struct chunker_input input = {
        .text = "x", .length = 1, .language = "c", .tokens_max = 100, .tokenizer = embedded_tokenizer()};
    struct chunk_list list;
    struct dobby_error err;
    input.tokens_max = LIMIT_CHUNK_TOKENS_MIN - 1;
    assert_code(chunker_split(&chunker_layout, &input, &list, &err), DOBBY_LIMIT_EXCEEDED);
    assert_null(list.chunks);
    input.tokens_max = 100;
    input.length = 0;
    assert_code(chunker_split(&chunker_layout, &input, &list, NULL), DOBBY_LIMIT_EXCEEDED);
    input.length = LIMIT_FILE_BYTES + 1;
    assert_code(chunker_split(&chunker_layout, &input, &list, &err), DOBBY_LIMIT_EXCEEDED);
}

/* A chunker that breaks its promises: what the text begins with says how. */
static dobby_code broken_split(const struct chunker_input *input, struct chunk_list *out,
                               struct dobby_error *err)
{
    size_t count = input->text[0] == 'n' ? 0 : 2;
    if (count == 0)
        return DOBBY_OK;
    out->chunks = calloc(count, sizeof(*out->chunks));
    if (out->chunks == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "chunks");
    out->count = out->capacity = count;
    out->chunks[0] = (struct chunk){.offset = 0, .length = input->text[0] == 'e' ? 0 : 1};
    size_t second = input->text[0] == 'g' ? 2 : out->chunks[0].length;
    out->chunks[1] = (struct chunk){
        .offset = second,
        .length = input->text[0] == 's' ? 1 : input->length - second + (input->text[0] == 'l')};
    return DOBBY_OK;
}

static void a_chunker_that_breaks_its_promise_is_found_out(void **state)
{
    (void)state;
    static const struct chunker broken = {.name = "broken", .split = broken_split};
    static const char *const texts[] = {"none", "empty", "gap", "short", "long"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct chunker_input input = {.text = texts[i],
                                      .length = strlen(texts[i]),
                                      .language = "c",
                                      .tokens_max = 100,
                                      .tokenizer = embedded_tokenizer()};
        struct chunk_list list;
        assert_code(chunker_split(&broken, &input, &list, NULL), DOBBY_INTERNAL);
        assert_null(list.chunks);
        assert_int_equal(list.count, 0);
    }
    /* One that ignores the budget alone is put right. */
    static char text[4000];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 7)
        text[i] = i % 2 == 0 ? '\n' : '+';
    struct chunker_input input = {.text = text,
                                  .length = sizeof(text),
                                  .language = "c",
                                  .tokens_max = 50,
                                  .tokenizer = embedded_tokenizer()};
    struct chunk_list list;
    struct dobby_error err;
    assert_ok(chunker_split(&broken, &input, &list, &err), &err);
    check_promises("broken", text, sizeof(text), 50, &list);
    chunk_list_release(&list);
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
        cmocka_unit_test(random_texts_keep_every_promise),
        cmocka_unit_test(our_own_sources_keep_every_promise),
        cmocka_unit_test(cuts_fall_where_a_reader_would_cut),
        cmocka_unit_test(what_is_too_long_is_cut_further_in),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(a_chunker_that_breaks_its_promise_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, close_tokenizer);
}
