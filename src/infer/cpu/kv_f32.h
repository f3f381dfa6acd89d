/* Keys and values in F32, for the sets whose attention computes in F32: a layer's area of a page holds the
 * keys (kv_heads, KV_PAGE_TOKENS, head_dim) and then the values. */
#ifndef INFER_CPU_KV_F32_H
#define INFER_CPU_KV_F32_H

#include "infer/cpu/kernels.h"

#include <string.h>

static inline size_t kv_f32_bytes(const struct kv_layout *layout)
{
    const size_t values = (size_t)layout->kv_heads * KV_PAGE_TOKENS * layout->head_dim;
    return (2 * values * sizeof(float) + 63) / 64 * 64;
}

static inline void kv_f32_write(const struct kv_layout *layout, void *area, uint32_t slot, const float *key,
                                const float *value)
{
    const size_t dim = layout->head_dim;
    float *keys = area;
    float *values = keys + (size_t)layout->kv_heads * KV_PAGE_TOKENS * dim;
    for (size_t head = 0; head < layout->kv_heads; head++) {
        const size_t at = (head * KV_PAGE_TOKENS + slot) * dim;
        memcpy(keys + at, key + head * dim, dim * sizeof(float));
        memcpy(values + at, value + head * dim, dim * sizeof(float));
    }
}

/* The keys of one head from a position on, to the end of its page: (positions, head_dim); the values
 * likewise. */
static inline const float *kv_f32_keys(const struct attention_job *job, uint32_t position, uint32_t kv_head)
{
    const size_t row = (size_t)kv_head * KV_PAGE_TOKENS + position % KV_PAGE_TOKENS;
    return (const float *)job->pages[position / KV_PAGE_TOKENS] + row * job->head_dim;
}

static inline const float *kv_f32_values(const struct attention_job *job, uint32_t position, uint32_t kv_head)
{
    return kv_f32_keys(job, position, job->kv_heads + kv_head);
}

#endif
