/* Tiles: two of rows (32 tokens) by two of weights (32 outputs) make four of sums, and each step of 64 bytes
 * is four loads and four products; or one of rows by two of weights, three loads and two products, where the
 * processor is short of registers for tiles.
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
#include "infer/cpu/amx_epilogue.inc"

enum {
    PART_TOKENS = 256,                       /* whose sums wait from slice to slice */
    SLICE_STEPS_MAX = 14,                    /* of BF16: 28 KB of a panel */
    BLOCK_BYTES_MAX = (1 << 20) + (1 << 18), /* of rows: of a 2 MB L2 */
    STREAM_BYTES_MIN = 8 << 20,              /* an output of this size is written past the caches */
    PROBE_STEPS = 4,
    PROBE_WORTH_STEPS = 100 * PROBE_STEPS /* of four products: the probe costs a hundredth of them */
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

/* Four tiles of sums. The order is the processor's to change while it has registers to rename tiles to. */
static ALWAYS_INLINE void step_wide(const uint8_t *rows, const uint8_t *weights, const enum product product)
{
    _tile_loadd(6, weights, TILE_STEP_BYTES);
    _tile_stream_loadd(4, rows, TILE_STEP_BYTES);
    if (product == PRODUCT_INT8)
        _tile_dpbssd(0, 4, 6);
    else
        _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, weights + TILE_BYTES, TILE_STEP_BYTES);
    if (product == PRODUCT_INT8)
        _tile_dpbssd(1, 4, 7);
    else
        _tile_dpbf16ps(1, 4, 7);
    _tile_stream_loadd(5, rows + TILE_BYTES, TILE_STEP_BYTES);
    if (product == PRODUCT_INT8) {
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    } else {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

/* Two tiles of sums, four tiles in all. */
static ALWAYS_INLINE void step_narrow(const uint8_t *rows, const uint8_t *weights, const enum product product)
{
    _tile_stream_loadd(4, rows, TILE_STEP_BYTES);
    _tile_loadd(6, weights, TILE_STEP_BYTES);
    if (product == PRODUCT_INT8)
        _tile_dpbssd(0, 4, 6);
    else
        _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(6, weights + TILE_BYTES, TILE_STEP_BYTES);
    if (product == PRODUCT_INT8)
        _tile_dpbssd(1, 4, 6);
    else
        _tile_dpbf16ps(1, 4, 6);
}

/* One slice of up to 32 tokens by one panel, into fresh; meanwhile the pending one is finished. */
struct slice_part {
    const uint8_t *rows, *weights; /* of the slice's first step */
    const uint8_t *ahead;          /* to be asked into L2, ahead_lines a step */
    uint32_t steps, ahead_lines;
    const float *before; /* BF16: sums of the slices before; NULL: none */
    bool both;           /* more than 16 tokens */
};

static ALWAYS_INLINE void multiply_wide(const struct slice_part *part, int32_t *fresh,
                                        struct pending *pending, const enum product product, const bool gated,
                                        const bool grouped, const uint32_t tokens_a_step)
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
        step_wide(rows, weights, product);
        rows += TILE_BLOCK_BYTES;
        weights += TILE_BLOCK_BYTES;
        for (uint32_t line = 0; line < part->ahead_lines; line++, ahead += CACHE_LINE)
            _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        finish(pending, tokens_a_step, product, gated, grouped);
    }
    finish(pending, TILE_TOKENS, product, gated, grouped);
    _tile_stored(0, fresh, BLOCK_STRIDE);
    _tile_stored(1, fresh + TILE_ROWS, BLOCK_STRIDE);
    _tile_stored(2, fresh + BLOCK_VALUES / 2, BLOCK_STRIDE);
    _tile_stored(3, fresh + BLOCK_VALUES / 2 + TILE_ROWS, BLOCK_STRIDE);
}

