/* Rows that are normed while they are prepared: within half a unit of what norming them in double arithmetic
 * gives, whatever the rows beside them. */
#include "kernels_helper.h"

#include "infer/cpu/tiles.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, TOKENS = 37 };

static const uint32_t widths[] = {1, 15, 16, 17, 63, 64, 65, 96, 512, 520, 896, 1100, 2113};
static const float epsilon = 1e-6f;

struct fixture {
    uint32_t columns;
    size_t stride;
    float *input, *weight;
};

/* Rows of all magnitudes; the third is 0. */
static struct fixture fixture_new(uint32_t columns)
{
    struct fixture f = {.columns = columns, .stride = columns + 5};
    uint64_t state = columns;
    f.input = random_floats(&state, f.stride * TOKENS);
    f.weight = random_floats(&state, columns);
    for (uint32_t t = 0; t < TOKENS; t++)
        for (uint32_t k = 0; k < f.stride; k++)
            f.input[t * f.stride + k] *= t == 2 ? 0.0f : ldexpf(1.0f, (int)(t % 30) - 15);
    return f;
}

static void fixture_free(struct fixture *f)
{
    free(f->input);
    free(f->weight);
}

/* Tokens first .. end of a batch of the rows from base on, over what an earlier batch left. */
static struct packed_rows prepare(const struct kernels *set, const struct fixture *f, enum product product,
                                  uint32_t base, uint32_t count, uint32_t first, uint32_t end)
{
    struct packed_rows rows;
    struct dobby_error err;
    assert_ok(packed_rows_new(product, count, f->columns, &rows, &err), &err);
    const size_t blocks = rows.tokens_max / TILE_TOKENS;
    memset(rows.values, 0x7f, blocks * tile_steps(product, f->columns) * TILE_BLOCK_BYTES);
    if (product == PRODUCT_INT8)
        poison(rows.scales, (size_t)int8_groups(f->columns) * rows.tokens_max);
    const struct prepare_job job = {.input = f->input + base * f->stride,
                                    .input_type = VALUES_F32,
                                    .input_stride = f->stride,
                                    .columns = f->columns,
                                    .column_end = f->columns,
                                    .token_first = first,
                                    .token_end = end,
                                    .rows = &rows};
    set->prepare_normed(&job, f->weight, epsilon);
    return rows;
}

static void norm_plainly(const struct fixture *f, uint32_t token, double *output)
{
    const float *input = f->input + token * f->stride;
    double squares = 0.0;
    for (uint32_t k = 0; k < f->columns; k++)
        squares += (double)input[k] * (double)input[k];
    const double factor = 1.0 / sqrt(squares / f->columns + (double)epsilon);
    for (uint32_t k = 0; k < f->columns; k++)
        output[k] = (double)input[k] * factor * (double)f->weight[k];
}

