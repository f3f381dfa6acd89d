#include "os/memory.h"

#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static void large_memory_is_aligned_and_writable(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 63, 64, 4097, (2 << 20) - 1, 2 << 20, (5 << 20) + 3};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *memory = memory_large_new(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 1, sizes[i]);
        free(memory);
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    assert_null(memory_large_new(SIZE_MAX));
    assert_null(memory_large_new(SIZE_MAX / 2));
}

static void the_machine_has_memory(void **state)
{
    (void)state;
    assert_true(memory_total_bytes() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_memory_is_aligned_and_writable),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(the_machine_has_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
