/* Causal attention with a streaming softmax, on tiles of INT8 (kv_amx.h says how keys and values lie).
 *
 * 1. A position's key is INT8 times one scale, and so are its value and a row's query. A weight has two
 * digits of 8 bits: by one, what each of many positions with little weight adds would be lost. Sums of
 * products are whole numbers, exact in any order.
 * 2. Rows are the heads that share a KV head, of several tokens, 16 at a time. Their weights' digits are two
 * tiles; those of up to 8 rows, as when a sequence decodes, are one tile that holds both.
 * 3. Blocks of 128 positions are counted from position 0, so a row's arithmetic depends on its query and
 * position alone: what it may not see has weight 0. */
#if defined(__x86_64__)

#include "infer/cpu/attention_amx.h"

#include "infer/cpu/amx_round.inc"
#include "infer/cpu/matmul_amx.h"

#include <assert.h>
#include <math.h>

enum {
    ROWS = 16,
    NARROW_ROWS = 8, /* whose two digits fit in one tile */
    TILE_VALUES = 256,
    BLOCK_PAGES = 2,
    BLOCK_POSITIONS = BLOCK_PAGES * KV_PAGE_TOKENS,
    BLOCK_TILES = BLOCK_PAGES * PAGE_TILES,
    WEIGHT_LOW_BITS = 8,
    WEIGHT_LARGEST = 65535
};

typedef uint8_t digits_tiles[2 * TILE_BYTES]; /* 16 rows' high digits and their low ones, or 8 rows' */

struct attention_row {
    const float *query;
    char *output;
    uint32_t end; /* positions that the row sees: 0 .. end - 1 */
};

/* Of one call. */
struct attention_tiles {
    uint8_t *queries;      /* (key_steps, ROWS, STEP_DIMENSIONS) */
    int32_t *scores;       /* (ROWS, BLOCK_POSITIONS); then F32, times the keys' scales */
    digits_tiles *weights; /* (BLOCK_PAGES) */
    int32_t *sums;         /* (2 * ROWS, value_tiles * TILE_ROWS): what the weights' digits came to */
    float *outputs;        /* (ROWS, value_tiles * TILE_ROWS) */
    uint32_t count;        /* rows */
    struct attention_row rows[ROWS];
    /* A score is a whole number times the key's scale and the query's, which has log2(e) / sqrt(head_dim). */
    _Alignas(CACHE_LINE) float query_scales[ROWS];
    _Alignas(CACHE_LINE) float maxima[ROWS], totals[ROWS];
    _Alignas(CACHE_LINE) float key_scales[BLOCK_POSITIONS], value_scales[BLOCK_POSITIONS];
    /* What a weight is multiplied by to become digits, for a row that sees the whole block and for others. */
    _Alignas(CACHE_LINE) float factors[BLOCK_POSITIONS], factors_seen[BLOCK_POSITIONS];
    float unit, units[ROWS]; /* what digits are then worth, and a row's in this block */
};

size_t amx_attention_scratch_bytes(uint32_t head_dim, uint32_t heads_per_kv_head)
{
    (void)heads_per_kv_head;
    return BLOCK_PAGES * sizeof(digits_tiles) +
           (size_t)(BLOCK_TILES + 2 * value_tiles(head_dim)) * TILE_BYTES +
           (size_t)(key_steps(head_dim) + value_tiles(head_dim)) * TILE_BYTES;
}

