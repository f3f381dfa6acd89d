/* Synthetic records, the keepers of time, and a whole measured run. No figure is a test. */
#include "app/bench_pipeline.h"
#include "app/bench_records.h"
#include "os/file.h"
#include "os/temporary.h"
#include "store/store_memory.h"
#include "unit/test.h"

#include <string.h>

static void records_have_their_size_and_differ(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 17, 2048, 100000};
    struct dobby_error err;
    struct buffer one = {0}, again = {0}, other = {0};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_ok(bench_record_content(7, sizes[i], &one, &err), &err);
        assert_ok(bench_record_content(7, sizes[i], &again, &err), &err);
        assert_ok(bench_record_content(8, sizes[i], &other, &err), &err);
        assert_int_equal(one.length, sizes[i]);
        assert_memory_equal(one.bytes, again.bytes, sizes[i]);
        if (sizes[i] >= 17)
            assert_memory_not_equal(one.bytes, other.bytes, sizes[i]);
        buffer_clear(&one);
        buffer_clear(&again);
        buffer_clear(&other);
    }
    buffer_release(&one);
    buffer_release(&again);
    buffer_release(&other);
}

static void every_record_is_put_once(void **state)
{
    (void)state;
    static const uint64_t amounts[] = {1, 256, 257, 700};
    for (size_t i = 0; i < COUNT_OF(amounts); i++) {
        struct dobby_error err;
        struct store *store;
        struct store_counts counts;
        assert_ok(store_memory_open(&store, &err), &err);
        assert_ok(bench_records_put(store, amounts[i], 40, &err), &err);
        assert_ok(store_count(store, &counts, &err), &err);
        assert_int_equal(counts.by_state[RECORD_PENDING], amounts[i]);
        assert_int_equal(counts.total, amounts[i]);
        store_close(store);
    }
}

/* Calls and their outputs come through; what took time is counted where it belongs. */
static void a_timed_store_passes_calls_on(void **state)
{
    (void)state;
    struct dobby_error err;
    struct store *inner;
    struct timed_calls calls = {0};
    struct timed_store timed;
    struct record_batch batch;
    assert_ok(store_memory_open(&inner, &err), &err);
    assert_ok(bench_records_put(inner, 3, 40, &err), &err);
    timed_store_init(&timed, inner, &calls);
    assert_ok(store_claim(&timed.store, "me", 1, 1000, 2, &batch, &err), &err);
    assert_int_equal(batch.count, 2);
    struct outcome outcome = {
        .record_id = batch.records[0].id, .attempt = batch.records[0].attempt, .kind = OUTCOME_RELEASED};
    assert_int_equal(calls.first_settle_ns, 0);
    assert_ok(store_settle(&timed.store, &outcome, 1, 2, &err), &err);
    assert_true(calls.first_settle_ns > 0);
    assert_int_equal(calls.calls[TIMED_CLAIM], 1);
    assert_int_equal(calls.calls[TIMED_SETTLE], 1);
    assert_true(calls.longest_ns[TIMED_CLAIM] <= calls.ns[TIMED_CLAIM]);
    record_batch_release(&batch);
    store_close(inner);
}

static void a_run_is_measured_and_leaves_nothing(void **state)
{
    (void)state;
    struct dobby_error err;
    struct buffer parent = {0};
    struct directory_list list;
    struct config config;
    struct pipeline_figures figures;
    const struct config_source source = {.origin = CONFIG_FROM_FLAG, .name = "--engine"};
    assert_ok(temporary_directory_make("/tmp", &parent, &err), &err);
    assert_ok(config_init(&config, &err), &err);
    assert_ok(config_set(&config, CONFIG_ENGINE_KIND, "null", &source, &err), &err);
    const struct bench_pipeline_options options = {
        .config = &config, .directory = parent.bytes, .records = 300, .bytes = 100};
    assert_ok(bench_pipeline(&options, &figures, &err), &err);
    assert_int_equal(figures.totals.completed, 300);
    assert_string_equal(figures.engine, "null");
    assert_true(figures.seconds > 0 && figures.records_per_min > 0 && figures.first_result_ms > 0);
    assert_true(figures.calls.calls[TIMED_TOKENIZE] == 300 && figures.calls.calls[TIMED_SETTLE] > 0);
    assert_true(pipeline_figures_rest_s(&figures) <= figures.seconds);
    assert_ok(directory_list_open(parent.bytes, &list, &err), &err);
    assert_int_equal(list.count, 0);
    directory_list_release(&list);
    temporary_directory_remove(parent.bytes);
    buffer_release(&parent);
    config_release(&config);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct dobby_error err;
    struct config config;
    assert_ok(config_init(&config, &err), &err);
    const struct {
        struct bench_pipeline_options options;
        dobby_code want;
    } rows[] = {
        {{.config = &config, .directory = "/tmp", .records = 0, .bytes = 1}, DOBBY_INVALID_ARGUMENT},
        {{.config = &config, .directory = "/tmp", .records = 1, .bytes = 0}, DOBBY_INVALID_ARGUMENT},
        {{.config = &config, .directory = "/nonexistent", .records = 1, .bytes = 1}, DOBBY_FILE_NOT_FOUND},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pipeline_figures figures;
        assert_code(bench_pipeline(&rows[i].options, &figures, NULL), rows[i].want);
    }
    config_release(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_have_their_size_and_differ),
        cmocka_unit_test(every_record_is_put_once),
        cmocka_unit_test(a_timed_store_passes_calls_on),
        cmocka_unit_test(a_run_is_measured_and_leaves_nothing),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
