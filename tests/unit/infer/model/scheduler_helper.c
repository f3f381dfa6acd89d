#include "unit/infer/model/scheduler_helper.h"

#include "os/clock.h"
#include "os/thread.h"
#include "unit/test.h"

#include <string.h>

static struct tiny_model tiny;
static struct thread_pool *pool;
static const struct kernels *chosen;
static struct kernels gated; /* the chosen set, but for a norm that waits while the gate is shut */

static struct mutex lock;
static struct condition opened;
static bool shut; /* guarded by lock */

static void gated_rms_norm(const float *input, const float *weight, float epsilon, uint32_t count,
                           float *output)
{
    mutex_lock(&lock);
    while (shut)
        condition_wait(&opened, &lock);
    mutex_unlock(&lock);
    chosen->rms_norm(input, weight, epsilon, count, output);
}

int helper_open(void **state)
{
    (void)state;
    struct dobby_error err;
    mutex_init(&lock);
    condition_init(&opened);
    assert_ok(kernels_choose(NULL, &chosen, &err), &err);
    gated = *chosen;
    gated.rms_norm = gated_rms_norm;
    tiny_model_open(&gated, PRODUCT_F32, &tiny);
    assert_ok(thread_pool_open(2, &pool, &err), &err);
    return 0;
}

int helper_close(void **state)
{
    (void)state;
    thread_pool_close(pool);
    tiny_model_close(&tiny);
    condition_release(&opened);
    mutex_release(&lock);
    return 0;
}

uint64_t helper_page_bytes(void)
{
    const struct kv_shape shape = model_kv_shape(&tiny.model);
    return kv_page_bytes(&shape);
}

struct scheduler *helper_scheduler(uint32_t sessions, uint32_t pages)
{
    struct dobby_error err;
    struct scheduler *scheduler;
    const struct scheduler_options options = {.model = &tiny.model,
                                              .pool = pool,
                                              .sessions = sessions,
                                              .context_tokens = TINY_POSITIONS,
                                              .kv_bytes_max = pages * helper_page_bytes()};
    assert_ok(scheduler_open(&options, &scheduler, &err), &err);
    return scheduler;
}

static void set_shut(bool value)
{
    mutex_lock(&lock);
    shut = value;
    condition_broadcast(&opened);
    mutex_unlock(&lock);
}

void helper_hold(void)
{
    set_shut(true);
}

void helper_let_go(void)
{
    set_shut(false);
}

void helper_occupy(struct scheduler *scheduler, const struct engine_request *request)
{
    helper_hold();
    assert_code(helper_submit(scheduler, request), DOBBY_OK);
    while (helper_stats(scheduler).running == 0)
        clock_sleep_ms(1);
}

struct helper_prompt helper_prompt(uint32_t family, size_t common, uint32_t number, size_t count)
{
    struct helper_prompt prompt = {.count = count};
    assert_true(count <= TINY_POSITIONS && common <= count);
    tiny_prompt(1000 + family, prompt.tokens, common);
    tiny_prompt(number, prompt.tokens + common, count - common);
    return prompt;
}

struct engine_request helper_request(uint64_t tag, const struct helper_prompt *prompt, uint32_t tokens_max)
{
    return (struct engine_request){.tag = tag,
                                   .tokens = prompt->tokens,
                                   .token_count = prompt->count,
                                   .tokens_max = tokens_max,
                                   .sampling = SAMPLING_GREEDY};
}

dobby_code helper_submit(struct scheduler *scheduler, const struct engine_request *request)
{
    return scheduler_submit(scheduler, request, NULL);
}

struct engine_result helper_result(struct scheduler *scheduler)
{
    struct engine_result result;
    assert_int_equal(scheduler_wait(scheduler, &result, 1, HELPER_WAIT_MS), 1);
    return result;
}

struct engine_stats helper_stats(struct scheduler *scheduler)
{
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    return stats;
}

void helper_assert_same(const struct engine_result *a, const struct engine_result *b, const char *what)
{
    const size_t logprobs = a->tokens_out + (a->finish == FINISH_END_TOKEN);
    if (a->finish != b->finish || a->tokens_in != b->tokens_in || a->tokens_out != b->tokens_out ||
        memcmp(a->tokens, b->tokens, a->tokens_out * sizeof a->tokens[0]) != 0 ||
        memcmp(a->logprobs, b->logprobs, logprobs * sizeof a->logprobs[0]) != 0 ||
        memcmp(&a->confidence, &b->confidence, sizeof a->confidence) != 0)
        fail_msg("%s: the results of %llu and %llu differ", what, (unsigned long long)a->tag,
                 (unsigned long long)b->tag);
}
