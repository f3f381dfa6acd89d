/* Products of rounded operands: every set prepares, packs and multiplies as the reference in tiles.c says.
 * INT8 agrees to the bit; BF16 and what passes an exponential, within the tolerances below. */
#include "kernels_helper.h"

#include "infer/cpu/packing.h"
#include "infer/cpu/tiles_vector.h"
#include "os/cpu.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8 };

/* Sums of BF16 products in another order, relative to the number of terms, each of which is up to 2. */
static const float BF16_SUM_TOLERANCE = 1e-6f;
/* A gated output is rounded to BF16 (2^-9) after an exponential that is allowed 2^-12. */
static const float GATED_TOLERANCE = 0x1p-7f;
/* Of two BF16 sums multiplied, the size that GATED_TOLERANCE is relative to, besides the output's own: what
 * one sum is off by, times the other, which reaches hundreds; a thousandth was too little once. */
static const float GATED_SUM_TOLERANCE = 1e-2f;

/* Likewise: what is left of silu far below 0, 1e-38 times its argument, times a large sum. */
static const float SMALLEST_SILU = 1e-20f;

struct shape {
    uint32_t tokens, rows, columns;
    enum tensor_type type;
};

static const struct shape shapes[] = {
    {1, 1, 1, TENSOR_F32},        {2, 33, 3, TENSOR_BF16},     {3, 16, 32, TENSOR_Q8_0},
    {5, 31, 63, TENSOR_F16},      {7, 70, 64, TENSOR_Q8_0},    {9, 47, 65, TENSOR_BF16},
    {13, 100, 200, TENSOR_F32},   {15, 130, 448, TENSOR_Q8_0}, {16, 64, 512, TENSOR_Q8_0},
    {17, 37, 513, TENSOR_BF16},   {31, 65, 640, TENSOR_Q8_0},  {32, 32, 896, TENSOR_BF16},
    {33, 40, 1024, TENSOR_Q8_0},  {35, 50, 1025, TENSOR_BF16}, {48, 35, 1536, TENSOR_Q8_0},
    {63, 18, 2048, TENSOR_F16},   {64, 24, 2100, TENSOR_BF16}, {70, 20, 4864, TENSOR_Q8_0},
    {300, 19, 1536, TENSOR_BF16}, {300, 50, 130, TENSOR_BF16}, {1, 200, 4864, TENSOR_Q8_0},
    {11, 70, 96, TENSOR_Q4_0},    {40, 33, 1088, TENSOR_Q4_0}, {2, 90, 896, TENSOR_BF16},
    {4, 129, 1025, TENSOR_BF16},  {5, 33, 7041, TENSOR_BF16},
};

struct variant {
    enum value_type input;
    bool bias, accumulate, gated;
    uint32_t gap; /* values between rows of input and output */
};

static const struct variant variants[] = {
    {.input = VALUES_F32},
    {.input = VALUES_BF16, .bias = true, .gap = 5},
    {.input = VALUES_F32, .bias = true, .accumulate = true, .gap = 3},
    {.input = VALUES_F32, .gated = true, .gap = 1},
    {.input = VALUES_BF16, .gated = true},
};

/* What can become of a sum. */
static const struct variant endings[] = {
    {.input = VALUES_F32},
    {.input = VALUES_F32, .bias = true},
    {.input = VALUES_F32, .accumulate = true},
    {.input = VALUES_F32, .bias = true, .accumulate = true},
    {.input = VALUES_F32, .gated = true},
    {.input = VALUES_F32, .gap = 32768 - 310}, /* outputs of over 8 MB may be written past the caches */
};

/* The available sets, and where VNNI or BF16 is, also the one that does without. */
static size_t all_sets(const struct kernels *sets[SETS_MAX])
{
    size_t count = kernels_available(sets, SETS_MAX - 1);
#if defined(__x86_64__)
    static struct kernels plain;
    const size_t known = count;
    const bool more = cpu_features()->avx512_vnni || cpu_features()->avx512_bf16;
    for (size_t i = 0; i < known && more; i++) {
        if (strcmp(sets[i]->name, "avx512") == 0) {
            plain = *sets[i];
            plain.name = "avx512 alone";
            plain.prepare = tiles_prepare_avx512;
            plain.matmul = tiles_matmul_avx512;
            sets[count++] = &plain;
        }
    }
#endif
    return count;
}

