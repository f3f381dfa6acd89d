#include "infer/model/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
    float logit;
    uint32_t id;
};

struct sampler_scratch {
    struct candidate *candidates; /* (vocabulary) */
    double *weights;              /* (vocabulary) */
    float *logits;                /* (vocabulary): with the penalty applied */
    uint64_t *seen;               /* a bit per token; all zero between calls */
};

dobby_code sampler_scratch_new(uint32_t vocabulary, struct sampler_scratch **out, struct dobby_error *err)
{
    *out = NULL;
    struct sampler_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        goto failed;
    scratch->candidates = calloc(vocabulary, sizeof *scratch->candidates);
    scratch->weights = calloc(vocabulary, sizeof *scratch->weights);
    scratch->logits = calloc(vocabulary, sizeof *scratch->logits);
    scratch->seen = calloc((vocabulary + 63) / 64, sizeof *scratch->seen);
    if (!scratch->candidates || !scratch->weights || !scratch->logits || !scratch->seen)
        goto failed;
    *out = scratch;
    return DOBBY_OK;

failed:
    sampler_scratch_free(scratch);
    return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "sampling over %u tokens", vocabulary);
}

void sampler_scratch_free(struct sampler_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->candidates);
    free(scratch->weights);
    free(scratch->logits);
    free(scratch->seen);
    free(scratch);
}

dobby_code sampling_check(const struct sampling *sampling, struct dobby_error *err)
{
    if (!(sampling->temperature >= 0 && sampling->temperature <= 100))
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "temperature %g is not between 0 and 100",
                          (double)sampling->temperature);
    if (!(sampling->repetition_penalty > 0 && sampling->repetition_penalty <= 100))
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                          "repetition penalty %g is not above 0 and at most 100; 1 means none",
                          (double)sampling->repetition_penalty);
    if (sampling->temperature > 0 && !(sampling->top_p > 0 && sampling->top_p <= 1))
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "top-p %g is not above 0 and at most 1",
                          (double)sampling->top_p);
    return DOBBY_OK;
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit changes half the output bits. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

double sampler_uniform(uint64_t seed, uint64_t position)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    const uint64_t bits = mix(mix(seed + golden) + (position + 1) * golden);
    return (double)(bits >> 11) * 0x1p-53;
}

/* Each token of the history is penalised once, however often it occurs (Keskar et al. 2019). */
static void penalize(const struct sampler_input *input, struct sampler_scratch *scratch)
{
    const float penalty = input->sampling->repetition_penalty;
    memcpy(scratch->logits, input->logits, input->vocabulary * sizeof(float));
    for (size_t i = 0; i < input->history_count; i++) {
        const uint32_t id = (uint32_t)input->history[i];
        const uint64_t bit = (uint64_t)1 << (id % 64);
        if (id >= input->vocabulary || (scratch->seen[id / 64] & bit))
            continue;
        scratch->seen[id / 64] |= bit;
        float *logit = &scratch->logits[id];
        *logit = *logit > 0 ? *logit / penalty : *logit * penalty;
    }
    for (size_t i = 0; i < input->history_count; i++) {
        const uint32_t id = (uint32_t)input->history[i];
        if (id < input->vocabulary)
            scratch->seen[id / 64] = 0;
    }
}

