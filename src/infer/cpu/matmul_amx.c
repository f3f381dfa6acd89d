/* Tiles: two of rows (32 tokens) by two of weights (32 outputs) make four of sums, and each step of 64 bytes
 * is four loads and four products; or one of rows by two of weights, three loads and two products, where the
 * processor is short of registers for tiles.
 *
 * 1. A product takes 16 cycles, a tile's load 8 from L1 and some 25 from L2, so one operand must come from
 * L1: a panel's slice of weights (16 to 28 KB) stays there while the rows stream by, with the load that asks
 * not to be kept (without that hint the rows push the weights out, and the product halves its speed).
 * 2. Rows stay in L2 while panels go by; cut_of says which.
 * 3. Sums leave the tiles through a small buffer and are finished (scale, bias, residual, gate) by vector
 *    instructions between the next block's tile instructions, which leave those units idle.
 * 4. The next panel is asked into L2 meanwhile. */
#if defined(__x86_64__)

#include "infer/cpu/matmul_amx.h"

#include "infer/cpu/amx_epilogue.inc"

#include <assert.h>

enum {
    BLOCK_TOKENS_MAX = 1024, /* at once, of rows that fit in L2 */
    PART_TOKENS = 256,       /* whose sums wait in L1 from slice to slice */
    SLICED_TOKENS = 512,     /* at once, of rows that do not: a group's slice is 256 to 352 KB */
    SLICED_PANELS = 14,      /* at once: their sums wait in another 900 KB */
    SLICE_STEPS_MAX = 14,    /* of BF16: 28 KB of a panel */
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

/* A slice of the depth: a group for INT8 and INT4, up to SLICE_STEPS_MAX steps for BF16. */
struct slices {
    uint32_t steps, slice_steps, count;
};

static struct slices slices_of(const struct packed_matrix *weights)
{
    struct slices s = {.steps = tile_steps(weights->product, weights->columns)};
    if (weights->product != PRODUCT_BF16) {
        s.slice_steps = int8_group_columns(weights->columns) / TILE_STEP_BYTES;
        s.count = int8_groups(weights->columns);
    } else {
        s.count = (s.steps + SLICE_STEPS_MAX - 1) / SLICE_STEPS_MAX;
        s.slice_steps = (s.steps + s.count - 1) / s.count;
    }
    return s;
}

/* How a product is cut: so many tokens by so many panels, all slices of which are done before the next. */
struct cut {
    uint32_t tokens, panels;
};

/* Parts of equal size, in whole blocks, of at most `most` tokens. */
static uint32_t even_tokens(uint32_t tokens, uint32_t most)
{
    const uint32_t parts = (tokens + most - 1) / most;
    return ((tokens + parts - 1) / parts + TILE_TOKENS - 1) / TILE_TOKENS * TILE_TOKENS;
}

/* Rows that fit in L2 stay there while panels go by, one after the other, and sums wait in L1 for the panel's
 * next slice. Rows that do not are taken slice by slice: that of many tokens stays in L2 beside the waiting
 * sums of a few panels. */
static struct cut cut_of(const struct matmul_job *job, const struct slices *slices)
{
    const size_t row_bytes = (size_t)slices->steps * TILE_STEP_BYTES;
    const size_t fitting = BLOCK_BYTES_MAX / row_bytes / TILE_TOKENS * TILE_TOKENS;
    if (slices->count == 1)
        return (struct cut){.tokens =
                                even_tokens(job->tokens, fitting < TILE_TOKENS        ? TILE_TOKENS
                                                         : fitting > BLOCK_TOKENS_MAX ? BLOCK_TOKENS_MAX
                                                                                      : (uint32_t)fitting),
                            .panels = 1};
    if (job->tokens <= fitting)
        return (struct cut){.tokens = even_tokens(job->tokens, PART_TOKENS), .panels = 1};
    return (struct cut){.tokens = even_tokens(job->tokens, SLICED_TOKENS), .panels = SLICED_PANELS};
}

/* The sums of a cut's blocks between slices, and two buffers for what has just left the tiles. */
struct scratch {
    float (*waiting)[BLOCK_VALUES]; /* (WAITING_BLOCKS) */
    int32_t (*fresh)[BLOCK_VALUES]; /* (2) */
    uint8_t *unpacked;              /* (UNPACKED_BYTES): INT4, a slice as INT8 */
};
enum { UNPACKED_BYTES = INT8_ONE_GROUP_COLUMNS / TILE_STEP_BYTES * TILE_BLOCK_BYTES };
static_assert((int)INT8_ONE_GROUP_COLUMNS >= (int)INT8_GROUP_COLUMNS_MOST, "the longest slice");
enum { WAITING_BLOCKS = SLICED_PANELS * SLICED_TOKENS / TILE_TOKENS };
static_assert((int)WAITING_BLOCKS >= (int)(PART_TOKENS / TILE_TOKENS), "one panel's blocks wait there too");

size_t amx_scratch_bytes(const struct packed_matrix *weights)
{
    return (WAITING_BLOCKS + 2) * BLOCK_VALUES * sizeof(float) +
           (weights->product == PRODUCT_INT4 ? UNPACKED_BYTES : 0);
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
    /* Where these sums will be finished, to be asked into L1, some tokens a step. */
    const char *into;
    size_t into_bytes; /* from token to token */
    uint32_t into_tokens;
};

/* The lines that the next `count` tokens' sums will be added to or written to: by then they are here. */
static ALWAYS_INLINE void ask_into(struct slice_part *part, const uint32_t count,
                                   const enum epilogue epilogue)
{
    for (uint32_t i = 0; i < count && part->into_tokens > 0; i++, part->into_tokens--) {
        __builtin_prefetch(part->into, 1, 3);
        if (epilogue != EPILOGUE_GATED)
            __builtin_prefetch(part->into + CACHE_LINE, 1, 3);
        part->into += part->into_bytes;
    }
}

static ALWAYS_INLINE void multiply_wide(struct slice_part *part, int32_t *fresh, struct pending *pending,
                                        const enum product product, const enum epilogue epilogue,
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
        ask_into(part, tokens_a_step, epilogue);
        finish(pending, tokens_a_step, product, epilogue, grouped);
    }
    finish(pending, TILE_TOKENS, product, epilogue, grouped);
    _tile_stored(0, fresh, BLOCK_STRIDE);
    _tile_stored(1, fresh + TILE_ROWS, BLOCK_STRIDE);
    _tile_stored(2, fresh + BLOCK_VALUES / 2, BLOCK_STRIDE);
    _tile_stored(3, fresh + BLOCK_VALUES / 2 + TILE_ROWS, BLOCK_STRIDE);
}

