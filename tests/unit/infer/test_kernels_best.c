/* The best of a product's outputs: every set, product and range of panels against the outputs that matmul
 * writes. */
#include "kernels_helper.h"

#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8 };

struct shape {
    uint32_t tokens, rows, columns;
};

static const struct shape shapes[] = {
    {1, 1, 64},     {1, 31, 96},      {17, 33, 128},  {32, 64, 512},  {33, 300, 896},
    {70, 1000, 64}, {128, 130, 1088}, {5, 129, 2112}, {70, 310, 896}, {40, 430, 1504},
};

/* A token's input is so large: its outputs lie close together, far apart, or beyond what F32 holds. */
static const float scales[] = {1.0f, 0.0f, 300.0f, 0x1p-60f, 3e4f, 1e20f, 1e38f};

struct fixture {
    const struct kernels *set;
    struct packed_matrix weights;
    struct packed_rows rows;
    float *input;
    void *scratch;
    struct shape shape;
};

/* Packs the weights and prepares the input, which is there already. */
static void fill_fixture(struct fixture *f, const struct tensor *tensor, enum product product)
{
    const uint32_t tokens = f->shape.tokens, columns = f->shape.columns;
    struct dobby_error err;
    assert_ok(f->set->pack(tensor, 1, product, false, &f->weights, &err), &err);
    f->scratch = aligned_bytes(f->set->scratch_bytes(&f->weights));
    if (product == PRODUCT_F32)
        return;
    assert_ok(packed_rows_new(product, tokens, columns, &f->rows, &err), &err);
    f->set->prepare(&(struct prepare_job){.input = f->input,
                                          .input_type = VALUES_F32,
                                          .input_stride = columns,
                                          .columns = columns,
                                          .column_end = columns,
                                          .token_end = tokens,
                                          .rows = &f->rows});
}

static struct fixture fixture_new(const struct kernels *set, struct shape shape, enum product product,
                                  uint64_t seed)
{
    struct fixture f = {.set = set, .shape = shape};
    uint64_t state = seed;
    const struct tensor tensor = random_tensor(&state, TENSOR_BF16, shape.rows, shape.columns);
    const size_t count = (size_t)shape.tokens * shape.columns;
    f.input = random_floats(&state, count);
    for (size_t i = 0; i < count; i++)
        f.input[i] *= scales[i / shape.columns % COUNT_OF(scales)];
    fill_fixture(&f, &tensor, product);
    free((void *)(uintptr_t)tensor.data);
    return f;
}

static void fixture_free(struct fixture *f)
{
    packed_matrix_release(&f->weights);
    packed_rows_release(&f->rows);
    free(f->input);
    free(f->scratch);
}

static struct matmul_job job_of(const struct fixture *f, uint32_t panel_first, uint32_t panel_end,
                                float *output, size_t output_stride)
{
    return (struct matmul_job){.weights = &f->weights,
                               .input = f->input,
                               .input_stride = f->shape.columns,
                               .rows = &f->rows,
                               .tokens = f->shape.tokens,
                               .output = output,
                               .output_stride = output_stride,
                               .output_first = panel_first * f->weights.panel_rows,
                               .panel_first = panel_first,
                               .panel_end = panel_end,
                               .scratch = f->scratch};
}

static void check_row(const char *what, const struct best_output *got, const float *outputs, uint32_t count,
                      uint32_t output_first)
{
    uint32_t at = 0;
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!isfinite(outputs[i])) {
            if (got->output != -1)
                fail_msg("%s: %d instead of -1 where an output is %g", what, got->output, (double)outputs[i]);
            return;
        }
        at = outputs[i] > outputs[at] ? i : at;
    }
    for (uint32_t i = 0; i < count; i++)
        sum += exp((double)outputs[i] - (double)outputs[at]);
    const double want = (double)outputs[at] + log(sum);
    if (got->logsumexp < got->value)
        fail_msg("%s: log-sum-exp %.9g below the largest, %.9g", what, (double)got->logsumexp,
                 (double)got->value);
    if (got->output != (int32_t)(output_first + at) || got->value != outputs[at] ||
        !(fabs((double)got->logsumexp - want) <= 2e-6 * (1 + fabs(want))))
        fail_msg("%s: output %d, value %.9g, log-sum-exp %.9g; want %u, %.9g, %.9g", what, got->output,
                 (double)got->value, (double)got->logsumexp, output_first + at, (double)outputs[at], want);
}

/* Returns how many rows had a best, so that it shows when none has. */
static uint32_t check_panels(const struct fixture *f, const char *what, uint32_t first, uint32_t end)
{
    const uint32_t tokens = f->shape.tokens, output_first = first * f->weights.panel_rows;
    const uint32_t outputs = end * f->weights.panel_rows < f->shape.rows
                                 ? end * f->weights.panel_rows - output_first
                                 : f->shape.rows - output_first;
    const size_t stride = outputs < BEST_STRIDE_MIN ? BEST_STRIDE_MIN : outputs;
    float *want = aligned_bytes(tokens * stride * sizeof *want);
    float *scratch = aligned_bytes(tokens * stride * sizeof *scratch);
    struct best_output *best = calloc(tokens, sizeof *best);
    assert_non_null(best);
    uint32_t found = 0;
    const struct matmul_job plain = job_of(f, first, end, want, stride);
    f->set->matmul(&plain);
    memset(scratch, 0xff, tokens * stride * sizeof *scratch);
    const struct matmul_job job = job_of(f, first, end, scratch, stride);
    kernels_matmul_best(f->set, &job, best);
    for (uint32_t t = 0; t < tokens; t++) {
        char row[160];
        (void)snprintf(row, sizeof row, "%s, panels %u to %u, token %u", what, first, end, t);
        check_row(row, &best[t], want + t * stride, outputs, output_first);
        found += best[t].output >= 0;
    }
    free(want);
    free(scratch);
    free(best);
    return found;
}