struct fixture {
    struct shape shape;
    struct variant variant;
    enum product product;
    struct tensor tensors[2]; /* the second with gated products only */
    uint32_t columns, tokens;
    float *plain;     /* the input's values in F32; rows input_stride apart */
    uint16_t *narrow; /* likewise in BF16, plain being equal */
    float *bias, *residual;
    size_t input_stride, output_stride, output_count;
};

/* Some rows are large, some too small to mean anything, some zero but for one value, some all zero. */
static void shape_row(float *row, uint32_t columns, uint32_t token)
{
    const float scales[] = {1.0f, 1.0f, 3e4f, 0.0f, 1.0f, 0x1p-110f, 1e-5f};
    const float scale = scales[token % COUNT_OF(scales)];
    for (uint32_t k = 0; k < columns; k++)
        row[k] *= scale;
    if (token % 11 == 4)
        memset(row + 1, 0, (columns - 1) * sizeof *row);
}

static struct fixture fixture_new(uint64_t *state, struct shape shape, struct variant variant,
                                  enum product product)
{
    struct fixture f = {.shape = shape,
                        .variant = variant,
                        .product = product,
                        .columns = shape.columns,
                        .tokens = shape.tokens,
                        .input_stride = shape.columns + variant.gap,
                        .output_stride = shape.rows + variant.gap};
    for (size_t i = 0; i < (variant.gated ? 2 : 1); i++)
        f.tensors[i] = random_tensor(state, shape.type, shape.rows, shape.columns);
    f.output_count = f.output_stride * shape.tokens;
    const size_t count = f.input_stride * shape.tokens;
    f.plain = random_floats(state, count);
    f.narrow = calloc(count + 1, sizeof *f.narrow);
    assert_non_null(f.narrow);
    for (uint32_t t = 0; t < shape.tokens; t++)
        shape_row(f.plain + t * f.input_stride, shape.columns, t);
    for (size_t i = 0; i < count && variant.input == VALUES_BF16; i++) {
        uint32_t bits;
        memcpy(&bits, &f.plain[i], sizeof bits);
        f.narrow[i] = (uint16_t)(bits >> 16);
        f.plain[i] = packing_bf16_to_f32(f.narrow[i]);
    }
    for (uint32_t t = 0; t < shape.tokens; t++) {
        poison(f.plain + t * f.input_stride + shape.columns, variant.gap);
        memset(f.narrow + t * f.input_stride + shape.columns, 0x7f, variant.gap * sizeof *f.narrow);
    }
    f.bias = random_floats(state, shape.rows);
    f.residual = random_floats(state, f.output_count);
    return f;
}

static void fixture_free(struct fixture *f)
{
    for (size_t i = 0; i < 2; i++)
        free((void *)(uintptr_t)f->tensors[i].data);
    free(f->plain);
    free(f->narrow);
    free(f->bias);
    free(f->residual);
}

/* Rows token_first .. token_end as a batch of their own, prepared in two parts over what an earlier one left,
 * the second of them by parts of the columns. */
static struct packed_rows prepare(void (*function)(const struct prepare_job *), const struct fixture *f,
                                  uint32_t token_first, uint32_t token_end)
{
    struct packed_rows rows;
    struct dobby_error err;
    const uint32_t tokens = token_end - token_first, part = tokens / 2;
    assert_ok(packed_rows_new(f->product, tokens, f->columns, &rows, &err), &err);
    const size_t blocks = rows.tokens_max / TILE_TOKENS;
    memset(rows.values, 0x7f, blocks * tile_steps(f->product, f->columns) * TILE_BLOCK_BYTES);
    memset(rows.scales, 0xff, (size_t)int8_groups(f->columns) * rows.tokens_max * sizeof(float));
    const size_t at = token_first * f->input_stride;
    struct prepare_job job = {.input_type = f->variant.input,
                              .input_stride = f->input_stride,
                              .columns = f->columns,
                              .column_end = f->columns,
                              .rows = &rows,
                              .token_first = part,
                              .token_end = tokens};
    const size_t value_bytes = f->variant.input == VALUES_F32 ? sizeof(float) : sizeof(uint16_t);
    const char *input = f->variant.input == VALUES_F32 ? (const char *)f->plain : (const char *)f->narrow;
    job.input = input + at * value_bytes;
    function(&job);
    job.token_first = 0;
    job.token_end = part;
    for (; job.column_first < f->columns; job.column_first = job.column_end) {
        const uint32_t left = f->columns - job.column_first, most = packed_rows_part_columns(f->columns);
        job.column_end = job.column_first + (left < most ? left : most);
        job.input = input + (at + job.column_first) * value_bytes;
        function(&job);
    }
    return rows;
}

