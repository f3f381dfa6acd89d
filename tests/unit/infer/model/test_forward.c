/* What a row yields depends on its sequence alone: bit for bit the same however the prompt was cut, whatever
 * shares the pass, and with any number of threads. That the values are right is the golden tests' business.
 */
#include "infer/model/forward.h"

#include "unit/infer/model/tiny_model_helper.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPTS = 4, PASS_TOKENS = 192, RUNS = 8, SETS = 8, JUNK = 0x46 };
static const uint32_t prompt_tokens[PROMPTS] = {1, 33, 100, 64};

static const atomic_bool never;

struct fixture {
    struct tiny_model tiny;
    struct thread_pool *pool;
    struct kv_pool *kv;
    struct forward *forward;
    struct kv_shape shape;
    int32_t prompts[PROMPTS][128];
    float *want[PROMPTS]; /* logits of all tokens */
};

static void open_fixture(struct fixture *f, const struct kernels *kernels, enum product product,
                         uint32_t threads)
{
    struct dobby_error err;
    *f = (struct fixture){.pool = NULL};
    tiny_model_open(kernels, product, &f->tiny);
    f->shape = model_kv_shape(&f->tiny.model);
    assert_ok(thread_pool_open(threads, &f->pool, &err), &err);
    assert_ok(kv_pool_open(&f->shape, 40 * kv_page_bytes(&f->shape), &f->kv, &err), &err);
    const struct forward_limits limits = {.tokens_max = PASS_TOKENS, .runs_max = RUNS, .apart = threads > 1};
    assert_ok(forward_open(&f->tiny.model, f->pool, &never, &limits, &f->forward, &err), &err);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        tiny_prompt(i, f->prompts[i], prompt_tokens[i]);
        f->want[i] = malloc((size_t)prompt_tokens[i] * TINY_VOCABULARY * sizeof(float));
        assert_non_null(f->want[i]);
    }
}

static void close_fixture(struct fixture *f)
{
    for (uint32_t i = 0; i < PROMPTS; i++)
        free(f->want[i]);
    forward_close(f->forward);
    kv_pool_close(f->kv);
    thread_pool_close(f->pool);
    tiny_model_close(&f->tiny);
}

/* A new sequence whose pages hold what no output may depend on: some ten thousand in F32 and in BF16. It is
 * finite since kernels may multiply what a token does not see by 0. */
static struct kv_sequence open_poisoned(struct fixture *f, uint32_t tokens)
{
    struct dobby_error err;
    struct kv_sequence sequence;
    assert_ok(kv_sequence_open(f->kv, tokens, &sequence, &err), &err);
    for (uint32_t page = 0; page < sequence.page_count; page++)
        memset(kv_sequence_area(&sequence, &f->shape, 0, page * KV_PAGE_TOKENS), JUNK,
               kv_page_bytes(&f->shape));
    return sequence;
}

static void pass_alone(struct fixture *f, struct kv_sequence *sequence, uint32_t prompt, uint32_t first,
                       uint32_t count, float *logits)
{
    const struct forward_run run = {sequence, f->prompts[prompt] + first, count, count};
    assert_true(forward_pass(f->forward, &run, 1));
    for (uint32_t row = 0; row < count; row += FORWARD_LOGIT_ROWS) {
        const uint32_t rows = count - row < FORWARD_LOGIT_ROWS ? count - row : FORWARD_LOGIT_ROWS;
        memcpy(logits + (size_t)row * TINY_VOCABULARY, forward_logits(f->forward, row, rows),
               (size_t)rows * TINY_VOCABULARY * sizeof(float));
    }
}

static void assert_rows_equal(const struct fixture *f, uint32_t prompt, uint32_t first, uint32_t count,
                              const float *logits, const char *what)
{
    const float *want = f->want[prompt] + (size_t)first * TINY_VOCABULARY;
    for (size_t i = 0; i < (size_t)count * TINY_VOCABULARY; i++) {
        if (isnan(logits[i]) || memcmp(&logits[i], &want[i], sizeof(float)) != 0)
            fail_msg("%s, %s, %s: prompt %u, token %zu: %.9g is not %.9g", f->tiny.model.kernels->name,
                     product_name(f->tiny.model.product), what, prompt, first + i / TINY_VOCABULARY,
                     (double)logits[i], (double)want[i]);
    }
}

