/* AVX-512: sixteen floats a vector, panels of 32 outputs, tiles of 12 tokens: 24 sums in the 32 registers. */
#if defined(__x86_64__)

#include "infer/cpu/kernel_sets.h"
#include "infer/cpu/kv_f32.h"
#include "infer/cpu/packing.h"
#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx512.inc"
#include "os/cpu.h"

enum { TOKEN_TILE = 12, ATTENTION_ROW_TILE = 6 };

/* As AVX2's choice; without VNNI, INT8 takes as many instructions as F32. */
static enum product choose_product(enum tensor_type type)
{
    if (type == TENSOR_F32 || !cpu_features()->avx512_vnni)
        return PRODUCT_F32;
    return type == TENSOR_Q4_0 ? PRODUCT_INT4 : PRODUCT_INT8;
}

static dobby_code pack_tiles(const struct tensor *tensors, size_t count, enum product product, bool gated,
                             struct packed_matrix *out, struct dobby_error *err)
{
    return tiles_pack_avx512(tensors, count, product, gated, out, err);
}

static void matmul_tiles(const struct matmul_job *job)
{
    if (job->weights->product != PRODUCT_BF16 && cpu_features()->avx512_vnni)
        tiles_matmul_vnni(job);
    else if (job->weights->product == PRODUCT_BF16 && cpu_features()->avx512_bf16)
        tiles_matmul_bf16(job);
    else
        tiles_matmul_avx512(job);
}

static void prepare(const struct prepare_job *job)
{
    if (job->rows->product == PRODUCT_INT8 && cpu_features()->avx512_vnni)
        tiles_prepare_vnni(job);
    else
        tiles_prepare_avx512(job);
}

#include "infer/cpu/vector_rows.inc"

#include "infer/cpu/vector_matmul.inc"

#include "infer/cpu/vector_attention.inc"

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .step_rows = 128,
    .task_weights = 1 << 20,
    .choose_product = choose_product,
    .pack = pack,
    .scratch_bytes = scratch_bytes,
    .prepare = prepare,
    .matmul = matmul,
    .kv_bytes = kv_f32_bytes,
    .kv_write = kv_f32_write,
    .attention_scratch_bytes = attention_scratch_bytes,
    .attention = attention,
    .rms_norm = rms_norm,
    .rope = rope,
    .dequantize_row = tiles_dequantize_row_avx512,
    .argmax_logsumexp = argmax_logsumexp,
};

#endif
