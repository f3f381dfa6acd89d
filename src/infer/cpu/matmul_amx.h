/* Matrix products on AMX tiles: PRODUCT_INT8, PRODUCT_INT4 and PRODUCT_BF16 (tiles.h). */
#ifndef INFER_CPU_MATMUL_AMX_H
#define INFER_CPU_MATMUL_AMX_H

#include "infer/cpu/kernels.h"

/* As kernels.scratch_bytes, prepare, prepare_normed, matmul and matmul_best. The calling thread's tile state
 * is its own affair: each call configures it, and leaves it clear. */
size_t amx_scratch_bytes(const struct packed_matrix *weights);
void amx_prepare(const struct prepare_job *job);
void amx_prepare_normed(const struct prepare_job *job, const float *weight, float epsilon);
void amx_matmul(const struct matmul_job *job);
void amx_matmul_best(const struct matmul_job *job, struct best_output *best);

/* All eight tiles as 16 rows of 64 bytes. */
void amx_configure(void);

#endif
