/* Arena and buffer. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/limits.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static void arena_gives_aligned_zeroed_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t bytes = 0; bytes < 3000; bytes += 37) {
        unsigned char *memory = arena_alloc(&arena, bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % sizeof(void *), 0);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xAB, bytes);
    }
    arena_release(&arena);
}

static void arena_reset_reuses_and_zeroes(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            char *copy = arena_copy(&arena, "hello", 5);
            assert_string_equal(copy, "hello");
            int *numbers = arena_alloc_array(&arena, 1000, sizeof *numbers);
            assert_int_equal(numbers[999], 0);
            numbers[999] = i + 1;
        }
        arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
    arena_release(&arena);
    arena_reset(&arena); /* of an empty arena */
    arena_release(&arena);
}

static void arena_refuses_what_exceeds_its_limit(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_non_null(arena_alloc(&arena, 500));
    assert_null(arena_alloc(&arena, 600));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 4));
    assert_null(arena_copy(&arena, "x", SIZE_MAX));
    assert_non_null(arena_alloc(&arena, 400));
    arena_release(&arena);
}

static void buffer_appends_and_terminates(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    struct dobby_error err;
    size_t want = 0;
    for (int i = 0; i < 2000; i++) {
        assert_ok(buffer_append_format(&buffer, &err, "%d,", i % 10), &err);
        want += 2;
        assert_int_equal(buffer.length, want);
        assert_int_equal(strlen(buffer.bytes), want);
    }
    buffer_clear(&buffer);
    assert_string_equal(buffer.bytes, "");
    assert_ok(buffer_append(&buffer, "a\0b", 3, &err), &err);
    assert_ok(buffer_append_byte(&buffer, 'c', &err), &err);
    assert_ok(buffer_append_string(&buffer, "de", &err), &err);
    assert_memory_equal(buffer.bytes, "a\0bcde", 7);
    buffer_release(&buffer);
    buffer_release(&buffer);
}

static void buffer_take_hands_over(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    size_t length = 7;
    char *text = buffer_take(&buffer, &length);
    assert_string_equal(text, "");
    assert_int_equal(length, 0);
    free(text);
    assert_int_equal(buffer_append_string(&buffer, "mine", NULL), DOBBY_OK);
    text = buffer_take(&buffer, NULL);
    assert_string_equal(text, "mine");
    assert_null(buffer.bytes);
    free(text);
}

static void buffer_names_its_limit(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    struct dobby_error err = {0};
    assert_code(buffer_reserve(&buffer, LIMIT_BUFFER_BYTES, &err), DOBBY_LIMIT_EXCEEDED);
    assert_code(buffer_reserve(&buffer, SIZE_MAX, &err), DOBBY_LIMIT_EXCEEDED);
    assert_null(buffer.bytes);
    assert_non_null(strstr(err.detail, "limit"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_gives_aligned_zeroed_memory),
        cmocka_unit_test(arena_reset_reuses_and_zeroes),
        cmocka_unit_test(arena_refuses_what_exceeds_its_limit),
        cmocka_unit_test(buffer_appends_and_terminates),
        cmocka_unit_test(buffer_take_hands_over),
        cmocka_unit_test(buffer_names_its_limit),
    };
    return cmocka_run_group_tests_name("base/memory", tests, NULL, NULL);
}
