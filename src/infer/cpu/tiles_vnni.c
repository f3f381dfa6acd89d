/* PRODUCT_INT8 by AVX-512 with VNNI, which multiplies unsigned rows by signed weights and adds four to a sum
 * at once: rows are prepared as q + 128, and sums begin at -128 times the weights' sum. */
#if defined(__x86_64__)

#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"

#include <math.h>
#include <string.h>

/* With up to 24 sums, the loads of a step take two thirds of its multiplications' time. */
#define DOT_TOKENS 12
#define DOT_VECS (TILE_OUTPUTS / LANES)

static inline uint32_t slice_steps_max(enum product product)
{
    (void)product;
    return INT8_ONE_GROUP_COLUMNS / TILE_STEP_BYTES; /* a group at once: no sum waits */
}

static inline ivec first_sums(const struct slice *slice, const enum product product, size_t v)
{
    (void)product;
    return _mm512_sub_epi32(ivec_zero(), _mm512_slli_epi32(ivec_load(slice->group_sums + v * LANES), 7));
}

static inline ivec multiply_add(ivec sum, ivec row, ivec weights)
{
    return _mm512_dpbusd_epi32(sum, row, weights);
}

#include "infer/cpu/vector_dot.inc"

#include "infer/cpu/vector_tiles.inc"

void tiles_matmul_vnni(const struct matmul_job *job)
{
    multiply_tiles(job, PRODUCT_INT8);
}

/* ---- rows ------------------------------------------------------------------------------------------- */

static inline void store_rounded(int8_t *to, vec value, vec factor)
{
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm_xor_si128(vec_nearest_i8(value, factor), _mm_set1_epi8((char)VNNI_ROW_SHIFT)));
}

#include "infer/cpu/vector_prepare.inc"

void tiles_prepare_vnni(const struct prepare_job *job)
{
    prepare_rows(job);
}

#endif
