/* The embedded model's greedy continuations of 32 prompts against those of strict F32.
 *
 * The shipped file holds Q8_0 weights, so it may part from F32 here and there; the BF16 directory that it was
 * made from, where DOBBY_TEST_HF names it, must not. */
#include "golden/jsonl_helper.h"
#include "infer/engine_native.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"
#define VECTORS DOBBY_SOURCE_DIR "/tests/golden/nano.jsonl"

enum {
    RECORDS = 32,
    TOKENS_MAX = 49, /* the vectors' 48 and an end token */
    PREFIX_TOKENS = 8,
    WANT_PREFIXES = 28,
    WANT_FIRST_TOKENS = 30,
    WAIT_MS = 600000 /* of a build with sanitizers on a busy machine */
};
static const double logprob_tolerance = 1e-3;

struct record {
    int32_t *prompt, *tokens;
    float *logprobs;
    size_t prompt_count, token_count, logprob_count;
};
static struct record records[RECORDS];

struct score {
    uint32_t first_tokens, prefixes, wholes;
    double logprob_error_max; /* of the wholes */
};

static void read_record(void *context, size_t line, const struct json *object)
{
    (void)context;
    assert_true(line <= RECORDS);
    struct record *record = &records[line - 1];
    record->prompt = jsonl_integers(json_member(object, "prompt_ids"), &record->prompt_count);
    record->tokens = jsonl_integers(json_member(object, "greedy_ids"), &record->token_count);
    record->logprobs = jsonl_numbers(json_member(object, "greedy_logprobs"), &record->logprob_count);
}

static int read_records(void **state)
{
    (void)state;
    return jsonl_each(VECTORS, read_record, NULL) == RECORDS ? 0 : -1;
}

static int free_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORDS; i++) {
        free(records[i].prompt);
        free(records[i].tokens);
        free(records[i].logprobs);
    }
    return 0;
}

static void compare(const struct engine_result *result, struct score *score)
{
    const struct record *want = &records[result->tag];
    const bool ended = want->logprob_count > want->token_count;
    const size_t prefix = want->token_count < PREFIX_TOKENS ? want->token_count : PREFIX_TOKENS;
    assert_code(result->error.code, DOBBY_OK);
    assert_int_equal(result->tokens_in, want->prompt_count);
    assert_int_equal(strlen(result->text), result->text_length);
    if (want->token_count > 0 && result->tokens_out > 0 && result->tokens[0] == want->tokens[0])
        score->first_tokens++;
    if (result->tokens_out >= prefix && memcmp(result->tokens, want->tokens, prefix * sizeof(int32_t)) == 0 &&
        (prefix == PREFIX_TOKENS || result->tokens_out == prefix))
        score->prefixes++;
    if (result->tokens_out != want->token_count || (result->finish == FINISH_END_TOKEN) != ended ||
        memcmp(result->tokens, want->tokens, want->token_count * sizeof(int32_t)) != 0)
        return;
    score->wholes++;
    for (size_t i = 0; i < want->logprob_count; i++) {
        const double error = fabs((double)result->logprobs[i] - (double)want->logprobs[i]);
        if (error > score->logprob_error_max)
            score->logprob_error_max = error;
    }
}

static struct score run_all(const char *model)
{
    struct dobby_error err;
    struct engine *engine;
    struct score score = {0};
    const struct engine_native_options options = {.model_path = model, .precision = "exact"};
    assert_ok(engine_native_open(&options, &engine, &err), &err);
    for (size_t i = 0; i < RECORDS; i++) {
        const struct engine_request request = {.tag = i,
                                               .tokens = records[i].prompt,
                                               .token_count = records[i].prompt_count,
                                               .tokens_max = TOKENS_MAX,
                                               .sampling = SAMPLING_GREEDY};
        assert_ok(engine_submit(engine, &request, &err), &err);
    }
    for (size_t done = 0; done < RECORDS;) {
        struct engine_result results[RECORDS];
        size_t count;
        assert_ok(engine_wait(engine, results, RECORDS, WAIT_MS, &count, &err), &err);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            compare(&results[i], &score);
            engine_result_release(&results[i]);
        }
        done += count;
    }
    const struct engine_info *info = engine_info(engine);
    print_message("%s, %s kernels: of %d continuations %u begin alike, %u over %d tokens, %u whole; largest "
                  "log-probability error of these %.1e\n",
                  info->precision, info->kernels, RECORDS, score.first_tokens, score.prefixes, PREFIX_TOKENS,
                  score.wholes, score.logprob_error_max);
    engine_close(engine);
    return score;
}

static void the_shipped_file_is_close_to_f32(void **state)
{
    (void)state;
    const struct score score = run_all(NANO);
    assert_true(score.first_tokens >= WANT_FIRST_TOKENS);
    assert_true(score.prefixes >= WANT_PREFIXES);
}

static void the_bf16_directory_equals_f32(void **state)
{
    (void)state;
    const char *directory = getenv("DOBBY_TEST_HF");
    if (directory == NULL) {
        print_message("skipped: DOBBY_TEST_HF does not name the model's Hugging Face directory\n");
        skip();
    }
    const struct score score = run_all(directory);
    assert_int_equal(score.wholes, RECORDS);
    assert_true(score.logprob_error_max <= logprob_tolerance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_file_is_close_to_f32),
        cmocka_unit_test(the_bf16_directory_equals_f32),
    };
    return cmocka_run_group_tests(tests, read_records, free_records);
}
