/* PRODUCT_BF16 by AVX-512's own product of BF16 pairs, which adds two products to a sum at once. It takes
 * subnormal numbers as 0 and gives none, as tiles do; each sum adds its pairs in the order of the columns. */
#if defined(__x86_64__)

#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"

#include <string.h>

#define DOT_TOKENS 12
#define DOT_VECS (TILE_OUTPUTS / LANES)

static inline uint32_t slice_steps_max(enum product product)
{
    (void)product;
    return 16; /* 32 KB of a panel and 1 KB of each row: blocks of both stay in L2 */
}

static inline ivec first_sums(const struct slice *slice, const enum product product, size_t v)
{
    (void)slice, (void)product, (void)v;
    return ivec_zero();
}

static inline ivec multiply_add(ivec sum, ivec row, ivec weights)
{
    return bits_of_vec(_mm512_dpbf16_ps(vec_of_bits(sum), (__m512bh)row, (__m512bh)weights));
}

#include "infer/cpu/vector_dot.inc"

#include "infer/cpu/vector_tiles.inc"

void tiles_matmul_bf16(const struct matmul_job *job)
{
    multiply_tiles(job, PRODUCT_BF16);
}

#endif
