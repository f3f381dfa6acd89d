/* The native engine behind its interface, with the embedded model. */
#include "base/utf8.h"
#include "infer/engine_native.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"
enum { WAIT_MS = 120000 };

static struct engine *engine;

static void information_is_filled(void **state)
{
    (void)state;
    const struct engine_info *info = engine_info(engine);
    assert_non_null(strstr(info->model, "nano"));
    assert_int_equal(strlen(info->fingerprint), 64);
    assert_int_equal(strspn(info->fingerprint, "0123456789abcdef"), 64);
    assert_string_equal(info->architecture, "qwen2");
    assert_string_equal(info->precision, "q8_0/f32");
    assert_true(info->kernels[0] != '\0');
    assert_non_null(strstr(info->version, info->kernels));
    assert_true(info->chatml);
    assert_int_equal(info->context_tokens, 2048);
    assert_int_equal(info->sessions, 2);
    assert_int_equal(info->threads, 2);
    assert_true(info->parameters > 44000000 && info->parameters < 45000000);
    assert_true(info->weight_bytes > 45000000 && info->weight_bytes < 50000000);
    assert_true(info->kv_bytes_max > 0);
}

static struct engine_result run(const int32_t *tokens, size_t count, uint32_t tokens_max,
                                struct sampling sampling)
{
    struct dobby_error err;
    struct engine_result result;
    size_t done;
    const struct engine_request request = {
        .tag = 9, .tokens = tokens, .token_count = count, .tokens_max = tokens_max, .sampling = sampling};
    assert_ok(engine_submit(engine, &request, &err), &err);
    assert_ok(engine_wait(engine, &result, 1, WAIT_MS, &done, &err), &err);
    assert_int_equal(done, 1);
    assert_int_equal(result.tag, 9);
    return result;
}

static void a_prompt_gives_a_sentence(void **state)
{
    (void)state;
    struct dobby_error err;
    static const char code[] =
        "src/ring.c\nvoid ring_clear(struct ring *r)\n{\n    r->head = r->tail = 0;\n}";
    const struct text_span spans[] = {{"<|im_start|>user\n", 17, true},
                                      {code, sizeof code - 1, false},
                                      {"<|im_end|>\n<|im_start|>assistant\n", 33, true}};
    struct token_list tokens = {0};
    assert_ok(engine_tokenize(engine, spans, COUNT_OF(spans), &tokens, &err), &err);
    struct engine_result result = run(tokens.ids, tokens.count, 40, SAMPLING_GREEDY);
    assert_int_equal(result.finish, FINISH_END_TOKEN);
    assert_int_equal(result.tokens_in, tokens.count);
    assert_true(result.text_length > 10 && strlen(result.text) == result.text_length);
    assert_null(strstr(result.text, "<|im_end|>"));
    assert_true(result.confidence > 0 && result.confidence <= 1);
    assert_true(result.first_token_us > 0 && result.total_us >= result.first_token_us);

    struct engine_result cut = run(tokens.ids, tokens.count, 2, SAMPLING_GREEDY);
    assert_int_equal(cut.finish, FINISH_LENGTH);
    assert_int_equal(cut.tokens_out, 2);
    assert_memory_equal(cut.tokens, result.tokens, 2 * sizeof(int32_t));
    assert_memory_equal(cut.logprobs, result.logprobs, 2 * sizeof(float));
    engine_result_release(&cut);
    assert_null(cut.text);
    engine_result_release(&result);
    token_list_release(&tokens);
}

/* Hot sampling yields tokens that end within a UTF-8 sequence; a result's text is valid all the same. */
static void text_is_valid_utf8(void **state)
{
    (void)state;
    const int32_t prompt[] = {175, 256, 250, 227, 175, 256};
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct engine_result result =
            run(prompt, COUNT_OF(prompt), 24,
                (struct sampling){
                    .temperature = 20, .top_k = 300, .top_p = 1, .repetition_penalty = 1, .seed = seed});
        assert_true(utf8_is_valid(result.text, result.text_length));
        engine_result_release(&result);
    }
}

static void tokenizing_appends(void **state)
{
    (void)state;
    struct dobby_error err;
    struct token_list tokens = {0};
    const struct text_span span = {"int x;", 6, false};
    assert_ok(engine_tokenize(engine, &span, 1, &tokens, &err), &err);
    const size_t count = tokens.count;
    assert_true(count > 0);
    assert_ok(engine_tokenize(engine, &span, 1, &tokens, &err), &err);
    assert_int_equal(tokens.count, 2 * count);
    assert_memory_equal(tokens.ids, tokens.ids + count, count * sizeof(int32_t));
    token_list_release(&tokens);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    const int32_t token = 5;
    const struct engine_request good = {
        .tokens = &token, .token_count = 1, .tokens_max = 1, .sampling = SAMPLING_GREEDY};
    struct engine_request request = good;
    request.token_count = 0;
    assert_code(engine_submit(engine, &request, NULL), DOBBY_INVALID_ARGUMENT);
    request = good;
    request.tokens = NULL;
    assert_code(engine_submit(engine, &request, NULL), DOBBY_INVALID_ARGUMENT);
    request = good;
    request.sampling.repetition_penalty = 0;
    assert_code(engine_submit(engine, &request, NULL), DOBBY_INVALID_ARGUMENT);
    request = good;
    request.tokens_max = 2048;
    assert_code(engine_submit(engine, &request, NULL), DOBBY_CONTEXT_EXCEEDED);

    struct engine_result result;
    size_t count = 7;
    assert_code(engine_wait(engine, &result, 0, 0, &count, NULL), DOBBY_INVALID_ARGUMENT);
    assert_int_equal(count, 0);
    assert_code(engine_wait(engine, &result, 1, -1, &count, NULL), DOBBY_INVALID_ARGUMENT);
    assert_code(engine_wait(engine, &result, 1, WAIT_MS, &count, NULL), DOBBY_OK); /* nothing in flight */
    assert_int_equal(count, 0);
    engine_close(NULL);
}

