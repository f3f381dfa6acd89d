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

#include "infer/cpu/amx_block.inc"

#include <assert.h>

enum {
    BLOCK_TOKENS_MAX = 1024, /* at once, of rows that fit in L2 */
    /* Likewise, where sums wait from slice to slice, in 64 KB (INT8: 32). Half of them would wait in L1, but
     * take the weights from beyond L2 twice, which costs more. */
    PART_TOKENS = 512,
    /* At once, of rows that do not: a group's slice of them is 256 to 352 KB. Beside it wait the sums of as
     * many panels as are taken at once: with so many tokens 28, BF16 14. */
    SLICED_TOKENS = 512,
    WAITING_BYTES = 896 << 10,
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

/* Of sums that wait for the next slice: F32 where it begins with them in its tiles, BF16 where its own are
 * added to them. */
static uint32_t waiting_block_bytes(const struct packed_matrix *weights)
{
    return BLOCK_VALUES * (weights->product == PRODUCT_BF16 ? sizeof(float) : sizeof(uint16_t));
}

/* Rows that fit in L2 stay there while panels go by, one after the other, and sums wait beside them for the
 * panel's next slice. Rows that do not are taken slice by slice: that of many tokens stays in L2 beside the
 * waiting sums of a few panels. */
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
    const uint32_t tokens = even_tokens(job->tokens, SLICED_TOKENS);
    return (struct cut){.tokens = tokens,
                        .panels = WAITING_BYTES / (tokens / TILE_TOKENS * waiting_block_bytes(job->weights))};
}

/* The sums of a cut's blocks between slices, and two buffers for what has just left the tiles. */
struct scratch {
    uint8_t *waiting;               /* (WAITING_BYTES) */
    int32_t (*fresh)[BLOCK_VALUES]; /* (2) */
    uint8_t *unpacked;              /* (UNPACKED_BYTES): INT4, a slice as INT8 */
};
enum { UNPACKED_BYTES = INT8_ONE_GROUP_COLUMNS / TILE_STEP_BYTES * TILE_BLOCK_BYTES };
static_assert((int)INT8_ONE_GROUP_COLUMNS >= (int)INT8_GROUP_COLUMNS_MOST, "the longest slice");
static_assert((int)WAITING_BYTES >= (int)(BLOCK_TOKENS_MAX / TILE_TOKENS * BLOCK_VALUES * sizeof(float)),
              "one panel's blocks, too");

