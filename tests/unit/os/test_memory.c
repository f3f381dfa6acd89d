#include "os/memory.h"

#include "unit/test.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void sizes_are_aligned_and_writable(void **state)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, ((size_t)2 << 20) - 1, (size_t)2 << 20, 5000001};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        uint8_t *bytes = memory_allocate(sizes[i]);
        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % 64, 0);
        memset(bytes, 0x5a, sizes[i]);
        assert_true(sizes[i] == 0 || bytes[sizes[i] - 1] == 0x5a);
        free(bytes);
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    assert_null(memory_allocate(SIZE_MAX));
    assert_null(memory_allocate(SIZE_MAX / 2));
}

static void the_machine_has_memory(void **state)
{
    (void)state;
    assert_true(memory_total_bytes() >= (uint64_t)1 << 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_aligned_and_writable),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(the_machine_has_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