static double bf16_at(const uint8_t *step, uint32_t i)
{
    uint16_t half;
    memcpy(&half, step + i * sizeof half, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static void check_row(const char *what, const struct fixture *f, const struct packed_rows *rows,
                      uint32_t token, const double *want)
{
    const bool bf16 = rows->product == PRODUCT_BF16;
    const uint32_t depth = bf16 ? TILE_STEP_BYTES / 2 : TILE_STEP_BYTES;
    const uint32_t steps = tile_steps(rows->product, f->columns),
                   group_columns = int8_group_columns(f->columns);
    for (uint32_t k = 0; k < steps * depth; k++) {
        const uint8_t *step = tile_row(rows, steps, token, k / depth);
        const double value = k < f->columns ? want[k] : 0.0;
        double got, tolerance;
        if (bf16) {
            got = bf16_at(step, k % depth);
            tolerance = fabs(value) * 0x1.01p-8;
        } else {
            const double scale = (double)rows->scales[(size_t)(k / group_columns) * rows->tokens_max + token];
            got = (double)(int8_t)step[k % depth] * scale;
            tolerance = 0.5001 * scale;
        }
        if (!(fabs(got - value) <= tolerance))
            fail_msg("%s, %u columns: row %u, column %u: %g instead of %g", what, f->columns, token, k, got,
                     value);
    }
}

/* A group's scale takes its largest value to 127. */
static void check_scales(const char *what, const struct fixture *f, const struct packed_rows *rows,
                         uint32_t token, const double *want)
{
    const uint32_t group_columns = int8_group_columns(f->columns);
    for (uint32_t group = 0; group < int8_groups(f->columns); group++) {
        double largest = 0.0;
        for (uint32_t k = group * group_columns; k < f->columns && k < (group + 1) * group_columns; k++)
            largest = fmax(largest, fabs(want[k]));
        const double got = (double)rows->scales[(size_t)group * rows->tokens_max + token];
        if (!(fabs(got - largest / 127.0) <= 2e-6 * largest / 127.0))
            fail_msg("%s, %u columns: row %u, group %u: scale %g instead of %g", what, f->columns, token,
                     group, got, largest / 127.0);
    }
}

/* A row alone is as it is among others. */
static void check_alone(const struct kernels *set, const struct fixture *f, const struct packed_rows *all,
                        uint32_t token)
{
    const enum product product = all->product;
    const uint32_t steps = tile_steps(product, f->columns);
    struct packed_rows alone = prepare(set, f, product, token, 1, 0, 1);
    for (uint32_t step = 0; step < steps; step++)
        assert_memory_equal(tile_row(&alone, steps, 0, step), tile_row(all, steps, token, step),
                            TILE_STEP_BYTES);
    for (uint32_t group = 0; product == PRODUCT_INT8 && group < int8_groups(f->columns); group++)
        assert_same_bits(set->name, &alone.scales[(size_t)group * alone.tokens_max],
                         &all->scales[(size_t)group * all->tokens_max + token], 1);
    packed_rows_release(&alone);
}

/* Rows from the batch's middle: as before, and what is beside them is left. */
static void check_some(const struct kernels *set, const struct fixture *f, const struct packed_rows *all)
{
    enum { FIRST = 5, END = 20 };
    const enum product product = all->product;
    const uint32_t steps = tile_steps(product, f->columns);
    uint8_t untouched[TILE_STEP_BYTES];
    memset(untouched, 0x7f, sizeof untouched);
    struct packed_rows rows = prepare(set, f, product, 0, TOKENS, FIRST, END);
    for (uint32_t token = 0; token < TOKENS; token++) {
        const bool some = token >= FIRST && token < END;
        for (uint32_t step = 0; step < steps; step++)
            assert_memory_equal(tile_row(&rows, steps, token, step),
                                some ? tile_row(all, steps, token, step) : untouched, TILE_STEP_BYTES);
        for (uint32_t group = 0; product == PRODUCT_INT8 && group < int8_groups(f->columns); group++) {
            const size_t at = (size_t)group * rows.tokens_max + token;
            if (some)
                assert_same_bits(set->name, &rows.scales[at], &all->scales[at], 1);
            else
                assert_true(is_poison(rows.scales[at]));
        }
    }
    packed_rows_release(&rows);
}

static void check_set(const struct kernels *set, enum product product, uint32_t columns)
{
    struct fixture f = fixture_new(columns);
    double *want = malloc(columns * sizeof *want);
    assert_non_null(want);
    struct packed_rows rows = prepare(set, &f, product, 0, TOKENS, 0, TOKENS);
    for (uint32_t token = 0; token < TOKENS; token++) {
        norm_plainly(&f, token, want);
        if (product == PRODUCT_INT8)
            check_scales(set->name, &f, &rows, token, want);
        check_row(set->name, &f, &rows, token, want);
        check_alone(set, &f, &rows, token);
    }
    check_some(set, &f, &rows);
    packed_rows_release(&rows);
    free(want);
    fixture_free(&f);
}

/* Returns how many sets there are that norm while they prepare. */
static size_t normed_sets(const struct kernels *sets[SETS_MAX])
{
    const size_t all = kernels_available(sets, SETS_MAX);
    size_t count = 0;
    for (size_t s = 0; s < all; s++)
        if (sets[s]->prepare_normed != NULL)
            sets[count++] = sets[s];
    if (count == 0)
        print_message("skipped: no set of this processor norms rows while it prepares them\n");
    return count;
}

static void rows_are_normed_and_rounded(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t count = normed_sets(sets);
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < COUNT_OF(widths); i++) {
            check_set(sets[s], PRODUCT_INT8, widths[i]);
            check_set(sets[s], PRODUCT_BF16, widths[i]);
        }
    if (count == 0)
        skip();
}

static void what_is_no_number_shows(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const struct kernels *sets[SETS_MAX];
    const size_t count = normed_sets(sets);
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < COUNT_OF(bad) * COUNT_OF(widths); i++) {
            struct fixture f = fixture_new(widths[i / COUNT_OF(bad)]);
            f.input[3 * f.stride + f.columns - 1] = bad[i % COUNT_OF(bad)];
            struct packed_rows rows = prepare(sets[s], &f, PRODUCT_INT8, 0, TOKENS, 0, TOKENS);
            for (uint32_t group = 0; group < int8_groups(f.columns); group++) {
                const float *scales = rows.scales + (size_t)group * rows.tokens_max;
                assert_true(isfinite(scales[2]) && isfinite(scales[4]));
                /* By infinity's squares the norm takes other groups to 0. */
                const bool last = group + 1 == int8_groups(f.columns);
                const bool no_number = last || isnan(bad[i % COUNT_OF(bad)]);
                assert_true(no_number ? isnan(scales[3]) : scales[3] == 0.0f);
            }
            packed_rows_release(&rows);
            fixture_free(&f);
        }
    if (count == 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_normed_and_rounded),
        cmocka_unit_test(what_is_no_number_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
