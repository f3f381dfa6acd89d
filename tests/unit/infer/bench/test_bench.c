/* What measuring must get right whatever the machine's speed: which rows there are, and that figures fit each
 * other. */
#include "infer/bench/bench_engine.h"
#include "infer/bench/bench_kernels.h"
#include "infer/bench/ceilings.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void percentiles(void **state)
{
    (void)state;
    static const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const struct {
        size_t count;
        double percent, want;
    } cases[] = {
        {0, 50, 0}, {1, 50, 1},  {1, 99, 1},   {2, 50, 1},  {2, 51, 2},
        {10, 0, 1}, {10, 50, 5}, {10, 95, 10}, {10, 90, 9}, {10, 100, 10},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_true(bench_percentile(values, cases[i].count, cases[i].percent) == cases[i].want);
}

static void every_set_has_its_ceilings(void **state)
{
    (void)state;
    const struct kernels *sets[8];
    const size_t count = kernels_available(sets, COUNT_OF(sets));
    for (size_t i = 0; i < count; i++) {
        for (int product = PRODUCT_F32; product < PRODUCT_COUNT; product++) {
            const struct ceiling_loop *loop = ceiling_loop_find(sets[i]->name, (enum product)product);
            if (strcmp(sets[i]->name, "ref") == 0)
                assert_null(loop);
            else
                assert_true(loop != NULL && loop->operations > 0);
        }
    }
    assert_null(ceiling_loop_find("avx2", PRODUCT_UNKNOWN));
    assert_null(ceiling_loop_find("none", PRODUCT_F32));
}

static void the_machine_is_measured(void **state)
{
    (void)state;
    struct machine_figures machine;
    struct dobby_error err;
    const struct ceiling_loop *loops[CEILING_LOOPS_MAX];
    const size_t count = ceiling_loops(loops, CEILING_LOOPS_MAX);
    assert_ok(bench_machine(2, &machine, &err), &err);
    assert_int_equal(machine.threads, 2);
    assert_true(machine.ceilings[CEILING_READ_GB_PER_S] > 0);
    assert_int_equal(machine.ceilings[CEILING_FP32_VECTOR] > 0, count > 0);
    assert_int_equal(machine.ceilings[CEILING_BF16_TILE] > 0, machine.ceilings[CEILING_INT8_TILE] > 0);
    for (int i = 0; i < CEILING_COUNT; i++) {
        assert_true(isfinite(machine.ceilings[i]));
        assert_true(strlen(machine_ceiling_name((enum machine_ceiling)i)) > 0);
    }
}

struct rows {
    struct kernel_figures rows[256];
    size_t count, fail_at;
};

static dobby_code keep(void *context, const struct kernel_figures *figures, struct dobby_error *err)
{
    struct rows *rows = context;
    if (rows->count == rows->fail_at)
        return DOBBY_FAIL(err, DOBBY_CANCELED, "enough");
    assert_true(rows->count < COUNT_OF(rows->rows));
    rows->rows[rows->count++] = *figures;
    return DOBBY_OK;
}

static void check_row(const struct kernel_figures *row)
{
    const double operations = row->achieved * 1e6 * row->best_us;
    assert_true(row->m > 0 && row->n > 0 && row->k > 0);
    assert_true(row->best_us > 0 && row->achieved > 0 && isfinite(row->achieved));
    assert_true(strcmp(row->isa, "ref") != 0);
    if (strcmp(row->name, "attention") == 0) /* causal: fewer than all pairs, 14 heads */
        assert_true(operations > 0 && operations <= 4.0 * 14 * row->m * row->n * row->k * 1.001);
    else
        assert_true(fabs(operations / (2.0 * row->m * row->n * row->k) - 1) < 1e-6);
    if (strcmp(row->bound, "none") != 0)
        assert_true(fabs(row->percent - 100 * row->achieved / row->ceiling) < 1e-6 * row->percent);
}

static void kernels_are_measured(void **state)
{
    (void)state;
    static const char *const names[] = {"qkv", "attention"};
    const struct kernels *sets[8];
    const size_t set_count = kernels_available(sets, COUNT_OF(sets));
    if (set_count == 1) {
        print_message("skipped: only the reference runs here\n");
        skip();
    }
    unsetenv("DOBBY_CPU");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct rows rows = {.fail_at = SIZE_MAX};
        struct machine_figures machine;
        struct dobby_error err;
        const struct bench_kernels_options options = {
            .threads = 2, .only = names[i], .row = keep, .context = &rows};
        assert_ok(bench_kernels(&options, &machine, &err), &err);
        /* qkv: four sizes, for each product that the set has of its own; attention: two */
        size_t want = 0;
        for (size_t set = 1; set < set_count; set++) {
            const size_t products = (strcmp(sets[set]->name, "amx") == 0 ? 2U : 3U) + sets[set]->has_int4;
            want += i == 0 ? 4 * products : 2;
        }
        assert_int_equal(rows.count, want);
        for (size_t row = 0; row < rows.count; row++) {
            assert_string_equal(rows.rows[row].name, names[i]);
            check_row(&rows.rows[row]);
        }
        assert_true(machine.ceilings[CEILING_READ_GB_PER_S] > 0);
    }
}

