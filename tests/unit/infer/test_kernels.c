/* Choice of a kernel set, packing's exactness, and the kernels over single rows. */
#include "kernels_helper.h"

#include "infer/cpu/packing.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, COUNT_MAX = 4096 };

/* Row lengths: below, at and above whole vectors, and those of real models. */
static const uint32_t counts[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 72, 130, 200, 512, 896, 1536, 4096};

static void test_choice(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX], *chosen;
    struct dobby_error err;
    size_t count = kernels_available(sets, SETS_MAX);
    assert_true(count >= 1);
    assert_string_equal(sets[0]->name, "ref");
    for (size_t i = 0; i < count; i++) {
        assert_ok(kernels_choose(sets[i]->name, &chosen, &err), &err);
        assert_ptr_equal(chosen, sets[i]);
        assert_int_equal(setenv("DOBBY_CPU", sets[i]->name, 1), 0);
        assert_ok(kernels_choose(NULL, &chosen, &err), &err);
        assert_ptr_equal(chosen, sets[i]);
    }
    assert_int_equal(unsetenv("DOBBY_CPU"), 0);
    assert_ok(kernels_choose(NULL, &chosen, &err), &err);
    assert_ptr_equal(chosen, sets[count - 1]);
    assert_int_equal(kernels_available(sets, 1), 1);
}

static void test_unknown_sets_are_refused(void **state)
{
    (void)state;
    const char *const names[] = {"sse2", "AVX2", "neon", "avx", "ref "};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct kernels *chosen = (const struct kernels *)1;
        struct dobby_error err;
        assert_code(kernels_choose(names[i], &chosen, &err), DOBBY_CPU_UNSUPPORTED);
        assert_null(chosen);
        assert_non_null(strstr(err.detail, names[i]));
        assert_non_null(strstr(err.detail, "ref"));
        assert_int_equal(setenv("DOBBY_CPU", names[i], 1), 0);
        assert_code(kernels_choose(NULL, &chosen, NULL), DOBBY_CPU_UNSUPPORTED);
        assert_int_equal(unsetenv("DOBBY_CPU"), 0);
    }
}

static void test_halves_are_exact(void **state)
{
    (void)state;
    const struct {
        uint16_t half;
        float value;
    } known[] = {{0x0000, 0.0f},     {0x3c00, 1.0f},       {0xbc00, -1.0f},     {0x3555, 0x1.554p-2f},
                 {0x7bff, 65504.0f}, {0x0001, 0x1p-24f},   {0x8001, -0x1p-24f}, {0x03ff, 0x1.ff8p-15f},
                 {0x0400, 0x1p-14f}, {0xc248, -0x1.92p1f}, {0x7c00, INFINITY},  {0xfc00, -INFINITY},
                 {0x4900, 10.0f},    {0x2e66, 0x1.998p-4f}};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        assert_true(packing_f16_to_f32(known[i].half) == known[i].value);
    assert_true(signbit(packing_f16_to_f32(0x8000)));
    assert_true(isnan(packing_f16_to_f32(0x7e01)));
    /* Every finite half: its fields, by arithmetic. */
    for (uint32_t half = 0; half < 0x7c00; half++) {
        double fraction = half % 1024 / 1024.0;
        double value = half < 1024 ? ldexp(fraction, -14) : ldexp(1.0 + fraction, (int)(half / 1024) - 15);
        assert_true((double)packing_f16_to_f32((uint16_t)half) == value);
        assert_true((double)packing_f16_to_f32((uint16_t)(half | 0x8000)) == -value);
    }
    assert_true(packing_bf16_to_f32(0xc049) == -0x1.92p1f);
}

