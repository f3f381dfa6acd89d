/* Attention on AMX tiles, in BF16 with F32 sums. */
#ifndef INFER_CPU_ATTENTION_AMX_H
#define INFER_CPU_ATTENTION_AMX_H

#include "infer/cpu/kernels.h"

/* As the functions of struct kernels. */
size_t amx_kv_bytes(const struct kv_layout *layout);
void amx_kv_write(const struct kv_layout *layout, void *area, uint32_t slot, const float *key,
                  const float *value);
size_t amx_attention_scratch_bytes(uint32_t head_dim, uint32_t heads_per_kv_head);
void amx_attention(const struct attention_job *job);

#endif
