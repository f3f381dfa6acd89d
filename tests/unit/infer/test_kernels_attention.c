/* Attention: every set agrees with plain double arithmetic, and a token's bits do not depend on how its
 * prompt was cut, on how work was divided, or on what lies beyond its position. */
#include "kernels_helper.h"

#include "infer/cpu/tiles.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, PAGES_MAX = 64 };

struct shape {
    uint32_t positions, heads, kv_heads, head_dim;
};

static const struct shape shapes[] = {
    {1, 1, 1, 8},     {2, 4, 2, 16},   {31, 3, 1, 12},  {32, 8, 2, 64}, {33, 8, 2, 64},  {100, 8, 2, 64},
    {150, 14, 2, 64}, {65, 9, 3, 36},  {90, 4, 4, 128}, {64, 2, 1, 20}, {130, 6, 2, 96}, {77, 4, 1, 40},
    {45, 140, 1, 16}, {200, 2, 2, 80}, {300, 4, 1, 64}, {50, 3, 3, 10}, {70, 5, 5, 72},  {97, 2, 1, 33},
};

/* A sequence: queries, keys and values of all its positions, the latter also in a set's pages. */
struct sequence {
    struct shape shape;
    const struct kernels *set;
    float *query;
    float *keys, *values;                     /* (positions, kv_heads, head_dim) */
    const float *query_factors, *key_factors; /* (kv_heads, head_dim); NULL: none */
    void *areas[PAGES_MAX];
    uint32_t pages;
    size_t stride; /* of query and output */
    enum value_type output_type;
};

static const float *at(const struct sequence *s, const float *rows, uint32_t kv_head, uint32_t position)
{
    return rows + ((size_t)position * s->shape.kv_heads + kv_head) * s->shape.head_dim;
}

static void write_positions(const struct sequence *s)
{
    const struct kv_layout layout = {
        .kv_heads = s->shape.kv_heads, .head_dim = s->shape.head_dim, .key_factors = s->key_factors};
    const size_t width = (size_t)s->shape.kv_heads * s->shape.head_dim;
    for (uint32_t t = 0; t < s->shape.positions; t++)
        s->set->kv_write(&layout, s->areas[t / KV_PAGE_TOKENS], t % KV_PAGE_TOKENS, s->keys + t * width,
                         s->values + t * width);
}