/* A stand-in for memory that cannot be had: more than any address space holds. */
static void test_pack_fails_cleanly(void **state)
{
    (void)state;
    struct packed_matrix packed = {.rows = 1};
    struct dobby_error err;
    struct tensor tensor = {.type = TENSOR_F32, .rows = UINT32_MAX - 64, .columns = 1u << 30, .data = ""};
    assert_code(packing_pack(&tensor, 1, false, 16, &packed, &err), DOBBY_OUT_OF_MEMORY);
    assert_null(packed.panels);
    assert_int_equal(packed.rows, 0);
    packed_matrix_release(&packed);
}

static void test_rms_norm(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    uint64_t seed = 1;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        uint32_t count = counts[i];
        float *input = random_floats(&seed, count), *weight = random_floats(&seed, count);
        float want[COUNT_MAX], got[COUNT_MAX + 1];
        double squares = 0.0;
        for (uint32_t k = 0; k < count; k++)
            squares += (double)input[k] * (double)input[k];
        for (uint32_t k = 0; k < count; k++)
            want[k] = (float)((double)input[k] * (double)weight[k] / sqrt(squares / count + 1e-5));
        for (size_t s = 0; s < set_count; s++) {
            poison(got, COUNT_MAX + 1);
            sets[s]->rms_norm(input, weight, 1e-5f, count, got);
            assert_close(sets[s]->name, got, want, count, 1e-6f, 0.0f);
            assert_true(is_poison(got[count]));
            memcpy(got, input, count * sizeof *input);
            sets[s]->rms_norm(got, weight, 1e-5f, count, got);
            assert_close("in place", got, want, count, 1e-6f, 0.0f);
        }
        free(input);
        free(weight);
    }
}

static void test_rope_has_the_references_bits(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    const uint32_t dims[] = {2, 8, 12, 16, 36, 64, 80, 128};
    uint64_t seed = 2;
    for (size_t i = 0; i < COUNT_OF(dims) * 2; i++) {
        uint32_t dim = dims[i / 2], half = dim / 2;
        bool interleaved = i % 2 == 1;
        float *rows = random_floats(&seed, (size_t)5 * dim), *angles = random_floats(&seed, half);
        float cosine[64], sine[64], want[5 * 128], got[5 * 128];
        for (uint32_t k = 0; k < half; k++) {
            cosine[k] = cosf(angles[k]);
            sine[k] = sinf(angles[k]);
        }
        for (uint32_t r = 0; r < 5; r++) {
            for (uint32_t k = 0; k < half; k++) {
                uint32_t first = r * dim + (interleaved ? 2 * k : k);
                uint32_t second = interleaved ? first + 1 : first + half;
                double angle_cosine = (double)cosine[k], angle_sine = (double)sine[k];
                double a = (double)rows[first], b = (double)rows[second];
                want[first] = (float)(a * angle_cosine - b * angle_sine);
                want[second] = (float)(b * angle_cosine + a * angle_sine);
            }
        }
        float reference[5 * 128];
        for (size_t s = 0; s < set_count; s++) {
            memcpy(got, rows, (size_t)5 * dim * sizeof *got);
            sets[s]->rope(got, 5, dim, cosine, sine, interleaved);
            assert_close(sets[s]->name, got, want, (size_t)5 * dim, 2e-7f, 1.0f);
            if (s == 0)
                memcpy(reference, got, sizeof reference);
            assert_same_bits(sets[s]->name, got, reference, (size_t)5 * dim);
        }
        free(rows);
        free(angles);
    }
}

/* silu(gate) * up by a set's gated product: the weights are the values, and the only input is 1. */
static void gated_product(const struct kernels *set, const float *gate, const float *up, uint32_t count,
                          float *output)
{
    const float one = 1.0f;
    const size_t bytes = count * sizeof(float);
    const struct tensor tensors[2] = {
        {.type = TENSOR_F32, .rows = count, .columns = 1, .data = gate, .bytes = bytes},
        {.type = TENSOR_F32, .rows = count, .columns = 1, .data = up, .bytes = bytes}};
    struct packed_matrix packed;
    struct dobby_error err;
    assert_ok(set->pack(tensors, 2, PRODUCT_F32, true, &packed, &err), &err);
    void *scratch = aligned_bytes(set->scratch_bytes(&packed));
    set->matmul(&(struct matmul_job){.weights = &packed,
                                     .input = &one,
                                     .input_stride = 1,
                                     .tokens = 1,
                                     .output = output,
                                     .output_stride = count,
                                     .panel_end = packed.panel_count,
                                     .scratch = scratch});
    free(scratch);
    packed_matrix_release(&packed);
}

