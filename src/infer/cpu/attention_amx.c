/* Causal attention with a streaming softmax, on tiles.
 *
 * A layer's area of a page holds, for each KV head, its 32 keys and then its 32 values in BF16:
 *   keys     [steps of 32 dimensions][2][16 pairs of dimensions][16 positions][2]
 *   values   [tiles of 16 dimensions][16 pairs of positions][16 dimensions][2]
 * both being the right-hand operand of a tile product as they lie there. Dimensions beyond head_dim are 0.
 *
 * 1. Rows are the heads that share a KV head, of several tokens, 32 at a time: scores of 32 rows by a block
 * of 128 positions, softmax by vector instructions, then weights (BF16) by values.
 * Two tiles of sums at a time, four in use: with more, products wait for registers while the core's other
 * hardware thread is awake (matmul_amx.c), and two loads fewer would not pay beside the softmax.
 * 2. Blocks are counted from position 0, so a row's arithmetic depends on its query and position alone: what
 * it may not see has weight +0, and a product with +0 adds nothing to a sum that began at +0. */
#if defined(__x86_64__)

#include "infer/cpu/attention_amx.h"

#include "infer/cpu/amx_inline.h"
#include "infer/cpu/matmul_amx.h"

#include <math.h>
#include <string.h>

enum {
    ROWS = 32, /* two tiles */
    TILE_VALUES = 256,
    PAIR = 2,
    BLOCK_PAGES = 4,
    BLOCK_POSITIONS = BLOCK_PAGES * KV_PAGE_TOKENS,
    BLOCK_TILES = BLOCK_POSITIONS / TILE_ROWS,
    STEP_DIMENSIONS = 32,
    STRIDE = TILE_STEP_BYTES
};

static uint32_t key_steps(uint32_t head_dim)
{
    return (head_dim + STEP_DIMENSIONS - 1) / STEP_DIMENSIONS;
}

/* Tiles of values come in twos: half of the output's four tiles at once. */
static uint32_t value_tiles(uint32_t head_dim)
{
    return 2 * key_steps(head_dim);
}

static size_t key_bytes(uint32_t head_dim)
{
    return (size_t)key_steps(head_dim) * 2 * TILE_BYTES;
}

static size_t head_bytes(uint32_t head_dim)
{
    return key_bytes(head_dim) + (size_t)value_tiles(head_dim) * TILE_BYTES;
}

size_t amx_kv_bytes(const struct kv_layout *layout)
{
    return head_bytes(layout->head_dim) * layout->kv_heads;
}

void amx_kv_write(const struct kv_layout *layout, void *area, uint32_t slot, const float *key,
                  const float *value)
{
    const uint32_t dim = layout->head_dim;
    for (uint32_t head = 0; head < layout->kv_heads; head++, key += dim, value += dim) {
        uint8_t *keys = (uint8_t *)area + head_bytes(dim) * head;
        uint8_t *values = keys + key_bytes(dim);
        for (uint32_t d = 0; d < dim; d += TILE_ROWS) {
            const __mmask16 mask = mask_of(dim - d);
            uint16_t narrow[TILE_ROWS];
            _mm256_storeu_si256((__m256i *)(void *)narrow,
                                (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, key + d)));
            uint8_t *to = keys + ((size_t)(d / STEP_DIMENSIONS) * 2 + slot / TILE_ROWS) * TILE_BYTES +
                          (size_t)(d % STEP_DIMENSIONS / PAIR) * STRIDE + (size_t)(slot % TILE_ROWS) * 4;
            for (uint32_t pair = 0; pair < TILE_ROWS / PAIR; pair++)
                memcpy(to + (size_t)pair * STRIDE, narrow + (size_t)pair * PAIR, 4);
            /* The values of two positions alternate. Another thread may write the other position now, so a
             * mask keeps that as it is. */
            const __m512i wide =
                _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, value + d)));
            uint8_t *row = values + (size_t)(d / TILE_ROWS) * TILE_BYTES + (size_t)(slot / PAIR) * STRIDE;
            if (slot % PAIR == 0)
                _mm512_mask_storeu_epi16(row, 0x55555555u, wide);
            else
                _mm512_mask_storeu_epi16(row, 0xaaaaaaaau, _mm512_slli_epi32(wide, 16));
        }
    }
}

