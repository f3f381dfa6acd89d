#include "infer/model/scheduler.h"

#include "base/limits.h"
#include "infer/model/kv_cache.h"
#include "unit/infer/model/tiny_model_helper.h"
#include "unit/test.h"

#include <math.h>
#include <string.h>

static struct tiny_model tiny;
static struct thread_pool *pool;
static struct kv_shape shape;
enum { WAIT_MS = 60000 };

static struct scheduler *open_scheduler(uint32_t sessions, uint32_t pages)
{
    struct dobby_error err;
    struct scheduler *scheduler;
    const struct scheduler_options options = {.model = &tiny.model,
                                              .pool = pool,
                                              .sessions = sessions,
                                              .context_tokens = TINY_POSITIONS,
                                              .kv_bytes_max = pages * kv_page_bytes(&shape)};
    assert_ok(scheduler_open(&options, &scheduler, &err), &err);
    return scheduler;
}

static dobby_code submit(struct scheduler *scheduler, uint32_t number, size_t token_count,
                         uint32_t tokens_max)
{
    int32_t tokens[TINY_POSITIONS];
    assert_true(token_count <= COUNT_OF(tokens));
    tiny_prompt(number, tokens, token_count);
    const struct engine_request request = {
        .tag = number,
        .tokens = tokens,
        .token_count = token_count,
        .tokens_max = tokens_max,
        .sampling = {.temperature = 1, .top_p = 1, .repetition_penalty = 1}};
    return scheduler_submit(scheduler, &request, NULL);
}

static void check_result(const struct engine_result *result)
{
    const uint32_t logprobs = result->tokens_out + (result->finish == FINISH_END_TOKEN);
    double sum = 0;
    for (uint32_t i = 0; i < logprobs; i++) {
        assert_true(result->logprobs[i] <= 1e-5f);
        sum += exp((double)result->logprobs[i]);
    }
    assert_true(fabs(result->confidence - (logprobs ? sum / logprobs : 0)) < 1e-9);
    for (uint32_t i = 0; i < result->tokens_out; i++)
        assert_int_not_equal(result->tokens[i], TINY_END_TOKEN);
    assert_true(result->total_us >= result->first_token_us && result->first_token_us >= 0);
}