static void test_gate(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    const float ends[] = {0.0f,  -0.0f,  1e-30f, -1e-30f, 20.0f, -20.0f,
                          87.0f, -87.0f, 88.5f,  -88.5f,  1e4f,  -1e4f};
    uint64_t seed = 3;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        uint32_t count = counts[i];
        float *gate = random_floats(&seed, count), *up = random_floats(&seed, count);
        float want[COUNT_MAX], got[COUNT_MAX + 1];
        for (uint32_t k = 0; k < count; k++) {
            gate[k] = k % 5 == 0 ? ends[k / 5 % COUNT_OF(ends)] : gate[k] * 30.0f;
            want[k] = (float)((double)gate[k] / (1.0 + exp(-(double)gate[k])) * (double)up[k]);
        }
        for (size_t s = 0; s < set_count; s++) {
            poison(got, COUNT_MAX + 1);
            gated_product(sets[s], gate, up, count, got);
            assert_close(sets[s]->name, got, want, count, 5e-7f, 1e-27f);
            assert_true(is_poison(got[count]));
            /* An element's bits do not depend on its place. */
            for (uint32_t k = 0; k < count; k += 3) {
                float alone = NAN;
                gated_product(sets[s], gate + k, up + k, 1, &alone);
                assert_same_bits("alone", &alone, &got[k], 1);
            }
        }
        free(gate);
        free(up);
    }
}

/* silu(x) / x is 1 / (1 + e^-x): over a million x, on both sides of 0. */
static void test_exponential_over_its_range(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t s = 0; s < set_count; s++) {
        for (uint32_t first = 0; first < 1000000; first += COUNT_MAX) {
            float gate[COUNT_MAX], up[COUNT_MAX], want[COUNT_MAX], got[COUNT_MAX];
            for (uint32_t i = 0; i < COUNT_MAX; i++) {
                gate[i] = -87.00007f + (float)(first + i) * 1.739e-4f;
                up[i] = 1.0f / gate[i];
                double x = (double)gate[i];
                want[i] = (float)(x / (1.0 + exp(-x)) * (double)up[i]);
            }
            gated_product(sets[s], gate, up, COUNT_MAX, got);
            assert_close(sets[s]->name, got, want, COUNT_MAX, 5e-7f, 0.0f);
        }
    }
}

static void test_argmax_logsumexp(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    uint64_t seed = 4;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        uint32_t count = counts[i];
        float *values = random_floats(&seed, count);
        for (uint32_t k = 0; k < count; k++)
            values[k] = values[k] * 12.0f - 40.0f;
        uint32_t first = random_bits(&seed) % count, second = random_bits(&seed) % count;
        values[first] = values[second] = 5.0f; /* a tie: the lower index wins */
        double sum = 0.0;
        for (uint32_t k = 0; k < count; k++)
            sum += exp((double)values[k] - 5.0);
        float want = (float)(5.0 + log(sum));
        for (size_t s = 0; s < set_count; s++) {
            uint32_t index = UINT32_MAX;
            float got = NAN;
            sets[s]->argmax_logsumexp(values, count, &index, &got);
            assert_int_equal(index, first < second ? first : second);
            assert_close(sets[s]->name, &got, &want, 1, 1e-6f, 0.0f);
        }
        free(values);
    }
}

