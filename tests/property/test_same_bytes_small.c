/* The same as test_same_bytes over many more combinations, on a random model so small that a request takes a
 * millisecond: sessions 1 to 256, threads 1 to 4, every product, orders, neighbours, prompts that
 * begin alike and equal ones. */
#include "infer/model/scheduler.h"
#include "unit/test.h"

#include <string.h>

enum { VOCABULARY = 100, POSITIONS = 192, DIFFERENT_MAX = 300, WAIT_MS = 300000 };

static const struct model_config config = {.architecture = MODEL_QWEN2,
                                           .name = "small",
                                           .layers = 2,
                                           .hidden = 48,
                                           .heads = 4,
                                           .kv_heads = 2,
                                           .head_dim = 16,
                                           .feed_forward = 80,
                                           .vocabulary = VOCABULARY,
                                           .context_tokens = POSITIONS,
                                           .norm_epsilon = 1e-6f,
                                           .rope_base = 10000,
                                           .qkv_bias = true,
                                           .end_tokens = {7, 11, 30, 90},
                                           .end_token_count = 4,
                                           .begin_token = -1};

static struct model model;
static struct engine_result want[DIFFERENT_MAX];
static uint32_t different; /* requests; further ones repeat these */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t bits_of(uint64_t number)
{
    uint64_t z = number * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* A third begins with the same 45 tokens, a third with the same 70; lengths differ by far. */
static void submit(struct scheduler *scheduler, uint32_t tag)
{
    static const uint32_t commons[] = {0, 45, 70};
    struct dobby_error err;
    int32_t tokens[POSITIONS];
    const uint32_t number = tag % different;
    const uint32_t common = commons[number % COUNT_OF(commons)];
    const uint32_t count = common + 1 + (uint32_t)(bits_of(number) % 90);
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = (int32_t)(bits_of(i < common ? common * 1000 + i : number * 10000 + i + 7) % VOCABULARY);
    struct engine_request request = {.tag = tag,
                                     .tokens = tokens,
                                     .token_count = count,
                                     .tokens_max = 1 + number % 20,
                                     .sampling = SAMPLING_GREEDY};
    if (number % 2)
        request.sampling = (struct sampling){.temperature = 0.5f + (float)(number % 3) / 2,
                                             .top_k = number % 5 * 10,
                                             .top_p = number % 7 ? 0.9f : 1,
                                             .repetition_penalty = number % 4 == 1 ? 1.2f : 1,
                                             .seed = number};
    assert_ok(scheduler_submit(scheduler, &request, &err), &err);
}

static void compare(const struct engine_result *result, const char *what)
{
    const struct engine_result *expected = &want[result->tag % different];
    const size_t logprobs = expected->tokens_out + (expected->finish == FINISH_END_TOKEN);
    if (result->finish != expected->finish || result->tokens_out != expected->tokens_out ||
        memcmp(result->tokens, expected->tokens, expected->tokens_out * sizeof(int32_t)) != 0 ||
        memcmp(result->logprobs, expected->logprobs, logprobs * sizeof(float)) != 0 ||
        memcmp(&result->confidence, &expected->confidence, sizeof(double)) != 0)
        fail_msg("%s: request %llu yields something else", what, (unsigned long long)result->tag);
}

struct way {
    const char *name;
    /* stride: of the order; coprime to the requests' number; 0: equal requests come side by side */
    uint32_t sessions, threads, pages, stride;
    bool adaptive;
};

/* Keeps `ahead` requests in flight; calls compare for each result, or keeps it as what is wanted. */
static struct engine_stats run(const struct way *way, uint32_t requests, uint32_t ahead, bool first)
{
    struct dobby_error err;
    struct thread_pool *pool;
    struct scheduler *scheduler;
    const struct kv_shape shape = model_kv_shape(&model);
    assert_ok(thread_pool_open(way->threads, &pool, &err), &err);
    const struct scheduler_options options = {.model = &model,
                                              .pool = pool,
                                              .sessions = way->sessions,
                                              .adaptive = way->adaptive,
                                              .context_tokens = POSITIONS,
                                              .kv_bytes_max = way->pages * kv_page_bytes(&shape)};
    assert_ok(scheduler_open(&options, &scheduler, &err), &err);
    const uint32_t stride = way->stride > 0 ? way->stride : different;
    for (uint32_t submitted = 0, done = 0; done < requests;) {
        for (; submitted < requests && submitted - done < ahead; submitted++)
            submit(scheduler, submitted * stride % requests);
        struct engine_result result;
        assert_int_equal(scheduler_wait(scheduler, &result, 1, WAIT_MS), 1);
        assert_code(result.error.code, DOBBY_OK);
        done++;
        if (first) {
            want[result.tag] = result;
            continue;
        }
        compare(&result, way->name);
        engine_result_release(&result);
    }
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    scheduler_close(scheduler);
    thread_pool_close(pool);
    return stats;
}

static const struct way ways[] = {
    {"one session, two threads", 1, 2, 64, 3, false},
    {"sixteen sessions, four threads, little memory", 16, 4, 13, 11, false},
    {"128 sessions at most, three threads, adaptive", 128, 3, 1500, 17, true},
    {"256 sessions, one thread, backwards", 256, 1, 1500, 30, false},
    {"two sessions, three threads", 2, 3, 64, 9, false},
    {"seven sessions, one thread", 7, 1, 200, 27, false},
    {"64 sessions, two threads, equal ones side by side", 64, 2, 600, 0, false},
    {"256 sessions, four threads, memory for some", 256, 4, 60, 1, false},
};

struct plan {
    enum product product;
    uint32_t different, requests; /* requests: a prime, so that every stride visits each once */
    size_t ways;
};
static struct plan plans[] = {{PRODUCT_F32, 283, 401, COUNT_OF(ways)},
                              {PRODUCT_BF16, 47, 61, COUNT_OF(ways)},
                              {PRODUCT_INT8, 47, 61, COUNT_OF(ways)},
                              {PRODUCT_INT4, 47, 61, COUNT_OF(ways)}};

static void outputs_depend_on_their_request_alone(void **state)
{
    static const struct way alone = {"alone", 1, 1, 16, 1, false};
    const struct plan *plan = *state;
    struct dobby_error err;
    const struct kernels *kernels;
    assert_ok(kernels_choose(NULL, &kernels, &err), &err);
    assert_ok(model_make_random(&config, kernels, plan->product, POSITIONS, &model, &err), &err);
    different = plan->different;
    (void)run(&alone, different, 1, true);
    uint64_t passes_apart = 0, shared = 0;
    for (size_t i = 0; i < plan->ways; i++) {
        const struct engine_stats stats = run(&ways[i], plan->requests, 2 * ways[i].sessions + 32, false);
        assert_int_equal(stats.finished, plan->requests);
        assert_true(stats.prefix_tokens > 0);
        passes_apart += stats.passes_apart;
        shared += stats.shared;
    }
    /* Else the comparisons would not be of what they say. How many are in flight together, in any one run, is
     * a matter of time. */
    assert_true(passes_apart > 0 && shared > 0);
    uint32_t distinct = 0, ended = 0;
    for (uint32_t i = 1; i < different; i++) {
        distinct += want[i].logprobs[0] != want[i - 1].logprobs[0];
        ended += want[i].finish == FINISH_END_TOKEN;
    }
    assert_true(distinct > different / 2 && ended > 0);
    for (uint32_t i = 0; i < different; i++)
        engine_result_release(&want[i]);
    model_release(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(outputs_depend_on_their_request_alone, &plans[0]),
        cmocka_unit_test_prestate(outputs_depend_on_their_request_alone, &plans[1]),
        cmocka_unit_test_prestate(outputs_depend_on_their_request_alone, &plans[2]),
        cmocka_unit_test_prestate(outputs_depend_on_their_request_alone, &plans[3]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