static void fill_wanted(struct fixture *f)
{
    for (uint32_t i = 0; i < PROMPTS; i++) {
        struct kv_sequence sequence = open_poisoned(f, prompt_tokens[i]);
        pass_alone(f, &sequence, i, 0, prompt_tokens[i], f->want[i]);
        assert_int_equal(sequence.length, prompt_tokens[i]);
        kv_sequence_close(f->kv, &sequence);
        for (size_t j = 0; j < (size_t)prompt_tokens[i] * TINY_VOCABULARY; j++)
            assert_true(isfinite(f->want[i][j]));
    }
}

static void check_chunks(struct fixture *f)
{
    static const uint32_t chunks[] = {1, 7, 31, 32, 45};
    float *logits = malloc((size_t)128 * TINY_VOCABULARY * sizeof *logits);
    assert_non_null(logits);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        for (size_t c = 0; c < COUNT_OF(chunks); c++) {
            struct kv_sequence sequence = open_poisoned(f, prompt_tokens[i]);
            for (uint32_t first = 0; first < prompt_tokens[i]; first += chunks[c]) {
                const uint32_t left = prompt_tokens[i] - first;
                const uint32_t count = left < chunks[c] ? left : chunks[c];
                pass_alone(f, &sequence, i, first, count, logits);
                assert_rows_equal(f, i, first, count, logits, "cut into chunks");
            }
            kv_sequence_close(f->kv, &sequence);
        }
    }
    free(logits);
}

static void pass_apart(struct fixture *f, const struct forward_run *runs, size_t count)
{
    const size_t counts[] = {count / 3, count - count / 3};
    const size_t empty = counts[0] == 0;
    assert_true(forward_pass_apart(f->forward, runs, counts + empty, COUNT_OF(counts) - empty));
}

/* All prompts in shared passes, each at its own pace, in an order that turns; only last tokens wanted. apart:
 * by threads that each take some of the prompts. */
static void check_neighbours(struct fixture *f, bool apart)
{
    static const uint32_t pace[PROMPTS] = {1, 10, 37, 1};
    struct kv_sequence sequences[PROMPTS];
    for (uint32_t i = 0; i < PROMPTS; i++)
        sequences[i] = open_poisoned(f, prompt_tokens[i]);
    for (uint32_t step = 0;; step++) {
        struct forward_run runs[PROMPTS];
        uint32_t prompts[PROMPTS];
        uint32_t count = 0;
        for (uint32_t j = 0; j < PROMPTS; j++) {
            const uint32_t i = (j + step) % PROMPTS;
            const uint32_t done = sequences[i].length;
            const uint32_t left = prompt_tokens[i] - done;
            if (left == 0)
                continue;
            prompts[count] = i;
            runs[count++] = (struct forward_run){&sequences[i], f->prompts[i] + done,
                                                 left < pace[i] ? left : pace[i], j % 2};
        }
        if (count == 0)
            break;
        if (apart)
            pass_apart(f, runs, count);
        else
            assert_true(forward_pass(f->forward, runs, count));
        for (uint32_t j = 0, row = 0; j < count; j++) {
            if (runs[j].output_count == 0)
                continue;
            assert_rows_equal(f, prompts[j], runs[j].sequence->length - 1, 1,
                              forward_logits(f->forward, row, 1),
                              apart ? "with neighbours, threads apart" : "with neighbours");
            row++;
        }
    }
    for (uint32_t i = 0; i < PROMPTS; i++)
        kv_sequence_close(f->kv, &sequences[i]);
}

static void check_set(const struct kernels *kernels, enum product product)
{
    struct fixture one, two;
    open_fixture(&one, kernels, product, 1);
    open_fixture(&two, kernels, product, 3);
    fill_wanted(&one);
    fill_wanted(&two);
    for (uint32_t j = 0; j < PROMPTS; j++)
        assert_rows_equal(&one, j, 0, prompt_tokens[j], two.want[j], "with three threads");
    check_chunks(&one);
    check_chunks(&two);
    check_neighbours(&one, false);
    check_neighbours(&two, false);
    check_neighbours(&two, true);
    close_fixture(&one);
    close_fixture(&two);
}

static void rows_depend_on_their_sequence_alone(void **state)
{
    (void)state;
    const struct kernels *sets[SETS];
    const size_t count = kernels_available(sets, SETS);
    for (size_t i = 0; i < count; i++)
        for (enum product product = PRODUCT_F32; product < PRODUCT_COUNT; product++)
            check_set(sets[i], product);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_depend_on_their_sequence_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
