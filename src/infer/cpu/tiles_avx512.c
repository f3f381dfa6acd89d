/* Products of rounded operands by AVX-512 without VNNI: as in tiles_avx2.c, a row's sign being a mask. */
#if defined(__x86_64__)

#include "infer/cpu/packing.h"
#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"

#include <math.h>
#include <string.h>

enum {
    DOT_TOKENS = 8,
    DOT_TOKENS_BF16 = 8,
    DOT_SLICE_STEPS = TILES_SLICE_BYTES / TILE_BLOCK_BYTES,
    DOT_VECS = TILE_OUTPUTS / LANES
};

static void begin_slice(const uint8_t *weights, uint32_t steps, uint32_t tokens, ivec offset[DOT_VECS],
                        struct tiles_scratch *scratch)
{
    (void)weights, (void)steps, (void)tokens, (void)scratch;
    for (size_t v = 0; v < DOT_VECS; v++)
        offset[v] = ivec_zero();
}

/* Adds to sums what steps of rows and of a panel give. */
static ALWAYS_INLINE void dot(const uint8_t *rows, const uint8_t *weights, uint32_t steps,
                              const uint32_t tokens, ivec sums[DOT_TOKENS][DOT_VECS],
                              struct tiles_scratch *scratch)
{
    const __m512i ones = _mm512_set1_epi16(1), zero = _mm512_setzero_si512();
    (void)scratch;
    for (uint32_t step = 0; step < steps; step++, rows += TILE_BLOCK_BYTES, weights += TILE_BLOCK_BYTES) {
        for (size_t quad = 0; quad < TILE_STEP_BYTES / 4; quad++) {
            const uint8_t *from = weights + quad * TILE_STEP_BYTES;
            const __m512i four[DOT_VECS] = {ivec_load(from), ivec_load(from + TILE_BYTES)};
            UNROLL
            for (size_t t = 0; t < tokens; t++) {
                const __m512i row = ivec_broadcast(rows + t * TILE_STEP_BYTES + quad * 4);
                const __m512i magnitude = _mm512_abs_epi8(row);
                const __mmask64 negative = _mm512_movepi8_mask(row);
                UNROLL
                for (size_t v = 0; v < DOT_VECS; v++) {
                    const __m512i weight = _mm512_mask_sub_epi8(four[v], negative, zero, four[v]);
                    const __m512i pairs = _mm512_maddubs_epi16(magnitude, weight);
                    sums[t][v] = _mm512_add_epi32(sums[t][v], _mm512_madd_epi16(pairs, ones));
                }
            }
        }
    }
}

#include "infer/cpu/vector_pack.inc"

#include "infer/cpu/vector_prepare.inc"

#include "infer/cpu/vector_tiles.inc"

void tiles_matmul_avx512(const struct matmul_job *job)
{
    multiply_tiles(job);
}

void tiles_prepare_avx512(const struct prepare_job *job)
{
    prepare_rows(job);
}

dobby_code tiles_pack_avx512(const struct tensor *tensors, size_t count, enum product product, bool gated,
                             struct packed_matrix *out, struct dobby_error *err)
{
    return tiles_pack_by(round_row, tensors, count, product, gated, out, err);
}

#endif
