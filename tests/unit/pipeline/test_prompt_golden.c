/* The embedded model's template, tokenised, is what the model was trained on: every prompt of the golden
 * vectors, token for token. */
#include "unit/test.h"

#include "base/json.h"
#include "base/limits.h"
#include "infer/format/model_file.h"
#include "os/file.h"
#include "pipeline/prompt.h"

#include <string.h>

static void check_record(const struct tokenizer *tokenizer, const struct prompt_template *prompt,
                         const char *line, size_t length)
{
    struct dobby_error err = {0};
    struct json *record;
    struct text_span spans[16];
    struct token_list tokens = {0};
    struct prompt_values values = {.language = "c"};
    assert_ok(json_parse(line, length, &record, &err), &err);
    values.path = json_to_text(json_member(record, "path"), NULL);
    values.content = json_to_text(json_member(record, "code"), &values.content_length);
    assert_non_null(values.path);
    assert_non_null(values.content);
    assert_true(prompt_template_span_count(prompt) <= COUNT_OF(spans));
    size_t count = prompt_render(prompt, &values, spans);
    assert_ok(tokenizer_encode(tokenizer, spans, count, &tokens, &err), &err);
    const struct json *ids = json_member(record, "prompt_ids");
    assert_int_equal(tokens.count, json_count(ids));
    for (size_t i = 0; i < tokens.count; i++) {
        int64_t id = -1;
        assert_true(json_to_integer(json_element(ids, i), &id));
        if (tokens.ids[i] != id)
            fail_msg("%s: token %zu is %d, want %d", values.path, i, (int)tokens.ids[i], (int)id);
    }
    token_list_release(&tokens);
    json_free(record);
}

static void golden_prompts(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct engine_info info = {.model = "dobby-nano", .chatml = true};
    struct model_file *model;
    struct tokenizer *tokenizer;
    struct prompt_template *prompt;
    struct buffer lines = {0};
    size_t records = 0;
    assert_ok(model_file_open(DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf", &model, &err),
              &err);
    assert_ok(model_file_tokenizer(model, &tokenizer, &err), &err);
    assert_ok(prompt_template_builtin(&info, &prompt, &err), &err);
    assert_ok(file_read(DOBBY_SOURCE_DIR "/tests/golden/nano.jsonl", true, LIMIT_JSON_BYTES, &lines, &err),
              &err);
    for (size_t start = 0, end; start < lines.length; start = end + 1) {
        const char *newline = memchr(lines.bytes + start, '\n', lines.length - start);
        end = newline != NULL ? (size_t)(newline - lines.bytes) : lines.length;
        check_record(tokenizer, prompt, lines.bytes + start, end - start);
        records++;
    }
    assert_int_equal(records, 32);
    buffer_release(&lines);
    prompt_template_free(prompt);
    tokenizer_free(tokenizer);
    model_file_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_prompts)};
    return cmocka_run_group_tests_name("pipeline golden prompts", tests, NULL, NULL);
}