static void the_best_is_the_outputs_best(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t s = 0; s < set_count; s++) {
        for (enum product product = PRODUCT_F32; product < PRODUCT_COUNT; product++) {
            uint32_t found = 0;
            for (size_t i = 0; i < COUNT_OF(shapes); i++) {
                struct fixture f = fixture_new(sets[s], shapes[i], product, i + 1);
                char what[96];
                (void)snprintf(what, sizeof what, "%s %s %ux%u->%u", sets[s]->name, product_name(product),
                               shapes[i].tokens, shapes[i].columns, shapes[i].rows);
                const uint32_t panels = f.weights.panel_count;
                found += check_panels(&f, what, 0, panels);
                found += check_panels(&f, what, panels - 1, panels);
                found += panels > 2 ? check_panels(&f, what, 1, 2) : 0;
                fixture_free(&f);
            }
            assert_true(found > 500);
        }
    }
}

enum { ROWS = 200, COLUMNS = 64 };

/* The best for one token, all of whose inputs are `input`. */
static struct best_output best_of_weights(const struct kernels *set, enum product product,
                                          const float weights[ROWS * COLUMNS], float input)
{
    struct fixture f = {.set = set, .shape = {1, ROWS, COLUMNS}};
    const struct tensor tensor = {.type = TENSOR_F32,
                                  .rows = ROWS,
                                  .columns = COLUMNS,
                                  .data = weights,
                                  .bytes = sizeof *weights * ROWS * COLUMNS};
    f.input = aligned_bytes(COLUMNS * sizeof *f.input);
    for (int k = 0; k < COLUMNS; k++)
        f.input[k] = input;
    fill_fixture(&f, &tensor, product);
    float *output = aligned_bytes(ROWS * sizeof *output);
    struct best_output best;
    const struct matmul_job job = job_of(&f, 0, f.weights.panel_count, output, ROWS);
    kernels_matmul_best(set, &job, &best);
    free(output);
    fixture_free(&f);
    return best;
}

/* Likewise, by weights that are the same all along a row. */
static struct best_output best_of_rows(const struct kernels *set, enum product product,
                                       const float rows[ROWS], float input)
{
    static float weights[ROWS * COLUMNS];
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        weights[i] = rows[i / COLUMNS];
    return best_of_weights(set, product, weights, input);
}

/* Equal outputs: the lowest wins, wherever they lie in a vector. */
static void the_lowest_of_equals_is_best(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    const uint32_t equals[][2] = {{0, 199}, {31, 32}, {17, 18}, {5, 21}, {40, 99}, {198, 199}};
    for (size_t i = 0; i < set_count * COUNT_OF(equals); i++) {
        const uint32_t *equal = equals[i % COUNT_OF(equals)];
        float rows[ROWS];
        for (uint32_t row = 0; row < ROWS; row++)
            rows[row] = row == equal[0] || row == equal[1] ? 1.0f : 0.5f;
        for (enum product product = PRODUCT_F32; product < PRODUCT_COUNT; product++)
            assert_int_equal(best_of_rows(sets[i / COUNT_OF(equals)], product, rows, 1).output, equal[0]);
    }
}

/* One output takes all the probability, however far it is above what came before. */
static void no_probability_is_above_one(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    for (uint32_t i = 0; i < 400; i++) {
        float rows[ROWS];
        for (uint32_t row = 0; row < ROWS; row++)
            rows[row] = -0.3f + (float)i * 0.0017f;
        rows[100 + i % 100] += 0.4f + (float)i * 0.0037f;
        for (size_t s = 0; s < set_count; s++) {
            for (enum product product = PRODUCT_F32; product < PRODUCT_COUNT; product++) {
                const struct best_output best = best_of_rows(sets[s], product, rows, 1);
                assert_int_equal(best.output, 100 + i % 100);
                assert_true(best.logsumexp >= best.value);
                assert_true(best.logsumexp <= best.value + 1e-3f);
            }
        }
    }
}

/* Outputs of 2^30 lie 128 apart: the next one is too far above for e^x, though 64 more is no other number. */
static void a_large_output_is_far_above_the_one_before(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    for (uint32_t i = 0; i < 16; i++) {
        static float weights[ROWS * COLUMNS];
        for (uint32_t row = 0; row < ROWS; row++) {
            weights[row * COLUMNS] = 0x1p30f;
            weights[row * COLUMNS + 1] = 128 * (float)(row < 150 ? i : i + 1);
        }
        for (size_t s = 0; s < set_count; s++) {
            const struct best_output best = best_of_weights(sets[s], PRODUCT_BF16, weights, 1);
            assert_int_equal(best.output, 150);
            assert_true(isfinite(best.logsumexp) && best.logsumexp >= best.value);
        }
    }
}

static void one_infinite_output_shows(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    for (uint32_t i = 0; i < 2 * ROWS; i++) {
        float rows[ROWS] = {0};
        rows[i / 2] = i % 2 ? -1e30f : 1e30f;
        for (size_t s = 0; s < set_count; s++)
            for (enum product product = PRODUCT_F32; product < PRODUCT_COUNT; product++)
                assert_int_equal(best_of_rows(sets[s], product, rows, 1e10f).output, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_the_outputs_best),
        cmocka_unit_test(the_lowest_of_equals_is_best),
        cmocka_unit_test(no_probability_is_above_one),
        cmocka_unit_test(a_large_output_is_far_above_the_one_before),
        cmocka_unit_test(one_infinite_output_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