static void options_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct engine_native_options options;
        dobby_code want;
    } rows[] = {
        {"no such model", {.model_path = "/nonexistent/model.gguf"}, DOBBY_MODEL_NOT_FOUND},
        {"no such kernels", {.model_path = NANO, .kernels = "abacus"}, DOBBY_CPU_UNSUPPORTED},
        {"too many threads", {.model_path = NANO, .threads = 100000}, DOBBY_LIMIT_EXCEEDED},
        {"too many sessions", {.model_path = NANO, .sessions = 100000}, DOBBY_LIMIT_EXCEEDED},
        {"too long a context", {.model_path = NANO, .context_tokens = 4096}, DOBBY_LIMIT_EXCEEDED},
        {"another precision", {.model_path = NANO, .precision = "f32"}, DOBBY_INVALID_ARGUMENT},
        {"no room for a page", {.model_path = NANO, .kv_bytes_max = 1000}, DOBBY_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine *none = (void *)1;
        struct dobby_error err = {0};
        const dobby_code code = engine_native_open(&rows[i].options, &none, &err);
        if (code != rows[i].want || err.code != code || err.detail[0] == '\0' || none != NULL)
            fail_msg("%s: %s %s", rows[i].name, dobby_code_name(code), err.detail);
    }
}

static void defaults_fit_the_machine(void **state)
{
    (void)state;
    struct dobby_error err;
    struct engine *other;
    const struct engine_native_options options = {
        .model_path = NANO, .context_tokens = 512, .kv_bytes_max = 40 << 20, .threads = 1};
    assert_ok(engine_native_open(&options, &other, &err), &err);
    const struct engine_info *info = engine_info(other);
    assert_int_equal(info->context_tokens, 512);
    /* 512 tokens of 12 layers, 2 KV heads of 64, keys and values in F32 take 6 MiB, in INT8 with their
     * scales 1.55: of 40. */
    assert_true(info->sessions == 6 || info->sessions == 25);
    assert_string_equal(info->fingerprint, engine_info(engine)->fingerprint);
    struct engine_stats stats;
    engine_stats(other, &stats);
    assert_int_equal(stats.submitted + stats.kv_bytes_used + stats.kv_bytes_peak, 0);
    engine_close(other);
}

static void cancelled_requests_have_results(void **state)
{
    (void)state;
    enum { REQUESTS = 10 };
    const int32_t prompt[] = {70, 264, 1323};
    struct dobby_error err;
    for (uint64_t i = 0; i < REQUESTS; i++) {
        const struct engine_request request = {.tag = i,
                                               .tokens = prompt,
                                               .token_count = COUNT_OF(prompt),
                                               .tokens_max = 1000,
                                               .sampling = {2, 0, 1, 1, i}};
        assert_ok(engine_submit(engine, &request, &err), &err);
    }
    engine_cancel_all(engine);
    for (size_t done = 0; done < REQUESTS;) {
        struct engine_result results[4];
        size_t count;
        assert_ok(engine_wait(engine, results, 4, WAIT_MS, &count, &err), &err);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(results[i].finish, FINISH_CANCELED);
            assert_non_null(results[i].text);
            engine_result_release(&results[i]);
        }
        done += count;
    }
}

/* What runs goes on: with two sessions at most two requests, here of few tokens. */
static void queued_requests_can_be_cancelled_alone(void **state)
{
    (void)state;
    enum { REQUESTS = 10 };
    const int32_t prompt[] = {70, 264, 1323};
    struct dobby_error err;
    uint32_t canceled = 0;
    for (uint64_t i = 0; i < REQUESTS; i++) {
        const struct engine_request request = {.tag = i,
                                               .tokens = prompt,
                                               .token_count = COUNT_OF(prompt),
                                               .tokens_max = 20,
                                               .ignore_end = true,
                                               .sampling = {2, 0, 1, 1, 100 + i}};
        assert_ok(engine_submit(engine, &request, &err), &err);
    }
    engine_cancel_queued(engine);
    for (size_t done = 0; done < REQUESTS; done++) {
        struct engine_result result;
        size_t count;
        assert_ok(engine_wait(engine, &result, 1, WAIT_MS, &count, &err), &err);
        assert_int_equal(count, 1);
        canceled += result.finish == FINISH_CANCELED;
        assert_true(result.finish == FINISH_CANCELED || result.tokens_out == 20);
        engine_result_release(&result);
    }
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_true(canceled > 0 && stats.queued + stats.running == 0);
    assert_int_equal(stats.sessions_now, 2);
}

static int open_engine(void **state)
{
    (void)state;
    struct dobby_error err;
    const struct engine_native_options options = {
        .model_path = NANO, .sessions = 2, .threads = 2, .precision = "exact"};
    assert_ok(engine_native_open(&options, &engine, &err), &err);
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(information_is_filled),
        cmocka_unit_test(a_prompt_gives_a_sentence),
        cmocka_unit_test(text_is_valid_utf8),
        cmocka_unit_test(tokenizing_appends),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(defaults_fit_the_machine),
        cmocka_unit_test(cancelled_requests_have_results),
        cmocka_unit_test(queued_requests_can_be_cancelled_alone),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
