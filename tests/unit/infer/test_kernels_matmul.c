/* Every kernel set's matrix product has the reference's bits, whatever the shape and the division of work. */
#include "kernels_helper.h"

#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, TYPES = 5 };

static const enum tensor_type types[TYPES] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0};

struct variant {
    bool bias, accumulate, gated;
    uint32_t gap; /* floats between rows of input and output */
};

static const struct variant variants[] = {
    {.bias = false, .accumulate = false, .gap = 0},
    {.bias = true, .accumulate = false, .gap = 5},
    {.bias = false, .accumulate = true, .gap = 3},
    {.bias = true, .accumulate = true, .gap = 16},
    {.gated = true, .gap = 4},
};

struct shape {
    uint32_t tokens, rows, columns;
};

static const struct shape shapes[] = {
    {1, 1, 32},     {1, 16, 32},   {1, 129, 96},   {2, 100, 64},  {3, 33, 160},   {4, 17, 288},
    {5, 48, 512},   {6, 31, 256},  {7, 65, 544},   {8, 15, 32},   {9, 40, 224},   {11, 96, 1536},
    {12, 32, 4864}, {13, 7, 64},   {17, 50, 800},  {23, 64, 512}, {24, 130, 256}, {25, 72, 96},
    {31, 33, 1024}, {40, 47, 288}, {133, 20, 288}, {300, 35, 64}, {1, 200, 4864}, {1, 66, 2048},
};

/* Columns that no block of 32 divides: not for Q8_0 and Q4_0. */
static const struct shape odd_shapes[] = {
    {1, 72, 72},    {2, 130, 112}, {3, 200, 130}, {6, 9, 1},      {7, 16, 3},
    {10, 112, 200}, {13, 72, 257}, {40, 33, 511}, {134, 18, 259}, {5, 24, 36},
};

struct fixture {
    struct tensor tensors[2]; /* the second with gated products only */
    bool gated;
    float *input, *bias, *residual;
    size_t input_stride, output_stride, output_count;
};

static struct fixture fixture_new(uint64_t *state, enum tensor_type type, struct shape shape,
                                  const struct variant *variant)
{
    const uint32_t gap = variant->gap;
    struct fixture f = {
        .gated = variant->gated, .input_stride = shape.columns + gap, .output_stride = shape.rows + gap};
    for (size_t i = 0; i < (f.gated ? 2 : 1); i++)
        f.tensors[i] = random_tensor(state, type, shape.rows, shape.columns);
    f.output_count = f.output_stride * shape.tokens;
    f.input = random_floats(state, f.input_stride * shape.tokens);
    f.bias = random_floats(state, shape.rows);
    f.residual = random_floats(state, f.output_count);
    for (uint32_t t = 0; t < shape.tokens; t++)
        poison(f.input + t * f.input_stride + shape.columns, gap);
    return f;
}

static void fixture_free(struct fixture *f)
{
    for (size_t i = 0; i < 2; i++)
        free((void *)(uintptr_t)f->tensors[i].data);
    free(f->input);
    free(f->bias);
    free(f->residual);
}

/* Runs the product by one set, some panels a call (0: all); the caller frees the whole output. */
static float *multiply(const struct kernels *set, const struct fixture *f, uint32_t token, uint32_t tokens,
                       const struct variant *variant, uint32_t panels_per_call)
{
    struct packed_matrix packed;
    struct dobby_error err;
    assert_ok(set->pack(f->tensors, f->gated ? 2 : 1, PRODUCT_F32, f->gated, &packed, &err), &err);
    assert_int_equal(packed.product, PRODUCT_F32);
    void *scratch = aligned_bytes(set->scratch_bytes(&packed));
    float *output = malloc(f->output_count * sizeof *output);
    assert_non_null(output);
    poison(output, f->output_count);
    for (uint32_t t = token; variant->accumulate && t < token + tokens; t++)
        memcpy(output + t * f->output_stride, f->residual + t * f->output_stride,
               f->tensors[0].rows * sizeof(float));
    if (panels_per_call == 0)
        panels_per_call = packed.panel_count;
    for (uint32_t first = 0; first < packed.panel_count; first += panels_per_call) {
        uint32_t left = packed.panel_count - first;
        struct matmul_job job = {.weights = &packed,
                                 .input = f->input + token * f->input_stride,
                                 .input_stride = f->input_stride,
                                 .tokens = tokens,
                                 .bias = variant->bias ? f->bias : NULL,
                                 .accumulate = variant->accumulate,
                                 .output = output + token * f->output_stride,
                                 .output_stride = f->output_stride,
                                 .panel_first = first,
                                 .panel_end = first + (left < panels_per_call ? left : panels_per_call),
                                 .scratch = scratch};
        memset(scratch, 0xff, set->scratch_bytes(&packed));
        set->matmul(&job);
    }
    free(scratch);
    packed_matrix_release(&packed);
    return output;
}

