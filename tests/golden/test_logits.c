/* Logits of small random models against an independent implementation, with every kernel set that runs here.
 *
 * Models are the directories with a logits.jsonl below tests/golden and, where DOBBY_TEST_GOLDEN names
 * another directory, below that. */
#include "golden/jsonl_helper.h"
#include "infer/model/forward.h"
#include "os/file.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN DOBBY_SOURCE_DIR "/tests/golden"

/* The reference is F32 summed in another order, printed with five decimals; logits are of the order of 3.
 * Tiles take queries, keys and values as INT8 times one scale, whatever the products' precision: steps of one
 * part in 127 of a vector's largest value. */
static const double tolerance_f32 = 1e-4, tolerance_tiles = 0.05;
static const atomic_bool never;
enum { SETS = 8, PATH_BYTES = 1024, PROMPT_TOKENS_MAX = 512 };

struct fixture {
    struct model model;
    struct kv_pool *kv;
    struct thread_pool *pool;
    struct forward *forward;
    double tolerance, error_max;
};

static void check_line(void *context, size_t number, const struct json *line)
{
    struct fixture *f = context;
    struct dobby_error err;
    size_t token_count, row_count;
    int32_t *tokens = jsonl_integers(json_member(line, "ids"), &token_count);
    int32_t *rows = jsonl_integers(json_member(line, "rows"), &row_count);
    const struct json *want_rows = json_member(line, "logits");
    assert_true(token_count > 0 && token_count <= PROMPT_TOKENS_MAX && row_count > 0);
    assert_int_equal(json_count(want_rows), row_count);

    struct kv_sequence sequence;
    assert_ok(kv_sequence_open(f->kv, (uint32_t)token_count, &sequence, &err), &err);
    const struct forward_run run = {&sequence, tokens, (uint32_t)token_count, (uint32_t)token_count};
    assert_true(forward_pass(f->forward, &run, 1));
    for (size_t i = 0; i < row_count; i++) {
        size_t count;
        float *want = jsonl_numbers(json_element(want_rows, i), &count);
        assert_int_equal(count, f->model.config.vocabulary);
        const float *have = forward_logits(f->forward, (uint32_t)rows[i], 1);
        for (size_t j = 0; j < count; j++) {
            const double error = fabs((double)have[j] - (double)want[j]);
            if (!(error <= f->tolerance))
                fail_msg("line %zu, position %d, logit %zu: %g is not %g", number, rows[i], j,
                         (double)have[j], (double)want[j]);
            f->error_max = error > f->error_max ? error : f->error_max;
        }
        free(want);
    }
    kv_sequence_close(f->kv, &sequence);
    free(tokens);
    free(rows);
}

static void check_model(const char *directory, const struct kernels *kernels, uint32_t threads)
{
    struct dobby_error err;
    struct fixture f = {.tolerance = kernels->rounds_keys ? tolerance_tiles : tolerance_f32};
    struct model_file *file;
    char vectors[PATH_BYTES + 16];
    (void)snprintf(vectors, sizeof vectors, "%s/logits.jsonl", directory);
    assert_ok(model_file_open(directory, &file, &err), &err);
    assert_ok(model_load(file, kernels, PRODUCT_F32, PROMPT_TOKENS_MAX, &f.model, &err), &err);
    const struct kv_shape shape = model_kv_shape(&f.model);
    const uint64_t kv_bytes = kv_pages_of(PROMPT_TOKENS_MAX) * kv_page_bytes(&shape);
    assert_ok(kv_pool_open(&shape, kv_bytes, &f.kv, &err), &err);
    assert_ok(thread_pool_open(threads, &f.pool, &err), &err);
    const struct forward_limits limits = {.tokens_max = PROMPT_TOKENS_MAX, .runs_max = 1};
    assert_ok(forward_open(&f.model, f.pool, &never, &limits, &f.forward, &err), &err);
    const size_t lines = jsonl_each(vectors, check_line, &f);
    assert_true(lines > 0);
    print_message("%s, %s kernels: %zu prompts, largest error %.1e\n", directory, kernels->name, lines,
                  f.error_max);
    forward_close(f.forward);
    thread_pool_close(f.pool);
    kv_pool_close(f.kv);
    model_release(&f.model);
    model_file_close(file);
}

/* Returns how many models there were. */
static size_t check_directory(const char *directory)
{
    struct dobby_error err;
    struct directory_list list;
    size_t models = 0;
    const struct kernels *sets[SETS];
    const size_t set_count = kernels_available(sets, SETS);
    assert_ok(directory_list_open(directory, &list, &err), &err);
    for (size_t i = 0; i < list.count; i++) {
        char path[PATH_BYTES], vectors[PATH_BYTES + 16];
        (void)snprintf(path, sizeof path, "%s/%s", directory, list.entries[i].name);
        (void)snprintf(vectors, sizeof vectors, "%s/logits.jsonl", path);
        if (list.entries[i].kind != FILE_DIRECTORY || !file_exists(vectors))
            continue;
        models++;
        for (size_t j = 0; j < set_count; j++)
            check_model(path, sets[j], 1 + (uint32_t)j % 2);
    }
    directory_list_release(&list);
    return models;
}

static void logits_equal_the_reference(void **state)
{
    (void)state;
    assert_true(check_directory(GOLDEN) > 0);
}

static void logits_of_further_models_equal_the_reference(void **state)
{
    (void)state;
    const char *directory = getenv("DOBBY_TEST_GOLDEN");
    if (directory == NULL) {
        print_message("skipped: DOBBY_TEST_GOLDEN names no directory with further models\n");
        skip();
    }
    assert_true(check_directory(directory) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_equal_the_reference),
        cmocka_unit_test(logits_of_further_models_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
