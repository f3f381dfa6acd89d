/* Tiles: two of rows (32 tokens) by two of weights (32 outputs) make four of sums, and each step of 64 bytes
 * is four loads and four products.
 *
 * 1. A product takes 16 cycles, a tile's load 8 from L1 and some 25 from L2, so one operand must come from
 * L1: a panel's slice of weights (16 to 28 KB) stays there while the rows stream by, with the load that asks
 * not to be kept (without that hint the rows push the weights out, and the product halves its speed).
 * 2. A token block's rows stay in L2 while panels go by.
 * 3. Sums leave the tiles through a small buffer and are finished (scale, bias, residual, gate) by vector
 *    instructions between the next block's tile instructions, which leave those units idle.
 * 4. The next panel is asked into L2 meanwhile. */
#if defined(__x86_64__)

#include "infer/cpu/matmul_amx.h"
#include "infer/cpu/tiles.h"

#include <immintrin.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

enum {
    TILE_ROWS = 16,
    PART_TOKENS = 256,                       /* whose sums wait from slice to slice */
    SLICE_STEPS_MAX = 14,                    /* of BF16: 28 KB of a panel */
    BLOCK_BYTES_MAX = (1 << 20) + (1 << 18), /* of rows: of a 2 MB L2 */
    STREAM_BYTES_MIN = 8 << 20,              /* an output of this size is written past the caches */
    CACHE_LINE = 64
};

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} __attribute__((packed));

static const struct tile_config all_tiles = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

void amx_configure(void)
{
    _tile_loadconfig(&all_tiles);
}

/* A slice of the depth: a group for INT8, up to SLICE_STEPS_MAX steps for BF16. */
struct slices {
    uint32_t steps, slice_steps, count;
};

static struct slices slices_of(const struct packed_matrix *weights)
{
    struct slices s = {.steps = tile_steps(weights->product, weights->columns)};
    if (weights->product == PRODUCT_INT8) {
        s.slice_steps = int8_group_columns(weights->columns) / TILE_STEP_BYTES;
        s.count = int8_groups(weights->columns);
    } else {
        s.count = (s.steps + SLICE_STEPS_MAX - 1) / SLICE_STEPS_MAX;
        s.slice_steps = (s.steps + s.count - 1) / s.count;
    }
    return s;
}

static uint32_t block_tokens_of(const struct packed_matrix *weights)
{
    const size_t row_bytes = (size_t)tile_steps(weights->product, weights->columns) * TILE_STEP_BYTES;
    const size_t tokens = BLOCK_BYTES_MAX / row_bytes / TILE_TOKENS * TILE_TOKENS;
    return tokens < TILE_TOKENS ? TILE_TOKENS : tokens > 1024 ? 1024 : (uint32_t)tokens;
}

/* 32 tokens by 32 outputs, row by row: tiles are stored and loaded with this stride. */
enum { BLOCK_VALUES = TILE_TOKENS * TILE_OUTPUTS, BLOCK_STRIDE = TILE_OUTPUTS * 4 };

/* The sums of a token block between slices, and two buffers for what has just left the tiles. */
struct scratch {
    float (*waiting)[BLOCK_VALUES]; /* (block_tokens / 32) */
    int32_t (*fresh)[BLOCK_VALUES]; /* (2) */
};

size_t amx_scratch_bytes(const struct packed_matrix *weights)
{
    (void)weights;
    return (PART_TOKENS / TILE_TOKENS + 2) * BLOCK_VALUES * sizeof(float);
}

/* Sums that have left the tiles and are not finished: 32 tokens by one panel, of one slice. */
struct pending {
    const struct matmul_job *job;
    const int32_t *fresh;       /* (32, 32); F32 for BF16 */
    float *waiting;             /* likewise; INT8 with several groups */
    const float *row_scales;    /* (32) of this slice */
    const float *weight_scales; /* (32) */
    char *output;               /* of the first token, at the panel's first output */
    size_t output_bytes;        /* from token to token */
    const float *bias;          /* at the panel's first output; NULL: none */
    uint32_t tokens, next;      /* next: the first token not finished; == tokens: nothing to do */
    uint32_t outputs;           /* that the panel has within the matrix: 1..32, gated 1..16 */
    bool first, last;           /* slice */
    bool past_caches;           /* the output is too large to be read again from a cache, and aligned */
};

