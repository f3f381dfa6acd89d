/* AMX: tiles for matrix products and attention; AVX-512 for rows, and for what is to be exact. */
#if defined(__x86_64__)

#include "infer/cpu/attention_amx.h"
#include "infer/cpu/kernel_sets.h"
#include "infer/cpu/kv_amx.h"
#include "infer/cpu/matmul_amx.h"
#include "infer/cpu/tiles_vector.h"

static enum product choose_product(enum tensor_type type)
{
    (void)type;
    return PRODUCT_INT8;
}

static dobby_code pack(const struct tensor *tensors, size_t count, enum product product, bool gated,
                       struct packed_matrix *out, struct dobby_error *err)
{
    return kernels_avx512.pack(tensors, count, product, gated, out, err);
}

static size_t scratch_bytes(const struct packed_matrix *weights)
{
    return weights->product == PRODUCT_F32 ? kernels_avx512.scratch_bytes(weights)
                                           : amx_scratch_bytes(weights);
}

static void matmul(const struct matmul_job *job)
{
    if (job->weights->product == PRODUCT_F32)
        kernels_avx512.matmul(job);
    else
        amx_matmul(job);
}

static void matmul_best(const struct matmul_job *job, struct best_output *best)
{
    if (job->weights->product == PRODUCT_F32)
        kernels_matmul_best(&kernels_avx512, job, best);
    else
        amx_matmul_best(job, best);
}

static void rms_norm(const float *input, const float *weight, float epsilon, uint32_t count, float *output)
{
    kernels_avx512.rms_norm(input, weight, epsilon, count, output);
}

static void rope(float *rows, uint32_t heads, uint32_t head_dim, const float *cosine, const float *sine,
                 bool interleaved)
{
    kernels_avx512.rope(rows, heads, head_dim, cosine, sine, interleaved);
}

static void argmax_logsumexp(const float *values, uint32_t count, uint32_t *index, float *logsumexp)
{
    kernels_avx512.argmax_logsumexp(values, count, index, logsumexp);
}

const struct kernels kernels_amx = {
    .name = "amx",
    .exact = &kernels_avx512,
    .step_rows = 512,
    .task_weights = 8 << 20,
    .choose_product = choose_product,
    .pack = pack,
    .scratch_bytes = scratch_bytes,
    .prepare = amx_prepare,
    .prepare_normed = amx_prepare_normed,
    .matmul = matmul,
    .matmul_best = matmul_best,
    .kv_bytes = amx_kv_bytes,
    .kv_write = amx_kv_write,
    .rounds_keys = true,
    .attention_scratch_bytes = amx_attention_scratch_bytes,
    .attention = amx_attention,
    .rms_norm = rms_norm,
    .rope = rope,
    .dequantize_row = tiles_dequantize_row_avx512,
    .argmax_logsumexp = argmax_logsumexp,
};

#endif
