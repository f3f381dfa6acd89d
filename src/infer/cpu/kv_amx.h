/* How keys and values lie in a page for attention on AMX tiles.
 *
 * A layer's area of a page holds, for each KV head, its 64 keys, its 64 values, and their scales:
 *   keys     [steps of 64 dimensions][4][16 fours of dimensions][16 positions][4]
 *   values   [tiles of 16 dimensions][16 fours of positions][16 dimensions][4]
 *   scales   [keys, values][64 positions] in BF16
 * The first two are the right-hand operand of a tile product as they lie there. Fours of dimensions are in
 * the order of packed_bytes; four f of positions is f, 16 + f, 32 + f and 48 + f. Dimensions beyond head_dim
 * are 0. */
#ifndef INFER_CPU_KV_AMX_H
#define INFER_CPU_KV_AMX_H

#include "infer/cpu/amx_inline.h"
#include "infer/cpu/kernels.h"

#include <assert.h>

enum {
    FOUR = 4,
    STEP_DIMENSIONS = 64,
    STRIDE = TILE_STEP_BYTES,
    PAGE_TILES = KV_PAGE_TOKENS / TILE_ROWS /* of positions */
};
static_assert((int)KV_PAGE_TOKENS == (int)TILE_STEP_BYTES, "a page is the depth of one product with values");

/* As the functions of struct kernels. */
size_t amx_kv_bytes(const struct kv_layout *layout);
void amx_kv_write(const struct kv_layout *layout, void *area, uint32_t slot, const float *key,
                  const float *value);

static inline uint32_t key_steps(uint32_t head_dim)
{
    return (head_dim + STEP_DIMENSIONS - 1) / STEP_DIMENSIONS;
}

static inline uint32_t value_tiles(uint32_t head_dim)
{
    return (head_dim + TILE_ROWS - 1) / TILE_ROWS;
}

static inline size_t key_bytes(uint32_t head_dim)
{
    return (size_t)key_steps(head_dim) * PAGE_TILES * TILE_BYTES;
}

static inline size_t scales_at(uint32_t head_dim)
{
    return key_bytes(head_dim) + (size_t)value_tiles(head_dim) * TILE_BYTES;
}

static inline size_t head_bytes(uint32_t head_dim)
{
    return scales_at(head_dim) + (size_t)2 * KV_PAGE_TOKENS * sizeof(uint16_t);
}

#endif
