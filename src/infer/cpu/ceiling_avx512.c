/* As ceiling_avx2.c with 32 registers: 24 sums hide any of these instructions' latencies. Assembly also lets
 * the file be compiled where the compiler does not know all of them. */
#if defined(__x86_64__)

#include "infer/cpu/ceiling.h"

enum { LOOPS = 50000, SUMS = 24 };

#define CLEAR(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define FMA(n) "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #n "\n\t"
#define PAIRS(n) "vdpbf16ps %%zmm30, %%zmm31, %%zmm" #n "\n\t"
#define QUADS(n) "vpdpbusd %%zmm30, %%zmm31, %%zmm" #n "\n\t"
#define EACH_SUM(step)                                                                                       \
    step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) step(9) step(10) step(11)        \
        step(12) step(13) step(14) step(15) step(16) step(17) step(18) step(19) step(20) step(21) step(22)   \
            step(23)
#define LOOP(step)                                                                                           \
    do {                                                                                                     \
        uint64_t loops = LOOPS;                                                                              \
        __asm__ volatile(EACH_SUM(CLEAR) CLEAR(30)                                                           \
                             CLEAR(31) "1:\n\t" EACH_SUM(step) "dec %0\n\tjnz 1b\n\tvzeroupper"              \
                         : "+r"(loops)                                                                       \
                         :                                                                                   \
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",   \
                           "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",  \
                           "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm30", "xmm31", "cc");             \
    } while (0)

static void run_f32(void)
{
    LOOP(FMA);
}

static void run_bf16(void)
{
    LOOP(PAIRS);
}

static void run_int8(void)
{
    LOOP(QUADS);
}

const struct ceiling_loop ceiling_avx512_f32 = {
    .set = "avx512", .product = PRODUCT_F32, .operations = 2.0 * LOOPS * SUMS * 16, .run = run_f32};
const struct ceiling_loop ceiling_avx512_bf16 = {
    .set = "avx512", .product = PRODUCT_BF16, .operations = 2.0 * LOOPS * SUMS * 32, .run = run_bf16};
const struct ceiling_loop ceiling_avx512_int8 = {
    .set = "avx512", .product = PRODUCT_INT8, .operations = 2.0 * LOOPS * SUMS * 64, .run = run_int8};

#endif
