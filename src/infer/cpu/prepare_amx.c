/* Rounding rows to INT8 or BF16 in the order of tiles.h. */
#if defined(__x86_64__)

#include "infer/cpu/amx_inline.h"
#include "infer/cpu/matmul_amx.h"

#include <assert.h>
#include <math.h>

/* 16 values from column k on; those at and beyond column_end read as 0. */
static ALWAYS_INLINE __m512 load_input(const struct prepare_job *job, uint32_t token, uint32_t k)
{
    const size_t at = (token - job->input_first) * job->input_stride + (k - job->column_first);
    const uint32_t left = job->column_end > k ? job->column_end - k : 0;
    const __mmask16 mask = mask_of(left);
    if (job->input_type == VALUES_F32)
        return _mm512_maskz_loadu_ps(mask, (const float *)job->input + at);
    return widened(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)job->input + at));
}

/* BF16 as it would be rounded to: subnormal numbers become 0; NaN stays as it is. */
static ALWAYS_INLINE __m512i without_subnormals(__m512i values)
{
    const __mmask32 normal = _mm512_test_epi16_mask(values, _mm512_set1_epi16(0x7f80));
    return _mm512_mask_mov_epi16(_mm512_and_si512(values, _mm512_set1_epi16(INT16_MIN)), normal, values);
}

static void prepare_bf16_row(const struct prepare_job *job, uint32_t token, uint32_t steps)
{
    for (uint32_t step = job->column_first / (2 * TILE_ROWS); step * 2 * TILE_ROWS < job->column_end;
         step++) {
        void *to = tile_row(job->rows, steps, token, step);
        if (job->input_type == VALUES_BF16 && (step + 1) * 2 * TILE_ROWS <= job->column_end) {
            const size_t at =
                (token - job->input_first) * job->input_stride + (step * 2 * TILE_ROWS - job->column_first);
            const __m512i values = _mm512_loadu_si512((const uint16_t *)job->input + at);
            _mm512_store_si512(to, without_subnormals(values));
            continue;
        }
        const __m512 low = load_input(job, token, step * 2 * TILE_ROWS);
        const __m512 high = load_input(job, token, step * 2 * TILE_ROWS + TILE_ROWS);
        _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* The bits of the largest magnitude in [first, end) of a row. Comparing magnitudes as integers puts
 * infinities and NaN above all numbers, so that none is lost. */
static ALWAYS_INLINE int32_t largest_bits(const struct prepare_job *job, const enum value_type type,
                                          uint32_t token, uint32_t first, uint32_t end)
{
    const size_t row = (token - job->input_first) * job->input_stride;
    const uint32_t left = end - first, at = first - job->column_first;
    const uint32_t chunk = type == VALUES_F32 ? 2 * TILE_ROWS : 4 * TILE_ROWS;
    __m512i largest[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    uint32_t k = 0;
    for (; k + chunk <= left; k += chunk) {
        for (uint32_t i = 0; i < 2; i++) {
            const size_t from = row + at + k + i * chunk / 2;
            if (type == VALUES_F32) {
                const __m512i bits = _mm512_loadu_si512((const float *)job->input + from);
                largest[i] =
                    _mm512_max_epi32(largest[i], _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)));
            } else { /* BF16 is in the order of its bits too */
                const __m512i bits = _mm512_loadu_si512((const uint16_t *)job->input + from);
                largest[i] = _mm512_max_epi16(largest[i], _mm512_and_si512(bits, _mm512_set1_epi16(0x7fff)));
            }
        }
    }
    if (type == VALUES_BF16) {
        const __m512i both = _mm512_max_epi16(largest[0], largest[1]);
        largest[0] = _mm512_slli_epi32(both, 16);
        largest[1] = _mm512_and_si512(both, _mm512_set1_epi32((int32_t)0xffff0000));
    }
    for (; k < left; k += TILE_ROWS) {
        const __m512i bits = _mm512_castps_si512(load_input(job, token, first + k));
        largest[0] = _mm512_max_epi32(largest[0], _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)));
    }
    return _mm512_reduce_max_epi32(_mm512_max_epi32(largest[0], largest[1]));
}

/* An int8_scale, for vectors. */
struct group_rounding {
    __m512 factor;
    __mmask16 keep; /* 0 where a value is no number or infinite */
    float scale;
};

static ALWAYS_INLINE struct group_rounding group_rounding_of(int32_t largest_bits)
{
    const struct int8_scale found = int8_scale_of(largest_bits);
    return (struct group_rounding){.factor = _mm512_set1_ps(found.factor),
                                   .keep = (__mmask16)(found.finite ? 0xffffu : 0),
                                   .scale = found.scale};
}

/* The nearest whole numbers of value * factor, in the lower halves of the lanes. */
static ALWAYS_INLINE __m512i nearest_halves(__m512 value, const struct group_rounding *by)
{
    return _mm512_castps_si512(_mm512_fmadd_ps(value, by->factor, _mm512_set1_ps(NEAREST_WHOLE)));
}

