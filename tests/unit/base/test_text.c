/* UTF-8, SHA-256, UUIDv7 and JSON. */
#include "base/crypto.h"
#include "base/id.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct text_case {
    const char *name;
    const char *in;
    size_t length;
    const char *want;
};
#define TEXT(name, in, want)                                                                                 \
    {                                                                                                        \
        (name), (in), sizeof(in) - 1, (want)                                                                 \
    }
#define FFFD "\xEF\xBF\xBD"

static void repair_replaces_each_maximal_invalid_part_once(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        TEXT("empty", "", ""),
        TEXT("ascii", "plain text, longer than a word", "plain text, longer than a word"),
        TEXT("two to four bytes", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
             "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
        TEXT("lone continuation", "a\x80z", "a" FFFD "z"),
        TEXT("overlong slash", "\xC0\xAF", FFFD FFFD),
        TEXT("surrogate", "\xED\xA0\x80", FFFD FFFD FFFD),
        TEXT("beyond U+10FFFF", "\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD),
        TEXT("cut off three of four", "\xF0\x9F\x98", FFFD),
        TEXT("cut off, then ascii",
             "\xE2\x82"
             "A",
             FFFD "A"),
        TEXT("table 3-8", "\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",
             "a" FFFD FFFD FFFD "b" FFFD "c" FFFD FFFD "d"),
        TEXT("FE and FF", "\xFE\xFF", FFFD FFFD),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        assert_int_equal(utf8_append_repaired(&out, cases[i].in, cases[i].length, NULL), DOBBY_OK);
        char *got = buffer_take(&out, NULL);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: got \"%s\"", cases[i].name, got);
        assert_true(utf8_is_valid(got, strlen(got)));
        assert_int_equal(utf8_is_valid(cases[i].in, cases[i].length),
                         strcmp(cases[i].in, cases[i].want) == 0);
        free(got);
    }
}

static void every_code_point_survives_encode_and_decode(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point <= 0x10FFFF; code_point++) {
        if (code_point >= 0xD800 && code_point <= 0xDFFF)
            continue;
        char bytes[4];
        uint32_t back;
        size_t length = utf8_encode(code_point, bytes);
        assert_int_equal(utf8_decode(bytes, length, &back), length);
        assert_int_equal(back, code_point);
    }
}

static void display_hides_what_moves_a_terminal(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        TEXT("escape sequence", "\x1B[31mred", "\\x1B[31mred"),
        TEXT("line break and tab", "a\nb\tc\r", "a\\nb\\tc\\x0D"),
        TEXT("invalid bytes", "a\xFF\xC3", "a\\xFF\\xC3"),
        TEXT("C1 control",
             "\xC2\x9B"
             "31m",
             "\\u{9B}31m"),
        TEXT("right-to-left override",
             "\xE2\x80\xAE"
             "abc",
             "\\u{202E}abc"),
        TEXT("letters stay", "\xC3\xA9\xE4\xBD\xA0", "\xC3\xA9\xE4\xBD\xA0"),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};
        assert_int_equal(utf8_append_display(&out, cases[i].in, cases[i].length, NULL), DOBBY_OK);
        assert_string_equal(out.bytes, cases[i].want);
        buffer_release(&out);
    }
    assert_int_equal(utf8_display_width("a\xC3\xA9\xE4\xBD\xA0", 6), 4);
    assert_int_equal(utf8_display_width("e\xCC\x81\x1B", 4), 1);
}

static void sha256_matches_fips_180_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX_BYTES];
        assert_int_equal(sha256_of(cases[i].text, strlen(cases[i].text), digest, NULL), DOBBY_OK);
        sha256_hex(digest, hex);
        assert_string_equal(hex, cases[i].want);
    }
}

static void sha256_fields_cannot_run_together(void **state)
{
    (void)state;
    uint8_t digests[2][SHA256_BYTES];
    for (int i = 0; i < 2; i++) {
        struct sha256 sha = {0};
        assert_int_equal(sha256_init(&sha, NULL), DOBBY_OK);
        assert_int_equal(sha256_field(&sha, "ab", i == 0 ? 2 : 1, NULL), DOBBY_OK);
        assert_int_equal(sha256_field(&sha, i == 0 ? "c" : "bc", i == 0 ? 1 : 2, NULL), DOBBY_OK);
        assert_int_equal(sha256_final(&sha, digests[i], NULL), DOBBY_OK);
        sha256_release(&sha);
        sha256_release(&sha);
    }
    assert_memory_not_equal(digests[0], digests[1], SHA256_BYTES);
}