/* Scratch of one call. */
struct attention_tiles {
    uint16_t (*queries)[TILE_VALUES * PAIR]; /* (2, steps): times log2(e) / sqrt(head_dim) */
    uint16_t (*weights)[TILE_VALUES * PAIR]; /* (2, BLOCK_PAGES) */
    float (*scores)[TILE_VALUES];            /* (2, BLOCK_TILES) */
    float (*outputs)[TILE_VALUES];           /* (2, value tiles) */
    uint32_t steps, tiles;
    _Alignas(CACHE_LINE) float maxima[ROWS], totals[ROWS];
    uint32_t ends[ROWS]; /* positions that the row sees: 0 .. ends - 1 */
};

size_t amx_attention_scratch_bytes(uint32_t head_dim, uint32_t heads_per_kv_head)
{
    (void)heads_per_kv_head;
    return ((size_t)2 * key_steps(head_dim) + 2 * BLOCK_PAGES + 2 * BLOCK_TILES + 2 * value_tiles(head_dim)) *
           TILE_BYTES;
}

static const float *query_of(const struct attention_job *job, uint32_t kv_head, uint32_t token, uint32_t head)
{
    const uint32_t group = job->heads / job->kv_heads;
    return job->query + token * job->query_stride + (size_t)(kv_head * group + head) * job->head_dim;
}

static void begin_rows(const struct attention_job *job, struct attention_tiles *t, uint32_t kv_head,
                       uint32_t row_first, uint32_t count)
{
    const uint32_t group = job->heads / job->kv_heads, dim = job->head_dim;
    const __m512 scale = _mm512_set1_ps(0x1.715476p+0f / sqrtf((float)dim));
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t token = job->token_first + (row_first + i) / group;
        const float *query = query_of(job, kv_head, token, (row_first + i) % group);
        for (uint32_t d = 0; d < dim; d += TILE_ROWS) {
            const __m512 values = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask_of(dim - d), query + d), scale);
            uint16_t *to = t->queries[i / TILE_ROWS * t->steps + d / STEP_DIMENSIONS] +
                           (size_t)(i % TILE_ROWS) * STEP_DIMENSIONS + d % STEP_DIMENSIONS;
            _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh(values));
        }
        t->maxima[i] = -INFINITY;
        t->totals[i] = 0.0f;
        t->ends[i] = job->position_first + token + 1;
    }
}

/* Scores of the rows with a block's pages. */
static void score(const struct attention_job *job, const struct attention_tiles *t, size_t head_at,
                  uint32_t page_first, uint32_t pages, bool both)
{
    for (uint32_t page = 0; page < pages; page++) {
        for (uint32_t half = 0; half < (both ? 2u : 1u); half++) {
            const uint8_t *keys = (const uint8_t *)job->pages[page_first + page] + head_at;
            float(*scores)[TILE_VALUES] = t->scores + (size_t)half * BLOCK_TILES + (size_t)page * 2;
            _tile_zero(0);
            _tile_zero(1);
            for (uint32_t step = 0; step < t->steps; step++, keys += 2 * TILE_BYTES) {
                _tile_loadd(4, t->queries[half * t->steps + step], STRIDE);
                _tile_loadd(6, keys, STRIDE);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(6, keys + TILE_BYTES, STRIDE);
                _tile_dpbf16ps(1, 4, 6);
            }
            _tile_stored(0, scores[0], STRIDE);
            _tile_stored(1, scores[1], STRIDE);
        }
    }
}