/* The same sums, 16 tokens after the other. */
static ALWAYS_INLINE void multiply_narrow(const struct slice_part *part, int32_t *fresh,
                                          struct pending *pending, const enum product product,
                                          const bool gated, const bool grouped, const uint32_t tokens_a_step)
{
    const uint8_t *ahead = part->ahead;
    for (uint32_t half = 0; half < (part->both ? 2u : 1u); half++) {
        const size_t at = (size_t)half * (BLOCK_VALUES / 2);
        if (product == PRODUCT_BF16 && part->before != NULL) {
            _tile_loadd(0, part->before + at, BLOCK_STRIDE);
            _tile_loadd(1, part->before + at + TILE_ROWS, BLOCK_STRIDE);
        } else {
            _tile_zero(0);
            _tile_zero(1);
        }
        const uint8_t *rows = part->rows + (size_t)half * TILE_BYTES, *weights = part->weights;
        for (uint32_t step = 0; step < part->steps; step++) {
            step_narrow(rows, weights, product);
            rows += TILE_BLOCK_BYTES;
            weights += TILE_BLOCK_BYTES;
            for (uint32_t line = 0; half == 0 && line < part->ahead_lines; line++, ahead += CACHE_LINE)
                _mm_prefetch((const char *)ahead, _MM_HINT_T1);
            finish(pending, tokens_a_step, product, gated, grouped);
        }
        _tile_stored(0, fresh + at, BLOCK_STRIDE);
        _tile_stored(1, fresh + at + TILE_ROWS, BLOCK_STRIDE);
    }
    finish(pending, TILE_TOKENS, product, gated, grouped);
}

/* The epilogue's pace: a constant number of tokens a step, so that it is straight code. */
static ALWAYS_INLINE void multiply_paced(const struct slice_part *part, int32_t *fresh,
                                         struct pending *pending, const bool wide, const enum product product,
                                         const bool gated, const bool grouped)
{
    if (wide && part->both) {
        if (part->steps >= 16)
            multiply_wide(part, fresh, pending, product, gated, grouped, 2);
        else
            multiply_wide(part, fresh, pending, product, gated, grouped, 3);
    } else {
        if (part->steps >= 16)
            multiply_narrow(part, fresh, pending, product, gated, grouped, 1);
        else
            multiply_narrow(part, fresh, pending, product, gated, grouped, 2);
    }
}

/* A token block by one panel. */
static ALWAYS_INLINE void multiply_panel(const struct matmul_job *job, const struct slices *slices,
                                         const struct scratch *scratch, uint32_t panel, uint32_t block_first,
                                         uint32_t token_first, uint32_t token_end, const enum product product,
                                         const bool gated, const bool grouped, struct pending *pending,
                                         uint32_t *turn, const bool wide)
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
            part.both = tokens > TILE_ROWS;
            multiply_paced(&part, fresh, pending, wide, product, gated, grouped);
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

static uint64_t ticks_now(void)
{
    _mm_lfence(); /* so that what comes before is done */
    return __rdtsc();
}

/* Whether four tiles of sums are as fast as two here and now. While another hardware thread of the core is
 * awake, there are few registers that tiles can be renamed to, and with all eight in use a tile cannot be
 * loaded before the products that read it are done: a step then takes over four times as long, but with four
 * tiles in use twice as long. That comes and goes within milliseconds and cannot be asked for, so both are
 * timed, on some steps of zeros in L1. The sums are the same either way. */
static bool tiles_are_renamed(void)
{
    static const _Alignas(CACHE_LINE) uint8_t zeros[TILE_BLOCK_BYTES] = {0};
    uint64_t ticks[4];
    step_wide(zeros, zeros, PRODUCT_INT8);
    ticks[0] = ticks_now();
    for (int i = 0; i < PROBE_STEPS; i++)
        step_wide(zeros, zeros, PRODUCT_INT8);
    ticks[1] = ticks_now();
    amx_configure(); /* gives back the registers of all eight: a tile that was written once holds one */
    ticks[2] = ticks_now();
    for (int i = 0; i < 2 * PROBE_STEPS; i++)
        step_narrow(zeros, zeros, PRODUCT_INT8);
    ticks[3] = ticks_now();
    return ticks[1] - ticks[0] < (ticks[3] - ticks[2]) * 5 / 4;
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
    const uint64_t blocks = (job->tokens + TILE_TOKENS - 1) / TILE_TOKENS;
    const uint64_t steps = blocks * (job->panel_end - job->panel_first) * slices.steps;
    const bool wide = steps >= PROBE_WORTH_STEPS && tiles_are_renamed();
    uint32_t turn = 0;
    for (uint32_t block = 0; block < job->tokens; block += block_tokens) {
        const uint32_t block_end = job->tokens - block < block_tokens ? job->tokens : block + block_tokens;
        for (uint32_t panel = job->panel_first; panel < job->panel_end; panel++) {
            for (uint32_t token = block; token < block_end; token += part_tokens) {
                const uint32_t end = block_end - token < part_tokens ? block_end : token + part_tokens;
                multiply_panel(job, &slices, &scratch, panel, block, token, end, product, gated, grouped,
                               &pending, &turn, wide);
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

#endif