/* Where a row's low digit lies, in rows after the high one. */
static ALWAYS_INLINE size_t low_row(bool narrow)
{
    return narrow ? NARROW_ROWS : ROWS;
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
REDUCE_ROWS(largest_bits_of_rows, larger_bits)

/* Makes INT8 of the rows' queries. Its scale is 1 where they are all 0, since by 0 a hidden score of
 * -infinity would be no number. */
static ALWAYS_INLINE void round_queries(struct attention_tiles *t, const float *query_factors,
                                        const uint32_t dim)
{
    struct vector query = {.factors = query_factors, .count = dim};
    __m512 magnitudes[TILE_ROWS];
    for (uint32_t row = 0; row < TILE_ROWS; row++) {
        magnitudes[row] = _mm512_setzero_ps();
        if (row >= t->count)
            continue;
        query.values = t->rows[row].query;
        magnitudes[row] = magnitude(&query);
    }
    const __m512 largest = largest_bits_of_rows(magnitudes), top = _mm512_set1_ps(INT8_LARGEST);
    const __mmask16 some = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(INT8_SMALLEST), _CMP_GE_OQ);
    const __mmask16 finite = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(INFINITY), _CMP_LT_OQ);
    __m512 scales = _mm512_mask_div_ps(_mm512_set1_ps(1.0f), some, largest, top);
    scales = _mm512_mask_mov_ps(_mm512_set1_ps(NAN), finite, scales);
    _mm512_store_ps(t->query_scales,
                    _mm512_mul_ps(scales, _mm512_set1_ps(0x1.715476p+0f / sqrtf((float)dim))));
    _Alignas(CACHE_LINE) float factors[TILE_ROWS];
    _mm512_store_ps(factors, _mm512_maskz_div_ps(some & finite, top, largest));
    for (uint32_t row = 0; row < t->count; row++) {
        const __m512 factor = _mm512_set1_ps(factors[row]);
        query.values = t->rows[row].query;
        for (uint32_t step = 0; step < key_steps(dim); step++)
            _mm512_store_si512(t->queries + ((size_t)step * ROWS + row) * STRIDE,
                               rounded_step(&query, step * STEP_DIMENSIONS, factor));
    }
}

static ALWAYS_INLINE void begin_rows(const struct attention_job *job, struct attention_tiles *t,
                                     uint32_t kv_head, uint32_t row_first, const uint32_t dim)
{
    const uint32_t group = job->heads / job->kv_heads;
    const float *factors = job->query_factors != NULL ? job->query_factors + (size_t)kv_head * dim : NULL;
    const size_t value_bytes = value_type_bytes(job->output_type);
    uint32_t token = job->token_first + row_first / group, head = row_first % group;
    for (uint32_t i = 0; i < t->count; i++) {
        const size_t at = (size_t)(kv_head * group + head) * dim;
        t->rows[i] = (struct attention_row){.query = job->query + token * job->query_stride + at,
                                            .output = (char *)job->output +
                                                      (token * job->output_stride + at) * value_bytes,
                                            .end = job->position_first + token + 1};
        head = head + 1 < group ? head + 1 : 0;
        token += head == 0;
    }
    round_queries(t, factors, dim);
    _mm512_store_ps(t->maxima, _mm512_set1_ps(-INFINITY));
    _mm512_store_ps(t->totals, _mm512_setzero_ps());
}

/* Scores of the rows with the first tiles of positions of a block. */
static ALWAYS_INLINE void score(const struct attention_job *job, const struct attention_tiles *t,
                                size_t head_at, uint32_t page_first, uint32_t tiles, const uint32_t steps)
{
    if (steps == 1) /* loading them again for each tile of positions would take as long as all the rest */
        _tile_loadd(4, t->queries, STRIDE);
    for (uint32_t tile = 0; tile < tiles; tile++) {
        const uint8_t *keys = (const uint8_t *)job->pages[page_first + tile / PAGE_TILES] + head_at +
                              (size_t)(tile % PAGE_TILES) * TILE_BYTES;
        _tile_zero(0);
        for (uint32_t step = 0; step < steps; step++, keys += (size_t)PAGE_TILES * TILE_BYTES) {
            if (steps > 1)
                _tile_loadd(4, t->queries + (size_t)step * TILE_BYTES, STRIDE);
            _tile_loadd(6, keys, STRIDE);
            _tile_dpbssd(0, 4, 6);
        }
        _tile_stored(0, t->scores + (size_t)tile * TILE_ROWS, BLOCK_POSITIONS * sizeof *t->scores);
    }
}

static ALWAYS_INLINE __m512 load_scales(const uint16_t *scales)
{
    return widened(_mm256_loadu_si256((const __m256i *)(const void *)scales));
}

static ALWAYS_INLINE void read_scales(const struct attention_job *job, struct attention_tiles *t,
                                      size_t head_at, uint32_t page_first, uint32_t pages, const uint32_t dim)
{
    for (uint32_t page = 0; page < pages; page++) {
        const uint16_t *scales =
            (const uint16_t *)(const void *)((const uint8_t *)job->pages[page_first + page] + head_at +
                                             scales_at(dim));
        const uint32_t at = page * KV_PAGE_TOKENS;
        for (uint32_t i = 0; i < KV_PAGE_TOKENS; i += TILE_ROWS) {
            _mm512_store_ps(t->key_scales + at + i, load_scales(scales + i));
            _mm512_store_ps(t->value_scales + at + i, load_scales(scales + KV_PAGE_TOKENS + i));
        }
    }
}

