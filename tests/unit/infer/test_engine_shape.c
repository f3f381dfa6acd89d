/* Engines without a file: named shapes with random weights, and requests whose end tokens do not end them. */
#include "infer/engine_native.h"
#include "infer/model/job.h"
#include "infer/model/model_shape.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static void shapes_are_those_of_the_models(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t parameters; /* as their model cards say */
        dobby_code want;
    } cases[] = {
        {"qwen2.5-0.5b", 494032768, DOBBY_OK},
        {"smollm2-135m", 134515008, DOBBY_OK},
        {"qwen2.5-0.5", 0, DOBBY_INVALID_ARGUMENT},
        {"", 0, DOBBY_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct model_config config;
        struct dobby_error err;
        assert_code(model_shape_find(cases[i].name, &config, &err), cases[i].want);
        if (cases[i].want == DOBBY_OK)
            assert_int_equal(model_shape_parameters(&config), cases[i].parameters);
        else
            assert_int_equal(config.layers, 0);
    }
}

static void open_tiny(uint32_t sessions, struct engine **engine)
{
    struct dobby_error err;
    const struct engine_native_options options = {
        .shape = "tiny", .threads = 1, .sessions = sessions, .precision = "exact"};
    assert_ok(engine_native_open(&options, engine, &err), &err);
}

static void a_shape_is_an_engine_without_text(void **state)
{
    (void)state;
    struct engine *engine;
    struct dobby_error err;
    struct token_list tokens = {0};
    struct engine_result result;
    size_t count = 0;
    const struct text_span span = {.bytes = "text", .length = 4};
    const int32_t prompt[] = {1, 2, 3};
    const struct engine_request request = {
        .tokens = prompt, .token_count = 3, .tokens_max = 5, .ignore_end = true, .sampling = SAMPLING_GREEDY};
    open_tiny(1, &engine);
    const struct engine_info *info = engine_info(engine);
    assert_string_equal(info->model, "tiny");
    assert_string_equal(info->precision, "bf16/f32");
    assert_int_equal(info->vocabulary, 512);
    assert_int_equal(strlen(info->fingerprint), 64);
    assert_code(engine_tokenize(engine, &span, 1, &tokens, &err), DOBBY_INVALID_ARGUMENT);
    assert_int_equal(tokens.count, 0);
    assert_ok(engine_submit(engine, &request, &err), &err);
    while (count == 0)
        assert_ok(engine_wait(engine, &result, 1, 1000, &count, &err), &err);
    assert_int_equal(result.finish, FINISH_LENGTH);
    assert_int_equal(result.tokens_out, 5);
    assert_string_equal(result.text, "");
    engine_result_release(&result);
    token_list_release(&tokens);
    engine_close(engine);
}

static void an_end_token_may_be_ignored(void **state)
{
    (void)state;
    enum { END = 7, OTHER = 8 };
    const int32_t prompt[] = {1};
    const struct model_config config = {.end_tokens = {END}, .end_token_count = 1};
    static const struct {
        bool ignore;
        int32_t token;
        enum finish_reason want[2]; /* after the first, the second of two tokens */
    } cases[] = {
        {false, OTHER, {FINISH_UNKNOWN, FINISH_LENGTH}},
        {true, OTHER, {FINISH_UNKNOWN, FINISH_LENGTH}},
        {true, END, {FINISH_UNKNOWN, FINISH_LENGTH}},
        {false, END, {FINISH_END_TOKEN, FINISH_UNKNOWN}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct job *job;
        struct dobby_error err;
        const struct engine_request request = {
            .tokens = prompt, .token_count = 1, .tokens_max = 2, .ignore_end = cases[i].ignore};
        const struct sampler_choice choice = {.token = cases[i].token};
        assert_ok(job_new(&request, &job, &err), &err);
        enum finish_reason reason = FINISH_UNKNOWN;
        for (size_t step = 0; step < 2 && reason == FINISH_UNKNOWN; step++) {
            reason = job_accept(job, &choice, &config);
            assert_int_equal(reason, cases[i].want[step]);
        }
        assert_int_equal(job->result.tokens_out, reason == FINISH_LENGTH ? 2 : 0);
        job_free(job);
    }
}

static void what_would_be_used_is_what_is_used(void **state)
{
    (void)state;
    static const char *const precisions[] = {NULL, "auto", "exact", "bf16", "int8", "int4"};
    for (size_t i = 0; i < COUNT_OF(precisions); i++) {
        struct engine *engine;
        struct engine_native_choice choice;
        struct dobby_error err;
        const struct engine_native_options options = {
            .shape = "tiny", .threads = 1, .sessions = 1, .precision = precisions[i]};
        assert_ok(engine_native_open(&options, &engine, &err), &err);
        assert_ok(engine_native_choose(&options, TENSOR_BF16, &choice, &err), &err);
        assert_string_equal(choice.kernels, engine_info(engine)->kernels);
        assert_string_equal(choice.precision, engine_info(engine)->precision);
        if (precisions[i] != NULL && strcmp(precisions[i], "exact") == 0)
            assert_string_not_equal(choice.kernels, "amx"); /* whose attention rounds */
        engine_close(engine);
    }
    const struct engine_native_options unknown = {.precision = "int3"};
    struct engine_native_choice choice;
    struct dobby_error err;
    assert_code(engine_native_choose(&unknown, TENSOR_BF16, &choice, &err), DOBBY_INVALID_ARGUMENT);
    assert_null(choice.kernels);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_those_of_the_models),
        cmocka_unit_test(a_shape_is_an_engine_without_text),
        cmocka_unit_test(an_end_token_may_be_ignored),
        cmocka_unit_test(what_would_be_used_is_what_is_used),
    };
    return cmocka_run_group_tests_name("infer/engine_shape", tests, NULL, NULL);
}
