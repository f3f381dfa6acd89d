/* Eight floats a vector with AVX2, FMA and F16C: what the vector_*.inc files are written in. */
#ifndef INFER_CPU_VEC_AVX2_H
#define INFER_CPU_VEC_AVX2_H

#include <stddef.h>
#include <stdint.h>

#include <immintrin.h>

typedef __m256 vec;
enum { LANES = 8 };

static inline vec vec_set(float value)
{
    return _mm256_set1_ps(value);
}

static inline vec vec_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

static inline void vec_store(float *to, vec value)
{
    _mm256_storeu_ps(to, value);
}

static inline __m256i lane_mask(size_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first count lanes, count <= LANES; the others read as 0 and touch no memory. */
static inline vec vec_load_part(const float *from, size_t count)
{
    return _mm256_maskload_ps(from, lane_mask(count));
}

static inline void vec_store_part(float *to, vec value, size_t count)
{
    _mm256_maskstore_ps(to, lane_mask(count), value);
}

static inline vec vec_load_f16(const uint16_t *from)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static inline vec vec_load_bf16(const uint16_t *from)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vec vec_load_i8(const int8_t *from)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from)));
}

static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

/* a * b + c, rounded once. */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* Where b is no number the result is b: so a NaN in the data survives a bound given as a. */
static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

static inline vec vec_round(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n for a in [0.5, 2] and whole n in [-126, 127]. */
static inline vec vec_scale(vec a, vec n)
{
    __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponent));
}

/* value, but 0 in the lanes where x < limit. */
static inline vec vec_zero_below(vec value, vec x, vec limit)
{
    return _mm256_andnot_ps(_mm256_cmp_ps(x, limit, _CMP_LT_OQ), value);
}

/* The upper half onto the lower one, down to one lane: always in this order. */
static inline float vec_sum(vec a)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

static inline float vec_largest(vec a)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}

/* ---- whole numbers, and BF16 ------------------------------------------------------------------------- */

typedef __m256i ivec;

static inline ivec ivec_zero(void)
{
    return _mm256_setzero_si256();
}

static inline ivec ivec_load(const void *from)
{
    return _mm256_loadu_si256(from);
}

static inline void ivec_store(void *to, ivec value)
{
    _mm256_storeu_si256(to, value);
}

static inline ivec ivec_add(ivec a, ivec b)
{
    return _mm256_add_epi32(a, b);
}

static inline vec vec_from_ivec(ivec a)
{
    return _mm256_cvtepi32_ps(a);
}

/* The larger of a and the bits of |value|. As whole numbers, infinities are above all finite values' bits,
 * and NaN above infinities. */
static inline ivec ivec_max_magnitude(ivec a, vec value)
{
    return _mm256_max_epi32(a, _mm256_and_si256(_mm256_castps_si256(value), _mm256_set1_epi32(0x7fffffff)));
}

static inline int32_t ivec_largest(ivec a)
{
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}

/* Rounded to nearest, ties to even; |value| <= 127.5. */
static inline void vec_store_i8(int8_t *to, vec value)
{
    const __m256i whole = _mm256_cvtps_epi32(value);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi16(words, words));
}

/* Both BF16 of each 32 bits, as F32. */
static inline vec vec_low_bf16(ivec pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

static inline vec vec_high_bf16(ivec pairs)
{
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int32_t)0xffff0000)));
}

static inline ivec ivec_broadcast(const void *four_bytes)
{
    return _mm256_castps_si256(_mm256_broadcast_ss(four_bytes));
}

/* Rounded to nearest, ties to even; NaN stays NaN. */
static inline void vec_store_bf16(uint16_t *to, vec value)
{
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1)));
}

#include "infer/cpu/vector_math.inc"

#endif
