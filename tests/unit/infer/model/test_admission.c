/* Which requests run, in which order, and which need not: equal ones, queued ones that are cancelled. */
#include "unit/infer/model/scheduler_helper.h"
#include "unit/test.h"

#include <string.h>

enum { BLOCKER = 1000 };

static void occupy(struct scheduler *scheduler)
{
    const struct helper_prompt prompt = helper_prompt(9, 3, 99, 20);
    const struct engine_request request = helper_request(BLOCKER, &prompt, 8);
    helper_occupy(scheduler, &request);
}

static void longest_first_but_none_waits_for_ever(void **state)
{
    (void)state;
    enum { REQUESTS = 8 };
    static const struct {
        const char *name;
        uint32_t lengths[REQUESTS], want[REQUESTS]; /* want: numbers of requests in the order they run */
    } rows[] = {
        {"equal lengths: first come, first served", {7, 7, 7, 7, 7, 7, 7, 7}, {0, 1, 2, 3, 4, 5, 6, 7}},
        {"the longer of two", {5, 9, 30, 7, 1, 1, 1, 1}, {1, 2, 0, 3, 4, 5, 6, 7}},
        {"the short one is passed over twice", {1, 50, 49, 48, 47, 46, 45, 44}, {1, 2, 0, 3, 4, 5, 6, 7}},
        {"shorter and shorter", {80, 70, 60, 50, 40, 30, 20, 10}, {0, 1, 2, 3, 4, 5, 6, 7}},
        {"longer and longer", {10, 20, 30, 40, 50, 60, 70, 80}, {1, 2, 0, 4, 5, 3, 7, 6}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scheduler *scheduler = helper_scheduler(1, 8);
        occupy(scheduler);
        for (uint32_t k = 0; k < REQUESTS; k++) {
            const struct helper_prompt prompt = helper_prompt(0, 0, k, rows[i].lengths[k]);
            const struct engine_request request = helper_request(k, &prompt, 2);
            assert_code(helper_submit(scheduler, &request), DOBBY_OK);
        }
        helper_let_go();
        for (uint32_t k = 0; k <= REQUESTS; k++) {
            struct engine_result result = helper_result(scheduler);
            const uint64_t want = k == 0 ? BLOCKER : rows[i].want[k - 1];
            if (result.tag != want)
                fail_msg("%s: %llu came as number %u", rows[i].name, (unsigned long long)result.tag, k);
            engine_result_release(&result);
        }
        scheduler_close(scheduler);
    }
}

static void equal_requests_are_inferred_once(void **state)
{
    (void)state;
    enum { REQUESTS = 8 };
    struct scheduler *scheduler = helper_scheduler(2, 64);
    const struct helper_prompt prompt = helper_prompt(9, 3, 99, 20), other = helper_prompt(9, 3, 98, 30);
    const struct engine_request running = helper_request(100, &prompt, 8);
    struct engine_request request = helper_request(200, &other, 8);
    helper_occupy(scheduler, &running);
    assert_code(helper_submit(scheduler, &request), DOBBY_OK); /* queued */
    for (uint32_t i = 1; i <= REQUESTS; i++) {
        request = helper_request(100 + i, &prompt, 8);
        request.sampling.seed = i; /* which greedy sampling does not look at */
        assert_code(helper_submit(scheduler, &request), DOBBY_OK);
        request = helper_request(200 + i, &other, 8);
        assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    }
    assert_int_equal(helper_stats(scheduler).running, 1);
    assert_int_equal(helper_stats(scheduler).queued, 1 + 2 * REQUESTS);
    helper_let_go();
    struct engine_result results[2][REQUESTS + 1] = {{{0}}};
    for (uint32_t i = 0; i < 2 * (REQUESTS + 1); i++) {
        struct engine_result result = helper_result(scheduler);
        assert_in_range(result.tag % 100, 0, REQUESTS);
        struct engine_result *slot = &results[result.tag / 100 - 1][result.tag % 100];
        assert_null(slot->tokens);
        *slot = result;
    }
    const struct engine_stats stats = helper_stats(scheduler);
    assert_int_equal(stats.submitted, 2 * (REQUESTS + 1));
    assert_int_equal(stats.finished, 2 * (REQUESTS + 1));
    assert_int_equal(stats.shared, 2 * REQUESTS);
    assert_int_equal(stats.prefill_tokens, 20 + 30);
    assert_int_equal(stats.queued + stats.running, 0);
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t k = 0; k <= REQUESTS; k++) {
            assert_int_equal(results[i][k].tag, 100 * (i + 1) + k);
            helper_assert_same(&results[i][0], &results[i][k], "equal requests");
        }
    }
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t k = 0; k <= REQUESTS; k++)
            engine_result_release(&results[i][k]);
    scheduler_close(scheduler);
}

