#include "infer/cpu/kernel_sets.h"

#include "base/error.h"
#include "os/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, LIST_BYTES = 64 };

size_t kernels_available(const struct kernels *sets[], size_t capacity)
{
    size_t count = 0;
    if (count < capacity)
        sets[count++] = &kernels_ref;
#if defined(__x86_64__)
    const struct cpu_features *cpu = cpu_features();
    if (cpu->avx2 && count < capacity)
        sets[count++] = &kernels_avx2;
    if (cpu->avx512 && cpu->avx2 && count < capacity)
        sets[count++] = &kernels_avx512;
    if (cpu->avx512 && cpu->avx512_bf16 && cpu->amx_int8 && cpu->amx_bf16 && count < capacity &&
        cpu_request_amx())
        sets[count++] = &kernels_amx;
#endif
    return count;
}

dobby_code kernels_choose(const char *name, const struct kernels **out, struct dobby_error *err)
{
    const struct kernels *sets[SETS_MAX];
    size_t count = kernels_available(sets, SETS_MAX);
    *out = NULL;
    if (name == NULL)
        name = getenv("DOBBY_CPU");
    if (name == NULL || *name == '\0') {
        *out = sets[count - 1];
        return DOBBY_OK;
    }
    char list[LIST_BYTES] = "";
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(sets[i]->name, name) == 0) {
            *out = sets[i];
            return DOBBY_OK;
        }
        int written = snprintf(list + length, sizeof list - length, "%s%s", i > 0 ? ", " : "", sets[i]->name);
        length += written > 0 ? (size_t)written : 0;
    }
    return DOBBY_FAIL(err, DOBBY_CPU_UNSUPPORTED, "no kernel set '%.32s' here; available: %s", name, list);
}
