/* What this machine can do at best, measured now: the figures that kernels are compared with. */
#ifndef BENCH_CEILING_H
#define BENCH_CEILING_H

#include "os/thread_pool.h"

/* GFLOP/s of a loop of multiply-adds in registers, on all threads of the pool at once. vector_bits: 256 or
 * 512; 0 where the processor lacks them, and on other architectures. */
double ceiling_fma_gflops(struct thread_pool *pool, int vector_bits);
/* GB/s of reading memory far larger than the caches, on all threads of the pool at once. */
double ceiling_read_gb_per_s(struct thread_pool *pool);

#endif
