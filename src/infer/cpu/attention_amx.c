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
    float maxima[ROWS], totals[ROWS];
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
    memset(t->queries, 0, (size_t)2 * t->steps * TILE_BYTES);
    memset(t->outputs, 0, (size_t)2 * t->tiles * TILE_BYTES);
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

/* Scores of one row to weights; what it summed before is scaled to the new largest score. */
static ALWAYS_INLINE void soften(struct attention_tiles *t, uint32_t row, uint32_t first, uint32_t pages)
{
    const size_t tile = row / TILE_ROWS, at = (size_t)(row % TILE_ROWS) * TILE_ROWS;
    uint16_t *weights = t->weights[tile * BLOCK_PAGES] + (size_t)(row % TILE_ROWS) * STEP_DIMENSIONS;
    if (t->ends[row] <= first) { /* sees nothing of this block */
        for (uint32_t page = 0; page < pages; page++)
            _mm512_storeu_si512(weights + (size_t)page * TILE_VALUES * PAIR, _mm512_setzero_si512());
        return;
    }
    const __m512 unseen = _mm512_set1_ps(-INFINITY);
    __m512 scores[BLOCK_TILES];
    __m512 highest = _mm512_set1_ps(t->maxima[row]);
    const uint32_t seen = t->ends[row] - first;
    for (uint32_t i = 0; i < 2 * pages; i++) {
        scores[i] = _mm512_load_ps(t->scores[tile * BLOCK_TILES + i] + at);
        if (seen < (i + 1) * TILE_ROWS) {
            const uint32_t left = seen > i * TILE_ROWS ? seen - i * TILE_ROWS : 0;
            scores[i] = _mm512_mask_mov_ps(unseen, mask_of(left), scores[i]);
        }
        highest = _mm512_max_ps(highest, scores[i]);
    }
    const float maximum = _mm512_reduce_max_ps(highest);
    const __m512 shift = _mm512_set1_ps(maximum);
    __m512 sum = _mm512_setzero_ps();
    for (uint32_t page = 0; page < pages; page++) {
        const __m512 low = power_of_two(_mm512_sub_ps(scores[2 * page], shift));
        const __m512 high = power_of_two(_mm512_sub_ps(scores[2 * page + 1], shift));
        sum = _mm512_add_ps(sum, _mm512_add_ps(low, high));
        _mm512_storeu_si512(weights + (size_t)page * TILE_VALUES * PAIR,
                            (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    if (t->maxima[row] != maximum) {
        const __m512 correction = power_of_two(_mm512_set1_ps(t->maxima[row] - maximum));
        for (uint32_t i = 0; i < t->tiles; i++) {
            float *output = t->outputs[tile * t->tiles + i] + at;
            _mm512_store_ps(output, _mm512_mul_ps(_mm512_load_ps(output), correction));
        }
        t->totals[row] *= _mm512_cvtss_f32(correction);
        t->maxima[row] = maximum;
    }
    t->totals[row] += _mm512_reduce_add_ps(sum);
}

/* Adds the weighted values of a block's pages to the outputs. */
static void blend(const struct attention_job *job, const struct attention_tiles *t, size_t values_at,
                  uint32_t page_first, uint32_t pages, bool both)
{
    for (uint32_t tile = 0; tile < t->tiles; tile += 2) {
        for (uint32_t half = 0; half < (both ? 2u : 1u); half++) {
            float *output = t->outputs[half * t->tiles + tile];
            _tile_loadd(0, output, STRIDE);
            _tile_loadd(1, output + TILE_VALUES, STRIDE);
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
        for (uint32_t row = 0; row < count; row++)
            soften(t, row, first, pages);
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
    /* Rows of a tile that hold no token keep these, whatever an earlier call left there. */
    memset(t.weights, 0, (size_t)2 * BLOCK_PAGES * TILE_BYTES);
    amx_configure();
    const uint32_t rows = (job->token_end - job->token_first) * (job->heads / job->kv_heads);
    for (uint32_t kv_head = job->kv_head_first; kv_head < job->kv_head_end; kv_head++)
        for (uint32_t row = 0; row < rows; row += ROWS)
            attend_rows(job, &t, kv_head, row, rows - row < ROWS ? rows - row : ROWS);
    _tile_release();
}

#endif
