/* The null engine keeps the contract of the engine's interface, without a model. */
#include "base/utf8.h"
#include "infer/engine_null.h"
#include "os/clock.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 60000, LONG_DELAY_MS = 3600000 };

static struct engine *open_engine(const struct engine_null_options *options)
{
    struct dobby_error err;
    struct engine *engine;
    assert_ok(engine_null_open(options, &engine, &err), &err);
    return engine;
}

static void tokenize(struct engine *engine, const char *text, struct token_list *tokens)
{
    struct dobby_error err;
    const struct text_span span = {text, strlen(text), false};
    assert_ok(engine_tokenize(engine, &span, 1, tokens, &err), &err);
}

static dobby_code submit(struct engine *engine, const char *prompt, uint64_t tag, uint32_t tokens_max)
{
    struct token_list tokens = {0};
    tokenize(engine, prompt, &tokens);
    const struct engine_request request = {.tag = tag,
                                           .tokens = tokens.ids,
                                           .token_count = tokens.count,
                                           .tokens_max = tokens_max,
                                           .sampling = SAMPLING_GREEDY};
    const dobby_code code = engine_submit(engine, &request, NULL);
    token_list_release(&tokens);
    return code;
}

static struct engine_result take(struct engine *engine)
{
    struct dobby_error err;
    struct engine_result result;
    size_t count;
    assert_ok(engine_wait(engine, &result, 1, WAIT_MS, &count, &err), &err);
    assert_int_equal(count, 1);
    return result;
}

static void information_is_filled(void **state)
{
    (void)state;
    struct engine *engine = open_engine(&(struct engine_null_options){0});
    const struct engine_info *info = engine_info(engine);
    assert_string_equal(info->model, "null");
    assert_int_equal(strspn(info->fingerprint, "0123456789abcdef"), 64);
    assert_int_equal(strlen(info->fingerprint), 64);
    assert_int_equal(info->sessions, ENGINE_NULL_SESSIONS);
    assert_int_equal(info->context_tokens, ENGINE_NULL_CONTEXT_TOKENS);
    assert_false(info->chatml);
    engine_close(engine);
}

static void every_prompt_gives_the_same_text(void **state)
{
    (void)state;
    struct engine *engine = open_engine(&(struct engine_null_options){0});
    static const char *const prompts[] = {"int x;", "y", "\xff\xfe not UTF-8"};
    for (size_t i = 0; i < COUNT_OF(prompts); i++) {
        assert_code(submit(engine, prompts[i], i, 48), DOBBY_OK);
        struct engine_result result = take(engine);
        assert_int_equal(result.tag, i);
        assert_int_equal(result.finish, FINISH_END_TOKEN);
        assert_string_equal(result.text, engine_null_text());
        assert_int_equal(result.text_length, strlen(result.text));
        assert_int_equal(result.tokens_in, (strlen(prompts[i]) + 2) / 3);
        assert_int_equal(result.tokens_out, (result.text_length + 2) / 3);
        assert_true(result.confidence == 1 && result.logprobs[result.tokens_out] == 0);
        engine_result_release(&result);
    }
    engine_close(engine);
}

static void limits_in_tokens_count(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t tokens_max;
        bool ignore_end;
        enum finish_reason want;
        uint32_t want_tokens;
        size_t want_length;
    } rows[] = {
        {"one token", 1, false, FINISH_LENGTH, 1, 3},
        {"no room for the end", 25, false, FINISH_LENGTH, 25, 75},
        {"room for the end", 26, false, FINISH_END_TOKEN, 25, 74},
        {"the end is a token like others", 30, true, FINISH_LENGTH, 30, 90},
    };
    struct engine *engine = open_engine(&(struct engine_null_options){0});
    const int32_t token = 7;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err;
        const struct engine_request request = {.tokens = &token,
                                               .token_count = 1,
                                               .tokens_max = rows[i].tokens_max,
                                               .ignore_end = rows[i].ignore_end,
                                               .sampling = SAMPLING_GREEDY};
        assert_ok(engine_submit(engine, &request, &err), &err);
        struct engine_result result = take(engine);
        if (result.finish != rows[i].want || result.tokens_out != rows[i].want_tokens ||
            result.text_length != rows[i].want_length || !utf8_is_valid(result.text, result.text_length))
            fail_msg("%s: finish %d, %u tokens, %zu bytes", rows[i].name, (int)result.finish,
                     (unsigned)result.tokens_out, result.text_length);
        engine_result_release(&result);
    }
    engine_close(engine);
}

