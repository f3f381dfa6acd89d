/* Attention: every set agrees with plain double arithmetic, and a token's bits do not depend on how its
 * prompt was cut, on how work was divided, or on what lies beyond its position. */
#include "kernels_helper.h"

#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, PAGES_MAX = 64 };

struct shape {
    uint32_t positions, heads, kv_heads, head_dim, page_tokens;
};

static const struct shape shapes[] = {
    {1, 1, 1, 8, 32},    {2, 4, 2, 16, 32},    {31, 3, 1, 12, 32},   {32, 8, 2, 64, 32},  {33, 8, 2, 64, 32},
    {100, 8, 2, 64, 32}, {150, 14, 2, 64, 32}, {65, 9, 3, 36, 32},   {90, 4, 4, 128, 32}, {64, 2, 1, 20, 16},
    {130, 6, 2, 96, 64}, {77, 4, 1, 40, 20},   {45, 140, 1, 16, 32}, {200, 2, 2, 80, 48}, {300, 4, 1, 64, 32},
    {50, 3, 3, 10, 32},  {70, 5, 5, 72, 32},   {97, 2, 1, 33, 32},
};

/* A sequence: queries and paged keys and values of all its positions. */
struct sequence {
    struct shape shape;
    float *query;
    float *keys[PAGES_MAX], *values[PAGES_MAX];
    uint32_t pages;
    size_t stride; /* of query and output */
};

static struct sequence sequence_new(struct shape shape, uint64_t seed)
{
    struct sequence s = {.shape = shape, .stride = (size_t)shape.heads * shape.head_dim + 3};
    s.pages = (shape.positions + shape.page_tokens - 1) / shape.page_tokens;
    assert_true(s.pages <= PAGES_MAX);
    s.query = random_floats(&seed, s.stride * shape.positions);
    for (size_t i = 0; i < s.stride * shape.positions; i++)
        s.query[i] *= 4.0f; /* so that some positions weigh much and others next to nothing */
    size_t page_floats = (size_t)shape.kv_heads * shape.page_tokens * shape.head_dim;
    for (uint32_t p = 0; p < s.pages; p++) {
        s.keys[p] = random_floats(&seed, page_floats);
        s.values[p] = random_floats(&seed, page_floats);
    }
    return s;
}

static void sequence_free(struct sequence *s)
{
    free(s->query);
    for (uint32_t p = 0; p < s->pages; p++) {
        free(s->keys[p]);
        free(s->values[p]);
    }
}

static const float *at(const struct sequence *s, float *const *pages, uint32_t kv_head, uint32_t position)
{
    uint32_t size = s->shape.page_tokens;
    return pages[position / size] + ((size_t)kv_head * size + position % size) * s->shape.head_dim;
}

/* Tokens first .. end of the sequence as one batch, divided into calls of `step` tokens by one KV head. */
static void attend(const struct kernels *set, const struct sequence *s, uint32_t first, uint32_t end,
                   uint32_t step, float *output)
{
    uint32_t group = s->shape.heads / s->shape.kv_heads;
    size_t scratch_bytes = set->attention_scratch_bytes(s->shape.head_dim, group);
    void *scratch = aligned_bytes(scratch_bytes);
    for (uint32_t token = 0; token < end - first; token += step) {
        for (uint32_t kv_head = 0; kv_head < s->shape.kv_heads; kv_head++) {
            struct attention_job job = {.query = s->query + first * s->stride,
                                        .query_stride = s->stride,
                                        .tokens = end - first,
                                        .position_first = first,
                                        .heads = s->shape.heads,
                                        .kv_heads = s->shape.kv_heads,
                                        .head_dim = s->shape.head_dim,
                                        .keys = (const float *const *)s->keys,
                                        .values = (const float *const *)s->values,
                                        .page_tokens = s->shape.page_tokens,
                                        .output = output + first * s->stride,
                                        .output_stride = s->stride,
                                        .token_first = token,
                                        .token_end = token + step < end - first ? token + step : end - first,
                                        .kv_head_first = kv_head,
                                        .kv_head_end = kv_head + 1,
                                        .scratch = scratch};
            memset(scratch, 0xff, scratch_bytes);
            set->attention(&job);
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

static void test_agrees_with_plain_arithmetic(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct sequence s = sequence_new(shapes[i], 100 + i);
        uint32_t dim = s.shape.head_dim;
        float *want = malloc(dim * sizeof *want);
        assert_non_null(want);
        for (size_t k = 0; k < set_count; k++) {
            float *got = new_output(&s);
            attend(sets[k], &s, 0, s.shape.positions, s.shape.positions, got);
            for (uint32_t t = 0; t < s.shape.positions; t += t < 4 ? 1 : 7) {
                for (uint32_t h = 0; h < s.shape.heads; h++) {
                    attend_plainly(&s, h, t, want);
                    assert_close(sets[k]->name, got + t * s.stride + (size_t)h * dim, want, dim, 4e-6f, 0.5f);
                }
            }
            check_rows("nothing beyond the rows", &s, got, got, 0);
            free(got);
        }
        free(want);
        sequence_free(&s);
    }
}

/* One batch, decode steps one by one, chunks of several sizes, and calls of several sizes: the same bits. */
static void test_cutting_changes_no_bit(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    const uint32_t chunks[] = {1, 5, 31, 32, 33, 64};
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct sequence s = sequence_new(shapes[i], 200 + i);
        uint32_t positions = s.shape.positions;
        for (size_t k = 0; k < set_count; k++) {
            float *whole = new_output(&s);
            attend(sets[k], &s, 0, positions, positions, whole);
            for (size_t c = 0; c < COUNT_OF(chunks); c++) {
                float *chunked = new_output(&s), *divided = new_output(&s);
                for (uint32_t t = 0; t < positions; t += chunks[c])
                    attend(sets[k], &s, t, t + chunks[c] < positions ? t + chunks[c] : positions, positions,
                           chunked);
                attend(sets[k], &s, 0, positions, chunks[c], divided);
                check_rows("a prompt in chunks", &s, chunked, whole, 0);
                check_rows("work in parts", &s, divided, whole, 0);
                free(chunked);
                free(divided);
            }
            free(whole);
        }
        sequence_free(&s);
    }
}

/* Positions that do not exist yet may hold anything. */
static void test_later_positions_are_not_seen(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct sequence s = sequence_new(shapes[i], 300 + i);
        uint32_t half = (s.shape.positions + 1) / 2;
        for (size_t k = 0; k < set_count; k++) {
            float *clean = new_output(&s), *dirty = new_output(&s);
            attend(sets[k], &s, 0, half, half, clean);
            struct sequence other = sequence_new(shapes[i], 300 + i);
            for (uint32_t t = half; t < other.pages * other.shape.page_tokens; t++) {
                for (uint32_t h = 0; h < other.shape.kv_heads; h++) {
                    poison((float *)(uintptr_t)at(&other, other.keys, h, t), other.shape.head_dim);
                    poison((float *)(uintptr_t)at(&other, other.values, h, t), other.shape.head_dim);
                }
            }
            attend(sets[k], &other, 0, half, half, dirty);
            size_t width = (size_t)s.shape.heads * s.shape.head_dim;
            for (uint32_t t = 0; t < half; t++)
                assert_same_bits(sets[k]->name, dirty + t * s.stride, clean + t * s.stride, width);
            sequence_free(&other);
            free(clean);
            free(dirty);
        }
        sequence_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_plain_arithmetic),
        cmocka_unit_test(test_cutting_changes_no_bit),
        cmocka_unit_test(test_later_positions_are_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
