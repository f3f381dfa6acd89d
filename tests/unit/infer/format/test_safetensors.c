#include "base/arena.h"
#include "infer/format/safetensors.h"
#include "infer/format/shard_list.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

/* Parses a header and data of the given length from a copy of exactly their size. */
static dobby_code parse(const char *header, size_t data_length, struct arena *arena, struct tensor_table *out,
                        uint8_t **bytes, struct dobby_error *err)
{
    size_t header_length = strlen(header);
    size_t length = 8 + header_length + data_length;
    *bytes = calloc(1, length);
    assert_non_null(*bytes);
    for (size_t i = 0; i < 8; i++)
        (*bytes)[i] = (uint8_t)(header_length >> (8 * i));
    memcpy(*bytes + 8, header, header_length);
    return safetensors_parse(*bytes, length, arena, out, err);
}

static void a_whole_file_parses(void **state)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                 "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[20,28]}}  ";
    (void)state;
    struct arena arena;
    struct tensor_table table;
    struct dobby_error err = {0};
    uint8_t *bytes = NULL;
    arena_init(&arena, 0);
    assert_ok(parse(header, 28, &arena, &table, &bytes, &err), &err);
    assert_int_equal(table.count, 3);
    assert_ok(tensor_table_sort(&table, &err), &err);
    const struct tensor_entry *b = tensor_table_find(&table, "b");
    assert_non_null(b);
    assert_int_equal(b->type, TENSOR_BF16);
    assert_int_equal(b->dimension_count, 2);
    assert_int_equal(b->dimensions[0], 2);
    assert_int_equal(b->dimensions[1], 3);
    assert_int_equal(b->bytes, 12);
    assert_ptr_equal(b->data, bytes + 8 + strlen(header) + 8);
    assert_int_equal(tensor_table_find(&table, "n")->type, TENSOR_UNKNOWN);
    assert_string_equal(tensor_table_find(&table, "n")->type_name, "I64");
    assert_null(tensor_table_find(&table, "c"));
    arena_release(&arena);
    free(bytes);
}

static void headers_are_checked(void **state)
{
    static const struct {
        const char *name, *header;
        size_t data_length;
        const char *detail;
    } cases[] = {
        {"no JSON", "{", 0, "header"},
        {"no object", "[]", 0, "must be an object"},
        {"empty", "", 0, "header"},
        {"unknown dtype", "{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "tensor a: dtype Q4"},
        {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor a: dtype (none)"},
        {"tensor is no object", "{\"a\":7}", 4, "tensor a: dtype"},
        {"no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor a: shape"},
        {"negative size", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
         "tensor a: shape[0]"},
        {"size as text", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,\"1\"],\"data_offsets\":[0,4]}}", 4,
         "tensor a: shape[1]"},
        {"five dimensions", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         "tensor a: shape"},
        {"overflowing shape",
         "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967297],\"data_offsets\":[0,4]}}", 4,
         "tensor a: data_offsets hold 4 bytes"},
        {"no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a: data_offsets must"},
        {"offsets backwards", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
         "tensor a: data_offsets must"},
        {"negative offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4,
         "tensor a: data_offsets must"},
        {"beyond the data", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 4,
         "tensor a: data_offsets 4 to 8 lie beyond"},
        {"huge offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}",
         4, "beyond"},
        {"shape too large", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "tensor a: data_offsets hold 4 bytes"},
        {"odd bytes", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,5]}}", 5,
         "tensor a: data_offsets hold 5 bytes"},
        {"bytes behind", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 6,
         "the tensors end at 4"},
        {"one name twice",
         "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         1, "header"},
        {"empty name", "{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "name has 0"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena;
        struct tensor_table table;
        struct dobby_error err = {0};
        uint8_t *bytes = NULL;
        arena_init(&arena, 0);
        dobby_code code = parse(cases[i].header, cases[i].data_length, &arena, &table, &bytes, &err);
        if (code != DOBBY_MODEL_CORRUPT || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
        assert_int_equal(table.count, 0);
        arena_release(&arena);
        free(bytes);
    }
}

static void header_lengths_are_checked(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        {"", 0},
        {"\2\0\0\0\0\0\0", 7},
        {"\2\0\0\0\0\0\0\0{", 9},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena;
        struct tensor_table table;
        struct dobby_error err = {0};
        arena_init(&arena, 0);
        assert_code(safetensors_parse((const uint8_t *)cases[i].bytes, cases[i].length, &arena, &table, &err),
                    DOBBY_MODEL_CORRUPT);
        assert_non_null(strstr(err.detail, "header length"));
        arena_release(&arena);
    }
}

static void indexes_are_checked(void **state)
{
    static const struct {
        const char *name, *text;
        dobby_code want;
        size_t shards;
    } cases[] = {
        {"two shards",
         "{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}}",
         DOBBY_OK, 2},
        {"no JSON", "nothing", DOBBY_MODEL_CORRUPT, 0},
        {"no map", "{}", DOBBY_MODEL_CORRUPT, 0},
        {"empty map", "{\"weight_map\":{}}", DOBBY_MODEL_CORRUPT, 0},
        {"map of numbers", "{\"weight_map\":{\"a\":1}}", DOBBY_MODEL_CORRUPT, 0},
        {"a path", "{\"weight_map\":{\"a\":\"x/m.safetensors\"}}", DOBBY_MODEL_CORRUPT, 0},
        {"the parent", "{\"weight_map\":{\"a\":\"../m.safetensors\"}}", DOBBY_MODEL_CORRUPT, 0},
        {"an absolute path", "{\"weight_map\":{\"a\":\"/m.safetensors\"}}", DOBBY_MODEL_CORRUPT, 0},
        {"a hidden file", "{\"weight_map\":{\"a\":\".m.safetensors\"}}", DOBBY_MODEL_CORRUPT, 0},
        {"another suffix", "{\"weight_map\":{\"a\":\"passwd\"}}", DOBBY_MODEL_CORRUPT, 0},
        {"a NUL", "{\"weight_map\":{\"a\":\"a.safetensors\\u0000.safetensors\"}}", DOBBY_MODEL_CORRUPT, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena;
        struct shard_list list;
        struct dobby_error err = {0};
        arena_init(&arena, 0);
        dobby_code code = shard_list_parse(cases[i].text, strlen(cases[i].text), &arena, &list, &err);
        if (code != cases[i].want || list.count != cases[i].shards)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
        if (list.count == 2)
            assert_string_equal(list.names[0], "m-1.safetensors");
        arena_release(&arena);
    }
}

static void too_many_shards_are_refused(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct arena arena;
    struct shard_list list;
    struct dobby_error err = {0};
    arena_init(&arena, 0);
    assert_ok(buffer_append_string(&text, "{\"weight_map\":{\"a\":\"a.safetensors\"", &err), &err);
    for (int i = 0; i < 256; i++)
        assert_ok(buffer_append_format(&text, &err, ",\"%d\":\"%d.safetensors\"", i, i), &err);
    assert_ok(buffer_append_string(&text, "}}", &err), &err);
    assert_code(shard_list_parse(text.bytes, text.length, &arena, &list, &err), DOBBY_MODEL_UNSUPPORTED);
    assert_non_null(strstr(err.detail, "more than 256 shards"));
    arena_release(&arena);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_parses),         cmocka_unit_test(headers_are_checked),
        cmocka_unit_test(header_lengths_are_checked),  cmocka_unit_test(indexes_are_checked),
        cmocka_unit_test(too_many_shards_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
