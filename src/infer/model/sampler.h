/* Choosing the next token: a pure function of a row of logits, the settings and the sequence so far.
 *
 * Order: repetition penalty, temperature, top-k, top-p, draw. Equal values rank by lower id. The draw is
 * a hash of (seed, position), so it depends on nothing else that runs. */
#ifndef INFER_MODEL_SAMPLER_H
#define INFER_MODEL_SAMPLER_H

#include "infer/cpu/kernels.h"
#include "infer/engine.h"

struct sampler_scratch; /* one per thread */
DOBBY_NODISCARD dobby_code sampler_scratch_new(uint32_t vocabulary, struct sampler_scratch **out,
                                               struct dobby_error *err);
void sampler_scratch_free(struct sampler_scratch *scratch);

struct sampler_input {
    const float *logits; /* (vocabulary) */
    uint32_t vocabulary;
    const struct sampling *sampling;
    const int32_t *history; /* prompt and generated tokens, for the repetition penalty */
    size_t history_count;
    uint64_t position; /* of the token to be chosen, in its sequence */
};
struct sampler_choice {
    int32_t token;
    float logprob; /* log softmax of the logits as they came, before penalty and temperature */
};

/* Fails: INVALID_ARGUMENT naming the setting that is out of its range. */
DOBBY_NODISCARD dobby_code sampling_check(const struct sampling *sampling, struct dobby_error *err);
/* Fails: NUMERIC_FAILURE (a logit is infinite or no number). */
DOBBY_NODISCARD dobby_code sampler_choose(const struct kernels *kernels, const struct sampler_input *input,
                                          struct sampler_scratch *scratch, struct sampler_choice *out,
                                          struct dobby_error *err);

/* Greedy choice without a row of logits: what parts of it came to. */
/* Whether these settings need no more than struct best_output. */
bool sampler_wants_best(const struct sampling *sampling);
/* Joins parts that lie stride apart, in the order of their tokens: the result depends on how a row was cut,
 * so that must not depend on anything else. */
struct best_output sampler_best_join(const struct best_output *parts, size_t count, size_t stride);
/* Fails as sampler_choose. */
DOBBY_NODISCARD dobby_code sampler_choose_best(const struct best_output *best, uint64_t position,
                                               struct sampler_choice *out, struct dobby_error *err);
/* Uniform in [0, 1): the draw at a position. */
double sampler_uniform(uint64_t seed, uint64_t position);

#endif
