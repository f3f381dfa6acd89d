#include "base/arena.h"
#include "base/limits.h"
#include "gguf_helper.h"
#include "infer/format/gguf.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

/* Parses a copy of exactly `length` bytes, so that a read beyond them is seen by the sanitizers. */
static dobby_code parse_copy(const char *bytes, size_t length, struct dobby_error *err)
{
    struct arena arena;
    struct gguf gguf;
    uint8_t *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    arena_init(&arena, 0);
    dobby_code code = gguf_parse(copy, length, &arena, &gguf, err);
    if (code != DOBBY_OK) {
        assert_int_equal(gguf.value_count, 0);
        assert_int_equal(gguf.tensors.count, 0);
    }
    arena_release(&arena);
    free(copy);
    return code;
}

static void a_whole_file_parses(void **state)
{
    (void)state;
    struct buffer file = {0};
    struct arena arena;
    struct gguf gguf;
    struct dobby_error err = {0};
    small_gguf_build(&file, NULL);
    arena_init(&arena, 0);
    assert_ok(gguf_parse((const uint8_t *)file.bytes, file.length, &arena, &gguf, &err), &err);
    assert_int_equal(gguf.version, 3);
    assert_int_equal(gguf.tensors.count, 2 + 12 * SMALL_LAYERS);

    int64_t number = 0;
    double real = 0;
    const char *text = NULL;
    size_t length = 0;
    assert_true(gguf_string_equals(gguf_find(&gguf, "general.architecture"), "qwen2"));
    assert_false(gguf_string_equals(gguf_find(&gguf, "general.architecture"), "qwen"));
    assert_true(gguf_integer(gguf_find(&gguf, "qwen2.block_count"), &number));
    assert_int_equal(number, SMALL_LAYERS);
    assert_true(gguf_number(gguf_find(&gguf, "qwen2.attention.layer_norm_rms_epsilon"), &real));
    assert_true(real > 0.9e-6 && real < 1.1e-6);
    assert_false(gguf_integer(gguf_find(&gguf, "general.name"), &number));
    assert_null(gguf_find(&gguf, "general.nam"));
    assert_false(gguf_string(NULL, &text, &length));

    struct gguf_strings tokens;
    size_t count = 0;
    assert_true(gguf_strings_begin(gguf_find(&gguf, "tokenizer.ggml.tokens"), &tokens));
    while (gguf_strings_next(&tokens, &text, &length))
        count++;
    assert_int_equal(count, SMALL_VOCABULARY);
    assert_int_equal(length, strlen("<|im_end|>"));
    assert_true(gguf_array_integer(gguf_find(&gguf, "tokenizer.ggml.token_type"), 259, &number));
    assert_int_equal(number, 3);
    assert_false(gguf_array_integer(gguf_find(&gguf, "tokenizer.ggml.token_type"), 260, &number));

    const struct tensor_entry *up = tensor_table_find(&gguf.tensors, "blk.1.ffn_up.weight");
    assert_non_null(up);
    assert_int_equal(up->dimension_count, 2);
    assert_int_equal(up->dimensions[0], SMALL_FEED_FORWARD);
    assert_int_equal(up->dimensions[1], SMALL_HIDDEN);
    assert_int_equal(up->bytes, SMALL_FEED_FORWARD * SMALL_HIDDEN / 32 * 34);
    arena_release(&arena);
    buffer_release(&file);
}

static void every_cut_is_an_error(void **state)
{
    (void)state;
    struct buffer file = {0};
    small_gguf_build(&file, NULL);
    for (size_t length = 0; length < file.length; length += length < 9000 ? 1 : 97) {
        struct dobby_error err = {0};
        dobby_code code = parse_copy(file.bytes, length, &err);
        assert_int_equal(code, length < 4 ? DOBBY_MODEL_FORMAT_UNKNOWN : DOBBY_MODEL_CORRUPT);
        assert_true(err.detail[0] != '\0');
    }
    assert_int_equal(parse_copy(file.bytes, file.length - 1, NULL), DOBBY_MODEL_CORRUPT);
    assert_int_equal(parse_copy(file.bytes, file.length, NULL), DOBBY_OK);
    buffer_release(&file);
}

