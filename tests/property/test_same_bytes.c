/* A request's output does not depend on what else the engine does: the same requests give the same text,
 * tokens and log-probabilities, bit for bit, at any number of sessions and threads, in any order, cut by any
 * limit of the KV cache. Greedy and seeded sampling. */
#include "infer/engine_native.h"
#include "os/thread_pool.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"

enum { REQUESTS = 14, TOKENS_MAX = 12, WAIT_MS = 300000 };

static struct token_list prompts[REQUESTS];
static const struct sampling samplings[] = {
    {.temperature = 0, .top_p = 1, .repetition_penalty = 1},
    {.temperature = 0, .top_p = 1, .repetition_penalty = 1.3f},
    {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .repetition_penalty = 1, .seed = 1},
    {.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1.1f, .seed = 2},
    {.temperature = 1.5f, .top_p = 1, .repetition_penalty = 1, .seed = 3},
};

static struct engine *open_engine(uint32_t sessions, uint32_t threads, uint64_t kv_bytes)
{
    struct dobby_error err;
    struct engine *engine;
    const struct engine_native_options options = {
        .model_path = NANO, .sessions = sessions, .threads = threads, .kv_bytes_max = kv_bytes};
    assert_ok(engine_native_open(&options, &engine, &err), &err);
    return engine;
}

/* Prompts of very different lengths; one is longer than a step takes in. */
static void make_prompts(struct engine *engine)
{
    static const char line[] = "static int add_%zu(int a, int b) { return a + b * %zu; }\n";
    for (size_t i = 0; i < REQUESTS; i++) {
        struct dobby_error err;
        struct buffer text = {0};
        const size_t lines = i == REQUESTS / 2 ? 14 : i % 4;
        assert_ok(buffer_append_format(&text, &err, "src/part%zu.c\n", i * i), &err);
        for (size_t j = 0; j < lines; j++)
            assert_ok(buffer_append_format(&text, &err, line, i, j), &err);
        const struct text_span spans[] = {{"<|im_start|>user\n", 17, true},
                                          {text.bytes, text.length, false},
                                          {"<|im_end|>\n<|im_start|>assistant\n", 33, true}};
        assert_ok(engine_tokenize(engine, spans, COUNT_OF(spans), &prompts[i], &err), &err);
        buffer_release(&text);
    }
}

static void submit_all(struct engine *engine, const size_t order[REQUESTS])
{
    struct dobby_error err;
    for (size_t k = 0; k < REQUESTS; k++) {
        const size_t i = order[k];
        const struct engine_request request = {.tag = i,
                                               .tokens = prompts[i].ids,
                                               .token_count = prompts[i].count,
                                               .tokens_max = TOKENS_MAX,
                                               .sampling = samplings[i % COUNT_OF(samplings)]};
        assert_ok(engine_submit(engine, &request, &err), &err);
    }
}

static void take_all(struct engine *engine, struct engine_result out[REQUESTS])
{
    struct dobby_error err;
    for (size_t done = 0; done < REQUESTS;) {
        struct engine_result result;
        size_t count;
        assert_ok(engine_wait(engine, &result, 1, WAIT_MS, &count, &err), &err);
        assert_int_equal(count, 1);
        assert_true(result.tag < REQUESTS && out[result.tag].text == NULL);
        out[result.tag] = result;
        done++;
    }
}

/* order: request number k is submitted as the order[k]-th. */
static void run_all(struct engine *engine, const size_t order[REQUESTS], struct engine_result out[REQUESTS])
{
    submit_all(engine, order);
    take_all(engine, out);
}