static void check_gap(const char *what, const struct fixture *f, const float *got, uint32_t token,
                      uint32_t gap)
{
    const float *row_end = got + token * f->output_stride + f->tensors[0].rows;
    for (uint32_t i = 0; i < gap; i++)
        if (!is_poison(row_end[i]))
            fail_msg("%s: wrote beyond row %u", what, token);
}

static void check_rows(const char *what, const struct fixture *f, const float *got, const float *want,
                       uint32_t token, uint32_t tokens, uint32_t gap)
{
    for (uint32_t t = token; t < token + tokens; t++) {
        const size_t row = t * f->output_stride;
        assert_same_bits(what, got + row, want + row, f->tensors[0].rows);
        check_gap(what, f, got, t, gap);
    }
}

/* The sums have the reference's bits here too, but each set's exponential is its own. */
static void check_gated_rows(const char *what, const struct fixture *f, const float *got, const float *want,
                             uint32_t tokens, uint32_t gap)
{
    for (uint32_t t = 0; t < tokens; t++) {
        const size_t row = t * f->output_stride;
        assert_close(what, got + row, want + row, f->tensors[0].rows, 5e-7f, 1e-20f);
        check_gap(what, f, got, t, gap);
    }
}

static void check_shape(enum tensor_type type, struct shape shape, uint64_t seed)
{
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct fixture f = fixture_new(&seed, type, shape, &variants[i]);
        float *want = multiply(sets[0], &f, 0, shape.tokens, &variants[i], 0);
        check_rows("the reference itself", &f, want, want, 0, shape.tokens, variants[i].gap);
        for (size_t s = 1; s < set_count; s++) {
            char what[128];
            (void)snprintf(what, sizeof what, "%s %s %ux%u->%u variant %zu", sets[s]->name,
                           tensor_type_name(type), shape.tokens, shape.columns, shape.rows, i);
            float *got = multiply(sets[s], &f, 0, shape.tokens, &variants[i], 0);
            if (variants[i].gated)
                check_gated_rows(what, &f, got, want, shape.tokens, variants[i].gap);
            else
                check_rows(what, &f, got, want, 0, shape.tokens, variants[i].gap);
            free(got);
        }
        free(want);
        fixture_free(&f);
    }
}