static ALWAYS_INLINE __m512i nearest(__m512 value, const struct group_rounding *by)
{
    return _mm512_sub_epi32(nearest_halves(value, by), _mm512_castps_si512(_mm512_set1_ps(NEAREST_WHOLE)));
}

static ALWAYS_INLINE __m128i quantised(__m512 value, const struct group_rounding *by)
{
    return _mm512_maskz_cvtsepi32_epi8(by->keep, nearest(value, by));
}

/* A whole step. Packing takes twos of vectors together quarter by quarter, so that in the end a quarter holds
 * four values of each vector. */
static ALWAYS_INLINE __m512i quantised_step(const __m512 values[4], const struct group_rounding *by)
{
    __m512i numbers[4];
    _Pragma("GCC unroll 4") for (uint32_t i = 0; i < 4; i++) numbers[i] = nearest(values[i], by);
    const __m512i packed = _mm512_packs_epi16(_mm512_packs_epi32(numbers[0], numbers[1]),
                                              _mm512_packs_epi32(numbers[2], numbers[3]));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_maskz_permutexvar_epi32(by->keep, order, packed);
}

/* Likewise of BF16: a lane's two values are taken apart as they lie, and put together again. */
static ALWAYS_INLINE __m512i quantised_bf16_step(const uint16_t *input, const struct group_rounding *by)
{
    __m512i words[2];
    _Pragma("GCC unroll 2") for (uint32_t i = 0; i < 2; i++)
    {
        const __m512i pairs = _mm512_loadu_si512(input + (size_t)i * 2 * TILE_ROWS);
        const __m512i low = nearest_halves(_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)), by);
        const __m512i high = nearest_halves(
            _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int32_t)0xffff0000))), by);
        words[i] = _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16));
    }
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_maskz_permutexvar_epi64((__mmask8)by->keep, order, _mm512_packs_epi16(words[0], words[1]));
}

static ALWAYS_INLINE void prepare_int8_row(const struct prepare_job *job, const enum value_type type,
                                           uint32_t token, uint32_t steps)
{
    const uint32_t group_columns = int8_group_columns(job->columns);
    const size_t row = (token - job->input_first) * job->input_stride;
    for (uint32_t first = job->column_first; first < job->column_end; first += group_columns) {
        const uint32_t left = job->column_end - first, group = first / group_columns;
        const uint32_t end = left < group_columns ? job->column_end : first + group_columns;
        const struct group_rounding by = group_rounding_of(largest_bits(job, type, token, first, end));
        job->rows->scales[(size_t)group * job->rows->tokens_max + token] = by.scale;
        uint32_t k = first;
        int8_t *to = (int8_t *)tile_row(job->rows, steps, token, first / TILE_STEP_BYTES);
        for (; k + TILE_STEP_BYTES <= end; k += TILE_STEP_BYTES, to += TILE_BLOCK_BYTES) {
            const size_t at = row + (k - job->column_first);
            if (type == VALUES_BF16) {
                _mm512_store_si512(to, quantised_bf16_step((const uint16_t *)job->input + at, &by));
                continue;
            }
            __m512 values[4];
            _Pragma("GCC unroll 4") for (uint32_t i = 0; i < 4; i++) values[i] =
                _mm512_loadu_ps((const float *)job->input + at + (size_t)i * TILE_ROWS);
            _mm512_store_si512(to, quantised_step(values, &by));
        }
        for (uint32_t i = 0; k < end && i < TILE_STEP_BYTES; i += TILE_ROWS)
            _mm_store_si128((__m128i *)(void *)(to + i), quantised(load_input(job, token, k + i), &by));
    }
}

void amx_prepare(const struct prepare_job *job)
{
    const enum product product = job->rows->product;
    const uint32_t steps = tile_steps(product, job->columns);
    for (uint32_t token = job->token_first; token < job->token_end; token++) {
        if (product == PRODUCT_BF16)
            prepare_bf16_row(job, token, steps);
        else if (job->input_type == VALUES_F32)
            prepare_int8_row(job, VALUES_F32, token, steps);
        else
            prepare_int8_row(job, VALUES_BF16, token, steps);
    }
}

/* ---- rows that are normed on the way ---------------------------------------------------------------- */

/* A row and the norm's weight, of which a vector from column k on is read. */
struct normed_row {
    const float *values, *weight;
    uint32_t columns;
    __m512 squares[2];
};

static ALWAYS_INLINE __m512 load_part(const float *from, uint32_t k, uint32_t columns, const bool whole)
{
    return whole ? _mm512_loadu_ps(from + k)
                 : _mm512_maskz_loadu_ps(mask_of(columns > k ? columns - k : 0), from + k);
}

static ALWAYS_INLINE __m512 weighted(const struct normed_row *row, uint32_t k, const bool whole)
{
    return _mm512_mul_ps(load_part(row->values, k, row->columns, whole),
                         load_part(row->weight, k, row->columns, whole));
}