/* How a prompt is cut into spans makes no difference. */
static void tokens_are_the_bytes(void **state)
{
    (void)state;
    struct dobby_error err;
    struct engine *engine = open_engine(&(struct engine_null_options){0});
    struct token_list whole = {0}, cut = {0};
    const struct text_span spans[] = {{"a", 1, true}, {"", 0, false}, {"bcd", 3, false}, {"ef\xff", 3, true}};
    tokenize(engine, "abcdef\xff", &whole);
    assert_ok(engine_tokenize(engine, spans, COUNT_OF(spans), &cut, &err), &err);
    assert_int_equal(whole.count, 3);
    assert_int_equal(whole.ids[0], 0x636261);
    assert_int_equal(whole.ids[2], 0xff);
    assert_int_equal(cut.count, whole.count);
    assert_memory_equal(cut.ids, whole.ids, whole.count * sizeof *whole.ids);
    tokenize(engine, "abcdef\xff", &whole);
    assert_int_equal(whole.count, 6);
    assert_memory_equal(whole.ids, whole.ids + 3, 3 * sizeof *whole.ids);
    token_list_release(&whole);
    token_list_release(&cut);
    engine_close(engine);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct engine *engine = open_engine(&(struct engine_null_options){.context_tokens = 20});
    const int32_t token = 5, beyond = 1 << 24, negative = -1;
    const struct engine_request good = {
        .tokens = &token, .token_count = 1, .tokens_max = 1, .sampling = SAMPLING_GREEDY};
    struct engine_request requests[] = {good, good, good, good, good, good};
    const dobby_code want[] = {DOBBY_INVALID_ARGUMENT, DOBBY_INVALID_ARGUMENT, DOBBY_INVALID_ARGUMENT,
                               DOBBY_CONTEXT_EXCEEDED, DOBBY_INVALID_ARGUMENT, DOBBY_INVALID_ARGUMENT};
    requests[0].token_count = 0;
    requests[1].tokens_max = 0;
    requests[2].sampling.repetition_penalty = 0;
    requests[3].tokens_max = 20;
    requests[4].tokens = &beyond;
    requests[5].tokens = &negative;
    for (size_t i = 0; i < COUNT_OF(requests); i++)
        assert_code(engine_submit(engine, &requests[i], NULL), want[i]);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.submitted + stats.queued + stats.running, 0);

    struct engine_result result;
    size_t count = 7;
    assert_code(engine_wait(engine, &result, 1, WAIT_MS, &count, NULL), DOBBY_OK); /* nothing in flight */
    assert_int_equal(count, 0);
    engine_close(engine);

    const struct engine_null_options options[] = {{.sessions = 100000}, {.context_tokens = 1 << 30}};
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        engine = (void *)1;
        assert_code(engine_null_open(&options[i], &engine, NULL), DOBBY_LIMIT_EXCEEDED);
        assert_null(engine);
    }
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    enum { SESSIONS = 2, IN_FLIGHT_MAX = 3 * SESSIONS + 64 };
    struct engine *engine = open_engine(&(struct engine_null_options){.sessions = SESSIONS});
    for (uint64_t i = 0; i < IN_FLIGHT_MAX; i++)
        assert_code(submit(engine, "x", i, 1), DOBBY_OK);
    assert_code(submit(engine, "x", IN_FLIGHT_MAX, 1), DOBBY_QUEUE_FULL);
    bool seen[IN_FLIGHT_MAX] = {false};
    for (uint64_t i = 0; i < IN_FLIGHT_MAX; i++) {
        struct engine_result result = take(engine);
        assert_true(result.tag < IN_FLIGHT_MAX && !seen[result.tag]);
        seen[result.tag] = true;
        engine_result_release(&result);
    }
    assert_code(submit(engine, "x", 0, 1), DOBBY_OK); /* left in the engine when it closes */
    engine_close(engine);
}

