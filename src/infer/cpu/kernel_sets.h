/* The sets that are compiled in; kernels.c alone chooses among them. */
#ifndef INFER_CPU_KERNEL_SETS_H
#define INFER_CPU_KERNEL_SETS_H

#include "infer/cpu/kernels.h"

/* Positions of one step of the streaming softmax, counted from each page's first: a constant, so that a
 * token's result does not depend on how its prompt was cut. */
enum { ATTENTION_BLOCK = 32 };

extern const struct kernels kernels_ref;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
#endif

#endif