/* Factors for a row that sees so many positions of the block: the largest scale among these takes a weight of
 * 1 to WEIGHT_LARGEST. Returns what digits are then worth. */
static ALWAYS_INLINE float find_factors(const float *scales, uint32_t seen, const uint32_t pages,
                                        float *factors)
{
    __m512i largest = _mm512_setzero_si512();
    for (uint32_t i = 0; i < pages * KV_PAGE_TOKENS; i += TILE_ROWS)
        largest = _mm512_mask_max_epi32(largest, mask_of(seen > i ? seen - i : 0), largest,
                                        _mm512_load_si512((const void *)(scales + i)));
    const float scale = float_of(_mm512_reduce_max_epi32(largest)); /* NaN if one is */
    const __m512 factor = _mm512_set1_ps(scale > 0.0f ? (float)WEIGHT_LARGEST / scale : 0.0f);
    for (uint32_t i = 0; i < pages * KV_PAGE_TOKENS; i += TILE_ROWS) {
        const __mmask16 mask = mask_of(seen > i ? seen - i : 0);
        _mm512_store_ps(factors + i, _mm512_mul_ps(_mm512_maskz_load_ps(mask, scales + i), factor));
    }
    return scale / (float)WEIGHT_LARGEST;
}

/* 2^x for x <= 0 within 1e-4; +0 for -infinity; NaN stays. */
static ALWAYS_INLINE __m512 power_of_two(__m512 x)
{
    const __m512 f = _mm512_reduce_ps(x, 1); /* x - floor(x); 0 for infinities */
    __m512 power = _mm512_fmadd_ps(_mm512_set1_ps(0.0781455737f), f, _mm512_set1_ps(0.226173572f));
    power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(0.695556856f));
    power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(power, x);
}

static uint32_t seen_of(const struct attention_tiles *t, uint32_t row, uint32_t first)
{
    return t->rows[row].end > first ? t->rows[row].end - first : 0;
}

/* Makes F32 of a row's scores; what the row does not see becomes -infinity. Returns the largest. */
static ALWAYS_INLINE __m512 scale_scores(const struct attention_tiles *t, uint32_t row, uint32_t seen,
                                         const uint32_t pages)
{
    __m512 highest = _mm512_set1_ps(-INFINITY);
    int32_t *scores = t->scores + (size_t)row * BLOCK_POSITIONS;
    for (uint32_t i = 0; i < pages * KV_PAGE_TOKENS; i += TILE_ROWS) {
        __m512 score = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(scores + i)),
                                     _mm512_load_ps(t->key_scales + i));
        if (seen < i + TILE_ROWS)
            score = _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), mask_of(seen > i ? seen - i : 0), score);
        highest = _mm512_max_ps(highest, score);
        _mm512_store_ps(scores + i, score);
    }
    return highest;
}

/* The rows' largest scores so far; what they summed before is scaled to these. */
static ALWAYS_INLINE void raise_maxima(struct attention_tiles *t, uint32_t rows, uint32_t first,
                                       const uint32_t pages, const uint32_t dim)
{
    const uint32_t output_tiles = value_tiles(dim);
    __m512 highest[TILE_ROWS];
    for (uint32_t row = 0; row < TILE_ROWS; row++)
        highest[row] =
            row < rows ? scale_scores(t, row, seen_of(t, row, first), pages) : _mm512_set1_ps(-INFINITY);
    const __m512 before = _mm512_load_ps(t->maxima);
    const __m512 largest = _mm512_mul_ps(largest_of_rows(highest), _mm512_load_ps(t->query_scales));
    const __m512 maxima = _mm512_max_ps(before, largest);
    _mm512_store_ps(t->maxima, maxima);
    const uint32_t raised = _mm512_cmp_ps_mask(before, maxima, _CMP_NEQ_UQ) & ((1u << rows) - 1);
    if (first == 0 || raised == 0)
        return;
    _Alignas(CACHE_LINE) float corrections[TILE_ROWS];
    const __m512 correction = power_of_two(_mm512_sub_ps(before, maxima));
    _mm512_store_ps(t->totals, _mm512_mul_ps(_mm512_load_ps(t->totals), correction));
    _mm512_store_ps(corrections, correction);
    for (uint32_t row = 0; row < rows; row++) {
        const __m512 factor = _mm512_set1_ps(corrections[row]);
        float *output = t->outputs + (size_t)row * output_tiles * TILE_ROWS;
        for (uint32_t i = 0; (raised >> row & 1) != 0 && i < output_tiles; i++, output += TILE_ROWS)
            _mm512_store_ps(output, _mm512_mul_ps(_mm512_load_ps(output), factor));
    }
}

