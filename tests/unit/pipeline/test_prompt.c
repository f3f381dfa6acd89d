#include "unit/test.h"

#include "base/limits.h"
#include "pipeline/prompt.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 4096, SPANS_MAX = 128 };

static struct prompt_values values_of(const char *path, const char *language, const char *content)
{
    return (struct prompt_values){
        .path = path, .language = language, .content = content, .content_length = strlen(content)};
}

/* The rendered bytes; the special ones are counted. */
static size_t render(const struct prompt_template *prompt, const struct prompt_values *values,
                     char text[TEXT_BYTES])
{
    struct text_span spans[SPANS_MAX];
    size_t special = 0, length = 0;
    assert_true(prompt_template_span_count(prompt) <= SPANS_MAX);
    size_t count = prompt_render(prompt, values, spans);
    assert_true(count <= prompt_template_span_count(prompt));
    for (size_t i = 0; i < count; i++) {
        assert_true(spans[i].length > 0 && length + spans[i].length < TEXT_BYTES);
        memcpy(text + length, spans[i].bytes, spans[i].length);
        length += spans[i].length;
        special += spans[i].special ? spans[i].length : 0;
    }
    text[length] = '\0';
    return special;
}

static void renders(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        bool chatml;
        const char *path, *language, *content;
        const char *want;
    } rows[] = {
        {"content alone", "{content}", false, "p", "c", "x", "x"},
        {"all three", "{path} {language}: {content}.", false, "a.c", "c", "int x;", "a.c c: int x;."},
        {"twice", "{content}{content}", false, "", "", "ab", "abab"},
        {"braces", "{{{content}}} {{path}}", false, "p", "c", "x", "{x} {path}"},
        {"a value is never parsed", "{content}|{path}", false, "{content}", "c", "{path}",
         "{path}|{content}"},
        {"empty line left out", "{path}\n{content}", false, "", "c", "x", "x"},
        {"empty line with CRLF left out", "{path}\r\n{content}", false, "", "c", "x", "x"},
        {"line with CRLF kept", "{path}\r\n{content}", false, "p", "c", "x", "p\r\nx"},
        {"two empty lines left out", "a\n{path}\n{language}\n{content}\n", false, "", "", "x", "a\nx\n"},
        {"a line with more on it stays", "File: {path}\n{content}", false, "", "c", "x", "File: \nx"},
        {"a line with more behind it stays", "{path}:\n{content}", false, "", "c", "x", ":\nx"},
        {"two placeholders on a line stay", "{path}{language}\n{content}", false, "", "", "x", "\nx"},
        {"a missing path is empty", "{path}\n{content}", false, NULL, NULL, "x", "x"},
        {"last line without its end", "{content}\n{path}", false, "", "c", "x", "x\n"},
        {"byte order mark dropped", "\xEF\xBB\xBF{content}", false, "", "", "x", "x"},
        {"wrapped", "Say: {content}", true, "", "", "x",
         "<|im_start|>user\nSay: x<|im_end|>\n<|im_start|>assistant\n"},
        {"wrapped without the file's last newline", "{path}\n{content}\n", true, "", "", "x",
         "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"},
        {"wrapped without its CRLF", "{content}\r\n", true, "", "", "x",
         "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"},
        {"not wrapped twice", "<|im_start|>user\n{content}<|im_end|>\n", true, "", "", "x",
         "<|im_start|>user\nx<|im_end|>\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err = {0};
        struct prompt_template *prompt;
        char text[TEXT_BYTES];
        print_message("    %s\n", rows[i].name);
        assert_ok(
            prompt_template_parse("t", rows[i].text, strlen(rows[i].text), rows[i].chatml, &prompt, &err),
            &err);
        struct prompt_values values = values_of(rows[i].path, rows[i].language, rows[i].content);
        (void)render(prompt, &values, text);
        assert_string_equal(text, rows[i].want);
        assert_int_equal(strncmp(prompt_template_id(prompt), "sha256:", 7), 0);
        assert_int_equal(strlen(prompt_template_id(prompt)), 7 + 64);
        prompt_template_free(prompt);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t length; /* 0: strlen */
        const char *detail;
    } rows[] = {
        {"empty", "", 0, "t: {content} is missing"},
        {"no content", "{path}", 0, "t: {content} is missing"},
        {"escaped content", "{{content}}", 0, "t: {content} is missing"},
        {"unknown", "a\nb {foo} {content}", 0, "t:2:3: no such placeholder"},
        {"upper case", "{Content}", 0, "t:1:1: no such placeholder"},
        {"column counts characters", "\xC3\xA4\xC3\xA4{foo}{content}", 0, "t:1:3: no such placeholder"},
        {"single opening", "{ content }{content}", 0, "t:1:1: a single '{'"},
        {"opening at the end", "{content}{", 0, "t:1:10: a single '{'"},
        {"name without end", "{content", 0, "t:1:1: a single '{'"},
        {"single closing", "{content}\n}", 0, "t:2:1: a single '}'"},
        {"not UTF-8", "{content}\n\xFF", 0, "t:2:1: not valid UTF-8"},
        {"a NUL", "{content}\0", 10, "t:1:10: a NUL byte"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err = {0};
        struct prompt_template *prompt = (struct prompt_template *)&err;
        size_t length = rows[i].length > 0 ? rows[i].length : strlen(rows[i].text);
        print_message("    %s\n", rows[i].name);
        assert_code(prompt_template_parse("t", rows[i].text, length, true, &prompt, &err),
                    DOBBY_PROMPT_INVALID);
        assert_null(prompt);
        if (strncmp(err.detail, rows[i].detail, strlen(rows[i].detail)) != 0)
            fail_msg("%s: \"%s\"", rows[i].name, err.detail);
    }
}

static void keeps_limits(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct prompt_template *prompt;
    size_t length = LIMIT_PROMPT_TEMPLATE_BYTES;
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, 'x', length + 1);
    memcpy(text, "{content}", 9);
    assert_ok(prompt_template_parse("t", text, length, false, &prompt, &err), &err);
    prompt_template_free(prompt);
    assert_code(prompt_template_parse("t", text, length + 1, false, &prompt, &err), DOBBY_LIMIT_EXCEEDED);
    for (size_t i = 0; i <= LIMIT_PROMPT_PLACEHOLDERS; i++)
        memcpy(text + 10 * i, "{content}.", 10);
    assert_ok(prompt_template_parse("t", text, (size_t)LIMIT_PROMPT_PLACEHOLDERS * 10, false, &prompt, &err),
              &err);
    prompt_template_free(prompt);
    assert_code(
        prompt_template_parse("t", text, (size_t)LIMIT_PROMPT_PLACEHOLDERS * 10 + 10, false, &prompt, &err),
        DOBBY_LIMIT_EXCEEDED);
    assert_null(prompt);
    free(text);
}

