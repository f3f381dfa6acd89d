#include "infer/cpu/ceiling.h"

#include "os/cpu.h"

#include <string.h>

size_t ceiling_loops(const struct ceiling_loop *loops[], size_t capacity)
{
    size_t count = 0;
#if defined(__x86_64__)
    const struct cpu_features *cpu = cpu_features();
    const bool avx512 = cpu->avx512 && cpu->avx2;
    const bool amx = cpu->amx_int8 && cpu->amx_bf16 && cpu_request_amx();
    const struct {
        const struct ceiling_loop *loop;
        bool available;
    } all[] = {
        {&ceiling_avx2_f32, cpu->avx2},
        {&ceiling_avx2_int8, cpu->avx2},
        {&ceiling_avx512_f32, avx512},
        {&ceiling_avx512_bf16, avx512 && cpu->avx512_bf16},
        {&ceiling_avx512_int8, avx512 && cpu->avx512_vnni},
        {&ceiling_amx_bf16, amx},
        {&ceiling_amx_int8, amx},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].available && count < capacity)
            loops[count++] = all[i].loop;
    }
#else
    (void)loops;
    (void)capacity;
#endif
    return count;
}

const struct ceiling_loop *ceiling_loop_find(const char *set, enum product product)
{
    /* Where the next column's loop is not there, the one after it is the bound. */
    static const struct {
        const char *set;
        enum product product;
        struct {
            const char *set;
            enum product product;
        } by[3];
    } bounds[] = {
        {"avx2", PRODUCT_F32, {{"avx2", PRODUCT_F32}}},
        {"avx2", PRODUCT_BF16, {{"avx2", PRODUCT_F32}}},
        {"avx2", PRODUCT_INT8, {{"avx2", PRODUCT_INT8}}},
        {"avx2", PRODUCT_INT4, {{"avx2", PRODUCT_INT8}}},
        {"avx512", PRODUCT_F32, {{"avx512", PRODUCT_F32}}},
        {"avx512", PRODUCT_BF16, {{"avx512", PRODUCT_BF16}, {"avx512", PRODUCT_F32}}},
        {"avx512", PRODUCT_INT8, {{"avx512", PRODUCT_INT8}, {"avx2", PRODUCT_INT8}}},
        {"avx512", PRODUCT_INT4, {{"avx512", PRODUCT_INT8}, {"avx2", PRODUCT_INT8}}},
        {"amx", PRODUCT_F32, {{"avx512", PRODUCT_F32}}},
        {"amx", PRODUCT_BF16, {{"amx", PRODUCT_BF16}}},
        {"amx", PRODUCT_INT8, {{"amx", PRODUCT_INT8}}},
        {"amx", PRODUCT_INT4, {{"amx", PRODUCT_INT8}}},
    };
    const struct ceiling_loop *loops[CEILING_LOOPS_MAX];
    const size_t count = ceiling_loops(loops, CEILING_LOOPS_MAX);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        if (strcmp(bounds[i].set, set) != 0 || bounds[i].product != product)
            continue;
        for (size_t j = 0; bounds[i].by[j].set != NULL; j++)
            for (size_t k = 0; k < count; k++)
                if (strcmp(loops[k]->set, bounds[i].by[j].set) == 0 &&
                    loops[k]->product == bounds[i].by[j].product)
                    return loops[k];
    }
    return NULL;
}
