/* Unpacking INT4 weights by AVX2: four products of sixteen bits, each of a weight in the uppermost four,
 * rounded as int4_weight does. */
#if defined(__x86_64__)

#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx2.inc"

/* The multiplier of each output in both halves of its 32 bits. */
static inline ivec load_multipliers(const int8_t *multipliers)
{
    const ivec wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)multipliers));
    return _mm256_or_si256(_mm256_slli_epi32(wide, 16), _mm256_and_si256(wide, _mm256_set1_epi32(0xffff)));
}

/* Two vectors of int8 from one of four-bit weights. */
static inline void unpack_pair(ivec fours, ivec multipliers, ivec *first, ivec *second)
{
    const ivec upper = _mm256_set1_epi16((int16_t)0xf000), lower_byte = _mm256_set1_epi16(0xff);
    const ivec a = _mm256_mulhrs_epi16(_mm256_slli_epi16(fours, 12), multipliers);
    const ivec b = _mm256_mulhrs_epi16(_mm256_and_si256(_mm256_slli_epi16(fours, 8), upper), multipliers);
    const ivec c = _mm256_mulhrs_epi16(_mm256_and_si256(_mm256_slli_epi16(fours, 4), upper), multipliers);
    const ivec d = _mm256_mulhrs_epi16(_mm256_and_si256(fours, upper), multipliers);
    *first = _mm256_or_si256(_mm256_and_si256(a, lower_byte), _mm256_slli_epi16(b, 8));
    *second = _mm256_or_si256(_mm256_and_si256(c, lower_byte), _mm256_slli_epi16(d, 8));
}

#include "infer/cpu/vector_int4.inc"

void tiles_unpack_int4_avx2(const struct packed_matrix *weights, uint32_t panel, uint32_t step_first,
                            uint32_t steps, uint8_t *to)
{
    unpack_steps(weights, panel, step_first, steps, to);
}

#endif
