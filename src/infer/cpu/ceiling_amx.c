/* Four tiles of sums from two of rows and two of weights, which stay where they are: a product of two tiles
 * takes 16 cycles, and its sum is needed again after four of them. */
#if defined(__x86_64__)

#include "infer/cpu/ceiling.h"
#include "infer/cpu/matmul_amx.h"

#include <immintrin.h>

enum { LOOPS = 20000, SUMS = 4, TILE_SUMS = 256 };

static void begin(void)
{
    amx_configure();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
}

static void run_bf16(void)
{
    begin();
    for (int i = 0; i < LOOPS; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
}

static void run_int8(void)
{
    begin();
    for (int i = 0; i < LOOPS; i++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
}

const struct ceiling_loop ceiling_amx_bf16 = {.set = "amx",
                                              .product = PRODUCT_BF16,
                                              .operations = 2.0 * LOOPS * SUMS * TILE_SUMS * 32,
                                              .run = run_bf16};
const struct ceiling_loop ceiling_amx_int8 = {.set = "amx",
                                              .product = PRODUCT_INT8,
                                              .operations = 2.0 * LOOPS * SUMS * TILE_SUMS * 64,
                                              .run = run_int8};

#endif
