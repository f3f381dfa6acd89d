/* AVX2 with FMA and F16C: eight floats a vector, panels of 16 outputs, tiles of 6 tokens, which is twelve
 * sums in registers: enough to keep two multiply-add units busy through their latency of four cycles. */
#if defined(__x86_64__)

#include "infer/cpu/kernel_sets.h"
#include "infer/cpu/kv_f32.h"
#include "infer/cpu/packing.h"
#include "infer/cpu/tiles.h"

#include <immintrin.h>

typedef __m256 vec;
enum { LANES = 8, TOKEN_TILE = 6, ATTENTION_ROW_TILE = 3 };

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

#include "infer/cpu/vector_rows.inc"

#include "infer/cpu/vector_matmul.inc"

#include "infer/cpu/vector_attention.inc"

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .step_rows = 128,
    .choose_product = choose_product,
    .pack = pack,
    .scratch_bytes = scratch_bytes,
    .prepare = tiles_prepare,
    .matmul = matmul,
    .kv_bytes = kv_f32_bytes,
    .kv_write = kv_f32_write,
    .attention_scratch_bytes = attention_scratch_bytes,
    .attention = attention,
    .rms_norm = rms_norm,
    .rope = rope,
    .dequantize_row = packing_dequantize_row,
    .argmax_logsumexp = argmax_logsumexp,
};

#endif
