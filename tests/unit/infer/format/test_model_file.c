#include "gguf_helper.h"
#include "infer/format/model_file.h"
#include "os/file.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TINY DOBBY_SOURCE_DIR "/tests/golden/qwen2-tied-bf16-theta1e6"
#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"

struct fixture {
    char directory[64];
    char file[96]; /* in the directory */
};

static int make_directory(void **state)
{
    static struct fixture fixture;
    snprintf(fixture.directory, sizeof(fixture.directory), "/tmp/dobby-test-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    snprintf(fixture.file, sizeof(fixture.file), "%s/model.gguf", fixture.directory);
    *state = &fixture;
    return 0;
}

static int remove_directory(void **state)
{
    struct fixture *fixture = *state;
    struct directory_list list;
    assert_int_equal(directory_list_open(fixture->directory, &list, NULL), DOBBY_OK);
    for (size_t i = 0; i < list.count; i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", fixture->directory, list.entries[i].name);
        assert_int_equal(unlink(path), 0);
    }
    directory_list_release(&list);
    assert_int_equal(rmdir(fixture->directory), 0);
    return 0;
}

static void write_file(const struct fixture *fixture, const char *name, const void *bytes, size_t length)
{
    struct dobby_error err = {0};
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
    assert_ok(file_write_atomic(path, bytes, length, &err), &err);
}

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
    write_file(fixture, name, text, strlen(text));
}

/* Opens and closes; a failure must leave no handle. */
static dobby_code try_open(const char *path, struct dobby_error *err)
{
    struct model_file *file = NULL;
    dobby_code code = model_file_open(path, &file, err);
    if (code != DOBBY_OK)
        assert_null(file);
    model_file_close(file);
    return code;
}

static void the_embedded_model_opens(void **state)
{
    (void)state;
    struct model_file *file = NULL;
    struct tensor tensor;
    struct dobby_error err = {0};
    assert_ok(model_file_open(NANO, &file, &err), &err);
    const struct model_config *config = model_file_config(file);
    assert_string_equal(config->name, "dobby-nano");
    assert_int_equal(config->end_token_count, 2);
    assert_int_equal(config->end_tokens[0], 2);
    assert_int_equal(config->end_tokens[1], 0);
    assert_int_equal(config->begin_token, -1);
    assert_int_equal(config->chat, CHAT_CHATML);
    assert_true(config->qkv_bias);
    assert_string_equal(model_file_format(file), "gguf");
    assert_string_equal(tensor_type_name(model_file_weight_type(file)), "Q8_0");
    assert_int_equal(model_file_parameters(file), 44586496);
    assert_int_equal(model_file_bytes(file), 47984608);

    assert_ok(model_file_weight(file, WEIGHT_FFN_DOWN, 11, &tensor, &err), &err);
    assert_int_equal(tensor.rows, 512);
    assert_int_equal(tensor.columns, 1536);
    assert_int_equal(tensor.bytes, 512 * 1536 / 32 * 34);
    const void *embedding = NULL;
    assert_ok(model_file_weight(file, WEIGHT_TOKEN_EMBEDDING, 0, &tensor, &err), &err);
    embedding = tensor.data;
    assert_ok(model_file_weight(file, WEIGHT_OUTPUT_HEAD, 0, &tensor, &err), &err);
    assert_ptr_equal(tensor.data, embedding);
    assert_code(model_file_weight(file, WEIGHT_Q, 12, &tensor, &err), DOBBY_INVALID_ARGUMENT);
    assert_code(model_file_weight(file, WEIGHT_OUTPUT_NORM, 1, &tensor, &err), DOBBY_MODEL_CORRUPT);
    assert_null(tensor.data);
    model_file_drop_pages(file);
    model_file_close(file);
}

static void a_directory_opens(void **state)
{
    (void)state;
    struct model_file *file = NULL;
    struct tokenizer *tokenizer = NULL;
    struct tensor tensor;
    struct dobby_error err = {0};
    uint8_t digest[32], again[32];
    assert_ok(model_file_open(TINY, &file, &err), &err);
    const struct model_config *config = model_file_config(file);
    assert_string_equal(config->name, "qwen2-tied-bf16-theta1e6");
    assert_string_equal(model_file_format(file), "huggingface");
    assert_int_equal(model_file_weight_type(file), TENSOR_BF16);
    assert_true(config->rope_base == 1e6F);
    for (uint32_t layer = 0; layer < config->layers; layer++) {
        for (enum weight_role role = WEIGHT_ATTENTION_NORM; role < WEIGHT_ROLE_COUNT; role++)
            assert_ok(model_file_weight(file, role, layer, &tensor, &err), &err);
    }
    assert_int_equal(tensor.rows, 112);
    assert_int_equal(tensor.columns, 304);
    assert_ok(model_file_fingerprint(file, digest, &err), &err);
    assert_ok(model_file_fingerprint(file, again, &err), &err);
    assert_memory_equal(digest, again, 32);
    assert_code(model_file_tokenizer(file, &tokenizer, &err), DOBBY_TOKENIZER_INVALID);
    assert_non_null(strstr(err.detail, "tokenizer.json is missing"));
    assert_null(tokenizer);
    model_file_close(file);
}

