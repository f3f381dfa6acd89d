/* Products of rounded operands by AVX-512 without VNNI: as in tiles_avx2.c, a row's sign being a mask. */
#if defined(__x86_64__)

#include "infer/cpu/packing.h"
#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"

#include <math.h>
#include <string.h>

#define DOT_TOKENS 8
#define DOT_VECS (TILE_OUTPUTS / LANES)
enum { INT8_SLICE_STEPS = TILES_SLICE_BYTES / TILE_BLOCK_BYTES };

#include "infer/cpu/vector_bf16.inc"

static inline uint32_t slice_steps_max(enum product product)
{
    return product == PRODUCT_BF16 ? BF16_SLICE_STEPS : INT8_SLICE_STEPS;
}

static inline ivec first_sums(const struct slice *slice, const enum product product, size_t v)
{
    (void)slice, (void)product, (void)v;
    return ivec_zero();
}

static inline void begin_rows(const struct slice *slice, const enum product product,
                              struct tiles_scratch *scratch)
{
    if (product == PRODUCT_BF16)
        widen_rows_bf16(slice, scratch);
}

static inline void begin_slice(struct slice *slice, const enum product product, struct tiles_scratch *scratch)
{
    if (product == PRODUCT_BF16)
        widen_weights_bf16(slice, scratch);
}

static ALWAYS_INLINE void dot_int8(const struct slice *slice, uint32_t index, const uint32_t tokens,
                                   ivec sums[DOT_TOKENS][DOT_VECS])
{
    const __m512i ones = _mm512_set1_epi16(1), zero = _mm512_setzero_si512();
    const uint8_t *rows =
        tile_row(slice->job->rows, slice->steps_all, slice->token_first + index, slice->step_first);
    const uint8_t *weights = slice->weights;
    for (uint32_t step = 0; step < slice->steps;
         step++, rows += TILE_BLOCK_BYTES, weights += TILE_BLOCK_BYTES) {
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

static ALWAYS_INLINE void dot(const struct slice *slice, const enum product product,
                              struct tiles_scratch *scratch, uint32_t index, const uint32_t tokens,
                              const size_t first, const size_t vecs, ivec sums[DOT_TOKENS][DOT_VECS])
{
    if (product == PRODUCT_BF16)
        dot_bf16(slice, scratch, index, tokens, first, vecs, sums);
    else /* all outputs at once, always */
        dot_int8(slice, index, tokens, sums);
}

#include "infer/cpu/vector_pack.inc"

static inline void store_rounded(int8_t *to, vec value, vec factor)
{
    vec_store_i8(to, value, factor);
}

#include "infer/cpu/vector_prepare.inc"

#include "infer/cpu/vector_tiles.inc"

void tiles_matmul_avx512(const struct matmul_job *job)
{
    if (job->weights->product == PRODUCT_BF16)
        multiply_tiles(job, PRODUCT_BF16);
    else
        multiply_tiles(job, PRODUCT_INT8);
}

void tiles_prepare_avx512(const struct prepare_job *job)
{
    prepare_rows(job);
}

void tiles_dequantize_row_avx512(const struct tensor *tensor, uint32_t row, float *output)
{
    dequantize_row(tensor, row, tensor->columns, output);
}

dobby_code tiles_pack_avx512(const struct tensor *tensors, size_t count, enum product product, bool gated,
                             struct packed_matrix *out, struct dobby_error *err)
{
    return tiles_pack_by(round_row, tensors, count, product, gated, out, err);
}

#endif