static void requests_that_differ_are_not_shared(void **state)
{
    (void)state;
    const struct helper_prompt prompt = helper_prompt(9, 3, 99, 20), longer = helper_prompt(9, 3, 99, 21);
    const struct sampling hot = {.temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 1};
    struct engine_request base = helper_request(0, &prompt, 8);
    base.sampling = hot;
    struct engine_request rows[8];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rows[i] = base;
        rows[i].tag = i + 1;
    }
    rows[0].sampling.seed = 2;
    rows[1].sampling.temperature = 0.5f;
    rows[2].sampling.top_k = 3;
    rows[3].sampling.top_p = 0.5f;
    rows[4].sampling.repetition_penalty = 1.5f;
    rows[5].tokens_max = 7;
    rows[6].ignore_end = true;
    rows[7].tokens = longer.tokens;
    rows[7].token_count = longer.count;
    struct scheduler *scheduler = helper_scheduler(16, 64);
    helper_occupy(scheduler, &base);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_code(helper_submit(scheduler, &rows[i]), DOBBY_OK);
    helper_let_go();
    for (size_t i = 0; i <= COUNT_OF(rows); i++) {
        struct engine_result result = helper_result(scheduler);
        engine_result_release(&result);
    }
    assert_int_equal(helper_stats(scheduler).shared, 0);
    scheduler_close(scheduler);
}

/* Attached requests count: else one prompt repeated for ever would fill the memory. */
static void equal_requests_are_bounded(void **state)
{
    (void)state;
    struct scheduler *scheduler = helper_scheduler(1, 8);
    const struct helper_prompt prompt = helper_prompt(9, 3, 99, 20);
    const struct engine_request request = helper_request(1, &prompt, 8);
    helper_occupy(scheduler, &request);
    uint32_t attached = 0;
    while (helper_submit(scheduler, &request) == DOBBY_OK)
        attached++;
    assert_int_equal(attached, 2 + 64);
    assert_code(helper_submit(scheduler, &request), DOBBY_QUEUE_FULL);
    helper_let_go();
    for (uint32_t i = 0; i <= attached; i++) {
        struct engine_result result = helper_result(scheduler);
        engine_result_release(&result);
    }
    scheduler_close(scheduler);
}

