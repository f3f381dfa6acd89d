/* Chance that is the same each time. */
#ifndef BASE_MIX_H
#define BASE_MIX_H

#include <stdint.h>

/* SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output. */
static inline uint64_t mix64(uint64_t z)
{
    z += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

#endif