static struct sequence sequence_new(const struct kernels *set, struct shape shape, uint64_t seed)
{
    struct sequence s = {.shape = shape,
                         .set = set,
                         .stride = (size_t)shape.heads * shape.head_dim + 3,
                         .output_type = VALUES_F32};
    const struct kv_layout layout = {.kv_heads = shape.kv_heads, .head_dim = shape.head_dim};
    const size_t width = (size_t)shape.kv_heads * shape.head_dim;
    s.pages = (shape.positions + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    assert_true(s.pages <= PAGES_MAX);
    s.query = random_floats(&seed, s.stride * shape.positions);
    for (size_t i = 0; i < s.stride * shape.positions; i++)
        s.query[i] *= 4.0f; /* so that some positions weigh much and others next to nothing */
    s.keys = random_floats(&seed, width * shape.positions);
    s.values = random_floats(&seed, width * shape.positions);
    const size_t bytes = set->kv_bytes(&layout);
    assert_int_equal(bytes % 64, 0);
    for (uint32_t p = 0; p < s.pages; p++) {
        s.areas[p] = aligned_bytes(bytes);
        memset(s.areas[p], 0, bytes);
    }
    write_positions(&s);
    return s;
}

static void sequence_free(struct sequence *s)
{
    free(s->query);
    free(s->keys);
    free(s->values);
    for (uint32_t p = 0; p < s->pages; p++)
        free(s->areas[p]);
}

/* Tokens first .. end of the sequence as one batch, divided into calls of `step` tokens by one KV head. */
static void attend(const struct sequence *s, uint32_t first, uint32_t end, uint32_t step, void *output)
{
    uint32_t group = s->shape.heads / s->shape.kv_heads;
    size_t scratch_bytes = s->set->attention_scratch_bytes(s->shape.head_dim, group);
    void *scratch = aligned_bytes(scratch_bytes);
    for (uint32_t token = 0; token < end - first; token += step) {
        for (uint32_t kv_head = 0; kv_head < s->shape.kv_heads; kv_head++) {
            struct attention_job job = {.query = s->query + first * s->stride,
                                        .query_stride = s->stride,
                                        .query_factors = s->query_factors,
                                        .tokens = end - first,
                                        .position_first = first,
                                        .heads = s->shape.heads,
                                        .kv_heads = s->shape.kv_heads,
                                        .head_dim = s->shape.head_dim,
                                        .pages = (const void *const *)s->areas,
                                        .output = (char *)output +
                                                  first * s->stride * value_type_bytes(s->output_type),
                                        .output_type = s->output_type,
                                        .output_stride = s->stride,
                                        .token_first = token,
                                        .token_end = token + step < end - first ? token + step : end - first,
                                        .kv_head_first = kv_head,
                                        .kv_head_end = kv_head + 1,
                                        .scratch = scratch};
            memset(scratch, 0xff, scratch_bytes);
            s->set->attention(&job);
        }
    }
    free(scratch);
}

static float *new_output(const struct sequence *s)
{
    float *output = malloc(s->stride * s->shape.positions * sizeof *output);
    assert_non_null(output);
    poison(output, s->stride * s->shape.positions);
    return output;
}

/* Softmax over the whole row in double arithmetic. */
static void attend_plainly(const struct sequence *s, uint32_t head, uint32_t position, float *output)
{
    uint32_t dim = s->shape.head_dim, kv_head = head / (s->shape.heads / s->shape.kv_heads);
    const float *query = s->query + position * s->stride + (size_t)head * dim;
    double *weights = malloc((position + 1) * sizeof *weights);
    assert_non_null(weights);
    double maximum = -INFINITY, total = 0.0;
    for (uint32_t j = 0; j <= position; j++) {
        const float *key = at(s, s->keys, kv_head, j);
        weights[j] = 0.0;
        for (uint32_t d = 0; d < dim; d++)
            weights[j] += (double)query[d] * (double)key[d];
        weights[j] /= sqrt((double)dim);
        maximum = fmax(maximum, weights[j]);
    }
    for (uint32_t j = 0; j <= position; j++)
        total += weights[j] = exp(weights[j] - maximum);
    for (uint32_t d = 0; d < dim; d++) {
        double sum = 0.0;
        for (uint32_t j = 0; j <= position; j++)
            sum += weights[j] / total * (double)at(s, s->values, kv_head, j)[d];
        output[d] = (float)sum;
    }
    free(weights);
}

static void check_rows(const char *what, const struct sequence *s, const float *got, const float *want,
                       uint32_t first)
{
    size_t width = (size_t)s->shape.heads * s->shape.head_dim;
    for (uint32_t t = first; t < s->shape.positions; t++) {
        assert_same_bits(what, got + t * s->stride, want + t * s->stride, width);
        for (size_t i = width; i < s->stride; i++)
            assert_true(is_poison(got[t * s->stride + i]));
    }
}

/* Queries, keys and values in INT8 lose half a step of one part in 127; values are within [-1, 1). */
static float tolerance_of(const struct kernels *set)
{
    return set->rounds_keys ? 2e-2f : 4e-6f;
}

static void check_sequence(const struct sequence *s)
{
    uint32_t dim = s->shape.head_dim;
    float *got = new_output(s), *want = malloc(dim * sizeof *want);
    assert_non_null(want);
    attend(s, 0, s->shape.positions, s->shape.positions, got);
    for (uint32_t t = 0; t < s->shape.positions; t += t < 4 ? 1 : 7) {
        for (uint32_t h = 0; h < s->shape.heads; h++) {
            attend_plainly(s, h, t, want);
            assert_close(s->set->name, got + t * s->stride + (size_t)h * dim, want, dim, tolerance_of(s->set),
                         0.5f);
        }
    }
    check_rows("nothing beyond the rows", s, got, got, 0);
    free(want);
    free(got);
}

static void test_agrees_with_plain_arithmetic(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (size_t k = 0; k < set_count; k++) {
            struct sequence s = sequence_new(sets[k], shapes[i], 100 + i);
            check_sequence(&s);
            sequence_free(&s);
        }
    }
}

/* Two dimensions of the keys a hundred times as large as the others, and those of the queries as small: with
 * factors between them nothing is lost that is not lost without. */
static void test_factors_keep_precision(void **state)
{
    (void)state;
    enum { LARGE = 128, FACTOR = 128, DIM = 64, KV_HEADS = 2 };
    const uint32_t places[] = {5, 37};
    float query_factors[KV_HEADS * DIM], key_factors[KV_HEADS * DIM];
    for (size_t i = 0; i < COUNT_OF(key_factors); i++)
        query_factors[i] = key_factors[i] = 1.0f;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        query_factors[DIM + places[i]] = FACTOR;
        key_factors[DIM + places[i]] = 1.0f / FACTOR;
    }
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t k = 0; k < set_count; k++) {
        struct sequence s = sequence_new(sets[k], (struct shape){150, 14, KV_HEADS, DIM}, 400);
        for (uint32_t t = 0; t < s.shape.positions; t++) {
            for (size_t i = 0; i < COUNT_OF(places); i++) {
                s.keys[((size_t)t * KV_HEADS + 1) * DIM + places[i]] *= LARGE;
                for (uint32_t head = 7; head < 14; head++)
                    s.query[t * s.stride + (size_t)head * DIM + places[i]] /= LARGE;
            }
        }
        if (sets[k]->rounds_keys) {
            s.query_factors = query_factors;
            s.key_factors = key_factors;
        }
        write_positions(&s);
        check_sequence(&s);
        sequence_free(&s);
    }
}

