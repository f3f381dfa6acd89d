/* What each precision costs: the mean log-probability that the embedded model gives the reference
 * continuations of 32 prompts (their tokens and the end token), against that of strict F32. */
#include "golden/jsonl_helper.h"
#include "infer/model/forward.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"
#define VECTORS DOBBY_SOURCE_DIR "/tests/golden/nano.jsonl"

enum { RECORDS = 32, SETS_MAX = 8, TOKENS_MAX = 768, PREFIX_TOKENS = 8, THREADS = 2 };

/* Relative to the reference's mean, which is of the weights before they became Q8_0: that alone changes it by
 * 0.18 %. A set that rounds keys and values does so in every precision. */
static const struct {
    enum product product;
    double tolerance, tolerance_rounding_keys;
} precisions[] = {{PRODUCT_F32, 3e-3, 1e-2},
                  {PRODUCT_BF16, 1e-2, 1e-2},
                  {PRODUCT_INT8, 1e-2, 1e-2},
                  {PRODUCT_INT4, 5e-2, 5e-2}};

struct record {
    int32_t *prompt, *tokens;
    float *logprobs; /* of the tokens, and of the end token where it came */
    size_t prompt_count, token_count, logprob_count;
};
static struct record records[RECORDS];

static const atomic_bool never;

struct score {
    double logprobs, want; /* sums */
    size_t count;
    uint32_t prefixes; /* continuations that are the most likely ones over PREFIX_TOKENS */
};

static void read_record(void *context, size_t line, const struct json *object)
{
    (void)context;
    assert_true(line <= RECORDS);
    struct record *record = &records[line - 1];
    record->prompt = jsonl_integers(json_member(object, "prompt_ids"), &record->prompt_count);
    record->tokens = jsonl_integers(json_member(object, "greedy_ids"), &record->token_count);
    record->logprobs = jsonl_numbers(json_member(object, "greedy_logprobs"), &record->logprob_count);
    assert_true(record->prompt_count > 0 && record->prompt_count + record->token_count <= TOKENS_MAX);
    assert_true(record->token_count > 0 && record->logprob_count <= FORWARD_LOGIT_ROWS);
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

/* Feeds the prompt and the continuation at once; each output row foretells the next token. */
static void score_record(const struct record *record, const struct model *model, struct forward *forward,
                         struct kv_pool *kv, struct score *score)
{
    struct dobby_error err;
    struct kv_sequence sequence;
    int32_t tokens[TOKENS_MAX];
    const uint32_t outputs = (uint32_t)record->logprob_count;
    /* The last logarithm belongs to the token after the last one fed. */
    const size_t fed = record->prompt_count + outputs - 1;
    memcpy(tokens, record->prompt, record->prompt_count * sizeof *tokens);
    memcpy(tokens + record->prompt_count, record->tokens, (outputs - 1) * sizeof *tokens);
    assert_ok(kv_sequence_open(kv, (uint32_t)fed, &sequence, &err), &err);
    assert_true(forward_pass(forward, &(struct forward_run){&sequence, tokens, (uint32_t)fed, outputs}, 1));
    const float *logits = forward_logits(forward, 0, outputs);
    bool prefix = true;
    for (uint32_t i = 0; i < outputs; i++, logits += model->config.vocabulary) {
        uint32_t best;
        float logsumexp;
        const int32_t token = i < record->token_count ? record->tokens[i] : model->config.end_tokens[0];
        model->kernels->argmax_logsumexp(logits, model->config.vocabulary, &best, &logsumexp);
        score->logprobs += (double)logits[token] - (double)logsumexp;
        score->want += (double)record->logprobs[i];
        prefix = prefix && (i >= PREFIX_TOKENS || best == (uint32_t)token);
    }
    score->count += outputs;
    score->prefixes += prefix;
    kv_sequence_close(kv, &sequence);
}

static struct score score_model(const struct kernels *kernels, enum product product)
{
    struct dobby_error err;
    struct score score = {.count = 0};
    struct model_file *file;
    struct model model;
    struct thread_pool *pool;
    struct kv_pool *kv;
    struct forward *forward;
    assert_ok(model_file_open(NANO, &file, &err), &err);
    assert_ok(model_load(file, kernels, product, TOKENS_MAX, &model, &err), &err);
    const struct kv_shape shape = model_kv_shape(&model);
    assert_ok(kv_pool_open(&shape, kv_pages_of(TOKENS_MAX) * kv_page_bytes(&shape), &kv, &err), &err);
    assert_ok(thread_pool_open(THREADS, &pool, &err), &err);
    const struct forward_limits limits = {.tokens_max = TOKENS_MAX, .runs_max = 1};
    assert_ok(forward_open(&model, pool, &never, &limits, &forward, &err), &err);
    for (size_t i = 0; i < RECORDS; i++)
        score_record(&records[i], &model, forward, kv, &score);
    forward_close(forward);
    thread_pool_close(pool);
    kv_pool_close(kv);
    model_release(&model);
    model_file_close(file);
    return score;
}

static void every_precision_is_close_to_f32(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    /* The scalar set takes minutes, and the other sets have its bits but for exponentials. */
    for (size_t s = set_count > 1 ? 1 : 0; s < set_count; s++) {
        for (size_t p = 0; p < COUNT_OF(precisions); p++) {
            const bool rounds = sets[s]->rounds_keys;
            const struct score score = score_model(sets[s], precisions[p].product);
            const double count = (double)score.count;
            const double change = (score.logprobs - score.want) / fabs(score.want);
            print_message("%-6s %-4s: mean log-probability %.5f, of F32 %.5f (%+.2f %%); %u of %d "
                          "continuations alike over %d tokens\n",
                          sets[s]->name, product_name(precisions[p].product), score.logprobs / count,
                          score.want / count, 100.0 * change, score.prefixes, RECORDS, PREFIX_TOKENS);
            assert_true(fabs(change) <=
                        (rounds ? precisions[p].tolerance_rounding_keys : precisions[p].tolerance));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_precision_is_close_to_f32)};
    return cmocka_run_group_tests(tests, read_records, free_records);
}