static void check_prepared(const char *what, const struct fixture *f, const struct packed_rows *got,
                           const struct packed_rows *want, uint8_t row_shift)
{
    const uint32_t steps = tile_steps(f->product, f->columns);
    for (uint32_t t = 0; t < f->tokens; t++) {
        for (uint32_t step = 0; step < steps; step++)
            for (size_t i = 0; i < TILE_STEP_BYTES; i++)
                if (tile_row(got, steps, t, step)[i] != (tile_row(want, steps, t, step)[i] ^ row_shift))
                    fail_msg("%s: row %u, step %u was prepared otherwise", what, t, step);
        for (uint32_t group = 0; f->product != PRODUCT_BF16 && group < int8_groups(f->columns); group++)
            assert_same_bits(what, &got->scales[(size_t)group * got->tokens_max + t],
                             &want->scales[(size_t)group * want->tokens_max + t], 1);
    }
}

/* The product as F32, some panels a call (0: all); the caller frees. */
static float *multiply(const struct kernels *set, void (*function)(const struct matmul_job *),
                       const struct fixture *f, const struct packed_matrix *weights,
                       const struct packed_rows *rows, uint32_t tokens, uint32_t panels_per_call)
{
    const size_t scratch_bytes = set->scratch_bytes(weights);
    void *scratch = aligned_bytes(scratch_bytes);
    float *output = aligned_bytes(f->output_count * sizeof *output);
    uint16_t *narrow = malloc(f->output_count * sizeof *narrow);
    assert_non_null(output);
    assert_non_null(narrow);
    poison(output, f->output_count);
    memset(narrow, 0x77, f->output_count * sizeof *narrow);
    for (uint32_t t = 0; f->variant.accumulate && t < tokens; t++)
        memcpy(output + t * f->output_stride, f->residual + t * f->output_stride,
               f->shape.rows * sizeof *output);
    const uint32_t step = panels_per_call != 0 ? panels_per_call : weights->panel_count;
    for (uint32_t first = 0; first < weights->panel_count; first += step) {
        struct matmul_job job = {.weights = weights,
                                 .rows = rows,
                                 .tokens = tokens,
                                 .bias = f->variant.bias ? f->bias : NULL,
                                 .accumulate = f->variant.accumulate,
                                 .output = f->variant.gated ? (void *)narrow : (void *)output,
                                 .output_stride = f->output_stride,
                                 .panel_first = first,
                                 .panel_end = weights->panel_count - first < step ? weights->panel_count
                                                                                  : first + step,
                                 .scratch = scratch};
        memset(scratch, 0xff, scratch_bytes);
        function(&job);
    }
    for (uint32_t t = 0; t < tokens; t++) {
        const size_t row = t * f->output_stride;
        for (size_t i = row + f->shape.rows; i < row + f->output_stride; i++)
            assert_true(f->variant.gated ? narrow[i] == 0x7777 : is_poison(output[i]));
        for (size_t i = row; f->variant.gated && i < row + f->shape.rows; i++)
            output[i] = packing_bf16_to_f32(narrow[i]);
    }
    free(scratch);
    free(narrow);
    return output;
}

/* Whether the set multiplies BF16 by instructions of its own. */
static bool sums_in_own_order(const struct kernels *set)
{
#if defined(__x86_64__)
    if (strcmp(set->name, "avx512") == 0)
        return cpu_features()->avx512_bf16;
#endif
    return strcmp(set->name, "amx") == 0;
}