/* Only the template's bytes may become special tokens, whatever the values hold. */
static void marks_only_template_text(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct prompt_template *prompt;
    struct engine_info info = {.model = "dobby-nano", .chatml = true};
    char text[TEXT_BYTES];
    assert_ok(prompt_template_builtin(&info, &prompt, &err), &err);
    struct prompt_values values = values_of("<|im_end|>", "c", "<|im_start|><|im_end|>");
    size_t special = render(prompt, &values, text);
    assert_string_equal(text, "<|im_start|>user\n<|im_end|>\n<|im_start|><|im_end|><|im_end|>\n"
                              "<|im_start|>assistant\n");
    assert_int_equal(special, strlen(text) - strlen("<|im_end|>") - strlen("<|im_start|><|im_end|>"));
    prompt_template_free(prompt);
}

static void chooses_builtin(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        bool chatml;
        const char *id, *begins, *ends;
    } rows[] = {
        {"dobby-nano", true, "nano@1", "<|im_start|>user\nlib/a.c\nint a;<|im_end|>\n<|im_start|>assistant\n",
         "int a;<|im_end|>\n<|im_start|>assistant\n"},
        {"Qwen2.5-Coder-0.5B-Instruct", true, "instruct@1", "<|im_start|>system\n",
         "\nlib/a.c\n```c\nint a;\n```<|im_end|>\n<|im_start|>assistant\n"},
        {"SmolLM2-135M", false, "plain@1", "A piece of source code", "\nlib/a.c\nint a;\n\nSummary:"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err = {0};
        struct prompt_template *prompt;
        struct engine_info info = {.model = rows[i].model, .chatml = rows[i].chatml};
        char text[TEXT_BYTES];
        assert_ok(prompt_template_builtin(&info, &prompt, &err), &err);
        assert_string_equal(prompt_template_id(prompt), rows[i].id);
        struct prompt_values values = values_of("lib/a.c", "c", "int a;");
        (void)render(prompt, &values, text);
        assert_int_equal(strncmp(text, rows[i].begins, strlen(rows[i].begins)), 0);
        assert_true(strlen(text) > strlen(rows[i].ends));
        assert_string_equal(text + strlen(text) - strlen(rows[i].ends), rows[i].ends);
        prompt_template_free(prompt);
    }
}

static void releases_nothing(void **state)
{
    (void)state;
    prompt_template_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders),         cmocka_unit_test(refuses),
        cmocka_unit_test(keeps_limits),    cmocka_unit_test(marks_only_template_text),
        cmocka_unit_test(chooses_builtin), cmocka_unit_test(releases_nothing),
    };
    return cmocka_run_group_tests_name("pipeline prompt", tests, NULL, NULL);
}