/* 2^x for x <= 0 within 1e-4 (the result becomes BF16); +0 for -infinity; NaN stays. */
static ALWAYS_INLINE __m512 power_of_two(__m512 x)
{
    const __m512 f = _mm512_reduce_ps(x, 1); /* x - floor(x); 0 for infinities */
    __m512 power = _mm512_fmadd_ps(_mm512_set1_ps(0.0781455737f), f, _mm512_set1_ps(0.226173572f));
    power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(0.695556856f));
    power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(power, x);
}

/* Takes each of 16 vectors to one value, row r's to lane r, in an order that is the same for every row. */
#define REDUCE_ROWS(name, operation)                                                                         \
    static ALWAYS_INLINE __m512 name(__m512 rows[TILE_ROWS])                                                 \
    {                                                                                                        \
        for (uint32_t i = 0; i < 12; i += i == 3 ? 5 : 1)                                                    \
            rows[i] = operation(_mm512_shuffle_f32x4(rows[i], rows[i + 4], 0x44),                            \
                                _mm512_shuffle_f32x4(rows[i], rows[i + 4], 0xee));                           \
        for (uint32_t i = 0; i < 4; i++)                                                                     \
            rows[i] = operation(_mm512_shuffle_f32x4(rows[i], rows[i + 8], 0x88),                            \
                                _mm512_shuffle_f32x4(rows[i], rows[i + 8], 0xdd));                           \
        for (uint32_t i = 0; i < 2; i++)                                                                     \
            rows[i] = operation(_mm512_unpacklo_ps(rows[i], rows[i + 2]),                                    \
                                _mm512_unpackhi_ps(rows[i], rows[i + 2]));                                   \
        return operation(_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[0], rows[1]));        \
    }
REDUCE_ROWS(largest_of_rows, _mm512_max_ps)
REDUCE_ROWS(sum_of_rows, _mm512_add_ps)

/* Makes -infinity of the scores of positions that a row does not see. */
static void hide_unseen(const struct attention_tiles *t, uint32_t half, uint32_t rows, uint32_t first,
                        uint32_t pages)
{
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t end = t->ends[half * TILE_ROWS + row], seen = end > first ? end - first : 0;
        for (uint32_t i = seen / TILE_ROWS; i < 2 * pages; i++) {
            float *scores = t->scores[half * BLOCK_TILES + i] + (size_t)row * TILE_ROWS;
            const __mmask16 hidden = (__mmask16)~mask_of(seen > i * TILE_ROWS ? seen - i * TILE_ROWS : 0);
            _mm512_store_ps(scores,
                            _mm512_mask_mov_ps(_mm512_load_ps(scores), hidden, _mm512_set1_ps(-INFINITY)));
        }
    }
}

/* The rows' largest scores so far; what they summed before is scaled to these. */
static ALWAYS_INLINE void raise_maxima(struct attention_tiles *t, uint32_t half, uint32_t rows,
                                       uint32_t pages, bool some_before)
{
    __m512 highest[TILE_ROWS];
    for (uint32_t row = 0; row < TILE_ROWS; row++)
        highest[row] = _mm512_set1_ps(-INFINITY);
    for (uint32_t row = 0; row < rows; row++) {
        const float *scores = t->scores[half * BLOCK_TILES] + (size_t)row * TILE_ROWS;
        for (uint32_t i = 0; i < 2 * pages; i++, scores += TILE_VALUES)
            highest[row] = _mm512_max_ps(highest[row], _mm512_load_ps(scores));
    }
    const __m512 before = _mm512_load_ps(t->maxima + (size_t)half * TILE_ROWS);
    const __m512 maxima = _mm512_max_ps(before, largest_of_rows(highest));
    _mm512_store_ps(t->maxima + (size_t)half * TILE_ROWS, maxima);
    const __mmask16 raised = _mm512_cmp_ps_mask(before, maxima, _CMP_NEQ_UQ);
    if (!some_before || raised == 0)
        return;
    _Alignas(CACHE_LINE) float corrections[TILE_ROWS];
    const __m512 correction = power_of_two(_mm512_sub_ps(before, maxima));
    float *totals = t->totals + (size_t)half * TILE_ROWS;
    _mm512_store_ps(totals, _mm512_mul_ps(_mm512_load_ps(totals), correction));
    _mm512_store_ps(corrections, correction);
    for (uint32_t row = 0; row < rows; row++) {
        const __m512 factor = _mm512_set1_ps(corrections[row]);
        float *output = t->outputs[half * t->tiles] + (size_t)row * TILE_ROWS;
        for (uint32_t i = 0; (raised >> row & 1) != 0 && i < t->tiles; i++, output += TILE_VALUES)
            _mm512_store_ps(output, _mm512_mul_ps(_mm512_load_ps(output), factor));
    }
}

