/* Twelve independent sums hide a latency of four cycles on two units. Assembly, so that no compiler shortens
 * the loops. All values are 0: only their time matters, and nothing is subnormal. */
#if defined(__x86_64__)

#include "infer/cpu/ceiling.h"

enum { LOOPS = 100000, SUMS = 12, INT8_SUMS = 10 };

#define CLEAR(n) "vpxor %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n\t"
#define CLEAR_ALL                                                                                            \
    CLEAR(0)                                                                                                 \
    CLEAR(1)                                                                                                 \
    CLEAR(2)                                                                                                 \
    CLEAR(3)                                                                                                 \
    CLEAR(4)                                                                                                 \
    CLEAR(5)                                                                                                 \
    CLEAR(6)                                                                                                 \
    CLEAR(7)                                                                                                 \
    CLEAR(8)                                                                                                 \
    CLEAR(9)                                                                                                 \
    CLEAR(10)                                                                                                \
    CLEAR(11)                                                                                                \
    CLEAR(12)                                                                                                \
    CLEAR(13)                                                                                                \
    CLEAR(14)                                                                                                \
    CLEAR(15)
#define CLOBBERS                                                                                             \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",        \
        "xmm12", "xmm13", "xmm14", "xmm15", "cc"

#define FMA(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #n "\n\t"
/* Bytes to pairs, pairs to quads, and the sum: what INT8 costs without VNNI. */
#define QUADS(temporary, n)                                                                                  \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm" #temporary "\n\t"                                                   \
    "vpmaddwd %%ymm13, %%ymm" #temporary ", %%ymm" #temporary "\n\t"                                         \
    "vpaddd %%ymm" #temporary ", %%ymm" #n ", %%ymm" #n "\n\t"

static void run_f32(void)
{
    uint64_t loops = LOOPS;
    __asm__ volatile(CLEAR_ALL "1:\n\t" FMA(0) FMA(1) FMA(2) FMA(3) FMA(4) FMA(5) FMA(6) FMA(7) FMA(8) FMA(9)
                         FMA(10) FMA(11) "dec %0\n\tjnz 1b\n\tvzeroupper"
                     : "+r"(loops)
                     :
                     : CLOBBERS);
}

static void run_int8(void)
{
    uint64_t loops = LOOPS;
    __asm__ volatile(CLEAR_ALL "1:\n\t" QUADS(10, 0) QUADS(11, 1) QUADS(12, 2) QUADS(10, 3) QUADS(11, 4)
                         QUADS(12, 5) QUADS(10, 6) QUADS(11, 7) QUADS(12, 8)
                             QUADS(10, 9) "dec %0\n\tjnz 1b\n\tvzeroupper"
                     : "+r"(loops)
                     :
                     : CLOBBERS);
}

const struct ceiling_loop ceiling_avx2_f32 = {
    .set = "avx2", .product = PRODUCT_F32, .operations = 2.0 * LOOPS * SUMS * 8, .run = run_f32};
const struct ceiling_loop ceiling_avx2_int8 = {
    .set = "avx2", .product = PRODUCT_INT8, .operations = 2.0 * LOOPS * INT8_SUMS * 32, .run = run_int8};

#endif