static void marked_prompts_fail(void **state)
{
    (void)state;
    static const struct {
        const char *prompt;
        bool retryable;
        dobby_code want;
    } rows[] = {
        {"before BAD after", false, DOBBY_NUMERIC_FAILURE},
        {"BAD", true, DOBBY_OUT_OF_MEMORY},
        {".BAD", false, DOBBY_NUMERIC_FAILURE},
        {"..BAD", false, DOBBY_NUMERIC_FAILURE},
        {"BA D", false, DOBBY_OK},
        {"BA", false, DOBBY_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine *engine = open_engine(
            &(struct engine_null_options){.fail_marker = "BAD", .fail_retryable = rows[i].retryable});
        for (int again = 0; again < 2; again++) {
            assert_code(submit(engine, rows[i].prompt, i, 48), DOBBY_OK);
            struct engine_result result = take(engine);
            assert_int_equal(result.error.code, rows[i].want);
            assert_int_equal(result.finish, rows[i].want == DOBBY_OK ? FINISH_END_TOKEN : FINISH_ERROR);
            assert_non_null(result.text);
            engine_result_release(&result);
        }
        struct engine_stats stats;
        engine_stats(engine, &stats);
        assert_int_equal(stats.failed, rows[i].want == DOBBY_OK ? 0 : 2);
        engine_close(engine);
    }
}

static void it_refuses_chosen_records_when_asked_to(void **state)
{
    (void)state;
    struct engine *engine =
        open_engine(&(struct engine_null_options){.fail_marker = "BAD", .fail_submit = true});
    assert_code(submit(engine, "x BAD", 1, 48), DOBBY_NUMERIC_FAILURE);
    assert_code(submit(engine, "good", 2, 48), DOBBY_OK);
    struct engine_result result = take(engine);
    assert_int_equal(result.tag, 2);
    assert_int_equal(result.finish, FINISH_END_TOKEN);
    engine_result_release(&result);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.submitted, 1);
    engine_close(engine);
}

/* Each of five requests holds one of two places for the delay, so the last ends in the third round. */
static void a_delay_holds_a_session(void **state)
{
    (void)state;
    enum { DELAY_MS = 20, REQUESTS = 5, ROUNDS = 3 };
    struct engine *engine = open_engine(&(struct engine_null_options){.sessions = 2, .delay_ms = DELAY_MS});
    const int64_t before_ns = clock_monotonic_ns();
    for (uint64_t i = 0; i < REQUESTS; i++)
        assert_code(submit(engine, "x", i, 48), DOBBY_OK);
    for (uint64_t i = 0; i < REQUESTS; i++) {
        struct engine_result result = take(engine);
        assert_true(result.total_us == DELAY_MS * 1000 && result.first_token_us == result.total_us);
        engine_result_release(&result);
    }
    assert_true(clock_monotonic_ns() - before_ns >= ROUNDS * DELAY_MS * (int64_t)1000000);
    engine_close(engine);
}

static void requests_can_be_cancelled(void **state)
{
    (void)state;
    enum { REQUESTS = 5, SESSIONS = 2 };
    struct engine *engine =
        open_engine(&(struct engine_null_options){.sessions = SESSIONS, .delay_ms = LONG_DELAY_MS});
    struct engine_stats stats;
    struct engine_result result;
    size_t count = 1;
    for (uint64_t i = 0; i < REQUESTS; i++)
        assert_code(submit(engine, "x", i, 48), DOBBY_OK);
    assert_code(engine_wait(engine, &result, 1, 0, &count, NULL), DOBBY_OK);
    assert_int_equal(count, 0);
    engine_cancel_queued(engine);
    engine_stats(engine, &stats);
    assert_int_equal(stats.running, SESSIONS);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.canceled, REQUESTS - SESSIONS);
    engine_cancel_all(engine);
    for (uint64_t i = 0; i < REQUESTS; i++) {
        result = take(engine);
        assert_int_equal(result.finish, FINISH_CANCELED);
        assert_non_null(result.text);
        engine_result_release(&result);
    }
    engine_stats(engine, &stats);
    assert_int_equal(stats.canceled, REQUESTS);
    assert_int_equal(stats.running + stats.finished, 0);
    engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(information_is_filled),
        cmocka_unit_test(every_prompt_gives_the_same_text),
        cmocka_unit_test(limits_in_tokens_count),
        cmocka_unit_test(tokens_are_the_bytes),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(it_refuses_chosen_records_when_asked_to),
        cmocka_unit_test(marked_prompts_fail),
        cmocka_unit_test(a_delay_holds_a_session),
        cmocka_unit_test(requests_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