static void test_shapes_have_the_references_bits(void **state)
{
    (void)state;
    for (size_t type = 0; type < TYPES; type++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            check_shape(types[type], shapes[i], 1000 * type + i);
}

static void test_odd_columns_have_the_references_bits(void **state)
{
    (void)state;
    for (size_t type = 0; type < TYPES; type++)
        for (size_t i = 0; i < sizeof odd_shapes / sizeof *odd_shapes; i++)
            if (types[type] != TENSOR_Q8_0 && types[type] != TENSOR_Q4_0)
                check_shape(types[type], odd_shapes[i], 9000 + 1000 * type + i);
}

/* Every number of tokens takes another mix of tiles. */
static void test_every_token_count(void **state)
{
    (void)state;
    for (size_t type = 0; type < TYPES; type++)
        for (uint32_t tokens = 1; tokens <= 40; tokens++)
            check_shape(types[type], (struct shape){tokens, 37, 288}, 50000 + 100 * type + tokens);
}

/* A token's outputs do not depend on its neighbours, nor on how panels were handed out. */
static void check_division(const struct kernels *set, const struct fixture *f, const struct variant *variant)
{
    float *whole = multiply(set, f, 0, 19, variant, 0);
    for (uint32_t panels = 1; panels <= 4; panels++) {
        float *parts = multiply(set, f, 0, 19, variant, panels);
        check_rows("parts of the panels", f, parts, whole, 0, 19, variant->gap);
        free(parts);
    }
    for (uint32_t tokens = 1; tokens <= 8; tokens++) {
        float *some = multiply(set, f, 19 - tokens, tokens, variant, 3);
        check_rows("some of the tokens", f, some, whole, 19 - tokens, tokens, variant->gap);
        free(some);
    }
    free(whole);
}

static void test_division_of_work_changes_no_bit(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    uint64_t seed = 77;
    for (size_t type = 0; type < TYPES; type++) {
        for (size_t i = 3; i < sizeof variants / sizeof *variants; i++) {
            struct fixture f = fixture_new(&seed, types[type], (struct shape){19, 170, 320}, &variants[i]);
            for (size_t s = 0; s < set_count; s++)
                check_division(sets[s], &f, &variants[i]);
            fixture_free(&f);
        }
    }
}

/* The chain against plain arithmetic that shares no code with the kernels. */
static void test_reference_is_the_product(void **state)
{
    (void)state;
    const float values[2][3] = {{1.0f, 2.0f, -3.0f}, {0.5f, 0.0f, 4.0f}};
    const struct fixture f = {
        .tensors = {{.type = TENSOR_F32, .rows = 2, .columns = 3, .data = values, .bytes = sizeof values}},
        .input = (float[]){1.0f, 10.0f, 100.0f, -1.0f, 2.0f, 0.25f},
        .bias = (float[]){1000.0f, 2000.0f},
        .residual = (float[]){0.5f, 0.25f, 0.125f, 4.0f},
        .input_stride = 3,
        .output_stride = 2,
        .output_count = 4};
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    const float plain[] = {-279.0f, 400.5f, 2.25f, 0.5f};
    const float both[] = {721.5f, 2400.75f, 1002.375f, 2004.5f};
    for (size_t s = 0; s < set_count; s++) {
        float *output = multiply(sets[s], &f, 0, 2, &(struct variant){.bias = false}, 0);
        assert_same_bits(sets[s]->name, output, plain, 4);
        free(output);
        output = multiply(sets[s], &f, 0, 2, &(struct variant){.bias = true, .accumulate = true}, 0);
        assert_same_bits(sets[s]->name, output, both, 4);
        free(output);
    }
}

/* Q, K and V as one matrix: rows in order, and a stack of different types as F32. */
static void test_stacked_tensors(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    size_t set_count = kernels_available(sets, SETS_MAX);
    const enum tensor_type stacks[][3] = {{TENSOR_Q8_0, TENSOR_Q8_0, TENSOR_Q8_0},
                                          {TENSOR_Q4_0, TENSOR_Q4_0, TENSOR_Q4_0},
                                          {TENSOR_Q8_0, TENSOR_F16, TENSOR_BF16},
                                          {TENSOR_Q4_0, TENSOR_Q8_0, TENSOR_Q4_0}};
    uint64_t seed = 5;
    for (size_t i = 0; i < COUNT_OF(stacks); i++) {
        const uint32_t rows[3] = {40, 9, 25};
        struct tensor tensors[3];
        struct fixture all = {.input = random_floats(&seed, 64), .input_stride = 64, .output_stride = 74};
        float *dense = malloc(sizeof(float) * 74 * 64);
        assert_non_null(dense);
        for (uint32_t part = 0, row = 0; part < 3; row += rows[part], part++) {
            tensors[part] = random_tensor(&seed, stacks[i][part], rows[part], 64);
            for (uint32_t r = 0; r < rows[part]; r++)
                sets[0]->dequantize_row(&tensors[part], r, dense + (size_t)(row + r) * 64);
        }
        all.output_count = 74;
        all.tensors[0] = (struct tensor){
            .type = TENSOR_F32, .rows = 74, .columns = 64, .data = dense, .bytes = sizeof(float) * 74 * 64};
        float *want = multiply(sets[0], &all, 0, 1, &variants[0], 0);
        for (size_t s = 0; s < set_count; s++) {
            struct packed_matrix packed;
            float got[74];
            assert_int_equal(sets[s]->pack(tensors, 3, PRODUCT_F32, false, &packed, NULL), DOBBY_OK);
            assert_int_equal(packed.rows, 74);
            assert_int_equal(packed.type, i < 2 ? stacks[i][0] : TENSOR_F32);
            void *scratch = aligned_bytes(sets[s]->scratch_bytes(&packed));
            sets[s]->matmul(&(struct matmul_job){.weights = &packed,
                                                 .input = all.input,
                                                 .input_stride = 64,
                                                 .tokens = 1,
                                                 .output = got,
                                                 .output_stride = 74,
                                                 .panel_end = packed.panel_count,
                                                 .scratch = scratch});
            assert_same_bits(sets[s]->name, got, want, 74);
            /* An output that begins with a later panel. */
            poison(got, 74);
            const uint32_t first = packed.panel_rows;
            sets[s]->matmul(&(struct matmul_job){.weights = &packed,
                                                 .input = all.input,
                                                 .input_stride = 64,
                                                 .tokens = 1,
                                                 .output = got,
                                                 .output_stride = 74,
                                                 .output_first = first,
                                                 .panel_first = 1,
                                                 .panel_end = packed.panel_count,
                                                 .scratch = scratch});
            assert_same_bits(sets[s]->name, got, want + first, 74 - first);
            assert_true(is_poison(got[74 - first]));
            free(scratch);
            packed_matrix_release(&packed);
        }
        for (size_t part = 0; part < 3; part++)
            free((void *)(uintptr_t)tensors[part].data);
        free(dense);
        free(all.input);
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_is_the_product),
        cmocka_unit_test(test_shapes_have_the_references_bits),
        cmocka_unit_test(test_odd_columns_have_the_references_bits),
        cmocka_unit_test(test_every_token_count),
        cmocka_unit_test(test_division_of_work_changes_no_bit),
        cmocka_unit_test(test_stacked_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
