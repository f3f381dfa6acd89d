#include "infer/bench/figures.h"

const char *machine_ceiling_name(enum machine_ceiling ceiling)
{
    static const char *const names[CEILING_COUNT] = {
        [CEILING_BF16_TILE] = "bf16_tile_tflops",     [CEILING_INT8_TILE] = "int8_tile_tops",
        [CEILING_FP32_VECTOR] = "fp32_vector_tflops", [CEILING_AVX512_FP32] = "avx512_fp32_tflops",
        [CEILING_AVX512_BF16] = "avx512_bf16_tflops", [CEILING_AVX512_INT8] = "avx512_int8_tops",
        [CEILING_AVX2_FP32] = "avx2_fp32_tflops",     [CEILING_AVX2_INT8] = "avx2_int8_tops",
        [CEILING_READ_GB_PER_S] = "read_gb_per_s",
    };
    return names[ceiling];
}
