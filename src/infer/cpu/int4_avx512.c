/* Unpacking INT4 weights by AVX-512: four products of sixteen bits, each of a weight in the uppermost four,
 * rounded as int4_weight does. */
#if defined(__x86_64__)

#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"

/* The multiplier of each output in both halves of its 32 bits. */
static inline ivec load_multipliers(const int8_t *multipliers)
{
    const ivec wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)multipliers));
    return _mm512_or_si512(_mm512_slli_epi32(wide, 16), _mm512_and_si512(wide, _mm512_set1_epi32(0xffff)));
}

/* Two vectors of int8 from one of four-bit weights. */
static inline void unpack_pair(ivec fours, ivec multipliers, ivec *first, ivec *second)
{
    const ivec upper = _mm512_set1_epi16((int16_t)0xf000), lower_byte = _mm512_set1_epi16(0xff);
    const ivec a = _mm512_mulhrs_epi16(_mm512_slli_epi16(fours, 12), multipliers);
    const ivec b = _mm512_mulhrs_epi16(_mm512_and_si512(_mm512_slli_epi16(fours, 8), upper), multipliers);
    const ivec c = _mm512_mulhrs_epi16(_mm512_and_si512(_mm512_slli_epi16(fours, 4), upper), multipliers);
    const ivec d = _mm512_mulhrs_epi16(_mm512_and_si512(fours, upper), multipliers);
    *first = _mm512_or_si512(_mm512_and_si512(a, lower_byte), _mm512_slli_epi16(b, 8));
    *second = _mm512_or_si512(_mm512_and_si512(c, lower_byte), _mm512_slli_epi16(d, 8));
}

#include "infer/cpu/vector_int4.inc"

void tiles_unpack_int4_avx512(const struct packed_matrix *weights, uint32_t panel, uint32_t step_first,
                              uint32_t steps, uint8_t *to)
{
    unpack_steps(weights, panel, step_first, steps, to);
}

#endif
