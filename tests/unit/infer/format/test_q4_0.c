/* A file whose weights have four bits opens and runs, exactly and rounded. */
#include "gguf_helper.h"
#include "infer/cpu/kernels.h"
#include "infer/engine_native.h"
#include "os/file.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { Q4_0 = 2, PROMPTS = 5, TOKENS = 12, WAIT_MS = 60000, SETS_MAX = 8 };

static char path[64];

static int write_model(void **state)
{
    static const struct gguf_edit edits[] = {
        {.kind = EDIT_MATRIX_TYPE, .number = Q4_0}, {.kind = EDIT_WEIGHTS}, {.kind = EDIT_NONE}};
    struct buffer bytes = {0};
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/dobby-q4-%ld.gguf", (long)getpid());
    small_gguf_build(&bytes, edits);
    const dobby_code code = file_write_atomic(path, bytes.bytes, bytes.length, NULL);
    buffer_release(&bytes);
    return code == DOBBY_OK ? 0 : -1;
}

static int remove_model(void **state)
{
    (void)state;
    return unlink(path);
}

static struct engine *open_engine(const char *kernels, const char *precision)
{
    struct engine *engine;
    struct dobby_error err;
    const struct engine_native_options options = {
        .model_path = path, .threads = 2, .sessions = 3, .kernels = kernels, .precision = precision};
    assert_ok(engine_native_open(&options, &engine, &err), &err);
    return engine;
}

/* The prompts' continuations, all of TOKENS tokens, by the prompt's number. */
static void run(struct engine *engine, struct engine_result out[PROMPTS])
{
    struct dobby_error err;
    for (uint64_t i = 0; i < PROMPTS; i++) {
        const int32_t tokens[] = {(int32_t)(3 + 17 * i), 97, 98, (int32_t)(50 + i)};
        const struct engine_request request = {.tag = i,
                                               .tokens = tokens,
                                               .token_count = COUNT_OF(tokens),
                                               .tokens_max = TOKENS,
                                               .ignore_end = true,
                                               .sampling = SAMPLING_GREEDY};
        assert_ok(engine_submit(engine, &request, &err), &err);
    }
    for (size_t done = 0; done < PROMPTS; done++) {
        struct engine_result result;
        size_t count = 0;
        assert_ok(engine_wait(engine, &result, 1, WAIT_MS, &count, &err), &err);
        assert_int_equal(count, 1);
        assert_code(result.error.code, DOBBY_OK);
        out[result.tag] = result;
    }
}

static void release(struct engine_result results[PROMPTS])
{
    for (size_t i = 0; i < PROMPTS; i++)
        engine_result_release(&results[i]);
}

static void the_file_says_what_it_is(void **state)
{
    (void)state;
    struct model_file *file;
    struct tensor tensor;
    struct dobby_error err;
    assert_ok(model_file_open(path, &file, &err), &err);
    assert_string_equal(tensor_type_name(model_file_weight_type(file)), "Q4_0");
    assert_ok(model_file_weight(file, WEIGHT_FFN_DOWN, 1, &tensor, &err), &err);
    assert_int_equal(tensor.type, TENSOR_Q4_0);
    assert_int_equal(tensor.bytes, SMALL_HIDDEN * SMALL_FEED_FORWARD / 32 * 18);
    model_file_close(file);
}

/* A vector of four bits, and columns that no block divides, are refused as those of eight bits are. */
static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct gguf_edit edit;
        dobby_code want;
    } cases[] = {
        {{.kind = EDIT_TENSOR_TYPE, .key = "output_norm.weight", .number = Q4_0}, DOBBY_MODEL_UNSUPPORTED},
        {{.kind = EDIT_TENSOR_SHAPE, .key = "blk.0.attn_q.weight", .number = 48}, DOBBY_MODEL_CORRUPT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct gguf_edit edits[] = {
            {.kind = EDIT_MATRIX_TYPE, .number = Q4_0}, cases[i].edit, {.kind = EDIT_NONE}};
        struct buffer bytes = {0};
        struct model_file *file;
        struct dobby_error err;
        char other[80];
        small_gguf_build(&bytes, edits);
        (void)snprintf(other, sizeof other, "%s.bad.gguf", path);
        assert_ok(file_write_atomic(other, bytes.bytes, bytes.length, &err), &err);
        assert_code(model_file_open(other, &file, &err), cases[i].want);
        assert_int_equal(unlink(other), 0);
        buffer_release(&bytes);
    }
}

static void every_set_has_the_references_bits(void **state)
{
    (void)state;
    const struct kernels *sets[SETS_MAX];
    const size_t count = kernels_available(sets, SETS_MAX);
    struct engine_result want[PROMPTS];
    struct engine *engine = open_engine("ref", "exact");
    assert_string_equal(engine_info(engine)->precision, "q4_0/f32");
    run(engine, want);
    engine_close(engine);
    uint32_t distinct = 0;
    for (size_t i = 1; i < PROMPTS; i++)
        distinct += want[i].logprobs[0] != want[0].logprobs[0];
    assert_int_equal(distinct, PROMPTS - 1);
    for (size_t s = 1; s < count; s++) {
        struct engine_result have[PROMPTS];
        engine = open_engine(sets[s]->name, "exact");
        run(engine, have);
        for (size_t i = 0; i < PROMPTS; i++) /* exponentials differ in their last bits */
            assert_memory_equal(have[i].tokens, want[i].tokens, TOKENS * sizeof(int32_t));
        release(have);
        engine_close(engine);
    }
    release(want);
}

/* The first token's log-probability, before choices go their own ways, is close to the exact one. */
static void rounding_loses_little(void **state)
{
    (void)state;
    static const struct {
        const char *precision;
        float allowed;
    } cases[] = {{"bf16", 0.05f}, {"int8", 0.1f}, {"int4", 0.1f}, {"auto", 0.1f}};
    struct engine_result want[PROMPTS];
    struct engine *engine = open_engine(NULL, "exact");
    run(engine, want);
    engine_close(engine);
    const struct kernels *kernels;
    struct dobby_error err;
    assert_ok(kernels_choose(NULL, &kernels, &err), &err);
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        struct engine_result have[PROMPTS];
        if (strcmp(cases[c].precision, "int4") == 0 && !kernels->has_int4) {
            print_message("the %s kernels have no int4\n", kernels->name);
            continue;
        }
        engine = open_engine(NULL, cases[c].precision);
        if (strcmp(cases[c].precision, "int4") == 0)
            assert_string_equal(engine_info(engine)->precision, "int4/int8");
        run(engine, have);
        for (size_t i = 0; i < PROMPTS; i++)
            if (!(fabsf(have[i].logprobs[0] - want[i].logprobs[0]) <= cases[c].allowed))
                fail_msg("%s: prompt %zu begins with %g, not %g", cases[c].precision, i,
                         (double)have[i].logprobs[0], (double)want[i].logprobs[0]);
        release(have);
        engine_close(engine);
    }
    release(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_says_what_it_is),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(every_set_has_the_references_bits),
        cmocka_unit_test(rounding_loses_little),
    };
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