/* Weights of 64 positions become digits. Returns their sum. */
static ALWAYS_INLINE __m512 soften_page(const int32_t *scores, __m512 scale, __m512 maximum,
                                        const float *factors, uint8_t *digits, const bool narrow)
{
    const __m512 whole = _mm512_set1_ps(0x1p23f); /* added, it leaves the whole number in the lowest bits */
    __m512 weights[FOUR];
    __m512i numbers[FOUR];
    for (uint32_t j = 0; j < FOUR; j++) {
        const size_t at = (size_t)j * TILE_ROWS;
        /* Rounded as the maximum was, so that no difference is above 0 and no weight above 16 bits. */
        const __m512 score = _mm512_mul_ps(_mm512_load_ps(scores + at), scale);
        weights[j] = power_of_two(_mm512_sub_ps(score, maximum));
        numbers[j] = _mm512_castps_si512(_mm512_fmadd_ps(weights[j], _mm512_load_ps(factors + at), whole));
    }
    const __m512i even = _mm512_mask_blend_epi16(0xaaaaaaaau, numbers[0], _mm512_slli_epi32(numbers[2], 16));
    const __m512i odd = _mm512_mask_blend_epi16(0xaaaaaaaau, numbers[1], _mm512_slli_epi32(numbers[3], 16));
    const __mmask64 upper = 0xaaaaaaaaaaaaaaaaull; /* bytes of 16 bits */
    _mm512_store_si512(digits, _mm512_mask_blend_epi8(upper, _mm512_srli_epi16(even, WEIGHT_LOW_BITS), odd));
    _mm512_store_si512(digits + low_row(narrow) * STRIDE,
                       _mm512_mask_blend_epi8(upper, even, _mm512_slli_epi16(odd, WEIGHT_LOW_BITS)));
    return _mm512_add_ps(_mm512_add_ps(weights[0], weights[1]), _mm512_add_ps(weights[2], weights[3]));
}

/* Scores of up to 16 rows to weights. All maxima come first, since the exponentials of a row that waits for
 * its own would fill the processor's window and keep out the next row's. */
static ALWAYS_INLINE void soften(struct attention_tiles *t, uint32_t rows, uint32_t first,
                                 const uint32_t pages, const bool narrow, const uint32_t dim)
{
    raise_maxima(t, rows, first, pages, dim);
    if (seen_of(t, rows - 1, first) >= BLOCK_POSITIONS)
        t->unit = find_factors(t->value_scales, BLOCK_POSITIONS, pages, t->factors);
    uint32_t seen_before = BLOCK_POSITIONS;
    float unit_seen = 0.0f;
    __m512 totals[TILE_ROWS];
    for (uint32_t row = 0; row < TILE_ROWS; row++)
        totals[row] = _mm512_setzero_ps();
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t seen = seen_of(t, row, first);
        const bool whole = seen >= BLOCK_POSITIONS;
        if (!whole && seen != seen_before) {
            unit_seen = find_factors(t->value_scales, seen, pages, t->factors_seen);
            seen_before = seen;
        }
        t->units[row] = whole ? t->unit : unit_seen;
        const __m512 scale = _mm512_set1_ps(t->query_scales[row]), maximum = _mm512_set1_ps(t->maxima[row]);
        for (uint32_t page = 0; page < pages; page++) {
            uint8_t *digits = t->weights[page] + (size_t)row * STRIDE;
            if (seen > page * KV_PAGE_TOKENS) {
                const __m512 sum = soften_page(
                    t->scores + (size_t)row * BLOCK_POSITIONS + page * KV_PAGE_TOKENS, scale, maximum,
                    (whole ? t->factors : t->factors_seen) + page * KV_PAGE_TOKENS, digits, narrow);
                totals[row] = _mm512_add_ps(totals[row], sum);
            } else {
                _mm512_store_si512(digits, _mm512_setzero_si512());
                _mm512_store_si512(digits + low_row(narrow) * STRIDE, _mm512_setzero_si512());
            }
        }
    }
    _mm512_store_ps(t->totals, _mm512_add_ps(_mm512_load_ps(t->totals), sum_of_rows(totals)));
}

