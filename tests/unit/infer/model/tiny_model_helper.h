/* A small random model made in memory, for tests of what runs on one. */
#ifndef TESTS_UNIT_INFER_MODEL_TINY_MODEL_HELPER_H
#define TESTS_UNIT_INFER_MODEL_TINY_MODEL_HELPER_H

#include "infer/model/model.h"

enum {
    TINY_VOCABULARY = 101, /* odd sizes, so that no kernel can rely on round ones */
    TINY_HIDDEN = 40,
    TINY_POSITIONS = 256,
    TINY_END_TOKEN = 7,
    TINY_BROKEN_TOKEN =
        100 /* its embedding is no number; it ends a sequence too, so only a prompt feeds it */
};

struct tiny_model {
    struct model model;
    float *embedding; /* what model.embedding points at */
};

/* Fails the test when out of memory. */
void tiny_model_open(const struct kernels *kernels, enum product product, struct tiny_model *out);
void tiny_model_close(struct tiny_model *tiny);

/* A prompt that depends on its number alone, without the broken token. */
void tiny_prompt(uint32_t number, int32_t *tokens, size_t count);

#endif