/* The caller learns of a broken model by this: one NaN anywhere, and the sum is none. */
static void test_nan_shows_in_logsumexp(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t s = 0; s < set_count; s++) {
        for (uint32_t at = 0; at < 67; at++) {
            float values[67] = {0.0f}, sum = 0.0f;
            uint32_t index = UINT32_MAX;
            values[at] = NAN;
            sets[s]->argmax_logsumexp(values, 67, &index, &sum);
            assert_true(isnan(sum));
            assert_true(index < 67);
        }
    }
}

static void test_dequantize_row(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    /* 0.5 and -2 as scales; quants -128 and 127 at the ends of the second row's blocks. */
    uint8_t blocks[2][2][34] = {{{0x00, 0x38, 3}, {0x00, 0xc0, 5}}, {{0x00, 0x38}, {0x00, 0xc0}}};
    blocks[1][0][2] = 0x80;
    blocks[1][1][33] = 0x7f;
    struct tensor tensor = {
        .type = TENSOR_Q8_0, .rows = 2, .columns = 64, .data = blocks, .bytes = sizeof blocks};
    /* Of four bits: 0, 8, ... are -8, 0, ..., the lower halves first. */
    const uint8_t block[18] = {[0] = 0x00, [1] = 0x38, [2] = 0xf0, [3] = 0x08, [17] = 0x90};
    const struct tensor fours = {
        .type = TENSOR_Q4_0, .rows = 1, .columns = 32, .data = block, .bytes = sizeof block};
    for (size_t s = 0; s < set_count; s++) {
        float row[64];
        sets[s]->dequantize_row(&tensor, 0, row);
        assert_true(row[0] == 1.5f && row[1] == 0.0f && row[32] == -10.0f);
        sets[s]->dequantize_row(&tensor, 1, row);
        assert_true(row[0] == -64.0f && row[63] == -254.0f);
        sets[s]->dequantize_row(&fours, 0, row);
        assert_true(row[0] == -4.0f && row[16] == 3.5f && row[1] == 0.0f && row[17] == -4.0f &&
                    row[31] == 0.5f);
    }
}

static void every_set_reads_the_same_row(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0};
    static const uint32_t widths[] = {32, 96, 512, 1, 7, 17, 100}; /* the last four are no whole blocks */
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = kernels_available(sets, SETS_MAX);
    uint64_t seed = 77;
    for (size_t i = 0; i < COUNT_OF(types) * COUNT_OF(widths); i++) {
        const enum tensor_type type = types[i % COUNT_OF(types)];
        const uint32_t columns = widths[i / COUNT_OF(types)];
        if (columns % 32 != 0 && (type == TENSOR_Q8_0 || type == TENSOR_Q4_0))
            continue;
        const struct tensor tensor = random_tensor(&seed, type, 3, columns);
        float *want = malloc(columns * sizeof *want), *got = malloc((columns + 1) * sizeof *got);
        assert_true(want != NULL && got != NULL);
        for (size_t s = 0; s < set_count; s++)
            for (uint32_t row = 0; row < 3; row++) {
                packing_dequantize_row(&tensor, row, want);
                poison(got, columns + 1);
                sets[s]->dequantize_row(&tensor, row, got);
                assert_same_bits(sets[s]->name, got, want, columns);
                assert_true(is_poison(got[columns]));
            }
        free(want);
        free(got);
        free((void *)(uintptr_t)tensor.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_unknown_sets_are_refused),
        cmocka_unit_test(test_halves_are_exact),
        cmocka_unit_test(test_pack_fails_cleanly),
        cmocka_unit_test(test_rms_norm),
        cmocka_unit_test(test_rope_has_the_references_bits),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_exponential_over_its_range),
        cmocka_unit_test(test_argmax_logsumexp),
        cmocka_unit_test(test_nan_shows_in_logsumexp),
        cmocka_unit_test(test_dequantize_row),
        cmocka_unit_test(every_set_reads_the_same_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
