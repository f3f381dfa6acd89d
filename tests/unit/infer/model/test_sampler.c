#include "infer/model/sampler.h"

#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct kernels *kernels;
static struct sampler_scratch *scratch;
enum { VOCABULARY_MAX = 1000 };

static struct sampler_choice choose(const float *logits, uint32_t count, struct sampling sampling,
                                    const int32_t *history, size_t history_count, uint64_t position)
{
    struct dobby_error err;
    struct sampler_choice choice;
    const struct sampler_input input = {.logits = logits,
                                        .vocabulary = count,
                                        .sampling = &sampling,
                                        .history = history,
                                        .history_count = history_count,
                                        .position = position};
    assert_ok(sampler_choose(kernels, &input, scratch, &choice, &err), &err);
    return choice;
}

static void fixed_choices(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float logits[6];
        struct sampling sampling;
        int32_t history[4];
        size_t history_count;
        int32_t want;
    } rows[] = {
        {"greedy takes the largest", {1, 2, 5, 4, 3, 0}, {0, 0, 1, 1, 0}, {0}, 0, 2},
        {"greedy takes the lowest id on ties", {1, 5, 5, 4, 5, 0}, {0, 0, 1, 1, 0}, {0}, 0, 1},
        {"greedy ignores top-k, top-p and seed", {1, 5, 5, 4, 5, 0}, {0, 1, 0, 1, 9}, {0}, 0, 1},
        {"top-k of one is greedy", {1, 5, 5, 4, 5, 0}, {100, 1, 1, 1, 3}, {0}, 0, 1},
        {"a small top-p is greedy", {1, 5, 5, 4, 5, 0}, {1, 0, 0.01f, 1, 3}, {0}, 0, 1},
        {"a penalty lowers a positive logit", {1, 2, 5, 4, 3, 0}, {0, 0, 1, 2, 0}, {2}, 1, 3},
        {"a penalty lowers a negative logit", {-1, -2, -5, -4, -3, -9}, {0, 0, 1, 3, 0}, {0}, 1, 1},
        {"a token is penalised once", {1, 2, 5, 2.4f, 2, 0}, {0, 0, 1, 2, 0}, {2, 2, 2, 2}, 4, 2},
        {"a penalty below one favours", {1, 2, 5, 4, 3, 0}, {0, 0, 1, 0.5f, 0}, {3}, 1, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct sampler_choice choice =
            choose(rows[i].logits, 6, rows[i].sampling, rows[i].history, rows[i].history_count, 11);
        if (choice.token != rows[i].want)
            fail_msg("%s: got %d, want %d", rows[i].name, choice.token, rows[i].want);
    }
}

static void fill(float *logits, uint32_t count, uint32_t seed)
{
    for (uint32_t i = 0; i < count; i++)
        logits[i] = floorf((float)sampler_uniform(seed, i) * 64) / 4; /* many ties */
}

static void log_probability_is_of_the_raw_logits(void **state)
{
    (void)state;
    float logits[300];
    fill(logits, 300, 5);
    double sum = 0;
    for (size_t i = 0; i < 300; i++)
        sum += exp((double)logits[i]);
    const int32_t history[] = {1, 2, 3, 299};
    const struct sampling settings[] = {
        SAMPLING_GREEDY, {0, 0, 1, 1.7f, 0}, {2, 5, 0.9f, 1.3f, 8}, {0.3f, 0, 1, 1, 8}};
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const struct sampler_choice choice = choose(logits, 300, settings[i], history, 4, i);
        assert_true(fabs((double)logits[choice.token] - log(sum) - (double)choice.logprob) < 1e-5);
    }
}

/* Parts of a row, however it was cut, come to what the row comes to. */
static void parts_join_to_the_row(void **state)
{
    (void)state;
    static const struct {
        uint32_t count, part;
    } rows[] = {{1, 1}, {7, 3}, {300, 100}, {300, 299}, {1000, 64}, {1000, 1000}};
    float logits[VOCABULARY_MAX];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct best_output parts[VOCABULARY_MAX * 2];
        struct sampler_choice got;
        struct dobby_error err;
        size_t part_count = 0;
        fill(logits, rows[i].count, (uint32_t)i);
        for (uint32_t at = 0; at < rows[i].count; at += rows[i].part, part_count++) {
            const uint32_t left = rows[i].count - at;
            parts[2 * part_count] =
                kernels_best_of(kernels, logits + at, left < rows[i].part ? left : rows[i].part, (int32_t)at);
        }
        const struct best_output best = sampler_best_join(parts, part_count, 2);
        assert_ok(sampler_choose_best(&best, 5, &got, &err), &err);
        const struct sampler_choice want = choose(logits, rows[i].count, SAMPLING_GREEDY, NULL, 0, 5);
        assert_int_equal(got.token, want.token);
        assert_true(fabsf(got.logprob - want.logprob) < 1e-5f);
    }
}

