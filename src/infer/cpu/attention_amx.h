/* Attention on AMX tiles, in INT8 with F32 sums. */
#ifndef INFER_CPU_ATTENTION_AMX_H
#define INFER_CPU_ATTENTION_AMX_H

#include "infer/cpu/kernels.h"

/* As the functions of struct kernels. */
size_t amx_attention_scratch_bytes(uint32_t head_dim, uint32_t heads_per_kv_head);
void amx_attention(const struct attention_job *job);

#endif