/* The same sums, 16 tokens after the other. */
static ALWAYS_INLINE void multiply_narrow(struct slice_part *part, int32_t *fresh, struct pending *pending,
                                          const enum product product, const enum epilogue epilogue,
                                          const bool grouped, const uint32_t tokens_a_step)
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
            ask_into(part, tokens_a_step, epilogue);
            finish(pending, tokens_a_step, product, epilogue, grouped);
        }
        _tile_stored(0, fresh + at, BLOCK_STRIDE);
        _tile_stored(1, fresh + at + TILE_ROWS, BLOCK_STRIDE);
    }
    finish(pending, TILE_TOKENS, product, epilogue, grouped);
}

/* The epilogue's pace: a constant number of tokens a step, so that it is straight code. */
static ALWAYS_INLINE void multiply_paced(struct slice_part *part, int32_t *fresh, struct pending *pending,
                                         const bool wide, const enum product product,
                                         const enum epilogue epilogue, const bool grouped)
{
    if (wide && part->both) {
        if (part->steps >= 16)
            multiply_wide(part, fresh, pending, product, epilogue, grouped, 2);
        else
            multiply_wide(part, fresh, pending, product, epilogue, grouped, 3);
    } else {
        if (part->steps >= 16)
            multiply_narrow(part, fresh, pending, product, epilogue, grouped, 1);
        else
            multiply_narrow(part, fresh, pending, product, epilogue, grouped, 2);
    }
}

/* What is multiplied next: one slice of one panel by the tokens of a cut. */
struct place {
    uint32_t slice, panel, token_first, token_end;
    uint32_t waiting_first; /* the buffer of the first block's waiting sums */
    const uint8_t *next;    /* weights to be asked into L2 meanwhile; NULL: none */
};

