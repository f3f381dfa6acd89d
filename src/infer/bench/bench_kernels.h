/* Every kernel set over the shapes of a real model, as a percentage of what this machine can do meanwhile. */
#ifndef INFER_BENCH_BENCH_KERNELS_H
#define INFER_BENCH_BENCH_KERNELS_H

#include "base/error.h"
#include "infer/bench/figures.h"

#include <stddef.h>

/* Takes one row as soon as it is measured. Its failure ends the measurement. */
typedef dobby_code bench_kernel_fn(void *context, const struct kernel_figures *figures,
                                   struct dobby_error *err);

struct bench_kernels_options {
    uint32_t threads; /* 0: one per processor this process may use */
    double seconds;   /* for all rows together, the packing of weights aside */
    const char *only; /* rows of this name; NULL: all */
    bench_kernel_fn *row;
    void *context;
};
/* Measures all sets that run here but the reference, or the one that DOBBY_CPU names. Fails: CPU_UNSUPPORTED,
 * INVALID_ARGUMENT (no row has that name), OUT_OF_MEMORY, THREAD_FAILED, and as row does. */
DOBBY_NODISCARD dobby_code bench_kernels(const struct bench_kernels_options *options,
                                         struct machine_figures *machine, struct dobby_error *err);

/* The ceilings alone: some tens of milliseconds. Fails: OUT_OF_MEMORY, THREAD_FAILED. */
DOBBY_NODISCARD dobby_code bench_machine(uint32_t threads, struct machine_figures *machine,
                                         struct dobby_error *err);

#endif