static void a_part_that_is_no_number_spoils_the_row(void **state)
{
    (void)state;
    const float bad[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < COUNT_OF(bad) * 3; i++) {
        float logits[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
        struct best_output parts[3];
        struct sampler_choice choice;
        struct dobby_error err = {0};
        logits[3 * (i / 3) + 1] = bad[i % 3];
        for (int part = 0; part < 3; part++)
            parts[part] = kernels_best_of(kernels, logits + 3 * part, 3, 3 * part);
        const struct best_output best = sampler_best_join(parts, 3, 1);
        assert_int_equal(sampler_choose_best(&best, 77, &choice, &err), DOBBY_NUMERIC_FAILURE);
        assert_non_null(strstr(err.detail, "77"));
        assert_int_equal(choice.token, 0);
    }
}

static void what_wants_no_more_than_the_best(void **state)
{
    (void)state;
    const struct {
        struct sampling sampling;
        bool want;
    } rows[] = {{SAMPLING_GREEDY, true}, {{0, 0, 1, 1.1f, 0}, false}, {{0.5f, 0, 1, 1, 0}, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(sampler_wants_best(&rows[i].sampling), rows[i].want);
}

struct ranked {
    double logit;
    int32_t id;
};
static int by_rank(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->id - b->id;
}

/* The same rule by sorting all: keep the k best, of these the smallest set that holds top_p. */
static int32_t choose_by_sorting(const float *logits, uint32_t count, const struct sampling *sampling,
                                 uint64_t position)
{
    static struct ranked ranked[VOCABULARY_MAX];
    static double weights[VOCABULARY_MAX];
    for (uint32_t i = 0; i < count; i++)
        ranked[i] = (struct ranked){(double)logits[i], (int32_t)i};
    qsort(ranked, count, sizeof *ranked, by_rank);
    if (sampling->top_k > 0 && sampling->top_k < count)
        count = sampling->top_k;
    double total = 0, kept = 0;
    for (uint32_t i = 0; i < count; i++)
        total += weights[i] = exp((ranked[i].logit - ranked[0].logit) / (double)sampling->temperature);
    uint32_t last = 0;
    for (kept = weights[0]; last + 1 < count && kept < (double)sampling->top_p * total; kept += weights[last])
        last++;
    double left = sampler_uniform(sampling->seed, position) * kept;
    for (uint32_t i = 0; i < last; i++)
        if ((left -= weights[i]) < 0)
            return ranked[i].id;
    return ranked[last].id;
}

static void ranked_choices_equal_those_by_sorting(void **state)
{
    (void)state;
    static const struct sampling settings[] = {
        {1, 10, 1, 1, 1},      {0.7f, 40, 0.9f, 1, 2}, {2, 0, 0.5f, 1, 3},       {1, 0, 0.99f, 1, 4},
        {1.5f, 3, 0.2f, 1, 5}, {0.1f, 999, 1, 1, 6},   {50, 200, 0.999f, 1, 18},
    };
    float logits[VOCABULARY_MAX];
    for (uint32_t round = 0; round < 200; round++) {
        const uint32_t count = 1 + round * 5;
        fill(logits, count, round);
        for (size_t i = 0; i < COUNT_OF(settings); i++)
            if (settings[i].top_k < count || settings[i].top_p < 1)
                assert_int_equal(choose(logits, count, settings[i], NULL, 0, round).token,
                                 choose_by_sorting(logits, count, &settings[i], round));
    }
}

/* 20000 draws of known probabilities; five standard deviations are never left by a correct sampler. */
static void frequencies_follow_the_probabilities(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    static const double probabilities[] = {0.5, 0.25, 0.15, 0.1};
    float logits[4];
    for (size_t i = 0; i < 4; i++)
        logits[i] = (float)log(probabilities[i]);
    uint32_t counts[4] = {0};
    for (uint64_t position = 0; position < DRAWS; position++)
        counts[choose(logits, 4, (struct sampling){1, 0, 1, 1, 77}, NULL, 0, position).token]++;
    for (size_t i = 0; i < 4; i++) {
        const double deviation = sqrt(DRAWS * probabilities[i] * (1 - probabilities[i]));
        assert_true(fabs(counts[i] - DRAWS * probabilities[i]) < 5 * deviation);
    }
}

static void a_choice_depends_on_its_arguments_alone(void **state)
{
    (void)state;
    float logits[VOCABULARY_MAX], other[VOCABULARY_MAX];
    fill(logits, VOCABULARY_MAX, 1);
    fill(other, VOCABULARY_MAX, 2);
    int32_t history[50];
    for (int32_t i = 0; i < 50; i++)
        history[i] = i * 19;
    const struct sampling settings[] = {{1, 0, 1, 1.5f, 3}, {1, 30, 0.8f, 1.5f, 3}, {0, 0, 1, 2, 0}};
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const struct sampler_choice before = choose(logits, VOCABULARY_MAX, settings[i], history, 50, 4);
        (void)choose(other, VOCABULARY_MAX, settings[(i + 1) % 3], history + 20, 30, 5);
        const struct sampler_choice after = choose(logits, VOCABULARY_MAX, settings[i], history, 50, 4);
        assert_memory_equal(&before, &after, sizeof before);
    }
    double sum = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        const double uniform = sampler_uniform(i % 100, i / 100);
        assert_true(uniform >= 0 && uniform < 1);
        sum += uniform;
    }
    assert_true(fabs(sum / 10000 - 0.5) < 0.015);
    assert_true(sampler_uniform(1, 2) != sampler_uniform(2, 1));
}

static void what_is_no_number_is_a_failure(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        for (uint32_t at = 0; at < 37; at += 6) {
            float logits[37];
            fill(logits, 37, 3);
            logits[at] = bad[i];
            const struct sampling sampling = SAMPLING_GREEDY;
            const struct sampler_input input = {.logits = logits, .vocabulary = 37, .sampling = &sampling};
            struct sampler_choice choice = {5, 5};
            assert_code(sampler_choose(kernels, &input, scratch, &choice, NULL), DOBBY_NUMERIC_FAILURE);
            assert_int_equal(choice.token, 0);
        }
    }
}