static ALWAYS_INLINE void load_digits(const uint8_t *digits, const bool narrow)
{
    _tile_loadd(4, digits, STRIDE);
    if (!narrow)
        _tile_loadd(5, digits + TILE_BYTES, STRIDE);
}

/* The digits of what the weights make of a block's values. */
static ALWAYS_INLINE void weigh(const struct attention_job *job, const struct attention_tiles *t,
                                size_t values_at, uint32_t page_first, const uint32_t pages,
                                const bool narrow, const uint32_t dim)
{
    const uint32_t tiles = value_tiles(dim);
    const size_t width = (size_t)tiles * TILE_ROWS;
    const uint8_t *values = (const uint8_t *)job->pages[page_first] + values_at;
    const uint8_t *more = pages > 1 ? (const uint8_t *)job->pages[page_first + 1] + values_at : NULL;
    load_digits(t->weights[0], narrow);
    if (pages > 1) {
        _tile_loadd(2, t->weights[1], STRIDE);
        if (!narrow)
            _tile_loadd(3, t->weights[1] + TILE_BYTES, STRIDE);
    }
    for (uint32_t tile = 0; tile < tiles; tile++) {
        _tile_zero(0);
        if (!narrow)
            _tile_zero(1);
        _tile_loadd(6, values + (size_t)tile * TILE_BYTES, STRIDE);
        _tile_dpbusd(0, 4, 6);
        if (!narrow)
            _tile_dpbusd(1, 5, 6);
        if (pages > 1) {
            _tile_loadd(7, more + (size_t)tile * TILE_BYTES, STRIDE);
            _tile_dpbusd(0, 2, 7);
            if (!narrow)
                _tile_dpbusd(1, 3, 7);
        }
        int32_t *sums = t->sums + (size_t)tile * TILE_ROWS;
        _tile_stored(0, sums, width * sizeof *sums);
        if (!narrow)
            _tile_stored(1, sums + ROWS * width, width * sizeof *sums);
    }
}

/* Adds the weighted values of a block to the outputs of the rows that see some of them: in the first block
 * all, whose outputs begin there. */
static ALWAYS_INLINE void blend(const struct attention_tiles *t, uint32_t first, const bool narrow,
                                const uint32_t dim)
{
    const uint32_t tiles = value_tiles(dim);
    const size_t width = (size_t)tiles * TILE_ROWS;
    for (uint32_t row = 0; row < t->count; row++) {
        if (seen_of(t, row, first) == 0)
            continue;
        const __m512 unit = _mm512_set1_ps(t->units[row]);
        const int32_t *sums = t->sums + row * width;
        float *output = t->outputs + row * width;
        for (uint32_t i = 0; i < tiles; i++, sums += TILE_ROWS, output += TILE_ROWS) {
            const __m512i high = _mm512_load_si512(sums);
            const __m512i low = _mm512_load_si512(sums + low_row(narrow) * width);
            const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high, WEIGHT_LOW_BITS), low);
            const __m512 before = first > 0 ? _mm512_load_ps(output) : _mm512_setzero_ps();
            _mm512_store_ps(output, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), unit, before));
        }
    }
}

static ALWAYS_INLINE void end_rows(const struct attention_tiles *t, const enum value_type type,
                                   const uint32_t dim)
{
    _Alignas(CACHE_LINE) float factors[TILE_ROWS];
    _mm512_store_ps(factors, _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_load_ps(t->totals)));
    for (uint32_t row = 0; row < t->count; row++) {
        const float *sums = t->outputs + (size_t)row * value_tiles(dim) * TILE_ROWS;
        char *output = t->rows[row].output;
        const __m512 factor = _mm512_set1_ps(factors[row]);
        for (uint32_t d = 0; d < dim; d += TILE_ROWS) {
            const __m512 value = _mm512_mul_ps(_mm512_load_ps(sums + d), factor);
            if (type == VALUES_F32)
                _mm512_mask_storeu_ps((float *)(void *)output + d, mask_of(dim - d), value);
            else
                _mm256_mask_storeu_epi16((uint16_t *)(void *)output + d, mask_of(dim - d),
                                         (__m256i)_mm512_cvtneps_pbh(value));
        }
    }
}

