/* Rounding rows to INT8 or BF16 in the order of tiles.h. */
#if defined(__x86_64__)

#include "infer/cpu/amx_inline.h"
#include "infer/cpu/matmul_amx.h"

/* 16 values from column k on; those at and beyond column_end read as 0. */
static ALWAYS_INLINE __m512 load_input(const struct prepare_job *job, uint32_t token, uint32_t k)
{
    const size_t at = (token - job->input_first) * job->input_stride + (k - job->column_first);
    const uint32_t left = job->column_end > k ? job->column_end - k : 0;
    const __mmask16 mask = mask_of(left);
    if (job->input_type == VALUES_F32)
        return _mm512_maskz_loadu_ps(mask, (const float *)job->input + at);
    const __m256i narrow = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)job->input + at);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

static void prepare_bf16_row(const struct prepare_job *job, uint32_t token, uint32_t steps)
{
    for (uint32_t step = job->column_first / (2 * TILE_ROWS); step * 2 * TILE_ROWS < job->column_end;
         step++) {
        const __m512 low = load_input(job, token, step * 2 * TILE_ROWS);
        const __m512 high = load_input(job, token, step * 2 * TILE_ROWS + TILE_ROWS);
        _mm512_store_si512(tile_row(job->rows, steps, token, step), (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* Whole steps of plain rows, without masks. */
static ALWAYS_INLINE __m512 load_whole(const void *input, const enum value_type type, size_t at)
{
    if (type == VALUES_F32)
        return _mm512_loadu_ps((const float *)input + at);
    const __m256i narrow = _mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)input + at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
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

static ALWAYS_INLINE __m128i quantised(__m512 value, __m512 factor, __mmask16 keep)
{
    return _mm512_maskz_cvtsepi32_epi8(keep, _mm512_cvtps_epi32(_mm512_mul_ps(value, factor)));
}

/* A whole step. Packing takes twos of vectors together quarter by quarter, so that in the end a quarter holds
 * four values of each vector. */
static ALWAYS_INLINE __m512i quantised_step(const void *input, const enum value_type type, size_t at,
                                            __m512 factor, __mmask16 keep)
{
    __m512i values[4];
    _Pragma("GCC unroll 4") for (uint32_t i = 0; i < 4; i++) values[i] =
        _mm512_cvtps_epi32(_mm512_mul_ps(load_whole(input, type, at + i * TILE_ROWS), factor));
    const __m512i packed = _mm512_packs_epi16(_mm512_packs_epi32(values[0], values[1]),
                                              _mm512_packs_epi32(values[2], values[3]));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_maskz_permutexvar_epi32(keep, order, packed);
}

static ALWAYS_INLINE void prepare_int8_row(const struct prepare_job *job, const enum value_type type,
                                           uint32_t token, uint32_t steps)
{
    const uint32_t group_columns = int8_group_columns(job->columns);
    const size_t row = (token - job->input_first) * job->input_stride;
    for (uint32_t first = job->column_first; first < job->column_end; first += group_columns) {
        const uint32_t left = job->column_end - first, group = first / group_columns;
        const uint32_t end = left < group_columns ? job->column_end : first + group_columns;
        const int32_t bits = largest_bits(job, type, token, first, end);
        const bool finite = bits < 0x7f800000;
        const float largest = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits)));
        const bool some = finite && largest >= INT8_SMALLEST;
        const __m512 factor = _mm512_set1_ps(some ? 127.0f / largest : 0.0f);
        const __mmask16 keep = (__mmask16)(finite ? 0xffffu : 0);
        job->rows->scales[(size_t)group * job->rows->tokens_max + token] = some     ? largest / 127.0f
                                                                           : finite ? 0.0f
                                                                                    : __builtin_nanf("");
        uint32_t k = first;
        int8_t *to = (int8_t *)tile_row(job->rows, steps, token, first / TILE_STEP_BYTES);
        for (; k + TILE_STEP_BYTES <= end; k += TILE_STEP_BYTES, to += TILE_BLOCK_BYTES)
            _mm512_store_si512(to,
                               quantised_step(job->input, type, row + (k - job->column_first), factor, keep));
        for (uint32_t i = 0; k < end && i < TILE_STEP_BYTES; i += TILE_ROWS)
            _mm_store_si128((__m128i *)(void *)(to + i),
                            quantised(load_input(job, token, k + i), factor, keep));
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

#endif