/* More requests than sessions, and KV for two at once: all end, in bounds, with one result each. */
static void all_requests_end_under_tight_memory(void **state)
{
    (void)state;
    enum { REQUESTS = 40, PAGES = 9 };
    struct scheduler *scheduler = open_scheduler(8, PAGES);
    for (uint32_t i = 0; i < REQUESTS; i++)
        assert_code(submit(scheduler, i, 1 + i * 2, 20), DOBBY_OK);
    bool seen[REQUESTS] = {false};
    for (uint32_t left = REQUESTS; left > 0;) {
        struct engine_result results[3];
        const size_t count = scheduler_wait(scheduler, results, COUNT_OF(results), WAIT_MS);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++, left--) {
            assert_true(results[i].tag < REQUESTS && !seen[results[i].tag]);
            seen[results[i].tag] = true;
            assert_int_equal(results[i].tokens_in, 1 + results[i].tag * 2);
            assert_true(results[i].finish == FINISH_END_TOKEN || results[i].finish == FINISH_LENGTH);
            assert_true((results[i].finish == FINISH_LENGTH) == (results[i].tokens_out == 20));
            check_result(&results[i]);
            engine_result_release(&results[i]);
        }
    }
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.submitted, REQUESTS);
    assert_int_equal(stats.finished, REQUESTS);
    assert_int_equal(stats.canceled + stats.failed + stats.queued + stats.running, 0);
    assert_int_equal(stats.prefill_tokens, REQUESTS * REQUESTS);
    assert_int_equal(stats.kv_bytes_used, 0);
    assert_true(stats.kv_bytes_peak > 0 && stats.kv_bytes_peak <= PAGES * kv_page_bytes(&shape));
    scheduler_close(scheduler);
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    struct scheduler *scheduler = open_scheduler(2, 3);
    static const struct {
        const char *name;
        size_t token_count;
        uint32_t tokens_max;
        dobby_code want;
    } rows[] = {
        {"no prompt", 0, 5, DOBBY_INVALID_ARGUMENT},
        {"nothing to generate", 5, 0, DOBBY_INVALID_ARGUMENT},
        {"too much to generate", 5, LIMIT_GENERATED_TOKENS + 1, DOBBY_INVALID_ARGUMENT},
        {"longer than the context", 200, TINY_POSITIONS - 199, DOBBY_CONTEXT_EXCEEDED},
        {"longer than the context by far", 200, LIMIT_GENERATED_TOKENS, DOBBY_CONTEXT_EXCEEDED},
        {"more than the KV cache", 100, 3 * KV_PAGE_TOKENS - 99, DOBBY_KV_EXHAUSTED},
        {"just the KV cache", 100, 3 * KV_PAGE_TOKENS - 100, DOBBY_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const dobby_code code = submit(scheduler, 1, rows[i].token_count, rows[i].tokens_max);
        if (code != rows[i].want)
            fail_msg("%s: %s", rows[i].name, dobby_code_name(code));
    }
    const int32_t outside[] = {-1, TINY_VOCABULARY, INT32_MAX};
    for (size_t i = 0; i < COUNT_OF(outside); i++) {
        const struct engine_request request = {
            .tokens = &outside[i], .token_count = 1, .tokens_max = 1, .sampling = SAMPLING_GREEDY};
        assert_code(scheduler_submit(scheduler, &request, NULL), DOBBY_INVALID_ARGUMENT);
    }
    struct engine_result result;
    assert_int_equal(scheduler_wait(scheduler, &result, 1, WAIT_MS), 1);
    engine_result_release(&result);
    assert_int_equal(scheduler_wait(scheduler, &result, 1, WAIT_MS), 0); /* nothing in flight: at once */
    scheduler_close(scheduler);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    enum { SESSIONS = 3, UNTAKEN_MAX = 3 * SESSIONS + 64 };
    struct scheduler *scheduler = open_scheduler(SESSIONS, 24);
    uint32_t submitted = 0;
    while (submit(scheduler, submitted, 100, 100) == DOBBY_OK)
        submitted++;
    assert_code(submit(scheduler, 0, 100, 100), DOBBY_QUEUE_FULL);
    assert_int_equal(submitted, UNTAKEN_MAX);
    /* One result taken makes room for one request. */
    struct engine_result result;
    assert_int_equal(scheduler_wait(scheduler, &result, 1, WAIT_MS), 1);
    engine_result_release(&result);
    assert_code(submit(scheduler, submitted, 1, 1), DOBBY_OK);
    assert_code(submit(scheduler, submitted, 1, 1), DOBBY_QUEUE_FULL);
    scheduler_close(scheduler); /* with all the rest in flight */
}

static void cancelling_ends_everything_and_frees_it(void **state)
{
    (void)state;
    enum { REQUESTS = 20 };
    struct scheduler *scheduler = open_scheduler(3, 24);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < REQUESTS; i++)
            assert_code(submit(scheduler, i, 50, 200), DOBBY_OK);
        struct engine_result results[REQUESTS];
        size_t count = 0;
        if (round > 0) /* the first time before anything ran */
            count = scheduler_wait(scheduler, results, 1, WAIT_MS);
        scheduler_cancel_all(scheduler);
        while (count < REQUESTS) {
            const size_t more = scheduler_wait(scheduler, results + count, REQUESTS - count, WAIT_MS);
            assert_true(more > 0);
            count += more;
        }
        uint32_t canceled = 0;
        for (size_t i = 0; i < REQUESTS; i++) {
            canceled += results[i].finish == FINISH_CANCELED;
            check_result(&results[i]);
            engine_result_release(&results[i]);
        }
        assert_true(canceled > 0);
        struct engine_stats stats;
        scheduler_stats(scheduler, &stats);
        assert_int_equal(stats.kv_bytes_used, 0);
        assert_int_equal(stats.queued + stats.running, 0);
        assert_int_equal(scheduler_wait(scheduler, results, 1, WAIT_MS), 0);
    }
    /* It works on. */
    struct engine_result result;
    assert_code(submit(scheduler, 1, 5, 5), DOBBY_OK);
    assert_int_equal(scheduler_wait(scheduler, &result, 1, WAIT_MS), 1);
    assert_true(result.finish == FINISH_LENGTH || result.finish == FINISH_END_TOKEN);
    engine_result_release(&result);
    scheduler_close(scheduler);
}

