#if defined(__x86_64__)

#include "infer/cpu/kv_amx.h"

#include "infer/cpu/amx_round.inc"

#include <string.h>

size_t amx_kv_bytes(const struct kv_layout *layout)
{
    return head_bytes(layout->head_dim) * layout->kv_heads;
}

static int32_t bits_of(float value)
{
    return _mm_cvtsi128_si32(_mm_castps_si128(_mm_set_ss(value)));
}

/* How a position's key or value is rounded. */
struct rounding {
    uint16_t scale; /* BF16, not below what makes the largest 127; NaN where one is no number */
    float factor;
};

static ALWAYS_INLINE struct rounding rounding_of(const struct vector *v)
{
    const int32_t bits = _mm512_reduce_max_epi32(_mm512_castps_si512(magnitude(v)));
    if (bits >= INFINITY_BITS)
        return (struct rounding){.scale = 0x7fc0};
    const float largest = float_of(bits);
    if (largest < INT8_SMALLEST)
        return (struct rounding){.scale = 0};
    const uint16_t scale = (uint16_t)((bits_of(largest / INT8_LARGEST) + 0xffff) >> 16);
    return (struct rounding){.scale = scale, .factor = 1.0f / float_of((int32_t)scale << 16)};
}

static ALWAYS_INLINE void write_key(uint8_t *keys, uint32_t slot, const struct vector *key, float factor)
{
    uint8_t *to = keys + (size_t)(slot / TILE_ROWS) * TILE_BYTES + (size_t)(slot % TILE_ROWS) * FOUR;
    for (uint32_t d = 0; d < key->count; d += STEP_DIMENSIONS, to += (size_t)PAGE_TILES * TILE_BYTES) {
        _Alignas(CACHE_LINE) uint8_t fours[STEP_DIMENSIONS];
        _mm512_store_si512(fours, rounded_step(key, d, _mm512_set1_ps(factor)));
        for (size_t four = 0; four < TILE_ROWS; four++)
            memcpy(to + four * STRIDE, fours + four * FOUR, FOUR);
    }
}

/* The values of four positions alternate. Other threads may write the others now, so a mask keeps them. */
static ALWAYS_INLINE void write_value(uint8_t *values, uint32_t slot, const struct vector *value,
                                      float factor)
{
    const uint32_t four = slot % TILE_ROWS, byte = slot / TILE_ROWS;
    const __mmask64 mask = 0x1111111111111111ull << byte;
    uint8_t *row = values + (size_t)four * STRIDE;
    for (uint32_t d = 0; d < value->count; d += TILE_ROWS, row += TILE_BYTES)
        _mm512_mask_storeu_epi8(
            row, mask,
            _mm512_sll_epi32(rounded(value, d, _mm512_set1_ps(factor)), _mm_cvtsi32_si128((int)(8 * byte))));
}

static ALWAYS_INLINE void write_heads(const struct kv_layout *layout, void *area, uint32_t slot,
                                      const float *key, const float *value, const uint32_t dim)
{
    const uint32_t heads = layout->kv_heads;
    const float *factors = layout->key_factors;
    for (size_t head = 0; head < heads; head++) {
        const struct vector k = {.values = key + head * dim,
                                 .factors = factors != NULL ? factors + head * dim : NULL,
                                 .count = dim};
        const struct vector v = {.values = value + head * dim, .count = dim};
        uint8_t *keys = (uint8_t *)area + head_bytes(dim) * head;
        uint16_t *scales = (uint16_t *)(void *)(keys + scales_at(dim));
        const struct rounding of_key = rounding_of(&k), of_value = rounding_of(&v);
        write_key(keys, slot, &k, of_key.factor);
        write_value(keys + key_bytes(dim), slot, &v, of_value.factor);
        scales[slot] = of_key.scale;
        scales[KV_PAGE_TOKENS + slot] = of_value.scale;
    }
}

void amx_kv_write(const struct kv_layout *layout, void *area, uint32_t slot, const float *key,
                  const float *value)
{
    if (layout->head_dim == STEP_DIMENSIONS) /* the usual one: straight code */
        write_heads(layout, area, slot, key, value, STEP_DIMENSIONS);
    else
        write_heads(layout, area, slot, key, value, layout->head_dim);
}

#endif