static ALWAYS_INLINE __mmask16 mask_of(uint32_t left)
{
    return (__mmask16)(left >= TILE_ROWS ? 0xffffu : (1u << left) - 1);
}

static ALWAYS_INLINE __m512 silu(__m512 x)
{
    /* 1 / (1 + 2^t), t = -x log2 e. 2^t within 1e-4, and so is the reciprocal: the result becomes BF16. */
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 t = _mm512_mul_ps(x, _mm512_set1_ps(-0x1.715476p+0f));
    t = _mm512_min_ps(_mm512_set1_ps(126.0f), t);
    const __m512 f = _mm512_reduce_ps(t, 1); /* t - floor(t) */
    __m512 power = _mm512_fmadd_ps(_mm512_set1_ps(0.0781455737f), f, _mm512_set1_ps(0.226173572f));
    power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(0.695556856f));
    power = _mm512_fmadd_ps(power, f, one);
    power = _mm512_scalef_ps(power, t); /* * 2^floor(t) */
    return _mm512_mul_ps(x, _mm512_rcp14_ps(_mm512_add_ps(one, power)));
}

static ALWAYS_INLINE void store_gated(const struct pending *p, char *output, __m512 gate, __m512 up)
{
    const __m256i value = (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(silu(gate), up));
    if (p->outputs >= TILE_ROWS)
        _mm256_storeu_si256((__m256i *)(void *)output, value);
    else
        _mm256_mask_storeu_epi16(output, mask_of(p->outputs), value);
}

static ALWAYS_INLINE void store_plain(const struct pending *p, char *output, uint32_t half, __m512 value)
{
    float *to = (float *)(void *)output + half * TILE_ROWS;
    if (p->outputs == TILE_OUTPUTS) {
        if (p->bias != NULL)
            value = _mm512_add_ps(value, _mm512_loadu_ps(p->bias + half * TILE_ROWS));
        if (p->job->accumulate)
            value = _mm512_add_ps(_mm512_loadu_ps(to), value);
        if (p->past_caches)
            _mm512_stream_ps(to, value);
        else
            _mm512_storeu_ps(to, value);
    } else if (p->outputs > half * TILE_ROWS) {
        const __mmask16 mask = mask_of(p->outputs - half * TILE_ROWS);
        if (p->bias != NULL)
            value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, p->bias + half * TILE_ROWS));
        if (p->job->accumulate)
            value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), value);
        _mm512_mask_storeu_ps(to, mask, value);
    }
}

static ALWAYS_INLINE void finish_token(const struct pending *p, uint32_t t, const enum product product,
                                       const bool gated, const bool grouped)
{
    const int32_t *fresh = p->fresh + (size_t)t * TILE_OUTPUTS;
    __m512 values[2];
    if (product == PRODUCT_BF16) {
        values[0] = _mm512_load_ps((const float *)(const void *)fresh);
        values[1] = _mm512_load_ps((const float *)(const void *)fresh + TILE_ROWS);
    } else {
        const __m512 scale = _mm512_set1_ps(p->row_scales[t]);
        float *waiting = grouped ? p->waiting + (size_t)t * TILE_OUTPUTS : NULL;
        __m512 before[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        if (grouped && !p->first) {
            before[0] = _mm512_load_ps(waiting);
            before[1] = _mm512_load_ps(waiting + TILE_ROWS);
        }
        values[0] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(_mm512_load_si512(fresh)), before[0]);
        values[1] =
            _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(_mm512_load_si512(fresh + TILE_ROWS)), before[1]);
        if (grouped && !p->last) {
            _mm512_store_ps(waiting, values[0]);
            _mm512_store_ps(waiting + TILE_ROWS, values[1]);
            return;
        }
        values[0] = _mm512_mul_ps(values[0], _mm512_load_ps(p->weight_scales));
        values[1] = _mm512_mul_ps(values[1], _mm512_load_ps(p->weight_scales + TILE_ROWS));
    }
    char *output = p->output + t * p->output_bytes;
    if (gated) {
        store_gated(p, output, values[0], values[1]);
    } else {
        store_plain(p, output, 0, values[0]);
        store_plain(p, output, 1, values[1]);
    }
}