static void only_the_queued_are_cancelled(void **state)
{
    (void)state;
    enum { QUEUED = 6 };
    struct scheduler *scheduler = helper_scheduler(1, 8);
    const struct helper_prompt prompt = helper_prompt(9, 3, 99, 20);
    const struct engine_request running = helper_request(BLOCKER, &prompt, 8);
    helper_occupy(scheduler, &running);
    assert_code(helper_submit(scheduler, &running), DOBBY_OK); /* runs with it */
    for (uint32_t i = 0; i < QUEUED; i++) {
        const struct helper_prompt other = helper_prompt(9, 3, i / 2, 20); /* two by two equal */
        const struct engine_request request = helper_request(i, &other, 8);
        assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    }
    scheduler_cancel_queued(scheduler);
    assert_int_equal(helper_stats(scheduler).queued, 1);
    for (uint32_t i = 0; i < QUEUED; i++) { /* while the other one is still held */
        struct engine_result result = helper_result(scheduler);
        assert_true(result.tag < QUEUED);
        assert_int_equal(result.finish, FINISH_CANCELED);
        engine_result_release(&result);
    }
    helper_let_go();
    for (uint32_t i = 0; i < 2; i++) {
        struct engine_result result = helper_result(scheduler);
        assert_int_equal(result.tag, BLOCKER);
        assert_true(result.finish == FINISH_LENGTH || result.finish == FINISH_END_TOKEN);
        engine_result_release(&result);
    }
    const struct engine_stats stats = helper_stats(scheduler);
    assert_int_equal(stats.canceled, QUEUED);
    assert_int_equal(stats.shared, 1);
    assert_int_equal(stats.kv_bytes_used + stats.queued + stats.running, 0);
    scheduler_cancel_queued(scheduler); /* nothing there */
    scheduler_close(scheduler);
}

static void equal_requests_are_cancelled_together(void **state)
{
    (void)state;
    struct scheduler *scheduler = helper_scheduler(1, 8);
    const struct helper_prompt prompt = helper_prompt(9, 3, 99, 20), other = helper_prompt(9, 3, 98, 20);
    struct engine_request request = helper_request(1, &prompt, 200);
    helper_occupy(scheduler, &request);
    assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    request = helper_request(2, &other, 200);
    assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    scheduler_cancel_all(scheduler);
    helper_let_go();
    for (uint32_t i = 0; i < 4; i++) {
        struct engine_result result = helper_result(scheduler);
        assert_int_equal(result.finish, FINISH_CANCELED);
        engine_result_release(&result);
    }
    const struct engine_stats stats = helper_stats(scheduler);
    assert_int_equal(stats.canceled, 4);
    assert_int_equal(stats.shared + stats.kv_bytes_used + stats.queued + stats.running, 0);
    helper_occupy(scheduler, &request); /* and closing frees all of these, too */
    assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    helper_let_go();
    scheduler_close(scheduler);
}

/* Hundreds at once, with memory for a part of them. */
static void hundreds_of_sequences_end(void **state)
{
    (void)state;
    enum { REQUESTS = 300, PAGES = 400 };
    struct scheduler *scheduler = helper_scheduler(256, PAGES);
    occupy(scheduler);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct helper_prompt prompt = helper_prompt(i % 3, i % 5 == 0 ? 0 : 20, i, 20 + i % 60);
        const struct engine_request request = helper_request(i, &prompt, 1 + i % 20);
        assert_code(helper_submit(scheduler, &request), DOBBY_OK);
    }
    helper_let_go();
    for (uint32_t i = 0; i <= REQUESTS; i++) {
        struct engine_result result = helper_result(scheduler);
        assert_true(result.finish == FINISH_LENGTH || result.finish == FINISH_END_TOKEN);
        if (result.tag != BLOCKER && result.finish == FINISH_LENGTH)
            assert_int_equal(result.tokens_out, 1 + result.tag % 20);
        engine_result_release(&result);
    }
    const struct engine_stats stats = helper_stats(scheduler);
    assert_int_equal(stats.kv_bytes_used, 0);
    assert_true(stats.kv_bytes_peak <= PAGES * helper_page_bytes());
    assert_true(stats.kv_bytes_peak > PAGES / 2 * helper_page_bytes());
    scheduler_close(scheduler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longest_first_but_none_waits_for_ever),
        cmocka_unit_test(equal_requests_are_inferred_once),
        cmocka_unit_test(requests_that_differ_are_not_shared),
        cmocka_unit_test(equal_requests_are_bounded),
        cmocka_unit_test(only_the_queued_are_cancelled),
        cmocka_unit_test(equal_requests_are_cancelled_together),
        cmocka_unit_test(hundreds_of_sequences_end),
    };
    return cmocka_run_group_tests(tests, helper_open, helper_close);
}
