/* Products of rounded operands by AVX-512 with VNNI, which multiplies unsigned rows by signed weights and
 * adds four to a sum at once: rows are taken as q + 128, and 128 times the weights' sum is taken off. */
#if defined(__x86_64__)

#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"

#include <math.h>
#include <string.h>

/* Sixteen sums: more than the latency of five cycles asks for on two units. */
enum {
    DOT_TOKENS = 8,
    DOT_TOKENS_BF16 = 8,
    DOT_SLICE_STEPS = TILES_SLICE_BYTES / TILE_BLOCK_BYTES,
    DOT_VECS = TILE_OUTPUTS / LANES
};

static void begin_slice(const uint8_t *weights, uint32_t steps, uint32_t tokens, ivec offset[DOT_VECS],
                        struct tiles_scratch *scratch)
{
    const __m512i shift = _mm512_set1_epi8((char)0x80); /* unsigned: 128 */
    (void)tokens, (void)scratch;
    for (size_t v = 0; v < DOT_VECS; v++) {
        __m512i sums[2] = {ivec_zero(), ivec_zero()};
        for (size_t step = 0; step < steps; step++)
            for (size_t quad = 0; quad < TILE_STEP_BYTES / 4; quad++)
                sums[quad % 2] = _mm512_dpbusd_epi32(
                    sums[quad % 2], shift,
                    ivec_load(weights + step * TILE_BLOCK_BYTES + v * TILE_BYTES + quad * TILE_STEP_BYTES));
        offset[v] = _mm512_sub_epi32(ivec_zero(), ivec_add(sums[0], sums[1]));
    }
}

/* Adds to sums what steps of rows and of a panel give, but for the offset. */
static ALWAYS_INLINE void dot(const uint8_t *rows, const uint8_t *weights, uint32_t steps,
                              const uint32_t tokens, ivec sums[DOT_TOKENS][DOT_VECS],
                              struct tiles_scratch *scratch)
{
    const __m512i shift = _mm512_set1_epi8((char)0x80);
    for (size_t step = 0; step < steps; step++)
        for (size_t t = 0; t < tokens; t++)
            ivec_store(
                scratch->rows + (step * tokens + t) * TILE_STEP_BYTES,
                _mm512_xor_si512(ivec_load(rows + step * TILE_BLOCK_BYTES + t * TILE_STEP_BYTES), shift));
    const uint8_t *shifted = scratch->rows;
    for (uint32_t step = 0; step < steps;
         step++, shifted += tokens * TILE_STEP_BYTES, weights += TILE_BLOCK_BYTES) {
        for (size_t quad = 0; quad < TILE_STEP_BYTES / 4; quad++) {
            const uint8_t *from = weights + quad * TILE_STEP_BYTES;
            const __m512i four[DOT_VECS] = {ivec_load(from), ivec_load(from + TILE_BYTES)};
            UNROLL
            for (size_t t = 0; t < tokens; t++) {
                const __m512i row = ivec_broadcast(shifted + t * TILE_STEP_BYTES + quad * 4);
                UNROLL
                for (size_t v = 0; v < DOT_VECS; v++)
                    sums[t][v] = _mm512_dpbusd_epi32(sums[t][v], row, four[v]);
            }
        }
    }
}

#include "infer/cpu/vector_tiles.inc"

void tiles_matmul_vnni(const struct matmul_job *job)
{
    multiply_tiles(job);
}

#endif
