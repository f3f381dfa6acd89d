/* Values at the edges of rounding, in rows and in weights: every set rounds them as the reference does. */
#include "kernels_helper.h"

#include "infer/cpu/packing.h"
#include "infer/cpu/tiles.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, COLUMNS = 1100, TOKENS = 128 };

/* (TOKENS, COLUMNS), and the same values in BF16. */
struct input {
    float *values;
    uint16_t *narrow;
};

static struct input input_new(void)
{
    struct input in = {.values = calloc(TOKENS * COLUMNS, sizeof *in.values),
                       .narrow = calloc(TOKENS * COLUMNS, sizeof *in.narrow)};
    assert_non_null(in.values);
    assert_non_null(in.narrow);
    return in;
}

static void input_free(struct input *in)
{
    free(in->values);
    free(in->narrow);
}

static void put(struct input *in, uint32_t token, uint32_t column, uint32_t bf16)
{
    in->narrow[token * COLUMNS + column] = (uint16_t)bf16;
    in->values[token * COLUMNS + column] = packing_bf16_to_f32((uint16_t)bf16);
}

static struct packed_rows prepare(void (*function)(const struct prepare_job *), const struct input *in,
                                  enum value_type type, enum product product)
{
    struct packed_rows rows;
    struct dobby_error err;
    assert_ok(packed_rows_new(product, TOKENS, COLUMNS, &rows, &err), &err);
    memset(rows.values, 0x7f, (size_t)TOKENS * tile_steps(product, COLUMNS) * TILE_STEP_BYTES);
    const struct prepare_job job = {.input = type == VALUES_BF16 ? (const void *)in->narrow
                                                                 : (const void *)in->values,
                                    .input_type = type,
                                    .input_stride = COLUMNS,
                                    .columns = COLUMNS,
                                    .column_end = COLUMNS,
                                    .token_end = TOKENS,
                                    .rows = &rows};
    function(&job);
    return rows;
}

/* Numbers of a group whose scale is NaN do not matter. */
static void check_step(const struct kernels *set, const struct packed_rows *got,
                       const struct packed_rows *want, uint32_t token, uint32_t step)
{
    const uint32_t steps = tile_steps(want->product, COLUMNS);
    if (want->product == PRODUCT_INT8) {
        const size_t at = (size_t)(step * TILE_STEP_BYTES / int8_group_columns(COLUMNS)) * TOKENS + token;
        if (isnan(want->scales[at])) {
            assert_true(isnan(got->scales[at]));
            return;
        }
        assert_memory_equal(&got->scales[at], &want->scales[at], sizeof *got->scales);
    }
    const uint8_t *a = tile_row(got, steps, token, step), *b = tile_row(want, steps, token, step);
    const uint8_t shift = row_shift_of(set, want->product);
    for (size_t i = 0; i < TILE_STEP_BYTES; i++)
        if (a[i] != (b[i] ^ shift))
            fail_msg("%s: row %u, step %u, byte %zu is %u, not %u", set->name, token, step, i, a[i],
                     b[i] ^ shift);
}

/* Rows of both types by every set, byte for byte. */
static void check_input(const struct input *in, enum product product)
{
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    const enum value_type types[] = {VALUES_F32, VALUES_BF16};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct packed_rows want = prepare(tiles_prepare, in, types[i], product);
        for (size_t s = 0; s < set_count; s++) {
            struct packed_rows got = prepare(sets[s]->prepare, in, types[i], product);
            assert_int_equal(got.tokens_max, TOKENS);
            for (uint32_t token = 0; token < TOKENS; token++)
                for (uint32_t step = 0; step < tile_steps(product, COLUMNS); step++)
                    check_step(sets[s], &got, &want, token, step);
            packed_rows_release(&got);
        }
        packed_rows_release(&want);
    }
}

/* In each row a largest value of another significand, and its half, which is 63.5 steps but for the factor's
 * own rounding: rounded first to a float and then to a whole number, many of them would become 64. */
static struct input halves_new(void)
{
    struct input in = input_new();
    uint32_t differing = 0;
    for (uint32_t token = 0; token < TOKENS; token++) {
        const uint32_t largest = 0x3f80 + token, half = 0x3f00 + token;
        for (uint32_t k = 0; k < COLUMNS; k++)
            put(&in, token, k, k % 400 == 0 ? largest : k % 3 == 0 ? half | 0x8000 : half);
        const float factor = 127.0f / packing_bf16_to_f32((uint16_t)largest);
        const float value = packing_bf16_to_f32((uint16_t)half);
        differing += lrintf(value * factor) != int8_nearest(value, factor);
    }
    assert_true(differing > TOKENS / 8);
    return in;
}

static void test_a_row_is_rounded_once(void **state)
{
    (void)state;
    struct input in = halves_new();
    check_input(&in, PRODUCT_INT8);
    input_free(&in);
}

static void test_a_weight_is_rounded_once(void **state)
{
    (void)state;
    struct input in = halves_new();
    const struct tensor tensor = {.type = TENSOR_F32,
                                  .rows = TOKENS,
                                  .columns = COLUMNS,
                                  .data = (const void *)in.values,
                                  .bytes = (size_t)TOKENS * COLUMNS * sizeof(float)};
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    struct packed_matrix want, got;
    struct dobby_error err;
    assert_ok(tiles_pack(&tensor, 1, PRODUCT_INT8, false, &want, &err), &err);
    for (size_t s = 0; s < set_count; s++) {
        assert_ok(sets[s]->pack(&tensor, 1, PRODUCT_INT8, false, &got, &err), &err);
        assert_int_equal(got.panel_bytes, want.panel_bytes);
        assert_memory_equal(got.panels, want.panels, want.panel_bytes * want.panel_count);
        packed_matrix_release(&got);
    }
    packed_matrix_release(&want);
    input_free(&in);
}

/* Subnormal numbers of both signs, the smallest normal one, and zeros; in every second row beside a 1. */
static void test_subnormal_numbers(void **state)
{
    (void)state;
    static const uint16_t edges[] = {0x0001, 0x8001, 0x007f, 0x807f, 0x0080, 0x8080, 0x0000, 0x8000, 0x3f80};
    struct input in = input_new();
    for (uint32_t token = 0; token < TOKENS; token++)
        for (uint32_t k = 0; k < COLUMNS; k++)
            put(&in, token, k, edges[(token + k) % (COUNT_OF(edges) - token % 2)]);
    check_input(&in, PRODUCT_BF16);
    check_input(&in, PRODUCT_INT8);
    input_free(&in);
}

/* One NaN or infinity in a row, in whole steps and in what is left of them: its group's scale is NaN; in
 * BF16 it stays what it is. */
static void test_what_is_no_number(void **state)
{
    (void)state;
    static const uint16_t broken[] = {0x7fc0, 0xffc1, 0x7f80, 0xff80};
    static const uint32_t places[] = {0, 33, 64, 575, 576, COLUMNS - 1};
    struct input in = input_new();
    for (uint32_t token = 0; token < TOKENS; token++) {
        for (uint32_t k = 0; k < COLUMNS; k++)
            put(&in, token, k, 0x3f00 + (token * 7 + k * 13) % 256);
        if (token % 2 == 0)
            put(&in, token, places[token / 8 % COUNT_OF(places)], broken[token / 2 % COUNT_OF(broken)]);
    }
    check_input(&in, PRODUCT_BF16);
    check_input(&in, PRODUCT_INT8);
    input_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_is_rounded_once),
        cmocka_unit_test(test_a_weight_is_rounded_once),
        cmocka_unit_test(test_subnormal_numbers),
        cmocka_unit_test(test_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