/* Finishes `count` more tokens, or what is left of them. */
static ALWAYS_INLINE void finish(struct pending *p, const uint32_t count, const enum product product,
                                 const bool gated, const bool grouped)
{
    if (p->tokens - p->next >= count) {
        const uint32_t next = p->next;
        p->next = next + count;
        if (count <= 4) {
            _Pragma("GCC unroll 4") for (uint32_t i = 0; i < count; i++)
                finish_token(p, next + i, product, gated, grouped);
            return;
        }
        for (uint32_t i = 0; i < count; i++)
            finish_token(p, next + i, product, gated, grouped);
        return;
    }
    for (; p->next < p->tokens; p->next++)
        finish_token(p, p->next, product, gated, grouped);
}

static ALWAYS_INLINE void multiply_step(const uint8_t *rows, const uint8_t *weights,
                                        const enum product product, const bool both)
{
    if (product == PRODUCT_INT8) {
        _tile_loadd(6, weights, TILE_STEP_BYTES);
        _tile_stream_loadd(4, rows, TILE_STEP_BYTES);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, weights + TILE_BYTES, TILE_STEP_BYTES);
        _tile_dpbssd(1, 4, 7);
        if (both) {
            _tile_stream_loadd(5, rows + TILE_BYTES, TILE_STEP_BYTES);
            _tile_dpbssd(2, 5, 6);
            _tile_dpbssd(3, 5, 7);
        }
    } else {
        _tile_loadd(6, weights, TILE_STEP_BYTES);
        _tile_stream_loadd(4, rows, TILE_STEP_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, weights + TILE_BYTES, TILE_STEP_BYTES);
        _tile_dpbf16ps(1, 4, 7);
        if (both) {
            _tile_stream_loadd(5, rows + TILE_BYTES, TILE_STEP_BYTES);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
}

/* One slice of 32 tokens by one panel, into fresh; meanwhile the pending one is finished. */
struct slice_part {
    const uint8_t *rows, *weights; /* of the slice's first step */
    const uint8_t *ahead;          /* to be asked into L2, ahead_lines a step */
    uint32_t steps, ahead_lines;
    const float *before; /* BF16: sums of the slices before; NULL: none */
};

static ALWAYS_INLINE void multiply_slice(const struct slice_part *part, int32_t *fresh,
                                         struct pending *pending, const enum product product,
                                         const bool gated, const bool grouped, const bool both,
                                         const uint32_t tokens_a_step)
{
    if (product == PRODUCT_BF16 && part->before != NULL) {
        _tile_loadd(0, part->before, BLOCK_STRIDE);
        _tile_loadd(1, part->before + TILE_ROWS, BLOCK_STRIDE);
        _tile_loadd(2, part->before + BLOCK_VALUES / 2, BLOCK_STRIDE);
        _tile_loadd(3, part->before + BLOCK_VALUES / 2 + TILE_ROWS, BLOCK_STRIDE);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    const uint8_t *rows = part->rows, *weights = part->weights, *ahead = part->ahead;
    for (uint32_t step = 0; step < part->steps; step++) {
        multiply_step(rows, weights, product, both);
        rows += TILE_BLOCK_BYTES;
        weights += TILE_BLOCK_BYTES;
        for (uint32_t line = 0; line < part->ahead_lines; line++, ahead += CACHE_LINE)
            _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        finish(pending, tokens_a_step, product, gated, grouped);
    }
    finish(pending, TILE_TOKENS, product, gated, grouped);
    _tile_stored(0, fresh, BLOCK_STRIDE);
    _tile_stored(1, fresh + TILE_ROWS, BLOCK_STRIDE);
    if (both) {
        _tile_stored(2, fresh + BLOCK_VALUES / 2, BLOCK_STRIDE);
        _tile_stored(3, fresh + BLOCK_VALUES / 2 + TILE_ROWS, BLOCK_STRIDE);
    }
}

/* The epilogue's pace: a constant number of tokens a step, so that it is straight code. */
static ALWAYS_INLINE void multiply_paced(const struct slice_part *part, int32_t *fresh,
                                         struct pending *pending, const enum product product,
                                         const bool gated, const bool grouped, const bool both)
{
    if (part->steps >= 16)
        multiply_slice(part, fresh, pending, product, gated, grouped, both, 2);
    else if (part->steps >= 11)
        multiply_slice(part, fresh, pending, product, gated, grouped, both, 3);
    else
        multiply_slice(part, fresh, pending, product, gated, grouped, both, 4);
}

/* A token block by one panel. */
static ALWAYS_INLINE void multiply_panel(const struct matmul_job *job, const struct slices *slices,
                                         const struct scratch *scratch, uint32_t panel, uint32_t block_first,
                                         uint32_t token_first, uint32_t token_end, const enum product product,
                                         const bool gated, const bool grouped, struct pending *pending,
                                         uint32_t *turn)
{
    const struct packed_matrix *weights = job->weights;
    const uint8_t *bytes = weights->panels + (size_t)panel * weights->panel_bytes;
    const uint32_t blocks = (token_end - token_first + TILE_TOKENS - 1) / TILE_TOKENS;
    const bool past_caches = !gated && !job->accumulate && job->output_stride % TILE_ROWS == 0 &&
                             (uintptr_t)job->output % CACHE_LINE == 0 &&
                             job->output_stride * job->tokens * sizeof(float) >= STREAM_BYTES_MIN;
    const bool more = token_first == block_first && panel + 1 < job->panel_end;
    for (uint32_t slice = 0; slice < slices->count; slice++) {
        const uint32_t step_first = slice * slices->slice_steps;
        const uint32_t left = slices->steps - step_first;
        struct slice_part part = {.steps = left < slices->slice_steps ? left : slices->slice_steps,
                                  .weights = bytes + (size_t)step_first * TILE_BLOCK_BYTES};
        const uint32_t lines = part.steps * (TILE_BLOCK_BYTES / CACHE_LINE);
        for (uint32_t block = 0; block < blocks; block++) {
            const uint32_t token = token_first + block * TILE_TOKENS;
            const uint32_t tokens = token_end - token < TILE_TOKENS ? token_end - token : TILE_TOKENS;
            part.rows = tile_row(job->rows, slices->steps, token, step_first);
            part.ahead_lines = more ? (lines / blocks + part.steps - 1) / part.steps : 0;
            part.ahead = part.weights + weights->panel_bytes + (size_t)lines / blocks * block * CACHE_LINE;
            part.before = product == PRODUCT_BF16 && slice > 0 ? scratch->waiting[block] : NULL;
            /* BF16 sums wait where the next slice's tiles are loaded from, and are pending after the last. */
            const bool wait_in_tiles = product == PRODUCT_BF16 && slice + 1 < slices->count;
            int32_t *fresh =
                wait_in_tiles ? (int32_t *)(void *)scratch->waiting[block] : scratch->fresh[*turn];
            if (tokens > TILE_ROWS)
                multiply_paced(&part, fresh, pending, product, gated, grouped, true);
            else
                multiply_paced(&part, fresh, pending, product, gated, grouped, false);
            if (wait_in_tiles)
                continue;
            *turn ^= 1;
            const uint32_t width = gated ? TILE_ROWS : TILE_OUTPUTS;
            const size_t value_bytes = gated ? sizeof(uint16_t) : sizeof(float);
            const uint32_t output = panel * width, all = gated ? weights->rows / 2 : weights->rows;
            *pending = (struct pending){
                .job = job,
                .fresh = fresh,
                .waiting = slices->count > 1 ? scratch->waiting[block] : NULL,
                .row_scales = job->rows->scales + (size_t)slice * job->rows->tokens_max + token,
                .weight_scales = product == PRODUCT_INT8 ? int8_tail(weights, panel)->scales : NULL,
                .output = (char *)job->output +
                          (token * job->output_stride + output - job->output_first) * value_bytes,
                .output_bytes = job->output_stride * value_bytes,
                .bias = job->bias != NULL ? job->bias + output : NULL,
                .tokens = tokens,
                .outputs = all - output < width ? all - output : width,
                .first = slice == 0,
                .last = slice + 1 == slices->count,
                .past_caches = past_caches};
        }
    }
}

static ALWAYS_INLINE void multiply(const struct matmul_job *job, const enum product product, const bool gated,
                                   const bool grouped)
{
    const struct slices slices = slices_of(job->weights);
    const uint32_t block_tokens = block_tokens_of(job->weights);
    /* Sums that wait from slice to slice share L1 with a slice of weights. */
    const uint32_t part_tokens = slices.count > 1 ? PART_TOKENS : block_tokens;
    const struct scratch scratch = {.fresh = job->scratch,
                                    .waiting = (float(*)[BLOCK_VALUES])(
                                        void *)((char *)job->scratch + 2 * BLOCK_VALUES * sizeof(int32_t))};
    struct pending pending = {.next = 0};
    uint32_t turn = 0;
    for (uint32_t block = 0; block < job->tokens; block += block_tokens) {
        const uint32_t block_end = job->tokens - block < block_tokens ? job->tokens : block + block_tokens;
        for (uint32_t panel = job->panel_first; panel < job->panel_end; panel++) {
            for (uint32_t token = block; token < block_end; token += part_tokens) {
                const uint32_t end = block_end - token < part_tokens ? block_end : token + part_tokens;
                multiply_panel(job, &slices, &scratch, panel, block, token, end, product, gated, grouped,
                               &pending, &turn);
            }
        }
    }
    finish(&pending, TILE_TOKENS, product, gated, grouped);
}

void amx_matmul(const struct matmul_job *job)
{
    if (job->panel_first >= job->panel_end || job->tokens == 0)
        return;
    amx_configure();
    const struct packed_matrix *weights = job->weights;
    if (weights->product == PRODUCT_BF16) {
        if (weights->gated)
            multiply(job, PRODUCT_BF16, true, false);
        else
            multiply(job, PRODUCT_BF16, false, false);
    } else if (int8_groups(weights->columns) == 1) {
        if (weights->gated)
            multiply(job, PRODUCT_INT8, true, false);
        else
            multiply(job, PRODUCT_INT8, false, false);
    } else {
        if (weights->gated)
            multiply(job, PRODUCT_INT8, true, true);
        else
            multiply(job, PRODUCT_INT8, false, true);
    }
    _mm_sfence();
    _tile_release();
}

/* ---- preparing rows --------------------------------------------------------------------------------------
 */

/* 16 values from column k on; those at and beyond `columns` read as 0. */
static ALWAYS_INLINE __m512 load_input(const struct prepare_job *job, uint32_t token, uint32_t k)
{
    const size_t at = (token - job->input_first) * job->input_stride + k;
    const uint32_t left = job->columns > k ? job->columns - k : 0;
    const __mmask16 mask = mask_of(left);
    if (job->input_type == VALUES_F32)
        return _mm512_maskz_loadu_ps(mask, (const float *)job->input + at);
    const __m256i narrow = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)job->input + at);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

static void prepare_bf16_row(const struct prepare_job *job, uint32_t token, uint32_t steps)
{
    for (uint32_t step = 0; step < steps; step++) {
        const __m512 low = load_input(job, token, step * 2 * TILE_ROWS);
        const __m512 high = load_input(job, token, step * 2 * TILE_ROWS + TILE_ROWS);
        _mm512_store_si512(tile_row(job->rows, steps, token, step), (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* Whole steps of plain rows, without masks. */
static ALWAYS_INLINE __m512 load_whole(const void *input, const enum value_type type, size_t at)
{
    if (type == VALUES_F32)
        return _mm512_loadu_ps((const float *)input + at);
    const __m256i narrow = _mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)input + at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

/* The bits of the largest magnitude in [first, end) of a row. Comparing magnitudes as integers puts
 * infinities and NaN above all numbers, so that none is lost. */
static ALWAYS_INLINE int32_t largest_bits(const struct prepare_job *job, const enum value_type type,
                                          uint32_t token, uint32_t first, uint32_t end)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const size_t row = (token - job->input_first) * job->input_stride;
    __m512i largest[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    uint32_t k = first;
    for (; k + 2 * TILE_ROWS <= end; k += 2 * TILE_ROWS) {
        for (uint32_t i = 0; i < 2; i++) {
            const __m512i bits = _mm512_castps_si512(load_whole(job->input, type, row + k + i * TILE_ROWS));
            largest[i] = _mm512_max_epi32(largest[i], _mm512_and_si512(bits, magnitude));
        }
    }
    for (; k < end; k += TILE_ROWS) {
        const __m512i bits = _mm512_castps_si512(load_input(job, token, k));
        largest[0] = _mm512_max_epi32(largest[0], _mm512_and_si512(bits, magnitude));
    }
    return _mm512_reduce_max_epi32(_mm512_max_epi32(largest[0], largest[1]));
}

static ALWAYS_INLINE __m128i quantised(__m512 value, __m512 factor, __mmask16 keep)
{
    return _mm512_maskz_cvtsepi32_epi8(keep, _mm512_cvtps_epi32(_mm512_mul_ps(value, factor)));
}

static ALWAYS_INLINE void prepare_int8_row(const struct prepare_job *job, const enum value_type type,
                                           uint32_t token, uint32_t steps)
{
    const uint32_t group_columns = int8_group_columns(job->columns);
    const size_t row = (token - job->input_first) * job->input_stride;
    for (uint32_t first = 0, group = 0; first < job->columns; first += group_columns, group++) {
        const uint32_t left = job->columns - first;
        const uint32_t end = left < group_columns ? job->columns : first + group_columns;
        const int32_t bits = largest_bits(job, type, token, first, end);
        const bool finite = bits < 0x7f800000;
        const float largest = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits)));
        const bool some = finite && largest >= INT8_SMALLEST;
        const __m512 factor = _mm512_set1_ps(some ? 127.0f / largest : 0.0f);
        const __mmask16 keep = (__mmask16)(finite ? 0xffffu : 0);
        job->rows->scales[(size_t)group * job->rows->tokens_max + token] = some     ? largest / 127.0f
                                                                           : finite ? 0.0f
                                                                                    : __builtin_nanf("");
        uint32_t k = first;
        int8_t *to = (int8_t *)tile_row(job->rows, steps, token, first / TILE_STEP_BYTES);
        for (; k + TILE_STEP_BYTES <= end; k += TILE_STEP_BYTES, to += TILE_BLOCK_BYTES) {
            _Pragma("GCC unroll 4") for (uint32_t i = 0; i < TILE_STEP_BYTES; i += TILE_ROWS)
                _mm_store_si128((__m128i *)(void *)(to + i),
                                quantised(load_whole(job->input, type, row + k + i), factor, keep));
        }
        for (uint32_t i = 0; k < end && i < TILE_STEP_BYTES; i += TILE_ROWS)
            _mm_store_si128((__m128i *)(void *)(to + i),
                            quantised(load_input(job, token, k + i), factor, keep));
    }
}

void amx_prepare(const struct prepare_job *job)
{
    const enum product product = job->rows->product;
    const uint32_t steps = tile_steps(product, job->columns);
    for (uint32_t token = job->token_first; token < job->token_end; token++) {
        if (product == PRODUCT_BF16)
            prepare_bf16_row(job, token, steps);
        else if (job->input_type == VALUES_F32)
            prepare_int8_row(job, VALUES_F32, token, steps);
        else
            prepare_int8_row(job, VALUES_BF16, token, steps);
    }
}

#endif