/* Up to 16 rows. Constants, where they can be, make loops straight code. */
static ALWAYS_INLINE void attend_rows(const struct attention_job *job, struct attention_tiles *t,
                                      uint32_t kv_head, uint32_t row_first, uint32_t count, const bool narrow,
                                      const uint32_t dim)
{
    const size_t head_at = head_bytes(dim) * kv_head, values_at = head_at + key_bytes(dim);
    t->count = count;
    begin_rows(job, t, kv_head, row_first, dim);
    const uint32_t end = t->rows[count - 1].end; /* rows are in order of their tokens */
    for (uint32_t first = 0; first < end; first += BLOCK_POSITIONS) {
        const uint32_t left = end - first < BLOCK_POSITIONS ? end - first : BLOCK_POSITIONS;
        const uint32_t tiles = (left + TILE_ROWS - 1) / TILE_ROWS, page = first / KV_PAGE_TOKENS;
        const bool both = left > KV_PAGE_TOKENS;
        score(job, t, head_at, page, tiles, key_steps(dim));
        read_scales(job, t, head_at, page, both ? 2 : 1, dim);
        if (count == ROWS && both)
            soften(t, ROWS, first, 2, narrow, dim);
        else if (count == ROWS)
            soften(t, ROWS, first, 1, narrow, dim);
        else if (both)
            soften(t, count, first, 2, narrow, dim);
        else
            soften(t, count, first, 1, narrow, dim);
        if (both)
            weigh(job, t, values_at, page, 2, narrow, dim);
        else
            weigh(job, t, values_at, page, 1, narrow, dim);
        blend(t, first, narrow, dim);
    }
    end_rows(t, job->output_type, dim);
}

/* A function for the heads that most models have, and one for all others; of many rows, and of few. */
typedef void attend_function(const struct attention_job *job, struct attention_tiles *t, uint32_t kv_head,
                             uint32_t row_first, uint32_t count);
#define ATTEND(name, narrow, dim)                                                                            \
    static void name(const struct attention_job *job, struct attention_tiles *t, uint32_t kv_head,           \
                     uint32_t row_first, uint32_t count)                                                     \
    {                                                                                                        \
        attend_rows(job, t, kv_head, row_first, count, narrow, dim);                                         \
    }
ATTEND(attend_wide_64, false, STEP_DIMENSIONS)
ATTEND(attend_narrow_64, true, STEP_DIMENSIONS)
ATTEND(attend_wide_any, false, job->head_dim)
ATTEND(attend_narrow_any, true, job->head_dim)

void amx_attention(const struct attention_job *job)
{
    assert(job->output_type != VALUES_UNKNOWN);
    struct attention_tiles t; /* not cleared: that would take a tenth of a decoding token's time */
    const size_t outputs = (size_t)value_tiles(job->head_dim) * TILE_VALUES;
    t.weights = job->scratch;
    t.scores = (int32_t *)(void *)(t.weights + BLOCK_PAGES);
    t.sums = t.scores + (size_t)ROWS * BLOCK_POSITIONS;
    t.outputs = (float *)(void *)(t.sums + 2 * outputs);
    t.queries = (uint8_t *)(t.outputs + outputs);
    const bool usual = job->head_dim == STEP_DIMENSIONS;
    attend_function *const wide = usual ? attend_wide_64 : attend_wide_any;
    attend_function *const narrow = usual ? attend_narrow_64 : attend_narrow_any;
    /* Rows that hold no token may hold anything: a tile product's rows do not touch each other. */
    amx_configure();
    const uint32_t rows = (job->token_end - job->token_first) * (job->heads / job->kv_heads);
    for (uint32_t kv_head = job->kv_head_first; kv_head < job->kv_head_end; kv_head++) {
        for (uint32_t row = 0; row < rows; row += ROWS) {
            const uint32_t count = rows - row < ROWS ? rows - row : ROWS;
            (count <= NARROW_ROWS ? narrow : wide)(job, &t, kv_head, row, count);
        }
    }
    _tile_release();
}

#endif