/* One position has weight 1 whatever its score: of any size, and rounded as it may be. */
static void test_one_position_weighs_one(void **state)
{
    (void)state;
    enum { SEEDS = 20 };
    const float sizes[] = {1.0f, 100.0f, 1e4f, 1e6f};
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t k = 0; k < set_count; k++) {
        for (uint64_t i = 0; i < SEEDS * COUNT_OF(sizes); i++) {
            struct sequence s = sequence_new(sets[k], (struct shape){1, 14, 2, 64}, 500 + i);
            for (size_t j = 0; j < s.stride; j++)
                s.query[j] *= sizes[i % COUNT_OF(sizes)];
            check_sequence(&s);
            sequence_free(&s);
        }
    }
}

/* One batch, decode steps one by one, chunks of several sizes, and calls of several sizes: the same bits. */
static void check_cuts(const struct sequence *s)
{
    const uint32_t chunks[] = {1, 5, 31, 32, 33, 64};
    uint32_t positions = s->shape.positions;
    float *whole = new_output(s);
    attend(s, 0, positions, positions, whole);
    for (size_t c = 0; c < COUNT_OF(chunks); c++) {
        float *chunked = new_output(s), *divided = new_output(s);
        for (uint32_t t = 0; t < positions; t += chunks[c])
            attend(s, t, t + chunks[c] < positions ? t + chunks[c] : positions, positions, chunked);
        attend(s, 0, positions, chunks[c], divided);
        check_rows("a prompt in chunks", s, chunked, whole, 0);
        check_rows("work in parts", s, divided, whole, 0);
        free(chunked);
        free(divided);
    }
    free(whole);
}

static void test_cutting_changes_no_bit(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (size_t k = 0; k < set_count; k++) {
            struct sequence s = sequence_new(sets[k], shapes[i], 200 + i);
            check_cuts(&s);
            sequence_free(&s);
        }
    }
}

/* BF16 outputs are the F32 ones, rounded, and nothing beyond a row is written. */
static void check_bf16_output(struct sequence *s)
{
    const size_t width = (size_t)s->shape.heads * s->shape.head_dim, count = s->stride * s->shape.positions;
    float *want = new_output(s);
    uint16_t *got = malloc(count * sizeof *got);
    assert_non_null(got);
    memset(got, 0x5a, count * sizeof *got);
    attend(s, 0, s->shape.positions, s->shape.positions, want);
    s->output_type = VALUES_BF16;
    attend(s, 0, s->shape.positions, 7, got);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(got[i], i % s->stride < width ? tile_bf16_of(want[i]) : 0x5a5a);
    free(want);
    free(got);
}

static void test_bf16_output_is_rounded(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (size_t k = 0; k < set_count; k++) {
            struct sequence s = sequence_new(sets[k], shapes[i], 600 + i);
            check_bf16_output(&s);
            sequence_free(&s);
        }
    }
}

/* Fills the slots from `first` on with what an earlier sequence might have left: any finite values. */
static void overwrite_slots(const struct sequence *s, uint32_t first, uint64_t seed)
{
    const struct kv_layout layout = {.kv_heads = s->shape.kv_heads, .head_dim = s->shape.head_dim};
    const size_t width = (size_t)s->shape.kv_heads * s->shape.head_dim;
    float *left = random_floats(&seed, width);
    for (size_t i = 0; i < width; i++)
        left[i] *= i % 3 == 0 ? 1e30f : 1e3f;
    for (uint32_t t = first; t < s->pages * KV_PAGE_TOKENS; t++)
        s->set->kv_write(&layout, s->areas[t / KV_PAGE_TOKENS], t % KV_PAGE_TOKENS, left, left);
    free(left);
}

static void test_later_positions_are_not_seen(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (size_t k = 0; k < set_count; k++) {
            struct sequence s = sequence_new(sets[k], shapes[i], 300 + i);
            uint32_t half = (s.shape.positions + 1) / 2;
            float *clean = new_output(&s), *dirty = new_output(&s);
            attend(&s, 0, half, half, clean);
            overwrite_slots(&s, half, i);
            attend(&s, 0, half, half, dirty);
            size_t width = (size_t)s.shape.heads * s.shape.head_dim;
            for (uint32_t t = 0; t < half; t++)
                assert_same_bits(sets[k]->name, dirty + t * s.stride, clean + t * s.stride, width);
            free(clean);
            free(dirty);
            sequence_free(&s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_plain_arithmetic), cmocka_unit_test(test_one_position_weighs_one),
        cmocka_unit_test(test_factors_keep_precision),       cmocka_unit_test(test_cutting_changes_no_bit),
        cmocka_unit_test(test_later_positions_are_not_seen), cmocka_unit_test(test_bf16_output_is_rounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