static void check_products(const char *what, const struct kernels *set, const struct fixture *f,
                           const float *got, const float *want)
{
    const bool own_sums = f->product == PRODUCT_BF16 && sums_in_own_order(set);
    const float terms = (float)f->columns;
    for (uint32_t t = 0; t < f->tokens; t++) {
        const float *a = got + t * f->output_stride, *b = want + t * f->output_stride;
        float largest = 1.0f; /* |input| of this row, at least 1 */
        for (uint32_t k = 0; k < f->columns; k++)
            largest = fmaxf(largest, fabsf(f->plain[t * f->input_stride + k]));
        if (f->variant.gated)
            assert_close(what, a, b, f->shape.rows, GATED_TOLERANCE,
                         own_sums ? GATED_SUM_TOLERANCE * largest * terms : SMALLEST_SILU * largest);
        else if (own_sums)
            assert_close(what, a, b, f->shape.rows, BF16_SUM_TOLERANCE, 128.0f * largest * terms);
        else
            assert_same_bits(what, a, b, f->shape.rows);
    }
}

static struct packed_matrix pack(const struct kernels *set, const struct fixture *f)
{
    struct packed_matrix weights;
    struct dobby_error err;
    assert_ok(set->pack(f->tensors, f->variant.gated ? 2 : 1, f->product, f->variant.gated, &weights, &err),
              &err);
    return weights;
}

/* A set against the reference: packed weights, prepared rows, products; whole and in parts. */
static void check_set(const struct kernels *set, const struct fixture *f, const struct packed_matrix *weights,
                      const struct packed_rows *rows, const float *want)
{
    char what[128];
    (void)snprintf(what, sizeof what, "%s %s %s %ux%u->%u%s", set->name, product_name(f->product),
                   tensor_type_name(f->shape.type), f->tokens, f->columns, f->shape.rows,
                   f->variant.gated ? " gated" : "");
    struct packed_matrix own = pack(set, f);
    assert_int_equal(own.panel_count, weights->panel_count);
    assert_int_equal(own.panel_bytes, weights->panel_bytes);
    if (memcmp(own.panels, weights->panels, own.panel_bytes * own.panel_count) != 0)
        fail_msg("%s: weights were packed otherwise", what);
    struct packed_rows prepared = prepare(set->prepare, f, 0, f->tokens);
    check_prepared(what, f, &prepared, rows, row_shift_of(set, f->product));
    float *whole = multiply(set, set->matmul, f, &own, &prepared, f->tokens, 0);
    check_products(what, set, f, whole, want);
    for (uint32_t panels = 1; panels <= 2; panels++) {
        float *parts = multiply(set, set->matmul, f, &own, &prepared, f->tokens, panels);
        for (uint32_t t = 0; t < f->tokens; t++)
            assert_same_bits(what, parts + t * f->output_stride, whole + t * f->output_stride, f->shape.rows);
        free(parts);
    }
    free(whole);
    packed_rows_release(&prepared);
    packed_matrix_release(&own);
}

static void check_shape(struct shape shape, struct variant variant, enum product product, uint64_t seed)
{
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = all_sets(sets);
    struct fixture f = fixture_new(&seed, shape, variant, product);
    struct packed_matrix weights;
    struct dobby_error err;
    assert_ok(tiles_pack(f.tensors, variant.gated ? 2 : 1, product, variant.gated, &weights, &err), &err);
    struct packed_rows rows = prepare(tiles_prepare, &f, 0, f.tokens);
    float *want = multiply(sets[0], tiles_matmul, &f, &weights, &rows, f.tokens, 0);
    for (size_t s = 0; s < set_count; s++)
        check_set(sets[s], &f, &weights, &rows, want);
    free(want);
    packed_rows_release(&rows);
    packed_matrix_release(&weights);
    fixture_free(&f);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        for (size_t v = 0; v < COUNT_OF(variants); v++)
            for (enum product product = PRODUCT_BF16; product < PRODUCT_COUNT; product++)
                check_shape(shapes[i], variants[v], product, 1000 * i + v);
}

/* Every number of tokens takes another mix of tiles. */
static void test_every_token_count(void **state)
{
    (void)state;
    for (uint32_t tokens = 1; tokens <= 70; tokens++)
        for (enum product product = PRODUCT_BF16; product < PRODUCT_COUNT; product++)
            check_shape((struct shape){tokens, 33, 96, TENSOR_Q8_0}, variants[tokens % COUNT_OF(variants)],
                        product, 40000 + tokens);
}