static void a_cut_file_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct file_map whole;
    struct dobby_error err = {0};
    assert_ok(file_map_open(NANO, &whole, &err), &err);
    /* Sixty places, most of them in the 547 kB of metadata; a sparse file stands for the long ones. */
    for (size_t i = 0; i < 60; i++) {
        size_t length = i < 40 ? i * i * 350 : whole.length - (60 - i) * (60 - i) * 100000 - 1;
        write_file(fixture, "model.gguf", whole.bytes, length < 600000 ? length : 600000);
        if (length > 600000)
            assert_int_equal(truncate(fixture->file, (off_t)length), 0);
        err = (struct dobby_error){0};
        assert_int_equal(try_open(fixture->file, &err),
                         length < 4 ? DOBBY_MODEL_FORMAT_UNKNOWN : DOBBY_MODEL_CORRUPT);
        assert_true(err.detail[0] != '\0');
    }
    file_map_close(&whole);
}

static void what_is_no_model(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *path;
        dobby_code want;
    } cases[] = {
        {"/no/such/model.gguf", DOBBY_MODEL_NOT_FOUND},
        {DOBBY_SOURCE_DIR "/CMakeLists.txt/model", DOBBY_MODEL_NOT_FOUND},
        {DOBBY_SOURCE_DIR "/CMakeLists.txt", DOBBY_MODEL_FORMAT_UNKNOWN},
        {DOBBY_SOURCE_DIR "/src", DOBBY_MODEL_FORMAT_UNKNOWN},
        {TINY "/model.safetensors", DOBBY_MODEL_FORMAT_UNKNOWN},
        {"/dev/null", DOBBY_MODEL_FORMAT_UNKNOWN},
    };
    char fifo[128];
    struct dobby_error err = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        err = (struct dobby_error){0};
        dobby_code code = try_open(cases[i].path, &err);
        if (code != cases[i].want)
            fail_msg("%s: got %s: %s", cases[i].path, dobby_code_name(code), err.detail);
    }
    snprintf(fifo, sizeof(fifo), "%s/fifo", fixture->directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_code(try_open(fifo, &err), DOBBY_MODEL_FORMAT_UNKNOWN);
    assert_int_equal(unlink(fifo), 0);
    write_file(fixture, "model.gguf", "", 0);
    assert_code(try_open(fixture->file, &err), DOBBY_MODEL_FORMAT_UNKNOWN);
}