static void kernels_are_refused(void **state)
{
    (void)state;
    struct rows rows = {.fail_at = 1};
    struct machine_figures machine;
    struct dobby_error err;
    struct bench_kernels_options options = {.threads = 1, .only = "upp", .row = keep, .context = &rows};
    assert_code(bench_kernels(&options, &machine, &err), DOBBY_INVALID_ARGUMENT);
    assert_non_null(strstr(err.detail, "gate_up"));
    options.only = "attention";
    assert_code(bench_kernels(&options, &machine, &err), DOBBY_CANCELED);
    assert_int_equal(rows.count, 1);
    assert_int_equal(machine.threads, 0);
    assert_int_equal(setenv("DOBBY_CPU", "abacus", 1), 0);
    assert_code(bench_kernels(&options, &machine, &err), DOBBY_CPU_UNSUPPORTED);
    assert_int_equal(unsetenv("DOBBY_CPU"), 0);
}

static void engines_are_measured(void **state)
{
    (void)state;
    static const struct {
        uint32_t sessions, threads;
        uint64_t records;
        double seconds;
        const char *precision;
    } cases[] = {{1, 1, 1, 0, "exact"},
                 {3, 2, 7, 0, "bf16"},
                 {0, 1, 2, 0, "int8"},
                 {1, 1, 2, 0, NULL},
                 {2, 1, 0, 0.05, NULL}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct engine_figures row;
        struct dobby_error err;
        const struct bench_engine_options options = {.engine = {.shape = "tiny",
                                                                .sessions = cases[i].sessions,
                                                                .threads = cases[i].threads,
                                                                .precision = cases[i].precision},
                                                     .records = cases[i].records,
                                                     .seconds = cases[i].seconds};
        assert_ok(bench_engine(&options, &row, &err), &err);
        if (cases[i].records > 0)
            assert_int_equal(row.records, cases[i].records);
        assert_true(row.records >= cases[i].sessions);
        assert_int_equal(row.automatic, cases[i].sessions == 0);
        assert_true(row.sessions == cases[i].sessions || cases[i].sessions == 0);
        assert_int_equal(row.threads, cases[i].threads);
        assert_string_equal(row.model, "tiny");
        assert_true(row.seconds > 0 && row.records_per_min > 0 && row.peak_rss_mb > 0 &&
                    row.first_1000_rss_mb > 0 && row.first_1000_rss_mb <= row.peak_rss_mb);
        assert_true(row.prefill_tokens_per_s > 0 && row.decode_tokens_per_s > 0);
        assert_true(row.first_token_ms > 0 && row.first_token_ms <= row.p99_ms);
        assert_true(row.p50_ms <= row.p95_ms && row.p95_ms <= row.p99_ms);
    }
}

static void engines_are_refused(void **state)
{
    (void)state;
    struct engine_figures row;
    struct dobby_error err;
    struct bench_engine_options options = {.engine = {.shape = "huge"}, .records = 1};
    assert_code(bench_engine(&options, &row, &err), DOBBY_INVALID_ARGUMENT);
    assert_non_null(strstr(err.detail, "qwen2.5-0.5b"));
    options.engine = (struct engine_native_options){.shape = "tiny", .precision = "best"};
    assert_code(bench_engine(&options, &row, &err), DOBBY_INVALID_ARGUMENT);
    assert_int_equal(row.records, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles),
        cmocka_unit_test(every_set_has_its_ceilings),
        cmocka_unit_test(the_machine_is_measured),
        cmocka_unit_test(kernels_are_measured),
        cmocka_unit_test(kernels_are_refused),
        cmocka_unit_test(engines_are_measured),
        cmocka_unit_test(engines_are_refused),
    };
    return cmocka_run_group_tests_name("infer/bench", tests, NULL, NULL);
}