/* More rows than fit in a cache, so that sets take them slice by slice, a few panels at a time. */
static void test_many_long_rows(void **state)
{
    (void)state;
    for (enum product product = PRODUCT_BF16; product < PRODUCT_COUNT; product++)
        check_shape((struct shape){665, 130, 2080, TENSOR_Q8_0}, variants[2], product, 77);
    check_shape((struct shape){280, 20, 4800, TENSOR_Q8_0}, variants[3], PRODUCT_INT8, 78);
    check_shape((struct shape){700, 40, 608, TENSOR_Q8_0}, variants[0], PRODUCT_BF16, 79);
}

/* More panels than sets take at once of such rows: the same bits as by parts. */
static void test_many_panels_of_long_rows(void **state)
{
    (void)state;
    enum { PANELS_PER_CALL = 7 };
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = all_sets(sets);
    uint64_t seed = 80;
    for (enum product product = PRODUCT_BF16; product < PRODUCT_COUNT; product++) {
        struct fixture f =
            fixture_new(&seed, (struct shape){512, 960, 2624, TENSOR_Q8_0}, variants[2], product);
        for (size_t s = 1; s < set_count; s++) { /* the reference takes a hundred times as long */
            struct packed_matrix weights = pack(sets[s], &f);
            struct packed_rows rows = prepare(sets[s]->prepare, &f, 0, f.tokens);
            float *whole = multiply(sets[s], sets[s]->matmul, &f, &weights, &rows, f.tokens, 0);
            float *parts = multiply(sets[s], sets[s]->matmul, &f, &weights, &rows, f.tokens, PANELS_PER_CALL);
            for (uint32_t t = 0; t < f.tokens; t++)
                assert_same_bits(sets[s]->name, parts + t * f.output_stride, whole + t * f.output_stride,
                                 f.shape.rows);
            free(whole);
            free(parts);
            packed_rows_release(&rows);
            packed_matrix_release(&weights);
        }
        fixture_free(&f);
    }
}

/* Enough work for what sets do only where it is worth its beginning; in parts of one panel it is not. */
static void test_every_ending(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        for (enum product product = PRODUCT_BF16; product < PRODUCT_COUNT; product++) {
            check_shape((struct shape){70, 310, 896, TENSOR_Q8_0}, endings[i], product, 600 + i);
            check_shape((struct shape){70, 182, 1504, TENSOR_Q8_0}, endings[i], product, 700 + i);
        }
    }
}

/* A token has the same bits alone, and among others. */
static void test_neighbours_change_no_bit(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = all_sets(sets);
    const uint32_t widths[] = {300, 896, 1536};
    uint64_t seed = 5;
    for (size_t i = 0; i < COUNT_OF(widths) * COUNT_OF(variants); i++) {
        const struct shape shape = {45, 50, widths[i / COUNT_OF(variants)], TENSOR_BF16};
        for (enum product product = PRODUCT_BF16; product < PRODUCT_COUNT; product++) {
            struct variant variant = variants[i % COUNT_OF(variants)];
            variant.accumulate = false;
            struct fixture f = fixture_new(&seed, shape, variant, product);
            for (size_t s = 0; s < set_count; s++) {
                struct packed_matrix weights = pack(sets[s], &f);
                struct packed_rows all = prepare(sets[s]->prepare, &f, 0, f.tokens);
                float *want = multiply(sets[s], sets[s]->matmul, &f, &weights, &all, f.tokens, 0);
                for (uint32_t t = 0; t + 3 <= f.tokens; t += 4) {
                    const uint32_t count = t % 3 + 1;
                    struct packed_rows some = prepare(sets[s]->prepare, &f, t, t + count);
                    float *got = multiply(sets[s], sets[s]->matmul, &f, &weights, &some, count, 0);
                    for (uint32_t j = 0; j < count; j++)
                        assert_same_bits(sets[s]->name, got + j * f.output_stride,
                                         want + (t + j) * f.output_stride, shape.rows);
                    free(got);
                    packed_rows_release(&some);
                }
                free(want);
                packed_rows_release(&all);
                packed_matrix_release(&weights);
            }
            fixture_free(&f);
        }
    }
}

