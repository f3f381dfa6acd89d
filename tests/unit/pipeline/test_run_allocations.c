/* Each allocation of a run is made to fail once. The run then ends with OUT_OF_MEMORY or gets over it; either
 * way it leaves no lease and nothing half-done: what it did, and what the next run does, is what an
 * undisturbed run does. Leaks are what the address sanitizer looks for. */
#include "allocation.h"
#include "pipeline/outbox.h"
#include "pipeline/result_cache.h"
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

#include <string.h>

static const char *const contents[] = {"int a;",    "",         "int b;",   "int a;",
                                       FAKE_LENGTH, FAKE_ONCE,  FAKE_ERROR, FAKE_LONG,
                                       FAKE_BROKEN, FAKE_RETRY, "int a;",   FAKE_ONCE};
enum { RECORDS = COUNT_OF(contents) };

static void open_all(struct fixture *fixture)
{
    fixture_open(fixture, 2);
    fixture->options.probe_first_ms = 1;
    fixture->engine.per_wait = 2;
    fixture_put(fixture, RECORDS, contents);
}

static void assert_rows(struct fixture *fixture, const struct row_copy want[RECORDS], bool all, unsigned n)
{
    for (size_t i = 0; i < RECORDS; i++) {
        struct row_copy row;
        fixture_row(fixture, i, &row);
        if (!all && row.state == RECORD_PENDING)
            continue;
        if (row.state != want[i].state || strcmp(row.text, want[i].text) != 0 ||
            strcmp(row.reason, want[i].reason) != 0 || strcmp(row.error_id, want[i].error_id) != 0)
            fail_msg("allocation %u: record %zu is %s '%s' '%s'", n, i, record_state_name(row.state),
                     row.text, row.reason);
    }
}

static void a_run_gets_over_each_failure(void **state)
{
    (void)state;
    struct fixture fixture;
    struct row_copy want[RECORDS];
    open_all(&fixture);
    assert_ok(fixture_run(&fixture), &fixture.err);
    for (size_t i = 0; i < RECORDS; i++)
        fixture_row(&fixture, i, &want[i]);
    fixture_close(&fixture);

    unsigned ended = 0, survived = 0;
    bool happened = true;
    for (unsigned n = 1; happened; n++) {
        open_all(&fixture);
        allocation_fail(n);
        dobby_code code = fixture_run(&fixture);
        happened = allocation_succeed();
        if (code != DOBBY_OK && code != DOBBY_OUT_OF_MEMORY)
            fail_msg("allocation %u: %s: %s", n, dobby_code_name(code), fixture.err.detail);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        assert_rows(&fixture, want, code == DOBBY_OK, n);
        ended += code != DOBBY_OK;
        survived += happened && code == DOBBY_OK;
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_rows(&fixture, want, true, n);
        fixture_close(&fixture);
    }
    print_message("    %u failures ended the run, %u did not\n", ended, survived);
    assert_true(ended > 3 && survived > 30);
}

static dobby_code make_jobs(struct dobby_error *err)
{
    struct job_table table;
    dobby_code code = job_table_init(&table, 3, err);
    job_table_release(&table);
    return code;
}

static dobby_code make_outbox(struct dobby_error *err)
{
    struct outbox outbox;
    dobby_code code = outbox_init(&outbox, 3, err);
    outbox_release(&outbox);
    return code;
}

static dobby_code make_cache(struct dobby_error *err)
{
    struct result_cache cache;
    dobby_code code = result_cache_init(&cache, 1000, 1000, err);
    result_cache_release(&cache);
    return code;
}

static dobby_code add_and_attach(struct dobby_error *err)
{
    static const uint8_t key[SHA256_BYTES] = {1};
    const struct record record = {
        .id = "r", .path = "p", .language = "c", .content = "", .content_length = 0};
    struct job_table table;
    struct job *job = NULL;
    dobby_code code = job_table_init(&table, 1, err);
    if (code == DOBBY_OK)
        code = job_add(&table, &record, key, &job, err);
    if (code == DOBBY_OK)
        code = job_attach(&table, job, &record, err);
    assert_int_equal(table.waiters, code == DOBBY_OK);
    assert_true(job != NULL || table.count == 0);
    job_table_release(&table);
    return code;
}

static void parts_fail_wholly(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        dobby_code (*make)(struct dobby_error *err);
        unsigned allocations;
    } rows[] = {{"jobs", make_jobs, 2},
                {"outbox", make_outbox, 2},
                {"cache", make_cache, 1},
                {"a job and one who waits", add_and_attach, 4}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned n = 1; n <= rows[i].allocations + 1; n++) {
            struct dobby_error err = {0};
            allocation_fail(n);
            dobby_code code = rows[i].make(&err);
            bool happened = allocation_succeed();
            if (happened != (n <= rows[i].allocations) || code != (happened ? DOBBY_OUT_OF_MEMORY : DOBBY_OK))
                fail_msg("%s, allocation %u: %s", rows[i].name, n, dobby_code_name(code));
        }
    }
}

/* A cache that gets no memory keeps nothing, and goes on. */
static void a_cache_does_without(void **state)
{
    (void)state;
    static const uint8_t key[SHA256_BYTES] = {1};
    const struct cached_result result = {.text = "text", .engine = "engine"};
    struct dobby_error err = {0};
    struct result_cache cache;
    struct cached_result found;
    assert_ok(result_cache_init(&cache, 10000, 1000, &err), &err);
    allocation_fail(1);
    result_cache_put(&cache, key, 1, &result);
    assert_true(allocation_succeed());
    assert_false(result_cache_find(&cache, key, 1, &found));
    result_cache_put(&cache, key, 1, &result);
    assert_true(result_cache_find(&cache, key, 1, &found));
    result_cache_release(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_gets_over_each_failure),
        cmocka_unit_test(parts_fail_wholly),
        cmocka_unit_test(a_cache_does_without),
    };
    return cmocka_run_group_tests_name("pipeline, allocations", tests, NULL, NULL);
}
