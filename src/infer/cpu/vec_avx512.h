/* Sixteen floats a vector with AVX-512 F, BW, DQ and VL: what the vector_*.inc files are written in. */
#ifndef INFER_CPU_VEC_AVX512_H
#define INFER_CPU_VEC_AVX512_H

#include <stddef.h>
#include <stdint.h>

#include <immintrin.h>

typedef __m512 vec;
enum { LANES = 16 };

static inline vec vec_set(float value)
{
    return _mm512_set1_ps(value);
}

static inline vec vec_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline void vec_store(float *to, vec value)
{
    _mm512_storeu_ps(to, value);
}

static inline __mmask16 lane_mask(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}

/* The first count lanes, count <= LANES; the others read as 0 and touch no memory. */
static inline vec vec_load_part(const float *from, size_t count)
{
    return _mm512_maskz_loadu_ps(lane_mask(count), from);
}

static inline void vec_store_part(float *to, vec value, size_t count)
{
    _mm512_mask_storeu_ps(to, lane_mask(count), value);
}

static inline vec vec_load_f16(const uint16_t *from)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

static inline vec vec_load_bf16(const uint16_t *from)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vec vec_load_i8(const int8_t *from)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

/* a * b + c, rounded once. */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* Where b is no number the result is b: so a NaN in the data survives a bound given as a. */
static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_round(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n for a in [0.5, 2] and whole n in [-126, 127]. */
static inline vec vec_scale(vec a, vec n)
{
    return _mm512_scalef_ps(a, n);
}

/* value, but 0 in the lanes where x < limit. */
static inline vec vec_zero_below(vec value, vec x, vec limit)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), value);
}

/* The upper half onto the lower one, down to one lane: always in this order. */
static inline float vec_sum(vec a)
{
    __m256 quarter = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(quarter), _mm256_extractf128_ps(quarter, 1));
    __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

static inline float vec_largest(vec a)
{
    return _mm512_reduce_max_ps(a);
}

/* ---- whole numbers, and BF16 ------------------------------------------------------------------------- */

typedef __m512i ivec;

static inline ivec ivec_zero(void)
{
    return _mm512_setzero_si512();
}

static inline ivec ivec_load(const void *from)
{
    return _mm512_loadu_si512(from);
}

static inline void ivec_store(void *to, ivec value)
{
    _mm512_storeu_si512(to, value);
}

static inline ivec ivec_add(ivec a, ivec b)
{
    return _mm512_add_epi32(a, b);
}

static inline vec vec_from_ivec(ivec a)
{
    return _mm512_cvtepi32_ps(a);
}

/* The larger of a and the bits of |value|. As whole numbers, infinities are above all finite values' bits,
 * and NaN above infinities. */
static inline ivec ivec_max_magnitude(ivec a, vec value)
{
    return _mm512_max_epi32(a, _mm512_and_si512(_mm512_castps_si512(value), _mm512_set1_epi32(0x7fffffff)));
}

static inline int32_t ivec_largest(ivec a)
{
    return _mm512_reduce_max_epi32(a);
}

/* Rounded to nearest, ties to even; |value| <= 127.5. */
static inline void vec_store_i8(int8_t *to, vec value)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(value)));
}

/* Both BF16 of each 32 bits, as F32. */
static inline vec vec_low_bf16(ivec pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}

static inline vec vec_high_bf16(ivec pairs)
{
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int32_t)0xffff0000)));
}

static inline ivec ivec_broadcast(const void *four_bytes)
{
    return _mm512_castps_si512(_mm512_broadcastss_ps(_mm_load_ss(four_bytes)));
}

/* Rounded to nearest, ties to even; NaN stays NaN. */
static inline void vec_store_bf16(uint16_t *to, vec value)
{
    const __m512i bits = _mm512_castps_si512(value);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16)));
}

#include "infer/cpu/vector_math.inc"

#endif