/* What is no number is found in its row's outputs, and in no other's. */
static void check_broken_row(const struct kernels *set, enum product product, struct variant variant,
                             uint32_t columns, float broken)
{
    enum { TOKENS = 35, ROW = 17 };
    uint64_t seed = 9;
    variant.input = VALUES_F32;
    struct fixture f = fixture_new(&seed, (struct shape){TOKENS, 40, columns, TENSOR_BF16}, variant, product);
    struct packed_matrix weights = pack(set, &f);
    struct packed_rows rows = prepare(set->prepare, &f, 0, TOKENS);
    float *want = multiply(set, set->matmul, &f, &weights, &rows, TOKENS, 0);
    packed_rows_release(&rows);
    for (uint32_t k = 0; k < columns; k += columns / 3) {
        const float before = f.plain[ROW * f.input_stride + k];
        f.plain[ROW * f.input_stride + k] = broken;
        rows = prepare(set->prepare, &f, 0, TOKENS);
        float *got = multiply(set, set->matmul, &f, &weights, &rows, TOKENS, 0);
        for (uint32_t t = 0; t < TOKENS; t++) {
            if (t != ROW)
                assert_same_bits(set->name, got + t * f.output_stride, want + t * f.output_stride, 40);
            for (uint32_t i = 0; t == ROW && i < 40; i++)
                if (!isnan(got[t * f.output_stride + i]))
                    fail_msg("%s %s: output %u of the broken row is a number", set->name,
                             product_name(product), i);
        }
        f.plain[ROW * f.input_stride + k] = before;
        packed_rows_release(&rows);
        free(got);
    }
    free(want);
    packed_matrix_release(&weights);
    fixture_free(&f);
}

static void test_what_is_no_number_shows(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = all_sets(sets);
    const float broken[] = {NAN, INFINITY, -INFINITY};
    const uint32_t widths[] = {70, 896, 1536};
    for (size_t s = 0; s < set_count; s++) {
        for (size_t v = 0; v < COUNT_OF(variants); v++) {
            for (size_t w = 0; w < COUNT_OF(widths); w++) {
                for (size_t i = 0; i < COUNT_OF(broken); i++)
                    check_broken_row(sets[s], PRODUCT_INT8, variants[v], widths[w], broken[i]);
                check_broken_row(sets[s], PRODUCT_BF16, variants[v], widths[w], NAN);
                check_broken_row(sets[s], PRODUCT_INT4, variants[v], widths[w], NAN);
            }
        }
    }
}

/* A weight that is no number is found in its output, and in no other. */
static void test_broken_weights_show(void **state)
{
    (void)state;
    enum { ROWS = 40, COLUMNS = 70, BROKEN = 21, TOKENS = 6 };
    const struct kernels *sets[SETS_MAX];
    const size_t set_count = all_sets(sets);
    const float broken[] = {NAN, -INFINITY};
    uint64_t seed = 3;
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct fixture f =
            fixture_new(&seed, (struct shape){TOKENS, ROWS, COLUMNS, TENSOR_F32}, variants[0], PRODUCT_INT8);
        ((float *)(uintptr_t)f.tensors[0].data)[BROKEN * COLUMNS + 11] = broken[i];
        for (size_t s = 0; s < set_count; s++) {
            struct packed_matrix weights = pack(sets[s], &f);
            struct packed_rows rows = prepare(sets[s]->prepare, &f, 0, TOKENS);
            float *got = multiply(sets[s], sets[s]->matmul, &f, &weights, &rows, TOKENS, 0);
            for (uint32_t t = 0; t < TOKENS; t++)
                for (uint32_t row = 0; row < ROWS; row++)
                    assert_int_equal(isnan(got[t * f.output_stride + row]) != 0, row == BROKEN);
            free(got);
            packed_rows_release(&rows);
            packed_matrix_release(&weights);
        }
        fixture_free(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_every_token_count),
        cmocka_unit_test(test_many_long_rows),
        cmocka_unit_test(test_many_panels_of_long_rows),
        cmocka_unit_test(test_every_ending),
        cmocka_unit_test(test_neighbours_change_no_bit),
        cmocka_unit_test(test_what_is_no_number_shows),
        cmocka_unit_test(test_broken_weights_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
