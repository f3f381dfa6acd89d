/* AVX-512: sixteen floats a vector, panels of 32 outputs, tiles of 12 tokens: 24 sums in the 32 registers. */
#if defined(__x86_64__)

#include "infer/cpu/kernel_sets.h"
#include "infer/cpu/kv_f32.h"
#include "infer/cpu/packing.h"
#include "infer/cpu/tiles.h"

#include <immintrin.h>

typedef __m512 vec;
enum { LANES = 16, TOKEN_TILE = 12, ATTENTION_ROW_TILE = 6 };

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

#include "infer/cpu/vector_rows.inc"

#include "infer/cpu/vector_matmul.inc"

#include "infer/cpu/vector_attention.inc"

const struct kernels kernels_avx512 = {
    .name = "avx512",
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
