#include "kernels_helper.h"

#include "infer/cpu/tiles_vector.h"
#include "os/cpu.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t POISON = 0x7fc0dead;

uint32_t random_bits(uint64_t *state)
{
    /* splitmix64 */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

float random_float(uint64_t *state, float low, float high)
{
    return low + (high - low) * (float)(random_bits(state) >> 8) * 0x1p-24f;
}

float *random_floats(uint64_t *state, size_t count)
{
    float *values = malloc((count + 1) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        uint32_t kind = random_bits(state) % 64;
        values[i] = kind == 0 ? 0.0f : kind == 1 ? -0.0f : random_float(state, -1.0f, 1.0f);
    }
    return values;
}

/* A finite half of any magnitude up to 2, subnormal ones among them. */
static uint16_t random_half(uint64_t *state)
{
    uint32_t bits = random_bits(state);
    uint32_t exponent = (bits >> 16) % 16;
    return (uint16_t)((bits & 0x83ffu) | exponent << 10);
}

static uint16_t random_bf16(uint64_t *state)
{
    float value = random_float(state, -2.0f, 2.0f);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

struct tensor random_tensor(uint64_t *state, enum tensor_type type, uint32_t rows, uint32_t columns)
{
    size_t count = (size_t)rows * columns;
    size_t bytes = type == TENSOR_F32    ? count * 4
                   : type == TENSOR_Q8_0 ? count / 32 * 34
                   : type == TENSOR_Q4_0 ? count / 32 * 18
                                         : count * 2;
    uint8_t *data = malloc(bytes + 1);
    assert_non_null(data);
    for (size_t at = 0; at < bytes;) {
        if (type == TENSOR_F32) {
            float value = random_float(state, -1.0f, 1.0f);
            memcpy(data + at, &value, 4);
            at += 4;
        } else if (type == TENSOR_BF16 || type == TENSOR_F16) {
            uint16_t value = type == TENSOR_F16 ? random_half(state) : random_bf16(state);
            memcpy(data + at, &value, 2);
            at += 2;
        } else {
            uint16_t scale = random_half(state);
            memcpy(data + at, &scale, 2);
            const size_t values = type == TENSOR_Q8_0 ? 32 : 16;
            for (size_t i = 0; i < values; i++)
                data[at + 2 + i] = (uint8_t)random_bits(state);
            at += 2 + values;
        }
    }
    return (struct tensor){.type = type, .rows = rows, .columns = columns, .data = data, .bytes = bytes};
}

void *aligned_bytes(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    assert_non_null(memory);
    return memory;
}

uint8_t row_shift_of(const struct kernels *set, enum product product)
{
#if defined(__x86_64__)
    if (product != PRODUCT_BF16 && strcmp(set->name, "avx512") == 0 && cpu_features()->avx512_vnni)
        return VNNI_ROW_SHIFT;
#endif
    (void)set, (void)product;
    return 0;
}

void poison(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy(&values[i], &POISON, sizeof POISON);
}

bool is_poison(float value)
{
    return memcmp(&value, &POISON, sizeof POISON) == 0;
}

void assert_same_bits(const char *what, const float *got, const float *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(got[i]) || isnan(want[i]) || memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("%s: element %zu is %a instead of %a", what, i, (double)got[i], (double)want[i]);
}

void assert_close(const char *what, const float *got, const float *want, size_t count, float tolerance,
                  float scale)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(got[i] - want[i]) <= tolerance * (scale + fabsf(want[i]))))
            fail_msg("%s: element %zu is %.9g instead of %.9g", what, i, (double)got[i], (double)want[i]);
}
