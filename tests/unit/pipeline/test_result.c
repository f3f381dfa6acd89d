/* The parts of a run that need no engine: keys, seeds, jobs. */
#include "unit/test.h"

#include "pipeline/jobs.h"
#include "pipeline/result_check.h"
#include "pipeline/result_key.h"

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

static void jobs_are_found(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct job_table table;
    struct job *jobs[3], *more;
    uint8_t keys[4][SHA256_BYTES] = {{1}, {1, [31] = 1}, {2}, {1, [31] = 2}}; /* three in one bucket */
    const struct record record = {
        .id = "r", .path = "p", .language = "c", .content = "abc", .content_length = 3};
    assert_ok(job_table_init(&table, 3, &err), &err);
    for (size_t i = 0; i < 3; i++)
        assert_ok(job_add(&table, &record, keys[i], &jobs[i], &err), &err);
    assert_code(job_add(&table, &record, keys[3], &more, &err), DOBBY_INTERNAL);
    assert_null(more);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(job_find(&table, jobs[i]->tag), jobs[i]);
        assert_ptr_equal(job_find_key(&table, keys[i]), jobs[i]);
        assert_string_equal(jobs[i]->content, "abc");
        assert_string_equal(jobs[i]->path, "p");
    }
    assert_null(job_find_key(&table, keys[3]));
    assert_null(job_find(&table, UINT64_MAX));
    assert_ok(job_attach(&table, jobs[1], &record, &err), &err);
    assert_ok(job_attach(&table, jobs[1], &record, &err), &err);
    job_set_unsubmitted(&table, jobs[1], true);
    assert_int_equal(table.waiters, 2);
    assert_int_equal(table.unsubmitted, 1);
    uint64_t old = jobs[1]->tag;
    job_remove(&table, jobs[1]);
    assert_int_equal(table.waiters + table.unsubmitted, 0);
    assert_null(job_find(&table, old));
    assert_null(job_find_key(&table, keys[1]));
    assert_ptr_equal(job_find_key(&table, keys[0]), jobs[0]);
    assert_int_equal(table.count, 2);
    assert_ok(job_add(&table, &record, keys[3], &more, &err), &err);
    assert_true(more->tag != old); /* a late answer to the old one finds nothing */
    assert_null(job_find(&table, old));
    assert_true(job_tag_was_given(&table, old) && job_tag_was_given(&table, more->tag));
    assert_false(job_tag_was_given(&table, more->tag + 3));
    job_table_release(&table);
    job_table_release(&table);
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
        cmocka_unit_test(key_follows_what_matters),  cmocka_unit_test(seed_follows_run_and_key),
        cmocka_unit_test(sampling_has_one_spelling), cmocka_unit_test(jobs_are_found),
        cmocka_unit_test(blank_is_white_space),
    };
    return cmocka_run_group_tests_name("pipeline result", tests, NULL, NULL);
}