/* Scores of up to 16 rows to weights. All maxima come first, since the exponentials of a row that waits for
 * its own would fill the processor's window and keep out the next row's. */
static ALWAYS_INLINE void soften(struct attention_tiles *t, uint32_t half, uint32_t rows, uint32_t first,
                                 const uint32_t pages)
{
    if (t->ends[half * TILE_ROWS] < first + pages * KV_PAGE_TOKENS) /* ends never fall from row to row */
        hide_unseen(t, half, rows, first, pages);
    raise_maxima(t, half, rows, pages, first > 0);
    __m512 sums[TILE_ROWS];
    for (uint32_t row = 0; row < TILE_ROWS; row++)
        sums[row] = _mm512_setzero_ps();
    for (uint32_t row = 0; row < rows; row++) {
        const float *scores = t->scores[half * BLOCK_TILES] + (size_t)row * TILE_ROWS;
        uint16_t *weights = t->weights[half * BLOCK_PAGES] + (size_t)row * STEP_DIMENSIONS;
        const __m512 shift = _mm512_set1_ps(t->maxima[half * TILE_ROWS + row]);
        for (uint32_t page = 0; page < pages; page++) {
            const __m512 low = power_of_two(_mm512_sub_ps(_mm512_load_ps(scores), shift));
            const __m512 high = power_of_two(_mm512_sub_ps(_mm512_load_ps(scores + TILE_VALUES), shift));
            sums[row] = _mm512_add_ps(sums[row], _mm512_add_ps(low, high));
            _mm512_store_si512(weights, (__m512i)_mm512_cvtne2ps_pbh(high, low));
            scores += (size_t)2 * TILE_VALUES;
            weights += TILE_VALUES * PAIR;
        }
    }
    float *totals = t->totals + (size_t)half * TILE_ROWS;
    _mm512_store_ps(totals, _mm512_add_ps(_mm512_load_ps(totals), sum_of_rows(sums)));
}

/* Adds the weighted values of a block's pages to the outputs. */
static void blend(const struct attention_job *job, const struct attention_tiles *t, size_t values_at,
                  uint32_t page_first, uint32_t pages, bool both)
{
    for (uint32_t tile = 0; tile < t->tiles; tile += 2) {
        for (uint32_t half = 0; half < (both ? 2u : 1u); half++) {
            float *output = t->outputs[half * t->tiles + tile];
            if (page_first > 0) {
                _tile_loadd(0, output, STRIDE);
                _tile_loadd(1, output + TILE_VALUES, STRIDE);
            } else {
                _tile_zero(0);
                _tile_zero(1);
            }
            for (uint32_t page = 0; page < pages; page++) {
                const uint8_t *values =
                    (const uint8_t *)job->pages[page_first + page] + values_at + (size_t)tile * TILE_BYTES;
                _tile_loadd(4, t->weights[half * BLOCK_PAGES + page], STRIDE);
                _tile_loadd(6, values, STRIDE);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(6, values + TILE_BYTES, STRIDE);
                _tile_dpbf16ps(1, 4, 6);
            }
            _tile_stored(0, output, STRIDE);
            _tile_stored(1, output + TILE_VALUES, STRIDE);
        }
    }
}