size_t amx_scratch_bytes(const struct packed_matrix *weights)
{
    return WAITING_BYTES + 2 * BLOCK_VALUES * sizeof(int32_t) +
           (weights->product == PRODUCT_INT4 ? UNPACKED_BYTES : 0);
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

/* A product on its way. */
struct product_state {
    const struct matmul_job *job;
    struct slices slices;
    struct scratch scratch;
    enum sums sums;
    bool gated, best, past_caches;
    bool wide;              /* four tiles of sums are as fast as two */
    uint32_t turn;          /* which of scratch.fresh is next */
    struct pending pending; /* the last block */
};

/* Lines of the slice that each of a place's blocks asks for, of as many weights that come next. */
static uint32_t lines_ahead(const struct product_state *state, uint32_t steps, uint32_t blocks)
{
    return steps * (uint32_t)(step_bytes(state->job->weights) / CACHE_LINE) / blocks;
}

/* What the blocks of a place share. */
static struct block shared_block(const struct product_state *state, const struct place *place,
                                 uint32_t blocks)
{
    const struct packed_matrix *weights = state->job->weights;
    const struct slices *slices = &state->slices;
    const uint32_t step_first = place->slice * slices->slice_steps, left = slices->steps - step_first;
    struct block block = {.steps = left < slices->slice_steps ? left : slices->slice_steps,
                          .weights = slice_weights(weights, slices, place->panel, place->slice)};
    if (weights->product == PRODUCT_INT4) {
        tiles_unpack_int4_avx512(weights, place->panel, step_first, block.steps, state->scratch.unpacked);
        block.weights = state->scratch.unpacked;
    }
    if (place->next != NULL)
        block.ahead_lines = (lines_ahead(state, block.steps, blocks) + block.steps - 1) / block.steps;
    return block;
}

static struct pending shared_pending(const struct product_state *state, const struct place *place)
{
    const struct matmul_job *job = state->job;
    const struct packed_matrix *weights = job->weights;
    const uint32_t width = state->gated ? TILE_ROWS : TILE_OUTPUTS, output = place->panel * width,
                   all = state->gated ? weights->rows / 2 : weights->rows;
    return (struct pending){
        .weight_scales = state->sums != SUMS_BF16 ? int8_tail(weights, place->panel)->scales : NULL,
        .output_bytes = job->output_stride * (state->gated ? sizeof(uint16_t) : sizeof(float)),
        .bias = job->bias != NULL ? job->bias + output : NULL,
        .output_first = output,
        .outputs = all - output < width ? all - output : width,
        .first = place->slice == 0,
        .last = place->slice + 1 == state->slices.count,
        .first_panel = place->panel == job->panel_first,
        .gated = state->gated,
        .add = job->accumulate,
        .past_caches = state->past_caches};
}

static void multiply_place(struct product_state *state, const struct place *place)
{
    const struct matmul_job *job = state->job;
    const uint32_t blocks = (place->token_end - place->token_first + TILE_TOKENS - 1) / TILE_TOKENS;
    const bool bf16 = state->sums == SUMS_BF16;
    struct block block = shared_block(state, place, blocks);
    struct pending these = shared_pending(state, place);
    /* BF16 sums wait where the next slice's tiles are loaded from, and are pending after the last. */
    const bool wait_in_tiles = bf16 && !these.last;
    const size_t waiting_bytes = waiting_block_bytes(job->weights);
    const size_t value_bytes = state->gated ? sizeof(uint16_t) : sizeof(float);
    const size_t ahead_bytes = (size_t)lines_ahead(state, block.steps, blocks) * CACHE_LINE;
    for (uint32_t i = 0; i < blocks; i++) {
        const uint32_t token = place->token_first + i * TILE_TOKENS;
        void *waiting = state->scratch.waiting + (place->waiting_first + i) * waiting_bytes;
        these.tokens = place->token_end - token < TILE_TOKENS ? place->token_end - token : TILE_TOKENS;
        these.output = (char *)job->output +
                       (token * job->output_stride + these.output_first - job->output_first) * value_bytes;
        block.rows =
            tile_row(job->rows, state->slices.steps, token, place->slice * state->slices.slice_steps);
        block.ahead = place->next != NULL ? place->next + i * ahead_bytes : NULL;
        block.both = these.tokens > TILE_ROWS;
        block.before = bf16 && !these.first ? waiting : NULL;
        block.before_next = block.before != NULL && i + 1 < blocks ? block.before + BLOCK_VALUES : NULL;
        block.fresh = wait_in_tiles ? waiting : state->scratch.fresh[state->turn];
        block.into = these.output;
        block.into_bytes = these.output_bytes;
        if (!these.last || state->best || state->past_caches) {
            block.into = these.last ? (const void *)block.fresh : waiting;
            block.into_bytes = these.last ? BLOCK_STRIDE : waiting_bytes / TILE_TOKENS;
        }
        multiply_block(&block, &state->pending, state->sums, state->wide);
        state->pending = (struct pending){.tokens = 0};
        if (wait_in_tiles)
            continue;
        state->turn ^= 1;
        these.fresh = block.fresh;
        these.waiting = waiting;
        these.row_scales = job->rows->scales + (size_t)place->slice * job->rows->tokens_max + token;
        these.best = state->best ? (struct best_lanes *)job->output + token : NULL;
        these.ending = ending_of(&these);
        state->pending = these;
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
    step_wide(zeros, zeros, false);
    ticks[0] = ticks_now();
    for (int i = 0; i < PROBE_STEPS; i++)
        step_wide(zeros, zeros, false);
    ticks[1] = ticks_now();
    amx_configure(); /* gives back the registers of all eight: a tile that was written once holds one */
    ticks[2] = ticks_now();
    for (int i = 0; i < 2 * PROBE_STEPS; i++)
        step_narrow(zeros, zeros, false);
    ticks[3] = ticks_now();
    return ticks[1] - ticks[0] < (ticks[3] - ticks[2]) * 5 / 4;
}

static enum sums sums_of(const struct packed_matrix *weights)
{
    if (weights->product == PRODUCT_BF16)
        return SUMS_BF16;
    return int8_groups(weights->columns) == 1 ? SUMS_INT8 : SUMS_INT8_GROUPS;
}

static bool goes_past_caches(const struct matmul_job *job)
{
    return !job->weights->gated && !job->accumulate && job->bias == NULL &&
           job->output_stride % TILE_ROWS == 0 && (uintptr_t)job->output % CACHE_LINE == 0 &&
           job->output_stride * job->tokens * sizeof(float) >= STREAM_BYTES_MIN;
}

static void multiply(const struct matmul_job *job, bool best)
{
    if (job->panel_first >= job->panel_end || job->tokens == 0)
        return;
    amx_configure();
    struct product_state state = {.job = job,
                                  .slices = slices_of(job->weights),
                                  .sums = sums_of(job->weights),
                                  .gated = job->weights->gated,
                                  .best = best,
                                  .past_caches = !best && goes_past_caches(job)};
    state.scratch.fresh = job->scratch;
    state.scratch.waiting = (uint8_t *)job->scratch + 2 * BLOCK_VALUES * sizeof(int32_t);
    state.scratch.unpacked = state.scratch.waiting + WAITING_BYTES;
    const struct cut cut = cut_of(job, &state.slices);
    const uint64_t blocks = (job->tokens + TILE_TOKENS - 1) / TILE_TOKENS;
    const uint64_t steps = blocks * (job->panel_end - job->panel_first) * state.slices.steps;
    state.wide = steps >= PROBE_WORTH_STEPS && tiles_are_renamed();
    struct place place;
    for (place.token_first = 0; place.token_first < job->tokens; place.token_first = place.token_end) {
        const uint32_t tokens_left = job->tokens - place.token_first;
        place.token_end = tokens_left < cut.tokens ? job->tokens : place.token_first + cut.tokens;
        for (uint32_t first = job->panel_first; first < job->panel_end; first += cut.panels) {
            const uint32_t end = job->panel_end - first < cut.panels ? job->panel_end : first + cut.panels;
            for (place.slice = 0; place.slice < state.slices.count; place.slice++) {
                for (place.panel = first; place.panel < end; place.panel++) {
                    place.waiting_first = (place.panel - first) * (cut.tokens / TILE_TOKENS);
                    place.next = next_weights(job, &state.slices, &place, first, end);
                    multiply_place(&state, &place);
                }
            }
        }
    }
    finish_last(&state.pending, state.sums);
    _mm_sfence();
    _tile_release();
}

void amx_matmul(const struct matmul_job *job)
{
    multiply(job, false);
}

void amx_matmul_best(const struct matmul_job *job, struct best_output *best)
{
    const struct best_lanes *lanes = job->output;
    multiply(job, true);
    for (uint32_t token = 0; token < job->tokens; token++)
        best[token] = best_of_lanes(&lanes[token]);
}

#endif