/* A request whose numbers break fails alone: those beside it yield what they yield without it. */
static void a_broken_request_fails_alone(void **state)
{
    (void)state;
    enum { GOOD = 6 };
    int32_t tokens[2][GOOD][16];
    uint32_t tokens_out[2][GOOD];
    for (uint32_t round = 0; round < 2; round++) {
        struct scheduler *scheduler = open_scheduler(16, 64);
        uint32_t submitted = 0;
        for (uint32_t i = 0; i < GOOD; i++, submitted++) {
            const int32_t broken[] = {3, 4, TINY_BROKEN_TOKEN, 5};
            const struct engine_request request = {.tag = 1000 + i,
                                                   .tokens = broken,
                                                   .token_count = 4,
                                                   .tokens_max = 9,
                                                   .sampling = SAMPLING_GREEDY};
            if (round == 1 && ++submitted)
                assert_code(scheduler_submit(scheduler, &request, NULL), DOBBY_OK);
            assert_code(submit(scheduler, i, 30, 16), DOBBY_OK);
        }
        while (submitted-- > 0) {
            struct engine_result result;
            assert_int_equal(scheduler_wait(scheduler, &result, 1, WAIT_MS), 1);
            if (result.tag >= 1000) {
                assert_int_equal(result.finish, FINISH_ERROR);
                assert_code(result.error.code, DOBBY_NUMERIC_FAILURE);
                assert_int_equal(result.tokens_out, 0);
                assert_true(result.confidence == 0);
            } else {
                assert_code(result.error.code, DOBBY_OK);
                tokens_out[round][result.tag] = result.tokens_out;
                memcpy(tokens[round][result.tag], result.tokens, result.tokens_out * sizeof(int32_t));
            }
            engine_result_release(&result);
        }
        scheduler_close(scheduler);
    }
    for (uint32_t i = 0; i < GOOD; i++) {
        assert_int_equal(tokens_out[0][i], tokens_out[1][i]);
        assert_memory_equal(tokens[0][i], tokens[1][i], tokens_out[0][i] * sizeof(int32_t));
    }
}

static void waiting_does_not_hang(void **state)
{
    (void)state;
    struct scheduler *scheduler = open_scheduler(1, 8);
    struct engine_result result;
    assert_int_equal(scheduler_wait(scheduler, &result, 1, WAIT_MS), 0);
    assert_code(submit(scheduler, 1, 200, 50), DOBBY_OK);
    (void)scheduler_wait(scheduler, &result, 0, 0);
    size_t count = 0;
    while (count == 0) /* a time that runs out gives nothing, and the result comes all the same */
        count = scheduler_wait(scheduler, &result, 1, 1);
    assert_int_equal(result.tag, 1);
    engine_result_release(&result);
    scheduler_close(scheduler);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct scheduler *scheduler = (void *)1;
    struct scheduler_options options = {
        .model = &tiny.model, .pool = pool, .context_tokens = TINY_POSITIONS, .kv_bytes_max = 1 << 20};
    assert_code(scheduler_open(&options, &scheduler, NULL), DOBBY_INVALID_ARGUMENT); /* no session */
    assert_null(scheduler);
    options.sessions = LIMIT_SESSIONS + 1;
    assert_code(scheduler_open(&options, &scheduler, NULL), DOBBY_INVALID_ARGUMENT);
    options.sessions = 1;
    options.kv_bytes_max = kv_page_bytes(&shape) - 1;
    assert_code(scheduler_open(&options, &scheduler, NULL), DOBBY_INVALID_ARGUMENT);
    assert_null(scheduler);
    scheduler_close(NULL);
}

static int open_all(void **state)
{
    (void)state;
    struct dobby_error err;
    const struct kernels *kernels;
    assert_ok(kernels_choose(NULL, &kernels, &err), &err);
    tiny_model_open(kernels, PRODUCT_F32, &tiny);
    shape = model_kv_shape(&tiny.model);
    assert_ok(thread_pool_open(2, &pool, &err), &err);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    thread_pool_close(pool);
    tiny_model_close(&tiny);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_requests_end_under_tight_memory),
        cmocka_unit_test(what_cannot_be_done_is_refused),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(cancelling_ends_everything_and_frees_it),
        cmocka_unit_test(a_broken_request_fails_alone),
        cmocka_unit_test(waiting_does_not_hang),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