static void end_rows(const struct attention_job *job, const struct attention_tiles *t, uint32_t kv_head,
                     uint32_t row_first, uint32_t count)
{
    const uint32_t group = job->heads / job->kv_heads, dim = job->head_dim;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t token = job->token_first + (row_first + i) / group;
        const uint32_t head = kv_head * group + (row_first + i) % group;
        float *output = job->output + token * job->output_stride + (size_t)head * dim;
        const __m512 factor = _mm512_set1_ps(1.0f / t->totals[i]);
        for (uint32_t d = 0; d < dim; d += TILE_ROWS) {
            const float *sums =
                t->outputs[i / TILE_ROWS * t->tiles + d / TILE_ROWS] + (size_t)(i % TILE_ROWS) * TILE_ROWS;
            _mm512_mask_storeu_ps(output + d, mask_of(dim - d), _mm512_mul_ps(_mm512_load_ps(sums), factor));
        }
    }
}

static void attend_rows(const struct attention_job *job, struct attention_tiles *t, uint32_t kv_head,
                        uint32_t row_first, uint32_t count)
{
    const size_t head_at = head_bytes(job->head_dim) * kv_head;
    const bool both = count > TILE_ROWS;
    begin_rows(job, t, kv_head, row_first, count);
    const uint32_t end = t->ends[count - 1]; /* rows are in order of their tokens */
    for (uint32_t first = 0; first < end; first += BLOCK_POSITIONS) {
        const uint32_t left = end - first;
        const uint32_t pages =
            left >= BLOCK_POSITIONS ? BLOCK_PAGES : (left + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
        score(job, t, head_at, first / KV_PAGE_TOKENS, pages, both);
        for (uint32_t row = 0, rows = TILE_ROWS; row < count; row += TILE_ROWS) {
            rows = count - row < TILE_ROWS ? count - row : TILE_ROWS;
            if (pages == BLOCK_PAGES && rows == TILE_ROWS) /* so that these loops are straight code */
                soften(t, row / TILE_ROWS, TILE_ROWS, first, BLOCK_PAGES);
            else
                soften(t, row / TILE_ROWS, rows, first, pages);
        }
        blend(job, t, head_at + key_bytes(job->head_dim), first / KV_PAGE_TOKENS, pages, both);
    }
    end_rows(job, t, kv_head, row_first, count);
}

void amx_attention(const struct attention_job *job)
{
    struct attention_tiles t = {.steps = key_steps(job->head_dim), .tiles = value_tiles(job->head_dim)};
    uint8_t *scratch = job->scratch;
    t.queries = (uint16_t(*)[TILE_VALUES * PAIR])(void *)scratch;
    t.weights = t.queries + (size_t)2 * t.steps;
    t.scores = (float(*)[TILE_VALUES])(void *)(t.weights + (size_t)2 * BLOCK_PAGES);
    t.outputs = t.scores + (size_t)2 * BLOCK_TILES;
    /* Dimensions that are missing to a whole step stay 0. Rows that hold no token may hold anything: a tile
     * product's rows do not touch each other. */
    if (job->head_dim % STEP_DIMENSIONS != 0)
        memset(t.queries, 0, (size_t)2 * t.steps * TILE_BYTES);
    amx_configure();
    const uint32_t rows = (job->token_end - job->token_first) * (job->heads / job->kv_heads);
    for (uint32_t kv_head = job->kv_head_first; kv_head < job->kv_head_end; kv_head++)
        for (uint32_t row = 0; row < rows; row += ROWS)
            attend_rows(job, &t, kv_head, row, rows - row < ROWS ? rows - row : ROWS);
    _tile_release();
}

#endif