static size_t step_bytes(const struct packed_matrix *weights)
{
    return weights->product == PRODUCT_INT4 ? INT4_STEP_BYTES : TILE_BLOCK_BYTES;
}

static const uint8_t *slice_weights(const struct packed_matrix *weights, const struct slices *slices,
                                    uint32_t panel, uint32_t slice)
{
    return weights->panels + (size_t)panel * weights->panel_bytes +
           (size_t)slice * slices->slice_steps * step_bytes(weights);
}

static ALWAYS_INLINE void multiply_place(const struct matmul_job *job, const struct slices *slices,
                                         const struct scratch *scratch, const struct place *place,
                                         const enum product product, const enum epilogue epilogue,
                                         const bool grouped, struct pending *pending, uint32_t *turn,
                                         const bool wide)
{
    const struct packed_matrix *weights = job->weights;
    const uint32_t blocks = (place->token_end - place->token_first + TILE_TOKENS - 1) / TILE_TOKENS;
    const bool past_caches = epilogue == EPILOGUE_PLAIN && !job->accumulate &&
                             job->output_stride % TILE_ROWS == 0 &&
                             (uintptr_t)job->output % CACHE_LINE == 0 &&
                             job->output_stride * job->tokens * sizeof(float) >= STREAM_BYTES_MIN;
    const uint32_t step_first = place->slice * slices->slice_steps, left = slices->steps - step_first;
    const uint32_t width = epilogue == EPILOGUE_GATED ? TILE_ROWS : TILE_OUTPUTS;
    const size_t value_bytes = epilogue == EPILOGUE_GATED ? sizeof(uint16_t) : sizeof(float);
    const uint32_t output = place->panel * width,
                   all = epilogue == EPILOGUE_GATED ? weights->rows / 2 : weights->rows;
    struct slice_part part = {.steps = left < slices->slice_steps ? left : slices->slice_steps,
                              .weights = slice_weights(weights, slices, place->panel, place->slice)};
    const uint32_t lines = part.steps * (uint32_t)(step_bytes(weights) / CACHE_LINE);
    if (weights->product == PRODUCT_INT4) {
        tiles_unpack_int4_avx512(weights, place->panel, step_first, part.steps, scratch->unpacked);
        part.weights = scratch->unpacked;
    }
    for (uint32_t block = 0; block < blocks; block++) {
        const uint32_t token = place->token_first + block * TILE_TOKENS;
        const uint32_t tokens =
            place->token_end - token < TILE_TOKENS ? place->token_end - token : TILE_TOKENS;
        float *waiting = scratch->waiting[place->waiting_first + block];
        part.rows = tile_row(job->rows, slices->steps, token, step_first);
        part.ahead_lines = place->next != NULL ? (lines / blocks + part.steps - 1) / part.steps : 0;
        part.ahead = part.ahead_lines > 0 ? place->next + (size_t)lines / blocks * block * CACHE_LINE : NULL;
        part.before = product == PRODUCT_BF16 && place->slice > 0 ? waiting : NULL;
        part.both = tokens > TILE_ROWS;
        char *const outputs =
            (char *)job->output + (token * job->output_stride + output - job->output_first) * value_bytes;
        const bool waits = place->slice + 1 < slices->count;
        part.into = waits ? (const char *)waiting : outputs;
        part.into_bytes = waits ? BLOCK_STRIDE : job->output_stride * value_bytes;
        part.into_tokens = (past_caches || epilogue == EPILOGUE_BEST) && !waits ? 0 : tokens;
        /* BF16 sums wait where the next slice's tiles are loaded from, and are pending after the last. */
        const bool wait_in_tiles = product == PRODUCT_BF16 && place->slice + 1 < slices->count;
        int32_t *fresh = wait_in_tiles ? (int32_t *)(void *)waiting : scratch->fresh[*turn];
        multiply_paced(&part, fresh, pending, wide, product, epilogue, grouped);
        if (wait_in_tiles)
            continue;
        *turn ^= 1;
        *pending = (struct pending){
            .job = job,
            .fresh = fresh,
            .waiting = slices->count > 1 ? waiting : NULL,
            .row_scales = job->rows->scales + (size_t)place->slice * job->rows->tokens_max + token,
            .weight_scales = product == PRODUCT_INT8 ? int8_tail(weights, place->panel)->scales : NULL,
            .output = outputs,
            .output_bytes = job->output_stride * value_bytes,
            .best = epilogue == EPILOGUE_BEST ? (struct best_lanes *)job->output + token : NULL,
            .output_first = output,
            .first_panel = place->panel == job->panel_first,
            .bias = job->bias != NULL ? job->bias + output : NULL,
            .tokens = tokens,
            .outputs = all - output < width ? all - output : width,
            .first = place->slice == 0,
            .last = place->slice + 1 == slices->count,
            .past_caches = past_caches};
    }
}