static void uuid7_has_time_version_and_variant(void **state)
{
    (void)state;
    static const uint8_t random[10] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    char text[UUID_TEXT_BYTES];
    uuid7_make(UINT64_C(0x017F22E279B0), random, text);
    assert_string_equal(text, "017f22e2-79b0-7fff-bfff-ffffffffffff");
}

static void json_reads_every_kind(void **state)
{
    (void)state;
    static const char text[] =
        "{\"s\": \"a\\u0000b\", \"i\": -3, \"r\": 0.5, \"b\": true, \"n\": null, \"a\": [1, 2]}";
    struct json *root = NULL;
    struct dobby_error err;
    assert_ok(json_parse(text, sizeof text - 1, &root, &err), &err);
    size_t length;
    assert_memory_equal(json_to_text(json_member(root, "s"), &length), "a\0b", 3);
    assert_int_equal(length, 3);
    int64_t integer;
    double number;
    bool boolean;
    assert_true(json_to_integer(json_member(root, "i"), &integer) && integer == -3);
    assert_true(json_to_number(json_member(root, "r"), &number) && number == 0.5);
    assert_true(json_to_number(json_member(root, "i"), &number) && number == -3);
    assert_true(json_to_boolean(json_member(root, "b"), &boolean) && boolean);
    assert_int_equal(json_kind_of(json_member(root, "n")), JSON_KIND_NULL);
    assert_int_equal(json_count(json_member(root, "a")), 2);
    assert_int_equal(json_count(root), 6);
    assert_true(json_to_integer(json_element(json_member(root, "a"), 1), &integer) && integer == 2);
    assert_null(json_element(json_member(root, "a"), 2));
    assert_null(json_member(NULL, "s"));
    assert_int_equal(json_kind_of(NULL), JSON_KIND_NONE);
    assert_false(json_to_integer(json_member(root, "s"), &integer));
    assert_null(json_to_text(json_member(root, "i"), NULL));
    json_free(root);
}

static void json_refuses_what_is_not_json(void **state)
{
    (void)state;
    static const char *const cases[] = {"",    "{",      "{\"a\": 1, \"a\": 2}", "[1,]", "{} x", "\"\xFF\"",
                                        "nul", "[1e999]"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json *root = NULL;
        struct dobby_error err = {0};
        assert_code(json_parse(cases[i], strlen(cases[i]), &root, &err), DOBBY_JSON_INVALID);
        assert_null(root);
        assert_non_null(strstr(err.detail, "line"));
    }
    struct json *root = NULL;
    assert_code(json_parse("x", LIMIT_JSON_BYTES + 1, &root, NULL), DOBBY_LIMIT_EXCEEDED);
}

static bool collect_keys(void *context, const char *key, size_t key_length, struct json *value)
{
    (void)value;
    struct buffer *keys = context;
    assert_int_equal(buffer_append(keys, key, key_length, NULL), DOBBY_OK);
    return keys->length < 3;
}

static void json_visits_members_in_order_until_told_to_stop(void **state)
{
    (void)state;
    static const char text[] = "{\"z\": 1, \"a\": 2, \"m\": 3, \"b\": 4}";
    struct json *root = NULL;
    assert_int_equal(json_parse(text, sizeof text - 1, &root, NULL), DOBBY_OK);
    struct buffer keys = {0};
    json_each_member(root, collect_keys, &keys);
    assert_string_equal(keys.bytes, "zam");
    buffer_release(&keys);
    json_free(root);
}

static void write_sample(struct json_writer *writer)
{
    json_begin_object(writer);
    json_key(writer, "text");
    json_put_string(writer, "a\"\\\n\x01\xFF\x7F", 7);
    json_key(writer, "numbers");
    json_begin_array(writer);
    json_put_integer(writer, INT64_MIN);
    json_put_number(writer, 0.1);
    json_put_number(writer, NAN);
    json_end_array(writer);
    json_key(writer, "empty");
    json_begin_object(writer);
    json_end_object(writer);
    json_key(writer, "flag");
    json_put_boolean(writer, false);
    json_key(writer, "none");
    json_put_text(writer, NULL);
    json_end_object(writer);
}