static ALWAYS_INLINE void add_squares(struct normed_row *row, uint32_t k, uint32_t i, const bool whole)
{
    const __m512 value = load_part(row->values, k, row->columns, whole);
    row->squares[i] = _mm512_fmadd_ps(value, value, row->squares[i]);
}

/* What the norm multiplies by, besides its weight. */
static ALWAYS_INLINE float norm_factor(const struct normed_row *row, float epsilon)
{
    const float sum = _mm512_reduce_add_ps(_mm512_add_ps(row->squares[0], row->squares[1]));
    return 1.0f / sqrtf(sum / (float)row->columns + epsilon);
}

/* As largest_bits, of the weighted values; and adds up their squares without the weight. */
static ALWAYS_INLINE int32_t largest_weighted_bits(struct normed_row *row, uint32_t first, uint32_t end)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i largest[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    uint32_t k = first;
    for (; k + 2 * TILE_ROWS <= end; k += 2 * TILE_ROWS) {
        for (uint32_t i = 0; i < 2; i++) {
            const __m512i bits = _mm512_castps_si512(weighted(row, k + i * TILE_ROWS, true));
            largest[i] = _mm512_max_epi32(largest[i], _mm512_and_si512(bits, magnitude));
            add_squares(row, k + i * TILE_ROWS, i, true);
        }
    }
    for (; k < end; k += TILE_ROWS) {
        const __m512i bits = _mm512_castps_si512(weighted(row, k, false));
        largest[0] = _mm512_max_epi32(largest[0], _mm512_and_si512(bits, magnitude));
        add_squares(row, k, 0, false);
    }
    return _mm512_reduce_max_epi32(_mm512_max_epi32(largest[0], largest[1]));
}

/* Rounded, a group does not depend on the norm's factor, which only its scale is multiplied by: so each group
 * is rounded while it is in L1, before the sum of all squares is known. */
static void prepare_int8_normed(const struct prepare_job *job, struct normed_row *row, float epsilon,
                                uint32_t token, uint32_t steps)
{
    const uint32_t columns = job->columns, group_columns = int8_group_columns(columns);
    const size_t tokens_max = job->rows->tokens_max;
    float *scales = job->rows->scales + token;
    for (uint32_t first = 0, group = 0; first < columns; first += group_columns, group++) {
        const uint32_t end = columns - first < group_columns ? columns : first + group_columns;
        const struct group_rounding by = group_rounding_of(largest_weighted_bits(row, first, end));
        scales[group * tokens_max] = by.scale;
        uint32_t k = first;
        int8_t *to = (int8_t *)tile_row(job->rows, steps, token, first / TILE_STEP_BYTES);
        for (; k + TILE_STEP_BYTES <= end; k += TILE_STEP_BYTES, to += TILE_BLOCK_BYTES) {
            __m512 values[4];
            _Pragma("GCC unroll 4") for (uint32_t i = 0; i < 4; i++) values[i] =
                weighted(row, k + i * TILE_ROWS, true);
            _mm512_store_si512(to, quantised_step(values, &by));
        }
        for (uint32_t i = 0; k < end && i < TILE_STEP_BYTES; i += TILE_ROWS)
            _mm_store_si128((__m128i *)(void *)(to + i), quantised(weighted(row, k + i, false), &by));
    }
    const float factor = norm_factor(row, epsilon);
    for (uint32_t group = 0; group < int8_groups(columns); group++)
        scales[group * tokens_max] *= factor;
}

static void prepare_bf16_normed(const struct prepare_job *job, struct normed_row *row, float epsilon,
                                uint32_t token, uint32_t steps)
{
    for (uint32_t k = 0; k < job->columns; k += TILE_ROWS)
        add_squares(row, k, k / TILE_ROWS % 2, false);
    const __m512 factor = _mm512_set1_ps(norm_factor(row, epsilon));
    for (uint32_t step = 0; step * 2 * TILE_ROWS < job->columns; step++) {
        const uint32_t k = step * 2 * TILE_ROWS;
        const __m512 low = _mm512_mul_ps(weighted(row, k, false), factor);
        const __m512 high = _mm512_mul_ps(weighted(row, k + TILE_ROWS, false), factor);
        _mm512_store_si512(tile_row(job->rows, steps, token, step), (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

void amx_prepare_normed(const struct prepare_job *job, const float *weight, float epsilon)
{
    assert(job->input_type == VALUES_F32 && job->column_first == 0 && job->column_end == job->columns);
    const enum product product = job->rows->product;
    const uint32_t steps = tile_steps(product, job->columns);
    for (uint32_t token = job->token_first; token < job->token_end; token++) {
        struct normed_row row = {.values = (const float *)job->input +
                                           (token - job->input_first) * job->input_stride,
                                 .weight = weight,
                                 .columns = job->columns,
                                 .squares = {_mm512_setzero_ps(), _mm512_setzero_ps()}};
        if (product == PRODUCT_BF16)
            prepare_bf16_normed(job, &row, epsilon, token, steps);
        else
            prepare_int8_normed(job, &row, epsilon, token, steps);
    }
}

#endif
