/* AVX2 with FMA and F16C: eight floats a vector, panels of 16 outputs, tiles of 6 tokens, which is twelve
 * sums in registers: enough to keep two multiply-add units busy through their latency of four cycles. */
#if defined(__x86_64__)

#include "infer/cpu/kernel_sets.h"
#include "infer/cpu/kv_f32.h"
#include "infer/cpu/packing.h"
#include "infer/cpu/tiles_vector.h"
#include "infer/cpu/vec_avx2.inc"

enum { TOKEN_TILE = 6, ATTENTION_ROW_TILE = 3 };

/* F32 weights were kept that wide for a reason; the others lose less by INT8 than its speed is worth: 1.5
 * times F32's for many tokens. Weights of four bits stay that: a few tokens take two thirds of INT8's time.
 */
static enum product choose_product(enum tensor_type type)
{
    return type == TENSOR_F32 ? PRODUCT_F32 : type == TENSOR_Q4_0 ? PRODUCT_INT4 : PRODUCT_INT8;
}

static dobby_code pack_tiles(const struct tensor *tensors, size_t count, enum product product, bool gated,
                             struct packed_matrix *out, struct dobby_error *err)
{
    return tiles_pack_avx2(tensors, count, product, gated, out, err);
}

static void matmul_tiles(const struct matmul_job *job)
{
    tiles_matmul_avx2(job);
}

#include "infer/cpu/vector_rows.inc"

#include "infer/cpu/vector_matmul.inc"

#include "infer/cpu/vector_attention.inc"

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .step_rows = 128,
    .task_weights = 1 << 20,
    .choose_product = choose_product,
    .pack = pack,
    .scratch_bytes = scratch_bytes,
    .prepare = tiles_prepare_avx2,
    .matmul = matmul,
    .kv_bytes = kv_f32_bytes,
    .kv_write = kv_f32_write,
    .attention_scratch_bytes = attention_scratch_bytes,
    .attention = attention,
    .rms_norm = rms_norm,
    .rope = rope,
    .dequantize_row = tiles_dequantize_row_avx2,
    .argmax_logsumexp = argmax_logsumexp,
};

#endif