static void json_writes_one_line_or_indented(void **state)
{
    (void)state;
    static const char *const want[2] = {
        "{\"text\": \"a\\\"\\\\\\n\\u0001" FFFD "\\u007f\", \"numbers\": [-9223372036854775808, 0.1, null], "
        "\"empty\": {}, \"flag\": false, \"none\": null}",
        "{\n  \"text\": \"a\\\"\\\\\\n\\u0001" FFFD
        "\\u007f\",\n  \"numbers\": [\n    -9223372036854775808,\n"
        "    0.1,\n    null\n  ],\n  \"empty\": {},\n  \"flag\": false,\n  \"none\": null\n}",
    };
    for (int indent = 0; indent < 2; indent++) {
        struct buffer out = {0};
        struct json_writer writer;
        struct dobby_error err;
        json_writer_init(&writer, &out, indent == 1);
        write_sample(&writer);
        assert_ok(json_writer_end(&writer, &err), &err);
        assert_string_equal(out.bytes, want[indent]);
        struct json *root = NULL;
        assert_ok(json_parse(out.bytes, out.length, &root, &err), &err);
        json_free(root);
        buffer_release(&out);
    }
}

static void json_writes_what_it_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"a\": [1, -2.5, \"x\\ny\", true, false, null, {}, []], \"b\": {\"c\": {\"d\": [[\"\"]]}}}",
        "[]",
        "\"one\"",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct json *root = NULL;
        struct buffer out = {0};
        struct json_writer writer;
        struct dobby_error err;
        assert_ok(json_parse(texts[i], strlen(texts[i]), &root, &err), &err);
        json_writer_init(&writer, &out, false);
        json_put_value(&writer, root);
        assert_ok(json_writer_end(&writer, &err), &err);
        assert_string_equal(out.bytes, texts[i]);
        buffer_release(&out);
        json_free(root);
    }
    struct json *deep = NULL;
    struct buffer out = {0};
    struct json_writer writer;
    char text[4 * JSON_WRITER_DEPTH_MAX] = "";
    memset(text, '[', JSON_WRITER_DEPTH_MAX + 1);
    memset(text + JSON_WRITER_DEPTH_MAX + 1, ']', JSON_WRITER_DEPTH_MAX + 1);
    assert_int_equal(json_parse(text, strlen(text), &deep, NULL), DOBBY_OK);
    json_writer_init(&writer, &out, false);
    json_put_value(&writer, deep);
    assert_code(json_writer_end(&writer, NULL), DOBBY_LIMIT_EXCEEDED);
    json_writer_init(&writer, &out, false);
    json_put_value(&writer, NULL);
    assert_int_equal(json_writer_end(&writer, NULL), DOBBY_OK);
    buffer_release(&out);
    json_free(deep);
}

static void json_writer_reports_misuse_and_limits(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct json_writer writer;
    json_writer_init(&writer, &out, false);
    json_begin_object(&writer);
    assert_code(json_writer_end(&writer, NULL), DOBBY_INTERNAL);
    json_writer_init(&writer, &out, false);
    for (int i = 0; i <= JSON_WRITER_DEPTH_MAX; i++)
        json_begin_array(&writer);
    assert_code(json_writer_end(&writer, NULL), DOBBY_LIMIT_EXCEEDED);
    buffer_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(repair_replaces_each_maximal_invalid_part_once),
        cmocka_unit_test(every_code_point_survives_encode_and_decode),
        cmocka_unit_test(display_hides_what_moves_a_terminal),
        cmocka_unit_test(sha256_matches_fips_180_vectors),
        cmocka_unit_test(sha256_fields_cannot_run_together),
        cmocka_unit_test(uuid7_has_time_version_and_variant),
        cmocka_unit_test(json_reads_every_kind),
        cmocka_unit_test(json_refuses_what_is_not_json),
        cmocka_unit_test(json_visits_members_in_order_until_told_to_stop),
        cmocka_unit_test(json_writes_one_line_or_indented),
        cmocka_unit_test(json_writes_what_it_read),
        cmocka_unit_test(json_writer_reports_misuse_and_limits),
    };
    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