static void weights_are_checked_when_opened(void **state)
{
    static const struct {
        const char *name;
        struct gguf_edit edit;
        dobby_code want;
        const char *detail;
    } cases[] = {
        {"whole", {EDIT_DROP, "general.license", 0, 0, NULL}, DOBBY_OK, ""},
        {"missing matrix",
         {EDIT_DROP, "blk.1.attn_k.weight", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor blk.1.attn_k.weight is missing"},
        {"missing norm",
         {EDIT_DROP, "output_norm.weight", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor output_norm.weight is missing"},
        {"missing bias",
         {EDIT_DROP, "blk.1.attn_v.bias", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor blk.1.attn_v.bias is missing"},
        {"bias in one layer only",
         {EDIT_DROP, "blk.0.attn_q.bias", 0, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "tensor blk.0.attn_k.bias: no such tensor"},
        {"narrow matrix",
         {EDIT_TENSOR_SHAPE, "blk.1.ffn_down.weight", 32, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor blk.1.ffn_down.weight: 2 dimensions (32, 32)"},
        {"short norm",
         {EDIT_TENSOR_SHAPE, "blk.1.ffn_norm.weight", 31, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor blk.1.ffn_norm.weight: shape (31)"},
        {"quantised norm",
         {EDIT_TENSOR_TYPE, "blk.1.ffn_norm.weight", 8, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "tensor blk.1.ffn_norm.weight has type Q8_0"},
        {"unknown tensor",
         {EDIT_TENSOR_NAME, "blk.1.attn_k.weight", 0, 0, "blk.1.attn_k_norm.weight"},
         DOBBY_MODEL_CORRUPT,
         "blk.1.attn_k.weight is missing"},
        {"more layers said than there are",
         {EDIT_U32, "qwen2.block_count", 3, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor blk.2.attn_norm.weight is missing"},
        {"fewer layers said than there are",
         {EDIT_U32, "qwen2.block_count", 1, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "tensor blk.1."},
        {"another hidden size",
         {EDIT_U32, "qwen2.embedding_length", 64, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor token_embd.weight"},
        {"another head count",
         {EDIT_U32, "qwen2.attention.head_count_kv", 4, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor blk.0.attn_k.weight"},
    };
    struct fixture *fixture = *state;
    struct buffer bytes = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dobby_error err = {0};
        const struct gguf_edit edits[] = {cases[i].edit, {.kind = EDIT_NONE}};
        small_gguf_build(&bytes, edits);
        write_file(fixture, "model.gguf", bytes.bytes, bytes.length);
        dobby_code code = try_open(fixture->file, &err);
        if (code != cases[i].want || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
    }
    buffer_release(&bytes);
}

static void a_file_without_a_name_goes_by_its_path(void **state)
{
    struct fixture *fixture = *state;
    struct buffer bytes = {0};
    struct model_file *file = NULL;
    struct dobby_error err = {0};
    const struct gguf_edit edits[] = {{.kind = EDIT_DROP, .key = "general.name"}, {.kind = EDIT_NONE}};
    small_gguf_build(&bytes, edits);
    write_file(fixture, "model.gguf", bytes.bytes, bytes.length);
    assert_ok(model_file_open(fixture->file, &file, &err), &err);
    assert_string_equal(model_file_config(file)->name, "model");
    model_file_close(file);
    buffer_release(&bytes);
}

static void fingerprint_of(const char *path, uint8_t digest[32])
{
    struct model_file *file = NULL;
    struct dobby_error err = {0};
    assert_ok(model_file_open(path, &file, &err), &err);
    assert_ok(model_file_fingerprint(file, digest, &err), &err);
    model_file_close(file);
}

/* The tiny model again, as one shard behind an index, then with single files changed. */
static void directories_with_an_index(void **state)
{
    static const char index[] = "{\"weight_map\":{\"model.norm.weight\":\"part-1.safetensors\"}}";
    struct fixture *fixture = *state;
    struct buffer config = {0};
    struct buffer weights = {0};
    struct dobby_error err = {0};
    uint8_t digest[32], changed[32];
    assert_ok(file_read(TINY "/config.json", true, 1 << 20, &config, &err), &err);
    assert_ok(file_read(TINY "/model.safetensors", true, 1 << 20, &weights, &err), &err);

    write_file(fixture, "config.json", config.bytes, config.length);
    assert_code(try_open(fixture->directory, &err), DOBBY_MODEL_CORRUPT);
    assert_non_null(strstr(err.detail, "no model.safetensors"));
    write_text(fixture, "model.safetensors.index.json", index);
    assert_code(try_open(fixture->directory, &err), DOBBY_MODEL_CORRUPT);
    assert_non_null(strstr(err.detail, "part-1.safetensors is missing"));
    write_file(fixture, "part-1.safetensors", weights.bytes, weights.length);
    assert_ok(try_open(fixture->directory, &err), &err);

    fingerprint_of(fixture->directory, digest);
    write_text(fixture, "generation_config.json", "{\"eos_token_id\":7}");
    fingerprint_of(fixture->directory, changed);
    assert_memory_not_equal(digest, changed, 32);
    weights.bytes[weights.length - 1] ^= 1;
    write_file(fixture, "part-1.safetensors", weights.bytes, weights.length);
    fingerprint_of(fixture->directory, digest);
    assert_memory_not_equal(digest, changed, 32);

    for (size_t cut = 1; cut <= 50; cut++) {
        write_file(fixture, "part-1.safetensors", weights.bytes, weights.length * cut / 51);
        assert_code(try_open(fixture->directory, &err), DOBBY_MODEL_CORRUPT);
    }
    write_text(fixture, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../x.safetensors\"}}");
    assert_code(try_open(fixture->directory, &err), DOBBY_MODEL_CORRUPT);
    write_text(fixture, "config.json", "{}");
    assert_code(try_open(fixture->directory, &err), DOBBY_MODEL_CORRUPT);
    buffer_release(&config);
    buffer_release(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_embedded_model_opens),
        cmocka_unit_test(a_directory_opens),
        cmocka_unit_test(a_cut_file_is_an_error),
        cmocka_unit_test(what_is_no_model),
        cmocka_unit_test(weights_are_checked_when_opened),
        cmocka_unit_test(a_file_without_a_name_goes_by_its_path),
        cmocka_unit_test(directories_with_an_index),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
