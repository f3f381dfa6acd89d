#include "infer/bench/trial.h"

#include "os/memory.h"

#include <stdlib.h>
#include <string.h>

void trial_fill(float *values, size_t count)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes */
        values[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

void *trial_allocate(size_t count, size_t size)
{
    const size_t bytes = count * size;
    void *memory = memory_allocate(bytes);
    if (memory != NULL)
        memset(memory, 0, bytes);
    return memory;
}
