/* Each allocation of a plan is made to fail once: it then says so, leaves its outputs zeroed and nothing in
 * the engine, and the same call works after. Leaks are what the address sanitizer looks for. */
#include "allocation.h"
#include "drivers/sqlite/store_sqlite.h"
#include "infer/engine_null.h"
#include "os/clock.h"
#include "os/temporary.h"
#include "pipeline/plan.h"
#include "unit/test.h"

#include <string.h>

static const char *const contents[] = {"int a;", "int b;", "int a;", " ", "int c;", "int d;"};

struct fixture {
    struct dobby_error err;
    struct buffer directory, path;
    struct store *store, *lookup;
    struct engine *engine;
    struct prompt_template *prompt;
    struct run_options run;
    struct plan_options options;
};

static struct store *open_store(struct fixture *fixture, enum sqlite_access access)
{
    struct store *store;
    const struct store_sqlite_options options = {
        .path = fixture->path.bytes, .access = access, .busy_timeout_ms = 1000};
    assert_ok(store_sqlite_open(&options, &store, &fixture->err), &fixture->err);
    return store;
}

static void put_contents(struct fixture *fixture)
{
    struct put_counts counts = {0};
    struct dobby_error *err = &fixture->err;
    assert_ok(store_sync_begin(fixture->store, "test", clock_unix_us(), err), err);
    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        const char id[] = {(char)('a' + i), '\0'};
        const struct record_input input = {.id = id,
                                           .path = id,
                                           .language = "c",
                                           .content = contents[i],
                                           .content_length = strlen(contents[i])};
        assert_ok(store_put(fixture->store, &input, 1, clock_unix_us(), &counts, err), err);
    }
    assert_ok(store_sync_end(fixture->store, "", &counts, err), err);
}

static void open_fixture(struct fixture *fixture)
{
    static const char text[] = "{content}";
    *fixture = (struct fixture){
        .run = {.owner = "test", .tokens_max = 48, .sampling = SAMPLING_GREEDY, .lease_ms = 60000}};
    struct dobby_error *err = &fixture->err;
    fixture->options.run = &fixture->run;
    assert_ok(temporary_directory_make("/tmp", &fixture->directory, err), err);
    assert_ok(buffer_append_format(&fixture->path, err, "%s/plan.db", fixture->directory.bytes), err);
    fixture->store = open_store(fixture, SQLITE_ACCESS_CREATE);
    fixture->lookup = open_store(fixture, SQLITE_ACCESS_READ);
    assert_ok(engine_null_open(&(struct engine_null_options){.sessions = 2}, &fixture->engine, err), err);
    assert_ok(prompt_template_parse("test", text, sizeof(text) - 1, false, &fixture->prompt, err), err);
    put_contents(fixture);
}

static void close_fixture(struct fixture *fixture)
{
    prompt_template_free(fixture->prompt);
    engine_close(fixture->engine);
    store_close(fixture->lookup);
    store_close(fixture->store);
    temporary_directory_remove(fixture->directory.bytes);
    buffer_release(&fixture->directory);
    buffer_release(&fixture->path);
}

static dobby_code count(struct fixture *fixture, struct plan_counts *counts, struct plan_sample *sample)
{
    return plan_count(fixture->store, fixture->lookup, fixture->engine, fixture->prompt, &fixture->options,
                      counts, sample, &fixture->err);
}

static void counting_fails_wholly(void **state)
{
    (void)state;
    struct fixture fixture;
    struct plan_counts counts;
    struct plan_sample sample;
    bool happened = true;
    unsigned failures = 0;
    open_fixture(&fixture);
    for (unsigned n = 1; happened; n++, failures += happened) {
        allocation_fail(n);
        const dobby_code code = count(&fixture, &counts, &sample);
        happened = allocation_succeed();
        if (code != (happened ? DOBBY_OUT_OF_MEMORY : DOBBY_OK))
            fail_msg("allocation %u: %s: %s", n, dobby_code_name(code), fixture.err.detail);
        if (!happened)
            continue;
        assert_true(counts.states.total == 0 && counts.work == 0 && counts.to_infer == 0);
        assert_null(sample.records);
        assert_int_equal(sample.count, 0);
    }
    assert_true(failures > 10);
    assert_int_equal(counts.to_infer, 4);
    assert_int_equal(counts.duplicates, 1);
    assert_int_equal(counts.empty, 1);
    assert_int_equal(sample.count, 4);
    plan_sample_release(&sample);
    close_fixture(&fixture);
}

/* The sample's run may get over a failure, as any run: a cache without memory keeps nothing. */
static void timing_fails_wholly(void **state)
{
    (void)state;
    static const struct plan_estimate nothing;
    struct fixture fixture;
    struct plan_counts counts;
    struct plan_sample sample;
    bool happened = true;
    unsigned failures = 0;
    open_fixture(&fixture);
    assert_ok(count(&fixture, &counts, &sample), &fixture.err);
    for (unsigned n = 1; happened; n++) {
        struct plan_estimate estimate;
        struct engine_stats stats;
        allocation_fail(n);
        const dobby_code code = plan_time(fixture.engine, fixture.prompt, &fixture.options, &counts, &sample,
                                          &estimate, &fixture.err);
        happened = allocation_succeed();
        if (code != DOBBY_OK && (!happened || code != DOBBY_OUT_OF_MEMORY))
            fail_msg("allocation %u: %s: %s", n, dobby_code_name(code), fixture.err.detail);
        if (code == DOBBY_OK)
            assert_true(estimate.sample_records == sample.count && estimate.seconds_max > 0);
        else
            assert_memory_equal(&estimate, &nothing, sizeof(estimate));
        engine_stats(fixture.engine, &stats);
        assert_int_equal(stats.queued + stats.running, 0);
        failures += code != DOBBY_OK;
    }
    assert_true(failures > 10);
    plan_sample_release(&sample);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting_fails_wholly),
        cmocka_unit_test(timing_fails_wholly),
    };
    return cmocka_run_group_tests_name("plan, allocations", tests, NULL, NULL);
}