static void assert_same(const struct engine_result *a, const struct engine_result *b, const char *what)
{
    const size_t logprobs = a->tokens_out + (a->finish == FINISH_END_TOKEN);
    if (a->finish != b->finish || a->tokens_out != b->tokens_out || a->text_length != b->text_length ||
        memcmp(a->text, b->text, a->text_length + 1) != 0 ||
        memcmp(a->tokens, b->tokens, a->tokens_out * sizeof a->tokens[0]) != 0 ||
        memcmp(a->logprobs, b->logprobs, logprobs * sizeof a->logprobs[0]) != 0 ||
        memcmp(&a->confidence, &b->confidence, sizeof a->confidence) != 0)
        fail_msg("%s: request %llu: \"%s\" is not \"%s\", or its numbers differ", what,
                 (unsigned long long)a->tag, b->text, a->text);
}

static void release_all(struct engine_result results[REQUESTS])
{
    for (size_t i = 0; i < REQUESTS; i++)
        engine_result_release(&results[i]);
}

/* Engines of one process take turns on the same threads: no more than the widest asks for. */
static void run_two_engines(const struct engine_result want[REQUESTS])
{
    static const struct {
        uint32_t sessions, threads;
    } engines[] = {{5, 2}, {16, 3}};
    enum { ENGINES = COUNT_OF(engines) };
    struct engine *open[ENGINES];
    struct engine_result have[ENGINES][REQUESTS] = {{{0}}};
    for (size_t i = 0; i < ENGINES; i++)
        open[i] = open_engine(engines[i].sessions, engines[i].threads, 0);
    assert_int_equal(thread_pool_workers(), 2);
    for (size_t i = 0; i < ENGINES; i++) {
        size_t order[REQUESTS];
        for (size_t k = 0; k < REQUESTS; k++)
            order[k] = (k * 5 + i) % REQUESTS;
        submit_all(open[i], order);
    }
    for (size_t i = 0; i < ENGINES; i++) {
        take_all(open[i], have[i]);
        for (size_t j = 0; j < REQUESTS; j++)
            assert_same(&want[j], &have[i][j], "one of two engines at once");
        release_all(have[i]);
    }
    assert_int_equal(thread_pool_workers(), 2);
    for (size_t i = 0; i < ENGINES; i++)
        engine_close(open[i]);
    assert_int_equal(thread_pool_workers(), 0);
}

static void outputs_depend_on_their_request_alone(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t sessions, threads;
        uint64_t kv_bytes; /* 0: the default */
        size_t stride;     /* of the order; coprime to REQUESTS */
    } rows[] = {
        {"one session, one thread", 1, 1, 0, 1},
        {"three sessions, two threads, other order", 3, 2, 0, 5},
        {"sixteen sessions, one thread, other order", 16, 1, 0, 9},
        {"sixteen sessions, two threads, backwards", 16, 2, 0, REQUESTS - 1},
        {"sixteen sessions, three threads, memory for few", 16, 3, 12 << 20, 3},
        {"256 sessions, four threads", 256, 4, 0, 11},
    };
    struct engine_result want[REQUESTS] = {{0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine *engine = open_engine(rows[i].sessions, rows[i].threads, rows[i].kv_bytes);
        if (i == 0)
            make_prompts(engine);
        size_t order[REQUESTS];
        for (size_t k = 0; k < REQUESTS; k++)
            order[k] = (k * rows[i].stride + i) % REQUESTS;
        struct engine_result have[REQUESTS] = {{0}};
        run_all(engine, order, have);
        if (i == 0) {
            memcpy(want, have, sizeof want);
        } else {
            for (size_t j = 0; j < REQUESTS; j++)
                assert_same(&want[j], &have[j], rows[i].name);
            release_all(have);
        }
        engine_close(engine);
    }
    run_two_engines(want);
    /* The seed counts, so the equality above is not that of constants. */
    uint32_t distinct = 0;
    for (size_t i = 1; i < REQUESTS; i++)
        distinct += strcmp(want[i].text, want[i - 1].text) != 0;
    assert_true(distinct > REQUESTS / 2);
    release_all(want);
    for (size_t i = 0; i < REQUESTS; i++)
        token_list_release(&prompts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_depend_on_their_request_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
