/* A pass that is given up: at any place, by any thread; what comes after is as if it had never been. */
#include "unit/infer/model/scheduler_helper.h"
#include "unit/test.h"

#include "infer/model/forward.h"

#include <string.h>

enum { THREADS = 3, ROWS = 40, PAGES = 2 };

static const struct kernels *chosen;
static atomic_bool give_up;
static atomic_int products, give_up_at; /* the flag is set in that product, counted from 1; 0: in none */

static void counting_matmul(const struct matmul_job *job)
{
    chosen->matmul(job);
    if (atomic_fetch_add(&products, 1) + 1 == atomic_load(&give_up_at))
        atomic_store(&give_up, true);
}

struct fixture {
    struct kernels kernels;
    struct tiny_model tiny;
    struct thread_pool *pool;
    struct kv_pool *kv;
    struct forward *forward;
};

static void open_fixture(struct fixture *f)
{
    struct dobby_error err;
    assert_ok(kernels_choose(NULL, &chosen, &err), &err);
    f->kernels = *chosen;
    f->kernels.matmul = counting_matmul;
    tiny_model_open(&f->kernels, PRODUCT_F32, &f->tiny);
    const struct kv_shape shape = model_kv_shape(&f->tiny.model);
    assert_ok(thread_pool_open(THREADS, &f->pool, &err), &err);
    assert_ok(kv_pool_open(&shape, PAGES * kv_page_bytes(&shape), &f->kv, &err), &err);
    const struct forward_limits limits = {.tokens_max = ROWS, .runs_max = 1};
    assert_ok(forward_open(&f->tiny.model, f->pool, &give_up, &limits, &f->forward, &err), &err);
}

static void close_fixture(struct fixture *f)
{
    forward_close(f->forward);
    kv_pool_close(f->kv);
    thread_pool_close(f->pool);
    tiny_model_close(&f->tiny);
}

/* One pass and its ends, given up in product `at`. The last row's logits, unless given up. */
static bool pass(struct fixture *f, int at, float logits[TINY_VOCABULARY], struct best_output *best)
{
    struct dobby_error err;
    struct kv_sequence sequence;
    int32_t tokens[ROWS];
    tiny_prompt(1, tokens, ROWS);
    atomic_store(&give_up, false);
    atomic_store(&products, 0);
    atomic_store(&give_up_at, at);
    assert_ok(kv_sequence_open(f->kv, ROWS, &sequence, &err), &err);
    const struct forward_run run = {&sequence, tokens, ROWS, 1};
    bool whole = forward_pass(f->forward, &run, 1);
    whole = whole && forward_best(f->forward, 0, 1, best);
    const float *row = whole ? forward_logits(f->forward, 0, 1) : NULL;
    if (row != NULL)
        memcpy(logits, row, TINY_VOCABULARY * sizeof *logits);
    else
        kv_sequence_taint(&sequence);
    kv_sequence_close(f->kv, &sequence);
    assert_int_equal(kv_pool_bytes_used(f->kv), 0);
    return row != NULL;
}

static void a_pass_is_given_up_wherever_it_is(void **state)
{
    (void)state;
    struct fixture f;
    float want[TINY_VOCABULARY], got[TINY_VOCABULARY];
    struct best_output best, want_best;
    open_fixture(&f);
    assert_true(pass(&f, 0, want, &want_best));
    const int count = atomic_load(&products);
    assert_true(count > 8);
    for (int at = 1; at <= count; at++) {
        if (pass(&f, at, got, &best))
            fail_msg("a pass went on that was given up in product %d of %d", at, count);
        assert_in_range(atomic_load(&products), at, at + THREADS - 1); /* those that ran already */
        assert_true(pass(&f, 0, got, &best));
        assert_memory_equal(got, want, sizeof want);
        assert_int_equal(best.output, want_best.output);
    }
    close_fixture(&f);
}

static void cancelling_gives_up_the_pass(void **state)
{
    (void)state;
    enum { REQUESTS = 6 };
    struct scheduler *scheduler = helper_scheduler(8, 64);
    struct engine_result want[REQUESTS];
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < REQUESTS; i++) {
            const struct helper_prompt prompt = helper_prompt(1, 40, i, 60);
            const struct engine_request request = helper_request(i, &prompt, 6);
            if (round == 1 && i == 0)
                helper_occupy(scheduler, &request);
            else
                assert_code(helper_submit(scheduler, &request), DOBBY_OK);
        }
        const uint64_t passes = helper_stats(scheduler).passes;
        const uint64_t tokens = helper_stats(scheduler).prefill_tokens;
        if (round == 1) {
            scheduler_cancel_all(scheduler);
            helper_let_go();
        }
        for (uint32_t i = 0; i < REQUESTS; i++) {
            struct engine_result result = helper_result(scheduler);
            assert_true((result.finish == FINISH_CANCELED) == (round == 1));
            assert_int_equal(result.tokens_out > 0, round != 1);
            if (round == 2)
                helper_assert_same(&want[result.tag], &result, "after a pass that was given up");
            if (round == 0)
                want[result.tag] = result;
            else
                engine_result_release(&result);
        }
        if (round != 1)
            continue;
        /* The pass that was held has not been finished for nothing. */
        const struct engine_stats stats = helper_stats(scheduler);
        assert_int_equal(stats.passes, passes);
        assert_int_equal(stats.prefill_tokens, tokens);
        assert_int_equal(stats.kv_bytes_used, 0);
        assert_int_equal(stats.running + stats.queued, 0);
        assert_int_equal(stats.canceled, REQUESTS);
    }
    for (uint32_t i = 0; i < REQUESTS; i++)
        engine_result_release(&want[i]);
    scheduler_close(scheduler);
}

/* What comes after cancelling is not cancelled with it, though the pass has not noticed yet. */
static void what_comes_after_runs(void **state)
{
    (void)state;
    struct scheduler *scheduler = helper_scheduler(4, 64);
    const struct helper_prompt first = helper_prompt(1, 0, 1, 50), second = helper_prompt(1, 0, 2, 50);
    const struct engine_request canceled = helper_request(1, &first, 5),
                                later = helper_request(2, &second, 5), equal = helper_request(3, &first, 5);
    helper_occupy(scheduler, &canceled);
    scheduler_cancel_all(scheduler);
    assert_code(helper_submit(scheduler, &later), DOBBY_OK);
    assert_code(helper_submit(scheduler, &equal), DOBBY_OK);
    helper_let_go();
    for (int i = 0; i < 3; i++) {
        struct engine_result result = helper_result(scheduler);
        assert_true((result.finish == FINISH_CANCELED) == (result.tag == 1));
        engine_result_release(&result);
    }
    scheduler_close(scheduler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_is_given_up_wherever_it_is),
        cmocka_unit_test(cancelling_gives_up_the_pass),
        cmocka_unit_test(what_comes_after_runs),
    };
    return cmocka_run_group_tests(tests, helper_open, helper_close);
}
