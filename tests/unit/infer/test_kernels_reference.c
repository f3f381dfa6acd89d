/* The reference of the rounded products against plain arithmetic, which all sets are compared with. */
#include "kernels_helper.h"

#include "infer/cpu/int4.h"
#include "infer/cpu/packing.h"
#include "infer/cpu/tiles.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>

/* INT8 is within half a step of each operand. */
static void test_reference_is_the_product(void **state)
{
    (void)state;
    const float weights[2][3] = {{1.0f, -2.0f, 4.0f}, {127.0f, 0.0f, -1.0f}};
    const float input[2][3] = {{127.0f, 2.0f, -5.0f}, {0.0f, 0.0f, 0.0f}};
    /* Rounded weights: 32, -64 and 127 of 4/127 each (127/4 = 31.75, ties do not arise); 127, 0, -1 of 1. */
    const float want_int8[2] = {(127.0f * 32 + 2 * -64.0f - 5 * 127.0f) * (4.0f / 127.0f),
                                127.0f * 127 + 5.0f};
    /* Weights of four bits, which lose nothing: -2, 4 and -8 of -0.5 each, whose multiplier is -127: (254 +
     * 4) / 8 = 32, -504 / 8 = -63 and 1020 / 8 = 127 of 4/127 each; -8, 0 and -2 of -127/8. */
    const float fours[2][3] = {{1.0f, -2.0f, 4.0f}, {127.0f, 0.0f, 31.75f}};
    const float want_int4[2] = {(127.0f * 32 + 2 * -63.0f - 5 * 127.0f) * (4.0f / 127.0f),
                                127.0f * 127 - 5 * 32.0f};
    const float want_bf16[2] = {127.0f - 4 - 20, 127.0f * 127 + 5.0f};
    struct tensor tensor = {.type = TENSOR_F32, .rows = 2, .columns = 3, .bytes = sizeof weights};
    for (enum product product = PRODUCT_BF16; product < PRODUCT_COUNT; product++) {
        struct packed_matrix packed;
        struct packed_rows rows;
        struct dobby_error err;
        float output[2][2] = {{NAN, NAN}, {NAN, NAN}};
        tensor.data = product == PRODUCT_INT4 ? fours : weights;
        assert_ok(tiles_pack(&tensor, 1, product, false, &packed, &err), &err);
        assert_ok(packed_rows_new(product, 2, 3, &rows, &err), &err);
        tiles_prepare(&(struct prepare_job){.input = input,
                                            .input_type = VALUES_F32,
                                            .input_stride = 3,
                                            .columns = 3,
                                            .column_end = 3,
                                            .token_end = 2,
                                            .rows = &rows});
        tiles_matmul(&(struct matmul_job){.weights = &packed,
                                          .rows = &rows,
                                          .tokens = 2,
                                          .output = output,
                                          .output_stride = 2,
                                          .panel_end = 1});
        const float *want = product == PRODUCT_INT8   ? want_int8
                            : product == PRODUCT_INT4 ? want_int4
                                                      : want_bf16;
        assert_close("reference", output[0], want, 2, 1e-6f, 0.0f);
        assert_true(output[1][0] == 0.0f && output[1][1] == 0.0f);
        packed_matrix_release(&packed);
        packed_rows_release(&rows);
    }
}

/* Weights of four bits, unpacked: Q4_0's own within a step of the row's INT8, others within that and a step
 * of their group. */
static void test_int4_weights_are_the_tensors(void **state)
{
    (void)state;
    enum { ROWS = 33, COLUMNS = 96, GROUP = 32 };
    const enum tensor_type types[] = {TENSOR_Q4_0, TENSOR_BF16, TENSOR_Q8_0};
    uint64_t seed = 21;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const struct tensor tensor = random_tensor(&seed, types[i], ROWS, COLUMNS);
        struct packed_matrix packed;
        struct dobby_error err;
        assert_ok(tiles_pack(&tensor, 1, PRODUCT_INT4, false, &packed, &err), &err);
        for (uint32_t row = 0; row < ROWS; row++) {
            float values[COLUMNS];
            packing_dequantize_row(&tensor, row, values);
            const uint32_t panel = row / TILE_OUTPUTS, lane = row % TILE_OUTPUTS;
            const float scale = int8_tail(&packed, panel)->scales[lane];
            for (uint32_t k = 0; k < COLUMNS; k++) {
                const float got = scale * (float)int4_weight_at(&packed, panel, lane, k);
                float furthest = 0.0f; /* of the group: 7 to 9 steps */
                for (uint32_t j = k / GROUP * GROUP; j < (k / GROUP + 1) * GROUP; j++)
                    furthest = fmaxf(furthest, fabsf(values[j]));
                const float allowed =
                    types[i] == TENSOR_Q4_0 ? 1.01f * scale : furthest / 7.0f + 1.01f * scale;
                if (!(fabsf(got - values[k]) <= allowed))
                    fail_msg("%s: row %u, column %u is %g instead of %g", tensor_type_name(types[i]), row, k,
                             (double)got, (double)values[k]);
            }
        }
        packed_matrix_release(&packed);
        free((void *)(uintptr_t)tensor.data);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    struct packed_matrix packed = {.rows = 1};
    struct dobby_error err;
    const struct tensor tensor = {
        .type = TENSOR_F32, .rows = UINT32_MAX - 64, .columns = 1u << 30, .data = ""};
    assert_code(tiles_pack(&tensor, 1, PRODUCT_INT8, false, &packed, &err), DOBBY_OUT_OF_MEMORY);
    assert_null(packed.panels);
    assert_int_equal(packed.rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_is_the_product),
        cmocka_unit_test(test_int4_weights_are_the_tensors),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
