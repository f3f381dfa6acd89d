/* What a processor's units do at best: loops over registers or tiles alone, with as many independent sums as
 * hide the latency. Kernels are measured against them. */
#ifndef INFER_CPU_CEILING_H
#define INFER_CPU_CEILING_H

#include "infer/cpu/kernels.h"

struct ceiling_loop {
    const char *set;      /* whose instructions they are: a kernel set's name */
    enum product product; /* whose operands */
    double operations;    /* of one run; a product and its sum are two */
    void (*run)(void);    /* about half a millisecond; any thread */
};

/* The loops that run on this processor. Returns how many. */
enum { CEILING_LOOPS_MAX = 8 };
size_t ceiling_loops(const struct ceiling_loop *loops[], size_t capacity);
/* The fastest way that this processor has for a set's product: its own loop, or where it has no instruction
 * for these operands the one that works on them made wider. NULL: there is none, as for the reference. */
const struct ceiling_loop *ceiling_loop_find(const char *set, enum product product);

#if defined(__x86_64__)
extern const struct ceiling_loop ceiling_avx2_f32, ceiling_avx2_int8;
extern const struct ceiling_loop ceiling_avx512_f32, ceiling_avx512_bf16, ceiling_avx512_int8;
extern const struct ceiling_loop ceiling_amx_bf16, ceiling_amx_int8;
#endif

#endif
