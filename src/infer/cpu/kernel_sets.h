/* The sets that are compiled in; kernels.c alone chooses among them. */
#ifndef INFER_CPU_KERNEL_SETS_H
#define INFER_CPU_KERNEL_SETS_H

#include "infer/cpu/kernels.h"

/* Positions of one step of the streaming softmax in F32: pages hold whole ones. */
enum { ATTENTION_BLOCK = 32 };

extern const struct kernels kernels_ref;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_amx;
#endif

#endif
