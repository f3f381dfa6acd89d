/* Prompts that begin alike share what they have in common: with the same results, in exact memory. */
#include "unit/infer/model/scheduler_helper.h"
#include "unit/test.h"

#include <string.h>

enum { TOKENS_MAX = 8, REQUESTS = 24, OUTSIDE = 1000 };

/* Families of prompts with more and less in common, some equal but for their sampling. */
static struct helper_prompt prompt_of(uint32_t number)
{
    static const size_t commons[] = {40, 32, 31, 97, 64, 150};
    const uint32_t family = number % COUNT_OF(commons);
    return helper_prompt(family, commons[family], number, commons[family] + 1 + number);
}

static struct engine_request request_of(uint32_t number, const struct helper_prompt *prompt)
{
    struct engine_request request = helper_request(number, prompt, TOKENS_MAX);
    if (number % 2)
        request.sampling =
            (struct sampling){.temperature = 1, .top_p = 1, .repetition_penalty = 1.1f, .seed = number};
    return request;
}

/* Each by itself: nothing to share. */
static void run_alone(struct engine_result results[REQUESTS])
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct scheduler *scheduler = helper_scheduler(1, 16);
        const struct helper_prompt prompt = prompt_of(i);
        const struct engine_request request = request_of(i, &prompt);
        assert_code(helper_submit(scheduler, &request), DOBBY_OK);
        results[i] = helper_result(scheduler);
        assert_int_equal(helper_stats(scheduler).prefix_tokens, 0);
        scheduler_close(scheduler);
    }
}

static void release_all(struct engine_result results[REQUESTS])
{
    for (uint32_t i = 0; i < REQUESTS; i++)
        engine_result_release(&results[i]);
}

static void sharing_changes_no_result(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t sessions, pages;
        bool at_once; /* else each is submitted when the one before has ended */
    } rows[] = {
        {"all at once", 32, 400, true},          {"some at once", 5, 60, true},
        {"one at a time", 1, 16, true},          {"memory for two of the longest", 16, 14, true},
        {"memory for one of them", 16, 7, true}, {"one after the other", 4, 60, false},
    };
    struct engine_result want[REQUESTS], have[REQUESTS];
    run_alone(want);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scheduler *scheduler = helper_scheduler(rows[i].sessions, rows[i].pages);
        uint64_t prompt_tokens = 0;
        memset(have, 0, sizeof have);
        if (rows[i].at_once) {
            const struct helper_prompt prompt = helper_prompt(0, 0, 77, 10);
            const struct engine_request request = helper_request(OUTSIDE, &prompt, 1);
            helper_occupy(scheduler, &request);
            prompt_tokens += prompt.count;
        }
        for (uint32_t k = 0; k < REQUESTS; k++) {
            const struct helper_prompt prompt = prompt_of(k);
            const struct engine_request request = request_of(k, &prompt);
            assert_code(helper_submit(scheduler, &request), DOBBY_OK);
            prompt_tokens += prompt.count;
            if (!rows[i].at_once)
                have[k] = helper_result(scheduler);
        }
        helper_let_go();
        for (uint32_t k = 0; rows[i].at_once && k <= REQUESTS; k++) {
            struct engine_result result = helper_result(scheduler);
            if (result.tag == OUTSIDE)
                engine_result_release(&result);
            else
                have[result.tag] = result;
        }
        for (uint32_t k = 0; k < REQUESTS; k++)
            helper_assert_same(&want[k], &have[k], rows[i].name);
        release_all(have);
        const struct engine_stats stats = helper_stats(scheduler);
        assert_int_equal(stats.prefill_tokens + stats.prefix_tokens, prompt_tokens);
        assert_true(stats.kv_bytes_peak <= rows[i].pages * helper_page_bytes());
        if (rows[i].at_once && rows[i].pages > 10)
            assert_true(stats.prefix_tokens > 0);
        scheduler_close(scheduler);
    }
    release_all(want);
}

/* Submits requests one after the other; wants what the cache yields for each. */
static void prefixes_are_found_one_after_the_other(void **state)
{
    (void)state;
    static const struct {
        uint32_t family, common, number, count, want; /* want: tokens that need not be computed */
    } rows[] = {
        {1, 40, 0, 60, 0},                      /* nothing before it */
        {1, 40, 1, 70, 0},                      /* 40 in common with the one before: kept */
        {1, 40, 2, 50, 40},                     /* from the cache */
        {2, 31, 3, 50, 0},                      /* too little */
        {2, 31, 4, 50, 0},  {1, 40, 5, 41, 40}, /* all but the last token */
        {1, 40, 0, 40, 39},                     /* one token is run for its logits */
        {1, 35, 7, 60, 35},                     /* a part of what is kept */
        {1, 40, 8, 39, 38},                     /* shorter than what is kept */
    };
    struct scheduler *scheduler = helper_scheduler(4, 64);
    uint64_t prefix_tokens = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t common = rows[i].common < rows[i].count ? rows[i].common : rows[i].count;
        const struct helper_prompt prompt =
            helper_prompt(rows[i].family, common, rows[i].number, rows[i].count);
        const struct engine_request request = helper_request(i, &prompt, 2);
        assert_code(helper_submit(scheduler, &request), DOBBY_OK);
        struct engine_result result = helper_result(scheduler);
        engine_result_release(&result);
        prefix_tokens += rows[i].want;
        if (helper_stats(scheduler).prefix_tokens != prefix_tokens)
            fail_msg("request %zu took %llu tokens in all, not %llu", i,
                     (unsigned long long)helper_stats(scheduler).prefix_tokens,
                     (unsigned long long)prefix_tokens);
    }
    /* What 40 tokens take, nothing else. */
    assert_int_equal(helper_stats(scheduler).kv_bytes_used, kv_pages_of(40) * helper_page_bytes());
    scheduler_close(scheduler);
}

