#include "infer/cpu/kernel_sets.h"

#include "base/error.h"
#include "os/cpu.h"

#include <assert.h>
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

/* On the bits, since a sum of comparisons is what compilers vectorise. */
bool values_are_finite(const float *values, uint32_t count)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad += (bits & 0x7f800000u) == 0x7f800000u;
    }
    return bad == 0;
}

struct best_output kernels_best_of(const struct kernels *kernels, const float *values, uint32_t count,
                                   int32_t output_first)
{
    struct best_output best = {.output = -1};
    uint32_t at = 0;
    if (!values_are_finite(values, count))
        return best;
    kernels->argmax_logsumexp(values, count, &at, &best.logsumexp);
    best.output = output_first + (int32_t)at;
    best.value = values[at];
    return best;
}

void kernels_matmul_best(const struct kernels *kernels, const struct matmul_job *job,
                         struct best_output *best)
{
    const struct packed_matrix *weights = job->weights;
    const uint32_t first = job->panel_first * weights->panel_rows, all = job->panel_end * weights->panel_rows;
    const uint32_t end = all < weights->rows ? all : weights->rows;
    assert(job->panel_first < job->panel_end);
    assert(!weights->gated && !job->accumulate && job->bias == NULL && job->output_first == first);
    assert(job->output_stride >= BEST_STRIDE_MIN && job->output_stride >= end - first);
    if (kernels->matmul_best != NULL) {
        kernels->matmul_best(job, best);
        return;
    }
    kernels->matmul(job);
    for (uint32_t token = 0; token < job->tokens; token++)
        best[token] = kernels_best_of(kernels, (const float *)job->output + token * job->output_stride,
                                      end - first, (int32_t)first);
}

uint32_t kernels_best_parts(const struct packed_matrix *weights)
{
    return (weights->rows + BEST_PART_OUTPUTS - 1) / BEST_PART_OUTPUTS;
}

void kernels_matmul_best_part(const struct kernels *kernels, const struct matmul_job *job, uint32_t part,
                              struct best_output *best)
{
    const struct packed_matrix *weights = job->weights;
    const uint32_t part_panels = BEST_PART_OUTPUTS / weights->panel_rows, first = part * part_panels;
    const uint32_t left = weights->panel_count - first;
    struct matmul_job part_job = *job;
    assert(BEST_PART_OUTPUTS % weights->panel_rows == 0);
    part_job.panel_first = first;
    part_job.panel_end = first + (left < part_panels ? left : part_panels);
    part_job.output_first = part * BEST_PART_OUTPUTS;
    kernels_matmul_best(kernels, &part_job, best);
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
