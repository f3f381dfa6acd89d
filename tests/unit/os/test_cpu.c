#include "os/cpu.h"

#include "unit/test.h"

#include <string.h>

/* A set that needs another is never reported without it. */
static void test_features_imply_what_they_build_on(void **state)
{
    (void)state;
    const struct cpu_features *cpu = cpu_features();
    assert_ptr_equal(cpu, cpu_features());
    assert_true(!cpu->avx512 || cpu->avx2);
    assert_true(!cpu->avx512_vnni || cpu->avx512);
    assert_true(!cpu->avx512_bf16 || cpu->avx512);
    assert_true(!cpu->amx_int8 || cpu->amx_tile);
    assert_true(!cpu->amx_bf16 || cpu->amx_tile);
    assert_true(strlen(cpu->vendor) < sizeof cpu->vendor);
    assert_true(strlen(cpu->model) < sizeof cpu->model);
}

#if defined(__x86_64__)
/* The compiler's runtime reads the same registers by other code. */
static void test_features_agree_with_the_compilers_runtime(void **state)
{
    (void)state;
    const struct cpu_features *cpu = cpu_features();
    __builtin_cpu_init();
    assert_int_equal(cpu->avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                    __builtin_cpu_supports("bmi2"));
    assert_int_equal(cpu->avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                      __builtin_cpu_supports("avx512dq") &&
                                      __builtin_cpu_supports("avx512vl"));
    assert_int_equal(cpu->avx512_vnni, cpu->avx512 && __builtin_cpu_supports("avx512vnni"));
    assert_true(strlen(cpu->vendor) == 12);
    assert_true(cpu->l1d_bytes == 0 || (cpu->l1d_bytes >= 8192 && cpu->l1d_bytes <= 1u << 20));
    assert_true(cpu->l2_bytes == 0 || cpu->l2_bytes >= cpu->l1d_bytes);
}
#endif

static void test_amx_is_granted_only_where_it_exists(void **state)
{
    (void)state;
    bool granted = cpu_request_amx();
    assert_true(!granted || cpu_features()->amx_tile);
    assert_int_equal(cpu_request_amx(), granted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features_imply_what_they_build_on),
#if defined(__x86_64__)
        cmocka_unit_test(test_features_agree_with_the_compilers_runtime),
#endif
        cmocka_unit_test(test_amx_is_granted_only_where_it_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
