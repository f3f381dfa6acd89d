/* What the processor and the kernel allow, read once. */
#ifndef OS_CPU_H
#define OS_CPU_H

#include "base/error.h"

struct cpu_features {
    char vendor[13];
    char model[49];
    bool avx2;   /* with FMA, F16C and BMI2, and the kernel saves ymm */
    bool avx512; /* F, BW, DQ, VL, and the kernel saves zmm */
    bool avx512_vnni;
    bool avx512_bf16;
    bool amx_tile; /* with INT8 and BF16 below as reported; the kernel saves tiles */
    bool amx_int8;
    bool amx_bf16;
    uint32_t l1d_bytes, l2_bytes; /* per core; 0 where unknown */
};
/* Thread-safe; the first call reads CPUID and XCR0. */
const struct cpu_features *cpu_features(void);
/* Asks the kernel for permission to use AMX tiles in this process. True when granted; idempotent. */
bool cpu_request_amx(void);

/* Threads of the whole machine that compute or wait for a processor, the mean of the last minute; negative
 * where it is not known. */
double cpu_load(void);

#endif
