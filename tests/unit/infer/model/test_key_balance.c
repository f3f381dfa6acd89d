/* What queries and keys are multiplied by before they are rounded. */
#include "infer/model/key_balance.h"

#include "unit/test.h"

#include <math.h>

enum { HEADS = 4, KV_HEADS = 2, DIM = 8, HIDDEN = 3, QUERIES = HEADS * DIM, KEYS = KV_HEADS * DIM };

struct fixture {
    float query[QUERIES * HIDDEN], key[KEYS * HIDDEN], norm[HIDDEN], bias[QUERIES + 2 * KEYS];
    struct key_balance_source source;
};

/* All weights 1, so that nothing has to be multiplied. */
static void fill(struct fixture *f)
{
    *f = (struct fixture){.source = {.query = {.type = TENSOR_F32, .rows = QUERIES, .columns = HIDDEN},
                                     .key = {.type = TENSOR_F32, .rows = KEYS, .columns = HIDDEN},
                                     .heads = HEADS,
                                     .kv_heads = KV_HEADS,
                                     .head_dim = DIM}};
    for (size_t i = 0; i < COUNT_OF(f->query); i++)
        f->query[i] = 1.0f;
    for (size_t i = 0; i < COUNT_OF(f->key); i++)
        f->key[i] = 1.0f;
    for (size_t i = 0; i < HIDDEN; i++)
        f->norm[i] = 1.0f;
    f->source.query.data = f->query;
    f->source.key.data = f->key;
    f->source.norm = f->norm;
    f->source.bias = f->bias;
}

/* Wants `factor` in two dimensions of a KV head and 1 in all others. */
static void check(const struct fixture *f, uint32_t head, uint32_t first, uint32_t second, float factor)
{
    struct dobby_error err;
    struct key_balance balance;
    assert_ok(key_balance_make(&f->source, &balance, &err), &err);
    for (uint32_t i = 0; i < KEYS; i++) {
        const bool changed = i == head * DIM + first || i == head * DIM + second;
        const float want = changed ? factor : 1.0f;
        if (balance.queries[i] != want || balance.keys[i] != 1.0f / want)
            fail_msg("dimension %u: %g and %g, not %g", i, (double)balance.queries[i],
                     (double)balance.keys[i], (double)want);
    }
    key_balance_release(&balance);
    assert_null(balance.queries);
}

static void alike_stay_as_they_are(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    check(&f, 0, 0, 0, 1.0f);
    f.source.bias = NULL;
    check(&f, 0, 0, 0, 1.0f);
}

/* A bias of 1000 beside weights that make sqrt(3): 2^round(log2((10^6 / 2 + 3) / 3) / 4). */
static void a_large_bias_is_met_halfway(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    f.bias[QUERIES + DIM + 2] = 1000.0f; /* of K, KV head 1 */
    check(&f, 1, 2, 2 + DIM / 2, 16.0f);
    f.source.rope_interleaved = true;
    check(&f, 1, 2, 3, 16.0f);
    fill(&f);
    for (uint32_t head = 2; head < HEADS; head++) /* those that share KV head 1 */
        f.bias[head * DIM + 7] = 1000.0f;
    check(&f, 1, 7, 3, 1.0f / 16);
}

/* The norm's weights scale what they multiply. */
static void weights_count_as_they_are_normed(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    f.norm[1] = 0.0f;
    f.key[(size_t)3 * HIDDEN + 1] = 1e6f; /* of nothing */
    check(&f, 0, 0, 0, 1.0f);
    f.key[(size_t)3 * HIDDEN] = 1000.0f; /* beside sqrt(2) */
    check(&f, 0, 3, 7, 16.0f);
}

static void what_is_not_there_or_no_number_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    for (uint32_t pair = 1; pair < DIM; pair += DIM / 2)
        for (uint32_t i = 0; i < HIDDEN; i++)
            f.key[pair * HIDDEN + i] = 0.0f;
    f.bias[QUERIES + DIM] = NAN;
    f.bias[QUERIES + DIM + 1] = INFINITY;
    check(&f, 0, 0, 0, 1.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alike_stay_as_they_are),
        cmocka_unit_test(a_large_bias_is_met_halfway),
        cmocka_unit_test(weights_count_as_they_are_normed),
        cmocka_unit_test(what_is_not_there_or_no_number_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
