/* What the files that use AMX share: tile sizes and masks. */
#ifndef INFER_CPU_AMX_INLINE_H
#define INFER_CPU_AMX_INLINE_H

#include "infer/cpu/tiles.h"

#include <immintrin.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

enum { TILE_ROWS = 16, CACHE_LINE = 64 };

/* The first `left` of 16 values. */
static ALWAYS_INLINE __mmask16 mask_of(uint32_t left)
{
    return (__mmask16)(left >= TILE_ROWS ? 0xffffu : (1u << left) - 1);
}

#endif