/* Ten with two pages of tokens in common need one page each beyond these. */
static void shared_pages_count_once(void **state)
{
    (void)state;
    enum { SHARERS = 10, SHARED = 2 * KV_PAGE_TOKENS };
    struct scheduler *scheduler = helper_scheduler(SHARERS + 1, 64);
    struct helper_prompt prompt = helper_prompt(0, 0, 77, 10);
    struct engine_request request = helper_request(OUTSIDE, &prompt, 1);
    helper_occupy(scheduler, &request);
    for (uint32_t i = 0; i < SHARERS; i++) {
        prompt = helper_prompt(1, SHARED, i, SHARED + 6);
        request = helper_request(i, &prompt, 20);
        assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    }
    helper_let_go();
    for (uint32_t i = 0; i <= SHARERS; i++) {
        struct engine_result result = helper_result(scheduler);
        engine_result_release(&result);
    }
    const struct engine_stats stats = helper_stats(scheduler);
    assert_int_equal(stats.kv_bytes_peak, (2 + SHARERS) * helper_page_bytes());
    assert_int_equal(stats.kv_bytes_used, 2 * helper_page_bytes());
    assert_int_equal(stats.prefix_tokens, (SHARERS - 1) * SHARED);
    scheduler_close(scheduler);
}

static void cancelling_frees_prefixes_too(void **state)
{
    (void)state;
    struct scheduler *scheduler = helper_scheduler(6, 64);
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < 12; i++) {
            const struct helper_prompt prompt = helper_prompt(1, 70, i, 90);
            const struct engine_request request = helper_request(i, &prompt, 150);
            assert_code(helper_submit(scheduler, &request), DOBBY_OK);
        }
        uint32_t taken = 0;
        for (; taken < round; taken++) {
            struct engine_result result = helper_result(scheduler);
            engine_result_release(&result);
        }
        scheduler_cancel_all(scheduler);
        for (; taken < 12; taken++) {
            struct engine_result result = helper_result(scheduler);
            engine_result_release(&result);
        }
    }
    /* The queue is answered at once, what ran at the next step: by now it is over. */
    const struct engine_stats stats = helper_stats(scheduler);
    assert_int_equal(stats.running + stats.queued, 0);
    scheduler_cancel_all(scheduler);
    const struct helper_prompt prompt = helper_prompt(1, 70, 50, 90);
    const struct engine_request request = helper_request(1, &prompt, 2);
    assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    struct engine_result result = helper_result(scheduler);
    engine_result_release(&result);
    assert_int_equal(helper_stats(scheduler).kv_bytes_used, 0);
    scheduler_close(scheduler);
}

/* A beginning whose numbers break spoils those that have it, and nobody else who gets its pages later. */
static void a_broken_beginning_spoils_no_other(void **state)
{
    (void)state;
    enum { BROKEN = 6, PAGES = 12 };
    struct scheduler *alone = helper_scheduler(1, PAGES), *scheduler = helper_scheduler(4, PAGES);
    const struct helper_prompt good = helper_prompt(2, 50, 1, 120);
    const struct engine_request request = helper_request(100, &good, 100);
    assert_code(helper_submit(alone, &request), DOBBY_OK);
    struct engine_result want = helper_result(alone);
    for (uint32_t i = 0; i < BROKEN; i++) {
        struct helper_prompt prompt = helper_prompt(1, 40, i, 60);
        prompt.tokens[5] = TINY_BROKEN_TOKEN;
        const struct engine_request broken = helper_request(i, &prompt, 4);
        assert_code(helper_submit(scheduler, &broken), DOBBY_OK);
    }
    for (uint32_t i = 0; i < BROKEN; i++) {
        struct engine_result result = helper_result(scheduler);
        assert_int_equal(result.finish, FINISH_ERROR);
        assert_code(result.error.code, DOBBY_NUMERIC_FAILURE);
        engine_result_release(&result);
    }
    assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    struct engine_result have = helper_result(scheduler);
    helper_assert_same(&want, &have, "after broken ones");
    engine_result_release(&want);
    engine_result_release(&have);
    scheduler_close(alone);
    scheduler_close(scheduler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sharing_changes_no_result),
        cmocka_unit_test(prefixes_are_found_one_after_the_other),
        cmocka_unit_test(shared_pages_count_once),
        cmocka_unit_test(cancelling_frees_prefixes_too),
        cmocka_unit_test(a_broken_beginning_spoils_no_other),
    };
    return cmocka_run_group_tests(tests, helper_open, helper_close);
}