/* Any one byte of the header and metadata set to extremes: parsed or refused, never a crash. */
static void every_changed_byte_is_survived(void **state)
{
    (void)state;
    struct buffer file = {0};
    small_gguf_build(&file, NULL);
    for (size_t at = 0; at < 9000; at++) {
        static const char values[] = {'\0', '\x7F', '\xFF'};
        char original = file.bytes[at];
        file.bytes[at] = values[at % sizeof(values)];
        (void)parse_copy(file.bytes, file.length, NULL);
        file.bytes[at] = original;
    }
    buffer_release(&file);
}

struct header_case {
    const char *name;
    size_t offset, width;
    uint64_t value;
    dobby_code want;
    const char *detail; /* part of it */
};

static void header_fields_are_checked(void **state)
{
    static const struct header_case cases[] = {
        {"magic", 0, 4, 0x46554748, DOBBY_MODEL_FORMAT_UNKNOWN, "GGUF"},
        {"version 1", 4, 4, 1, DOBBY_MODEL_UNSUPPORTED, "version 1"},
        {"version 4", 4, 4, 4, DOBBY_MODEL_UNSUPPORTED, "version 4"},
        {"big endian", 4, 4, 0x03000000, DOBBY_MODEL_UNSUPPORTED, "little endian"},
        {"version 2 is read alike", 4, 4, 2, DOBBY_OK, ""},
        {"tensor count over the limit", 8, 8, LIMIT_MODEL_TENSORS + 1, DOBBY_MODEL_CORRUPT, "tensor count"},
        {"tensor count of all ones", 8, 8, UINT64_MAX, DOBBY_MODEL_CORRUPT, "tensor count"},
        {"one tensor too many", 8, 8, 27, DOBBY_MODEL_CORRUPT, "tensor entry 26"},
        {"metadata count over the limit", 16, 8, LIMIT_MODEL_METADATA + 1, DOBBY_MODEL_CORRUPT,
         "metadata count"},
        {"metadata count of all ones", 16, 8, UINT64_MAX, DOBBY_MODEL_CORRUPT, "metadata count"},
        {"no metadata", 16, 8, 0, DOBBY_MODEL_CORRUPT, "tensor"},
        {"key length of all ones", 24, 8, UINT64_MAX, DOBBY_MODEL_CORRUPT, "metadata entry 0: key"},
        {"key length 0", 24, 8, 0, DOBBY_MODEL_CORRUPT, "metadata entry 0: key"},
        {"value type", 24 + 8 + 20, 4, 13, DOBBY_MODEL_CORRUPT, "metadata general.architecture: type 13"},
        {"string length", 24 + 8 + 20 + 4, 8, INT64_MAX, DOBBY_MODEL_CORRUPT,
         "metadata general.architecture: string"},
    };
    (void)state;
    struct buffer file = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dobby_error err = {0};
        small_gguf_build(&file, NULL);
        for (size_t k = 0; k < cases[i].width; k++)
            file.bytes[cases[i].offset + k] = (char)(uint8_t)(cases[i].value >> (8 * k));
        dobby_code code = parse_copy(file.bytes, file.length, &err);
        if (code != cases[i].want || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
    }
    buffer_release(&file);
}

struct edit_case {
    const char *name;
    struct gguf_edit edit;
    dobby_code want;
    const char *detail;
};

