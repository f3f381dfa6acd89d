/* Products of rounded operands by AVX2, in two ways that are both exact.
 *
 * 1. Few tokens, while weights stream by: |row| by weight with the row's sign gives pairs of at most 2 * 127
 * * 127 in 16 bits; two pairs then meet in 32 bits. Three of its four instructions share the two multiplying
 * units.
 * 2. Four tokens or more: weights and rows are made 16 bits wide in scratch, and pairs of products go to 32
 * bits at once: half of the instructions multiply, the other half add on the other units. */
#if defined(__x86_64__)

#include "infer/cpu/packing.h"
#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx2.inc"

#include <math.h>
#include <string.h>

#define DOT_TOKENS 6
#define DOT_VECS 2 /* twelve sums: two vectors of weights and a row fit in the registers beside them */
enum {
    PANEL_VECS = TILE_OUTPUTS / LANES,
    WIDE_TOKENS = 4, /* a block of so many has its weights and rows made wider */
    QUADS = TILE_STEP_BYTES / 4,
    WIDE_QUAD_BYTES = 2 * 2 * TILE_STEP_BYTES, /* a quad of all outputs: two pairs of 16 bits each */
    INT8_SLICE_STEPS = TILES_SLICE_BYTES / TILE_BLOCK_BYTES / 2
};

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

static inline bool is_wide(const struct slice *slice)
{
    return slice->token_end - slice->token_first >= WIDE_TOKENS;
}

/* [steps][quads][2 pairs][32 outputs][2] of 16 bits. */
static void widen_weights(const uint8_t *weights, uint32_t steps, size_t ahead, uint8_t *to)
{
    /* Bytes 0 and 1 (or 2 and 3) of each four, each in the upper half of 16 bits; a shift then brings them
     * down.
     */
    const __m256i first = _mm256_set1_epi32(0x01800080), second = _mm256_set1_epi32(0x03800280);
    const __m256i places = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04000400, 0x08000800, 0x0c000c00));
    const __m256i lower = _mm256_add_epi8(first, places), upper = _mm256_add_epi8(second, places);
    for (uint32_t step = 0; step < steps; step++, weights += TILE_BLOCK_BYTES) {
        for (size_t quad = 0; quad < QUADS; quad++, to += WIDE_QUAD_BYTES) {
            UNROLL
            for (size_t v = 0; v < PANEL_VECS; v++) {
                const uint8_t *from =
                    weights + v / 2 * TILE_BYTES + quad * TILE_STEP_BYTES + v % 2 * sizeof(ivec);
                const __m256i quads = ivec_load(from);
                _mm_prefetch((const char *)from + ahead, _MM_HINT_T0);
                ivec_store(to + v * sizeof(ivec), _mm256_srai_epi16(_mm256_shuffle_epi8(quads, lower), 8));
                ivec_store(to + (PANEL_VECS + v) * sizeof(ivec),
                           _mm256_srai_epi16(_mm256_shuffle_epi8(quads, upper), 8));
            }
        }
    }
}

/* [tokens][columns of the slice] of 16 bits. */
static void widen_rows(const struct slice *slice, struct tiles_scratch *scratch)
{
    const uint32_t count = slice->token_end - slice->token_first;
    for (uint32_t index = 0; index < count; index++) {
        const uint8_t *from =
            tile_row(slice->job->rows, slice->steps_all, slice->token_first + index, slice->step_first);
        uint8_t *to = scratch->rows[index];
        for (uint32_t step = 0; step < slice->steps; step++, from += TILE_BLOCK_BYTES)
            UNROLL
        for (size_t i = 0; i < TILE_STEP_BYTES; i += 16, to += sizeof(ivec))
            ivec_store(to, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(from + i))));
    }
}

static inline void begin_rows(const struct slice *slice, const enum product product,
                              struct tiles_scratch *scratch)
{
    if (product == PRODUCT_BF16)
        widen_rows_bf16(slice, scratch);
    else if (is_wide(slice))
        widen_rows(slice, scratch);
}

static inline void begin_slice(struct slice *slice, const enum product product, struct tiles_scratch *scratch)
{
    if (product == PRODUCT_BF16)
        widen_weights_bf16(slice, scratch);
    else if (is_wide(slice))
        widen_weights(slice->weights, slice->steps, slice->ahead, scratch->weights);
}

