/* The embedded model's tokenizer against the ids of an independent implementation, once from tokenizer.json
 * and once from the GGUF file's metadata. */
#include "base/json.h"
#include "infer/format/model_file.h"
#include "os/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN DOBBY_SOURCE_DIR "/tests/golden/"
#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"

enum { SOURCE_JSON, SOURCE_GGUF, SOURCE_COUNT };
static const char *const source_names[SOURCE_COUNT] = {"tokenizer.json", "GGUF metadata"};

struct fixture {
    struct tokenizer *tokenizers[SOURCE_COUNT];
};

static int open_tokenizers(void **state)
{
    static struct fixture fixture;
    struct dobby_error err = {0};
    struct buffer json = {0};
    struct model_file *model = NULL;
    assert_int_equal(file_read(GOLDEN "tokenizer.json", true, 1 << 22, &json, &err), DOBBY_OK);
    assert_int_equal(tokenizer_from_json(json.bytes, json.length, &fixture.tokenizers[SOURCE_JSON], &err),
                     DOBBY_OK);
    assert_int_equal(model_file_open(NANO, &model, &err), DOBBY_OK);
    assert_int_equal(model_file_tokenizer(model, &fixture.tokenizers[SOURCE_GGUF], &err), DOBBY_OK);
    model_file_close(model);
    buffer_release(&json);
    *state = &fixture;
    return 0;
}

static int close_tokenizers(void **state)
{
    struct fixture *fixture = *state;
    for (int source = 0; source < SOURCE_COUNT; source++)
        tokenizer_free(fixture->tokenizers[source]);
    return 0;
}

/* Calls check with each line's object; returns how many there were. */
static size_t for_each_line(const char *path, struct fixture *fixture,
                            void (*check)(struct fixture *, size_t line, const struct json *))
{
    struct buffer lines = {0};
    size_t count = 0;
    assert_int_equal(file_read(path, true, 1 << 22, &lines, NULL), DOBBY_OK);
    for (size_t at = 0; at < lines.length;) {
        const char *end = memchr(lines.bytes + at, '\n', lines.length - at);
        size_t length = end != NULL ? (size_t)(end - lines.bytes) - at : lines.length - at;
        struct json *line = NULL;
        assert_int_equal(json_parse(lines.bytes + at, length, &line, NULL), DOBBY_OK);
        check(fixture, ++count, line);
        json_free(line);
        at += length + 1;
    }
    buffer_release(&lines);
    return count;
}

static void assert_ids(const char *what, size_t line, const struct json *want, const struct token_list *have)
{
    bool equal = json_count(want) == have->count;
    for (size_t i = 0; i < have->count && equal; i++) {
        int64_t id = -1;
        equal = json_to_integer(json_element(want, i), &id) && id == have->ids[i];
    }
    if (!equal) {
        fprintf(stderr, "%s, line %zu: ids differ; have %zu, want %zu:", what, line, have->count,
                json_count(want));
        for (size_t i = 0; i < have->count; i++)
            fprintf(stderr, " %d", have->ids[i]);
        fprintf(stderr, "\n");
    }
    assert_true(equal);
}

static void check_vector(struct fixture *fixture, size_t line, const struct json *vector)
{
    size_t length = 0;
    const char *text = json_to_text(json_member(vector, "text"), &length);
    for (int source = 0; source < SOURCE_COUNT; source++) {
        const struct tokenizer *tokenizer = fixture->tokenizers[source];
        struct text_span span = {.bytes = text, .length = length, .special = true};
        struct token_list ids = {0};
        struct token_list again = {0};
        struct buffer decoded = {0};
        assert_int_equal(tokenizer_encode(tokenizer, &span, 1, &ids, NULL), DOBBY_OK);
        assert_ids(source_names[source], line, json_member(vector, "ids"), &ids);

        /* The decoded text is the text in NFC: encoding it gives the same ids, decoding those the same. */
        assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.count, true, &decoded, NULL), DOBBY_OK);
        span = (struct text_span){.bytes = decoded.bytes, .length = decoded.length, .special = true};
        assert_int_equal(tokenizer_encode(tokenizer, &span, 1, &again, NULL), DOBBY_OK);
        assert_ids(source_names[source], line, json_member(vector, "ids"), &again);
        token_list_release(&ids);
        token_list_release(&again);
        buffer_release(&decoded);
    }
}

static void vectors_are_equal(void **state)
{
    assert_int_equal(for_each_line(GOLDEN "tokenizer.jsonl", *state, check_vector), 72);
}

/* The prompt of models/dobby-nano/README.md: only the template's own text may hold special tokens. */
static void check_prompt(struct fixture *fixture, size_t line, const struct json *record)
{
    const char *path = json_to_text(json_member(record, "path"), NULL);
    const char *code = json_to_text(json_member(record, "code"), NULL);
    const char *parts[] = {"<|im_start|>user\n", path, "\n", code, "<|im_end|>\n<|im_start|>assistant\n"};
    for (int source = 0; source < SOURCE_COUNT; source++) {
        struct text_span spans[5];
        struct token_list ids = {0};
        for (size_t i = 0; i < 5; i++)
            spans[i] =
                (struct text_span){.bytes = parts[i], .length = strlen(parts[i]), .special = i % 2 == 0};
        assert_int_equal(tokenizer_encode(fixture->tokenizers[source], spans, 5, &ids, NULL), DOBBY_OK);
        assert_ids(source_names[source], line, json_member(record, "prompt_ids"), &ids);
        token_list_release(&ids);
    }
}

static void prompts_are_equal(void **state)
{
    assert_int_equal(for_each_line(GOLDEN "nano.jsonl", *state, check_prompt), 32);
}

/* The continuations' ids decode to their texts. */
static void check_decoding(struct fixture *fixture, size_t line, const struct json *record)
{
    int32_t ids[64];
    const struct json *greedy = json_member(record, "greedy_ids");
    const char *want = json_to_text(json_member(record, "greedy_text"), NULL);
    size_t count = json_count(greedy);
    struct buffer text = {0};
    (void)line;
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        int64_t id = -1;
        assert_true(json_to_integer(json_element(greedy, i), &id));
        ids[i] = (int32_t)id;
    }
    assert_int_equal(tokenizer_decode(fixture->tokenizers[SOURCE_GGUF], ids, count, false, &text, NULL),
                     DOBBY_OK);
    assert_string_equal(text.bytes, want);
    buffer_release(&text);
}

static void continuations_decode(void **state)
{
    assert_int_equal(for_each_line(GOLDEN "nano.jsonl", *state, check_decoding), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_equal),
        cmocka_unit_test(prompts_are_equal),
        cmocka_unit_test(continuations_decode),
    };
    return cmocka_run_group_tests(tests, open_tokenizers, close_tokenizers);
}