static bool ranks_before(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static void sift_down(struct candidate *heap, size_t count, size_t at)
{
    for (;;) {
        size_t best = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
            if (ranks_before(&heap[child], &heap[best]))
                best = child;
        if (best == at)
            return;
        const struct candidate swap = heap[at];
        heap[at] = heap[best];
        heap[best] = swap;
        at = best;
    }
}

/* The index that uniform falls on when the weights are laid end to end. */
static uint32_t draw(const double *weights, uint32_t count, double total, double uniform)
{
    double left = uniform * total;
    for (uint32_t i = 0; i + 1 < count; i++) {
        left -= weights[i];
        if (left < 0)
            return i;
    }
    return count - 1;
}

/* Draws among the best only. A heap gives them in order without sorting a vocabulary of which some hundred
 * matter; each one popped goes to the place that its leaving freed at the heap's end. */
static uint32_t choose_ranked(const struct sampling *sampling, const float *logits, uint32_t count,
                              struct sampler_scratch *scratch, double uniform)
{
    const uint32_t k = sampling->top_k > 0 && sampling->top_k < count ? sampling->top_k : count;
    const double top_p = (double)sampling->top_p;
    const double scale = 1.0 / (double)sampling->temperature;
    struct candidate *heap = scratch->candidates;
    double *weights = scratch->weights;
    for (uint32_t i = 0; i < count; i++)
        heap[i] = (struct candidate){.logit = logits[i], .id = i};
    for (size_t i = count / 2; i-- > 0;)
        sift_down(heap, count, i);
    const double best = (double)heap[0].logit;

    /* top-p is a part of the mass of the k best, which for k = all is known only by summing all. */
    double mass = 0;
    for (uint32_t i = 0; k == count && i < count; i++)
        mass += exp(((double)logits[i] - best) * scale);
    double kept_mass = 0;
    uint32_t kept = 0;
    while (kept < k && (k < count || kept_mass < top_p * mass)) {
        const uint32_t last = count - 1 - kept;
        const struct candidate top = heap[0];
        heap[0] = heap[last];
        heap[last] = top;
        sift_down(heap, last, 0);
        weights[kept] = exp(((double)top.logit - best) * scale);
        kept_mass += weights[kept];
        kept++;
    }
    if (k < count && top_p < 1) {
        mass = kept_mass;
        kept_mass = 0;
        for (kept = 0; kept < k && kept_mass < top_p * mass; kept++)
            kept_mass += weights[kept];
    }
    return heap[count - 1 - draw(weights, kept, kept_mass, uniform)].id;
}

static uint32_t choose_any(const struct sampling *sampling, const float *logits, uint32_t count,
                           uint32_t best, struct sampler_scratch *scratch, double uniform)
{
    const double scale = 1.0 / (double)sampling->temperature;
    double mass = 0;
    for (uint32_t i = 0; i < count; i++) {
        scratch->weights[i] = exp(((double)logits[i] - (double)logits[best]) * scale);
        mass += scratch->weights[i];
    }
    return draw(scratch->weights, count, mass, uniform);
}

static dobby_code fail_not_finite(uint64_t position, struct dobby_error *err)
{
    return DOBBY_FAIL(err, DOBBY_NUMERIC_FAILURE, "a logit at position %llu is infinite or no number",
                      (unsigned long long)position);
}

bool sampler_wants_best(const struct sampling *sampling)
{
    return sampling->temperature <= 0 && sampling->repetition_penalty == 1;
}

struct best_output sampler_best_join(const struct best_output *parts, size_t count, size_t stride)
{
    struct best_output best = parts[0];
    double sum = 0, largest = (double)parts[0].logsumexp;
    for (size_t i = 0; i < count; i++) {
        const struct best_output *part = &parts[i * stride];
        if (part->output < 0)
            return (struct best_output){.output = -1};
        if (part->value > best.value)
            best = *part;
        if ((double)part->logsumexp > largest)
            largest = (double)part->logsumexp;
    }
    for (size_t i = 0; i < count; i++)
        sum += exp((double)parts[i * stride].logsumexp - largest);
    best.logsumexp = (float)(largest + log(sum));
    return best;
}

dobby_code sampler_choose_best(const struct best_output *best, uint64_t position, struct sampler_choice *out,
                               struct dobby_error *err)
{
    *out = (struct sampler_choice){0};
    if (best->output < 0)
        return fail_not_finite(position, err);
    *out = (struct sampler_choice){.token = best->output, .logprob = best->value - best->logsumexp};
    return DOBBY_OK;
}

dobby_code sampler_choose(const struct kernels *kernels, const struct sampler_input *input,
                          struct sampler_scratch *scratch, struct sampler_choice *out,
                          struct dobby_error *err)
{
    *out = (struct sampler_choice){0};
    const struct sampling *sampling = input->sampling;
    if (!values_are_finite(input->logits, input->vocabulary))
        return fail_not_finite(input->position, err);
    uint32_t best;
    float logsumexp;
    kernels->argmax_logsumexp(input->logits, input->vocabulary, &best, &logsumexp);
    const float *logits = input->logits;
    if (sampling->repetition_penalty != 1) {
        float unused;
        penalize(input, scratch);
        logits = scratch->logits;
        kernels->argmax_logsumexp(logits, input->vocabulary, &best, &unused);
    }
    uint32_t chosen = best;
    if (sampling->temperature > 0) {
        const double uniform = sampler_uniform(sampling->seed, input->position);
        const bool all =
            (sampling->top_k == 0 || sampling->top_k >= input->vocabulary) && sampling->top_p == 1;
        chosen = all ? choose_any(sampling, logits, input->vocabulary, best, scratch, uniform)
                     : choose_ranked(sampling, logits, input->vocabulary, scratch, uniform);
    }
    out->token = (int32_t)chosen;
    out->logprob = input->logits[chosen] - logsumexp;
    return DOBBY_OK;
}