static void settings_are_checked(void **state)
{
    (void)state;
    static const struct {
        struct sampling sampling;
        dobby_code want;
    } rows[] = {
        {{0, 0, 1, 1, 0}, DOBBY_OK},
        {{0, 0, 0, 1, 0}, DOBBY_OK}, /* greedy: top-p is ignored */
        {{0.7f, 40, 0.9f, 1.1f, 0}, DOBBY_OK},
        {{-1, 0, 1, 1, 0}, DOBBY_INVALID_ARGUMENT},
        {{NAN, 0, 1, 1, 0}, DOBBY_INVALID_ARGUMENT},
        {{INFINITY, 0, 1, 1, 0}, DOBBY_INVALID_ARGUMENT},
        {{1, 0, 0, 1, 0}, DOBBY_INVALID_ARGUMENT},
        {{1, 0, 1.5f, 1, 0}, DOBBY_INVALID_ARGUMENT},
        {{1, 0, NAN, 1, 0}, DOBBY_INVALID_ARGUMENT},
        {{0, 0, 1, 0, 0}, DOBBY_INVALID_ARGUMENT},
        {{0, 0, 1, NAN, 0}, DOBBY_INVALID_ARGUMENT},
        {{0, 0, 1, -2, 0}, DOBBY_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_code(sampling_check(&rows[i].sampling, NULL), rows[i].want);
}

static int open_all(void **state)
{
    (void)state;
    struct dobby_error err;
    assert_ok(kernels_choose("ref", &kernels, &err), &err);
    assert_ok(sampler_scratch_new(VOCABULARY_MAX, &scratch, &err), &err);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    sampler_scratch_free(scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_choices),
        cmocka_unit_test(log_probability_is_of_the_raw_logits),
        cmocka_unit_test(parts_join_to_the_row),
        cmocka_unit_test(a_part_that_is_no_number_spoils_the_row),
        cmocka_unit_test(what_wants_no_more_than_the_best),
        cmocka_unit_test(ranked_choices_equal_those_by_sorting),
        cmocka_unit_test(frequencies_follow_the_probabilities),
        cmocka_unit_test(a_choice_depends_on_its_arguments_alone),
        cmocka_unit_test(what_is_no_number_is_a_failure),
        cmocka_unit_test(settings_are_checked),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
