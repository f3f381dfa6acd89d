/* Random matrices and bit-exact comparison for the kernel tests. */
#ifndef TEST_KERNELS_HELPER_H
#define TEST_KERNELS_HELPER_H

#include "infer/cpu/kernels.h"

/* Deterministic: the same seed gives the same values everywhere. */
uint32_t random_bits(uint64_t *state);
float random_float(uint64_t *state, float low, float high);
/* count floats in [-1, 1), some of them 0 or -0; the caller frees. */
float *random_floats(uint64_t *state, size_t count);
/* A tensor of random weights of every magnitude its type is used with; the caller frees data. */
struct tensor random_tensor(uint64_t *state, enum tensor_type type, uint32_t rows, uint32_t columns);
void *aligned_bytes(size_t bytes);
/* How the bytes of a set's prepared rows differ (by XOR) from those of the reference. */
uint8_t row_shift_of(const struct kernels *set, enum product product);

/* Fills with NaN, so that an element that is not written, or is read, shows. */
void poison(float *values, size_t count);
bool is_poison(float value);
/* Fails naming the element when a value is no number, or the bits differ. */
void assert_same_bits(const char *what, const float *got, const float *want, size_t count);
/* Fails when |got - want| > tolerance * (scale + |want|), or either is no number. */
void assert_close(const char *what, const float *got, const float *want, size_t count, float tolerance,
                  float scale);

#endif