static void tensors_are_checked(void **state)
{
    static const struct edit_case cases[] = {
        {"type Q4_K",
         {EDIT_TENSOR_TYPE, "blk.1.attn_q.weight", 12, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "tensor blk.1.attn_q.weight has type Q4_K"},
        {"type unheard of",
         {EDIT_TENSOR_TYPE, "blk.1.attn_q.weight", 999, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "type unknown (999)"},
        {"no columns",
         {EDIT_TENSOR_SHAPE, "blk.1.attn_q.weight", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "shape 0 x 32"},
        {"half a block",
         {EDIT_TENSOR_SHAPE, "blk.1.attn_q.weight", 48, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "not possible for Q8_0"},
        {"shape beyond the file",
         {EDIT_TENSOR_SHAPE, "blk.1.attn_q.weight", 1u << 31, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "beyond the file's end"},
        {"offset beyond the file",
         {EDIT_TENSOR_OFFSET, "blk.1.ffn_down.weight", 1u << 30, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "tensor blk.1.ffn_down.weight: offset"},
        {"offset not aligned",
         {EDIT_TENSOR_OFFSET, "blk.1.attn_q.weight", 8, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "multiple of the alignment"},
        {"two of one name",
         {EDIT_TENSOR_NAME, "blk.1.attn_q.weight", 0, 0, "blk.0.attn_q.weight"},
         DOBBY_MODEL_CORRUPT,
         "blk.0.attn_q.weight is there twice"},
        {"no name", {EDIT_TENSOR_NAME, "blk.1.attn_q.weight", 0, 0, ""}, DOBBY_MODEL_CORRUPT, "name has 0"},
        {"alignment 0", {EDIT_U32, "general.alignment", 0, 0, NULL}, DOBBY_MODEL_CORRUPT, "power of two"},
        {"alignment 48", {EDIT_U32, "general.alignment", 48, 0, NULL}, DOBBY_MODEL_CORRUPT, "power of two"},
        {"alignment as text",
         {EDIT_TEXT, "general.alignment", 0, 0, "32"},
         DOBBY_MODEL_CORRUPT,
         "power of two"},
        {"alignment 16", {EDIT_U32, "general.alignment", 16, 0, NULL}, DOBBY_OK, ""},
    };
    (void)state;
    struct buffer file = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dobby_error err = {0};
        const struct gguf_edit edits[] = {cases[i].edit, {.kind = EDIT_NONE}};
        small_gguf_build(&file, edits);
        dobby_code code = parse_copy(file.bytes, file.length, &err);
        if (code != cases[i].want || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
    }
    buffer_release(&file);
}

static void one_key_twice_is_refused(void **state)
{
    (void)state;
    struct buffer file = {0};
    struct dobby_error err = {0};
    const struct gguf_edit edits[] = {{.kind = EDIT_U32, .key = "general.new", .number = 1},
                                      {.kind = EDIT_U32, .key = "general.new", .number = 2},
                                      {.kind = EDIT_NONE}};
    small_gguf_build(&file, edits);
    assert_code(parse_copy(file.bytes, file.length, &err), DOBBY_MODEL_CORRUPT);
    assert_non_null(strstr(err.detail, "general.new is there twice"));
    buffer_release(&file);
}

static void integers_of_each_type(void **state)
{
    static const uint8_t ones[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    static const struct {
        enum gguf_type type;
        bool fits;
        int64_t want;
    } cases[] = {
        {GGUF_U8, true, 255},         {GGUF_I8, true, -1},   {GGUF_U16, true, 65535}, {GGUF_I16, true, -1},
        {GGUF_U32, true, UINT32_MAX}, {GGUF_I32, true, -1},  {GGUF_U64, false, 0},    {GGUF_I64, true, -1},
        {GGUF_F32, false, 0},         {GGUF_BOOL, false, 0}, {GGUF_F64, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct gguf_value value = {.type = cases[i].type, .bytes = ones, .length = 8};
        int64_t number = 0;
        assert_int_equal(gguf_integer(&value, &number), cases[i].fits);
        if (cases[i].fits)
            assert_int_equal(number, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_parses),
        cmocka_unit_test(every_cut_is_an_error),
        cmocka_unit_test(every_changed_byte_is_survived),
        cmocka_unit_test(header_fields_are_checked),
        cmocka_unit_test(tensors_are_checked),
        cmocka_unit_test(one_key_twice_is_refused),
        cmocka_unit_test(integers_of_each_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
