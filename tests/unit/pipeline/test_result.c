/* The parts of a run that need no engine: keys, seeds, jobs, the gate before a busy store. */
#include "unit/test.h"

#include "pipeline/jobs.h"
#include "pipeline/result_check.h"
#include "pipeline/result_key.h"
#include "pipeline/store_gate.h"

#include <string.h>

static const struct engine_info model = {.fingerprint = "f00d", .precision = "q8_0"};

static struct text_span span(const char *text, bool special)
{
    return (struct text_span){.bytes = text, .length = strlen(text), .special = special};
}

static void key_follows_what_matters(void **state)
{
    (void)state;
    const struct engine_info other_model = {.fingerprint = "f00e", .precision = "q8_0"};
    const struct engine_info other_precision = {.fingerprint = "f00d", .precision = "bf16"};
    const struct engine_info shifted = {.fingerprint = "f00dq", .precision = "8_0"};
    const struct {
        const char *name;
        struct text_span spans[3];
        size_t count;
        const struct engine_info *info;
        const char *sampling;
        bool equal;
    } rows[] = {
        {"the same", {span("user", true), span("int x;", false)}, 2, &model, "greedy", true},
        {"cut elsewhere",
         {span("us", true), span("er", true), span("int x;", false)},
         3,
         &model,
         "greedy",
         true},
        {"other content", {span("user", true), span("int y;", false)}, 2, &model, "greedy", false},
        {"content marked special", {span("user", true), span("int x;", true)}, 2, &model, "greedy", false},
        {"border moved", {span("useri", true), span("nt x;", false)}, 2, &model, "greedy", false},
        {"other model", {span("user", true), span("int x;", false)}, 2, &other_model, "greedy", false},
        {"other precision",
         {span("user", true), span("int x;", false)},
         2,
         &other_precision,
         "greedy",
         false},
        {"fields run together", {span("user", true), span("int x;", false)}, 2, &shifted, "greedy", false},
        {"other sampling", {span("user", true), span("int x;", false)}, 2, &model, "greedy2", false},
    };
    uint8_t first[SHA256_BYTES], key[SHA256_BYTES];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err = {0};
        assert_ok(result_key(rows[i].spans, rows[i].count, rows[i].info, rows[i].sampling, key, &err), &err);
        if (i == 0)
            memcpy(first, key, sizeof(first));
        if ((memcmp(first, key, sizeof(first)) == 0) != rows[i].equal)
            fail_msg("%s", rows[i].name);
    }
}

static void seed_follows_run_and_key(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    uint8_t key[SHA256_BYTES] = {1};
    uint64_t a, again, other_run, other_key;
    assert_ok(result_seed(1, key, &a, &err), &err);
    assert_ok(result_seed(1, key, &again, &err), &err);
    assert_ok(result_seed(2, key, &other_run, &err), &err);
    key[31] = 1;
    assert_ok(result_seed(1, key, &other_key, &err), &err);
    assert_true(a == again && a != other_run && a != other_key && other_run != other_key);
}

static void sampling_has_one_spelling(void **state)
{
    (void)state;
    static const struct {
        struct sampling sampling;
        uint64_t seed;
        const char *want;
    } rows[] = {
        {{.temperature = 0, .top_p = 1, .repetition_penalty = 1},
         7,
         "greedy repetition_penalty=1 tokens_max=64"},
        {{.temperature = 0, .top_k = 5, .top_p = 0.5f, .repetition_penalty = 1, .seed = 3},
         8,
         "greedy repetition_penalty=1 tokens_max=64"},
        {{.temperature = 0.5f, .top_k = 40, .top_p = 0.75f, .repetition_penalty = 1.25f},
         7,
         "temperature=0.5 top_k=40 top_p=0.75 repetition_penalty=1.25 tokens_max=64 seed=7"},
        {{.temperature = 1e-9f, .top_k = UINT32_MAX, .top_p = 1e-9f, .repetition_penalty = 1e9f},
         UINT64_MAX,
         "temperature=9.99999972e-10 top_k=4294967295 top_p=9.99999972e-10 repetition_penalty=1e+09 "
         "tokens_max=64 seed=18446744073709551615"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[SAMPLING_TEXT_BYTES];
        sampling_text(&rows[i].sampling, rows[i].seed, 64, text);
        assert_string_equal(text, rows[i].want);
    }
}

static void jobs_are_found_by_tag(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct job_table table;
    uint64_t tags[3], more;
    assert_ok(job_table_init(&table, 3, &err), &err);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(job_add(&table, i == 1 ? "b" : "a", (uint32_t)i, &tags[i]));
    assert_null(job_add(&table, "d", 1, &more));
    assert_string_equal(job_find(&table, tags[1])->id, "b");
    assert_null(job_find(&table, 3));
    assert_null(job_find(&table, UINT64_MAX));
    job_remove(&table, job_find(&table, tags[1]));
    assert_null(job_find(&table, tags[1]));
    assert_int_equal(table.count, 2);
    struct job *job = job_add(&table, "e", 9, &more);
    assert_non_null(job);
    assert_ptr_equal(job, job_find(&table, more));
    assert_int_equal(job->attempt, 9);
    job_table_release(&table);
    job_table_release(&table);
}

static void gate_backs_off(void **state)
{
    (void)state;
    const int64_t ms = 1000000;
    struct store_gate gate = {.limit_ms = 1000000};
    int64_t now_ns = 5 * ms, want_ms = 10;
    assert_true(store_gate_is_open(&gate, now_ns));
    for (int i = 0; i < 40; i++) {
        assert_true(store_gate_busy(&gate, now_ns));
        assert_true(gate.retry_ns - now_ns >= want_ms * ms / 2);
        assert_true(gate.retry_ns - now_ns <= want_ms * ms);
        assert_false(store_gate_is_open(&gate, gate.retry_ns - 1));
        assert_true(store_gate_is_open(&gate, gate.retry_ns));
        now_ns = gate.retry_ns;
        want_ms = want_ms * 2 < 2000 ? want_ms * 2 : 2000;
    }
    assert_false(store_gate_busy(&gate, 5 * ms + 1000000 * ms));
    store_gate_passed(&gate);
    assert_true(store_gate_is_open(&gate, now_ns));
    assert_true(store_gate_busy(&gate, now_ns)); /* a new wait starts over */
    assert_true(gate.retry_ns - now_ns <= 10 * ms);
}

static void blank_is_white_space(void **state)
{
    (void)state;
    assert_true(text_is_blank(NULL, 0));
    assert_true(text_is_blank(" \t\r\n\v\f", 6));
    assert_false(text_is_blank("  x", 3));
    assert_false(text_is_blank("\0", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_follows_what_matters),
        cmocka_unit_test(seed_follows_run_and_key),
        cmocka_unit_test(sampling_has_one_spelling),
        cmocka_unit_test(jobs_are_found_by_tag),
        cmocka_unit_test(gate_backs_off),
        cmocka_unit_test(blank_is_white_space),
    };
    return cmocka_run_group_tests_name("pipeline result", tests, NULL, NULL);
}
