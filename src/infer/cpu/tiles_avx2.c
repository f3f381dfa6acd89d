/* Products of rounded operands by AVX2. A quad's products are |row| by weight with the row's sign, in pairs
 * of at most 2 * 127 * 127, which 16 bits hold; the four then meet in 32 bits. */
#if defined(__x86_64__)

#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx2.inc"

#include <math.h>
#include <string.h>

/* Two tokens by the whole panel: eight sums, four weights and two rows of two registers. */
enum { DOT_TOKENS = 2, DOT_TOKENS_BF16 = 4, DOT_VECS = TILE_OUTPUTS / LANES };

static ALWAYS_INLINE void dot_offset(const uint8_t *weights, uint32_t steps, ivec offset[DOT_VECS])
{
    (void)weights, (void)steps;
    for (size_t v = 0; v < DOT_VECS; v++)
        offset[v] = ivec_zero();
}

/* Adds to sums what steps of rows and of a panel give. */
static ALWAYS_INLINE void dot(const uint8_t *rows, const uint8_t *weights, uint32_t steps,
                              const uint32_t tokens, ivec sums[DOT_TOKENS][DOT_VECS], uint8_t *scratch)
{
    const __m256i ones = _mm256_set1_epi16(1);
    (void)scratch;
    for (uint32_t step = 0; step < steps; step++, rows += TILE_BLOCK_BYTES, weights += TILE_BLOCK_BYTES) {
        for (size_t quad = 0; quad < TILE_STEP_BYTES / 4; quad++) {
            const uint8_t *from = weights + quad * TILE_STEP_BYTES;
            const __m256i four[DOT_VECS] = {ivec_load(from), ivec_load(from + 32),
                                            ivec_load(from + TILE_BYTES), ivec_load(from + TILE_BYTES + 32)};
            UNROLL
            for (size_t t = 0; t < tokens; t++) {
                const __m256i row = ivec_broadcast(rows + t * TILE_STEP_BYTES + quad * 4);
                const __m256i magnitude = _mm256_abs_epi8(row);
                UNROLL
                for (size_t v = 0; v < DOT_VECS; v++) {
                    const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(four[v], row));
                    sums[t][v] = _mm256_add_epi32(sums[t][v], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
    }
}

#include "infer/cpu/vector_prepare.inc"

#include "infer/cpu/vector_tiles.inc"

void tiles_matmul_avx2(const struct matmul_job *job)
{
    multiply_tiles(job);
}

void tiles_prepare_avx2(const struct prepare_job *job)
{
    prepare_rows(job);
}

#endif
