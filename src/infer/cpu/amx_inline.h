/* What the files that use AMX share: tile sizes, masks, BF16. */
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

#if defined(__AVX512F__) /* as all are compiled that include this, but not whoever checks the header alone   \
                          */
/* 16 values of BF16 as F32. */
static ALWAYS_INLINE __m512 widened(__m256i bf16)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}
#endif

#endif