static ALWAYS_INLINE void dot_wide(const uint8_t *rows, const uint8_t *weights, uint32_t steps,
                                   const uint32_t tokens, const size_t vecs,
                                   ivec sums[DOT_TOKENS][PANEL_VECS])
{
    const size_t pairs = (size_t)2 * QUADS * steps;
    for (size_t pair = 0; pair < pairs; pair++, weights += WIDE_QUAD_BYTES / 2) {
        ivec two[PANEL_VECS];
        UNROLL
        for (size_t v = 0; v < vecs; v++)
            two[v] = ivec_load(weights + v * sizeof(ivec));
        UNROLL
        for (size_t t = 0; t < tokens; t++) {
            const ivec row = ivec_broadcast(rows + t * TILES_ROW_BYTES + pair * 4);
            UNROLL
            for (size_t v = 0; v < vecs; v++)
                sums[t][v] = ivec_add(sums[t][v], _mm256_madd_epi16(row, two[v]));
        }
    }
}

static ALWAYS_INLINE void dot_narrow(const uint8_t *rows, const uint8_t *weights, uint32_t steps,
                                     const uint32_t tokens, ivec sums[DOT_TOKENS][PANEL_VECS])
{
    const __m256i ones = _mm256_set1_epi16(1);
    for (uint32_t step = 0; step < steps; step++, rows += TILE_BLOCK_BYTES, weights += TILE_BLOCK_BYTES) {
        for (size_t quad = 0; quad < QUADS; quad++) {
            const uint8_t *from = weights + quad * TILE_STEP_BYTES;
            const __m256i four[PANEL_VECS] = {ivec_load(from), ivec_load(from + 32),
                                              ivec_load(from + TILE_BYTES),
                                              ivec_load(from + TILE_BYTES + 32)};
            _mm_prefetch((const char *)from + TILES_AHEAD_BYTES, _MM_HINT_T0);
            _mm_prefetch((const char *)from + TILE_BYTES + TILES_AHEAD_BYTES, _MM_HINT_T0);
            UNROLL
            for (size_t t = 0; t < tokens; t++) {
                const __m256i row = ivec_broadcast(rows + t * TILE_STEP_BYTES + quad * 4);
                const __m256i magnitude = _mm256_abs_epi8(row);
                UNROLL
                for (size_t v = 0; v < PANEL_VECS; v++) {
                    const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(four[v], row));
                    sums[t][v] = _mm256_add_epi32(sums[t][v], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
    }
}

static ALWAYS_INLINE void dot(const struct slice *slice, const enum product product,
                              struct tiles_scratch *scratch, uint32_t index, const uint32_t tokens,
                              const size_t first, const size_t vecs, ivec sums[DOT_TOKENS][PANEL_VECS])
{
    if (product == PRODUCT_BF16) {
        dot_bf16(slice, scratch, index, tokens, first, vecs, sums);
    } else if (tokens >= WIDE_TOKENS || is_wide(slice)) {
        dot_wide(scratch->rows[index], scratch->weights + first * sizeof(ivec), slice->steps, tokens, vecs,
                 sums);
    } else { /* all outputs at once: DOT_TOKENS is twice as many as come here */
        const uint32_t token = slice->token_first + index;
        dot_narrow(tile_row(slice->job->rows, slice->steps_all, token, slice->step_first), slice->weights,
                   slice->steps, tokens < WIDE_TOKENS ? tokens : 1, sums);
    }
}

#include "infer/cpu/vector_pack.inc"

static inline void store_rounded(int8_t *to, vec value, vec factor)
{
    vec_store_i8(to, value, factor);
}

#include "infer/cpu/vector_prepare.inc"

#include "infer/cpu/vector_tiles.inc"

void tiles_matmul_avx2(const struct matmul_job *job)
{
    if (job->weights->product == PRODUCT_BF16)
        multiply_tiles(job, PRODUCT_BF16);
    else
        multiply_tiles(job, PRODUCT_INT8);
}

void tiles_prepare_avx2(const struct prepare_job *job)
{
    prepare_rows(job);
}

void tiles_dequantize_row_avx2(const struct tensor *tensor, uint32_t row, float *output)
{
    dequantize_row(tensor, row, tensor->columns, output);
}

dobby_code tiles_pack_avx2(const struct tensor *tensors, size_t count, enum product product, bool gated,
                           struct packed_matrix *out, struct dobby_error *err)
{
    return tiles_pack_by(round_row, tensors, count, product, gated, out, err);
}

#endif
