/* Unpacking INT4 weights by AVX-512: four products of sixteen bits, each of a weight in the uppermost four,
 * rounded as int4_weight does. */
#if defined(__x86_64__)

#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"

enum { QUADS = TILE_STEP_BYTES / 4, GROUP_QUADS = INT4_GROUP_COLUMNS / 4, QUAD_LANES = 16 };

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

/* LANES outputs of a step: 16 are one after the other in a panel's tile. */
static inline void unpack_lanes(const uint8_t *from, const int8_t *multipliers, uint8_t *to)
{
    for (size_t group = 0; group < INT4_STEP_GROUPS; group++) {
        const ivec factors = load_multipliers(multipliers + group * TILE_OUTPUTS);
        UNROLL
        for (size_t quad = 0; quad < GROUP_QUADS; quad += 2) {
            const uint8_t *fours = from + (group * GROUP_QUADS + quad) / 2 * INT4_PAIR_BYTES;
            uint8_t *bytes = to + (group * GROUP_QUADS + quad) * TILE_STEP_BYTES;
            ivec first, second;
            _mm_prefetch((const char *)fours + TILES_AHEAD_BYTES, _MM_HINT_T0);
            unpack_pair(ivec_load(fours), factors, &first, &second);
            ivec_store(bytes, first);
            ivec_store(bytes + TILE_STEP_BYTES, second);
        }
    }
}

void tiles_unpack_int4_avx512(const struct packed_matrix *weights, uint32_t panel, uint32_t step_first,
                              uint32_t steps, uint8_t *to)
{
    const uint8_t *from =
        weights->panels + (size_t)panel * weights->panel_bytes + (size_t)step_first * INT4_STEP_BYTES;
    const int8_t *multipliers = int4_multipliers(weights, panel, step_first);
    for (uint32_t step = 0; step < steps; step++) {
        UNROLL
        for (size_t lane = 0; lane < TILE_OUTPUTS; lane += LANES) {
            const size_t tile = lane / QUAD_LANES, at = lane % QUAD_LANES * sizeof(int32_t);
            unpack_lanes(from + tile * (INT4_STEP_BYTES / 2) + at, multipliers + lane,
                         to + tile * TILE_BYTES + at);
        }
        from += INT4_STEP_BYTES;
        multipliers += INT4_STEP_GROUPS * TILE_OUTPUTS;
        to += TILE_BLOCK_BYTES;
    }
}

#endif