/* The weights that come after these, within the call's panels. */
static const uint8_t *next_weights(const struct matmul_job *job, const struct slices *slices,
                                   const struct place *place, uint32_t first, uint32_t end)
{
    if (place->panel + 1 < end)
        return slice_weights(job->weights, slices, place->panel + 1, place->slice);
    if (place->slice + 1 < slices->count)
        return slice_weights(job->weights, slices, first, place->slice + 1);
    return end < job->panel_end ? slice_weights(job->weights, slices, end, 0) : NULL;
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

static ALWAYS_INLINE void multiply(const struct matmul_job *job, const enum product product,
                                   const enum epilogue epilogue, const bool grouped)
{
    const struct slices slices = slices_of(job->weights);
    const struct cut cut = cut_of(job, &slices);
    struct scratch scratch = {.fresh = job->scratch,
                              .waiting = (float(*)[BLOCK_VALUES])(
                                  void *)((char *)job->scratch + 2 * BLOCK_VALUES * sizeof(int32_t))};
    scratch.unpacked = (uint8_t *)(scratch.waiting + WAITING_BLOCKS);
    struct pending pending = {.next = 0};
    const uint64_t blocks = (job->tokens + TILE_TOKENS - 1) / TILE_TOKENS;
    const uint64_t steps = blocks * (job->panel_end - job->panel_first) * slices.steps;
    const bool wide = steps >= PROBE_WORTH_STEPS && tiles_are_renamed();
    uint32_t turn = 0;
    struct place place;
    for (place.token_first = 0; place.token_first < job->tokens; place.token_first = place.token_end) {
        const uint32_t tokens_left = job->tokens - place.token_first;
        place.token_end = tokens_left < cut.tokens ? job->tokens : place.token_first + cut.tokens;
        for (uint32_t first = job->panel_first; first < job->panel_end; first += cut.panels) {
            const uint32_t end = job->panel_end - first < cut.panels ? job->panel_end : first + cut.panels;
            for (place.slice = 0; place.slice < slices.count; place.slice++) {
                for (place.panel = first; place.panel < end; place.panel++) {
                    place.waiting_first = (place.panel - first) * (cut.tokens / TILE_TOKENS);
                    place.next = next_weights(job, &slices, &place, first, end);
                    multiply_place(job, &slices, &scratch, &place, product, epilogue, grouped, &pending,
                                   &turn, wide);
                }
            }
        }
    }
    finish(&pending, TILE_TOKENS, product, epilogue, grouped);
}

static ALWAYS_INLINE void multiply_as(const struct matmul_job *job, const enum epilogue epilogue)
{
    if (job->panel_first >= job->panel_end || job->tokens == 0)
        return;
    amx_configure();
    if (job->weights->product == PRODUCT_BF16)
        multiply(job, PRODUCT_BF16, epilogue, false);
    else if (int8_groups(job->weights->columns) == 1)
        multiply(job, PRODUCT_INT8, epilogue, false);
    else
        multiply(job, PRODUCT_INT8, epilogue, true);
    _mm_sfence();
    _tile_release();
}

void amx_matmul(const struct matmul_job *job)
{
    if (job->weights->gated)
        multiply_as(job, EPILOGUE_GATED);
    else
        multiply_as(job, EPILOGUE_PLAIN);
}

void amx_matmul_best(const struct matmul_job *job, struct best_output *best)
{
    const struct best_lanes *lanes = job->output;
    multiply_as(job, EPILOGUE_BEST);
    for (uint32_t token = 0; token < job->tokens; token++)
        best[token] = best_of_lanes(&lanes[token]);
}

#endif
