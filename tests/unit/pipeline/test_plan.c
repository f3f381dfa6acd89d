/* Planning: what a run would do, over SQLite with the null engine; its set of keys and its sample. */
#include "drivers/sqlite/store_sqlite.h"
#include "infer/engine_null.h"
#include "os/clock.h"
#include "os/temporary.h"
#include "pipeline/plan_parts.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct dobby_error err;
    struct buffer directory, path;
    struct store *store, *lookup;
    struct engine *engine;
    struct prompt_template *prompt;
    struct run_options run;
    struct plan_options options;
    struct plan_counts counts;
    struct plan_sample sample;
};

static struct store *open_store(struct fixture *fixture, enum sqlite_access access)
{
    struct store *store;
    const struct store_sqlite_options options = {
        .path = fixture->path.bytes, .access = access, .busy_timeout_ms = 1000};
    assert_ok(store_sqlite_open(&options, &store, &fixture->err), &fixture->err);
    return store;
}

static void use_prompt(struct fixture *fixture, const char *text)
{
    prompt_template_free(fixture->prompt);
    assert_ok(prompt_template_parse("test", text, strlen(text), false, &fixture->prompt, &fixture->err),
              &fixture->err);
}

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    *state = fixture;
    struct dobby_error *err = &fixture->err;
    assert_ok(temporary_directory_make("/tmp", &fixture->directory, err), err);
    assert_ok(buffer_append_format(&fixture->path, err, "%s/plan.db", fixture->directory.bytes), err);
    fixture->store = open_store(fixture, SQLITE_ACCESS_CREATE);
    fixture->lookup = open_store(fixture, SQLITE_ACCESS_READ);
    assert_ok(engine_null_open(&(struct engine_null_options){.context_tokens = 200}, &fixture->engine, err),
              err);
    use_prompt(fixture, "{content}");
    fixture->run = (struct run_options){
        .owner = "test", .tokens_max = 48, .sampling = SAMPLING_GREEDY, .lease_ms = 60000};
    fixture->options = (struct plan_options){.run = &fixture->run};
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    plan_sample_release(&fixture->sample);
    prompt_template_free(fixture->prompt);
    engine_close(fixture->engine);
    store_close(fixture->lookup);
    store_close(fixture->store);
    temporary_directory_remove(fixture->directory.bytes);
    buffer_release(&fixture->directory);
    buffer_release(&fixture->path);
    free(fixture);
    return 0;
}

/* Puts one source's records, with ids of its name and their number. */
static void put(struct fixture *fixture, const char *source, const char *const *contents, size_t count)
{
    struct put_counts counts = {0};
    struct dobby_error *err = &fixture->err;
    assert_ok(store_sync_begin(fixture->store, source, clock_unix_us(), err), err);
    for (size_t i = 0; i < count; i++) {
        char id[64];
        snprintf(id, sizeof id, "%s-%zu", source, i);
        const struct record_input input = {.id = id,
                                           .path = id,
                                           .language = "c",
                                           .content = contents[i],
                                           .content_length = strlen(contents[i])};
        assert_ok(store_put(fixture->store, &input, 1, clock_unix_us(), &counts, err), err);
    }
    assert_ok(store_sync_end(fixture->store, "", &counts, err), err);
}

static void run_all(struct fixture *fixture)
{
    struct run_progress totals;
    assert_ok(
        pipeline_run(fixture->store, fixture->engine, fixture->prompt, &fixture->run, &totals, &fixture->err),
        &fixture->err);
}

static void count(struct fixture *fixture)
{
    plan_sample_release(&fixture->sample);
    assert_ok(plan_count(fixture->store, fixture->lookup, fixture->engine, fixture->prompt, &fixture->options,
                         &fixture->counts, &fixture->sample, &fixture->err),
              &fixture->err);
    const struct plan_counts *counts = &fixture->counts;
    assert_int_equal(counts->work, counts->duplicates + counts->stored + counts->empty + counts->too_long +
                                       counts->to_infer);
    assert_int_equal(fixture->sample.count,
                     counts->to_infer < PLAN_SAMPLE_RECORDS ? counts->to_infer : PLAN_SAMPLE_RECORDS);
}

static void every_record_is_counted_once(void **state)
{
    struct fixture *fixture = *state;
    char *large = calloc(1, 1001);
    assert_non_null(large);
    memset(large, 'x', 1000);
    const char *const contents[] = {"int a;", "int b;", "int a;", " \n", "int ccc;", "int a;", large};
    put(fixture, "s", contents, COUNT_OF(contents));
    count(fixture);
    assert_int_equal(fixture->counts.work, 7);
    assert_int_equal(fixture->counts.duplicates, 2);
    assert_int_equal(fixture->counts.empty, 1);
    assert_int_equal(fixture->counts.too_long, 1);
    assert_int_equal(fixture->counts.to_infer, 3);
    assert_int_equal(fixture->counts.content_bytes, 6 + 6 + 8);
    assert_int_equal(fixture->counts.tokens_in, 2 + 2 + 3);
    assert_false(fixture->counts.tokens_estimated || fixture->counts.duplicates_incomplete);
    free(large);
}

/* What is done is not to do; an equal prompt elsewhere is answered already. */
static void answered_prompts_are_found(void **state)
{
    struct fixture *fixture = *state;
    const char *const first[] = {"int a;", "int b;"}, *const second[] = {"int b;", "int c;"};
    put(fixture, "s", first, COUNT_OF(first));
    run_all(fixture);
    count(fixture);
    assert_int_equal(fixture->counts.work, 0);
    assert_int_equal(fixture->counts.states.by_state[RECORD_COMPLETED], 2);
    put(fixture, "t", second, COUNT_OF(second));
    count(fixture);
    assert_int_equal(fixture->counts.work, 2);
    assert_int_equal(fixture->counts.stored, 1);
    assert_int_equal(fixture->counts.to_infer, 1);
}

static void stale_results_are_work_only_when_redone(void **state)
{
    struct fixture *fixture = *state;
    const char *const contents[] = {"int a;", "int b;", "int a;"};
    put(fixture, "s", contents, COUNT_OF(contents));
    run_all(fixture);
    count(fixture);
    assert_int_equal(fixture->counts.stale, 0);
    use_prompt(fixture, "Say: {content}");
    count(fixture);
    assert_int_equal(fixture->counts.stale, 3);
    assert_int_equal(fixture->counts.work, 0);
    fixture->run.stale_redo = true;
    count(fixture);
    assert_int_equal(fixture->counts.work, 3);
    assert_int_equal(fixture->counts.duplicates, 1);
    assert_int_equal(fixture->counts.to_infer, 2);
    /* And a run does just that. */
    run_all(fixture);
    count(fixture);
    assert_int_equal(fixture->counts.stale + fixture->counts.work, 0);
}

static dobby_code add_to_hash(void *context, const struct record_row *row, struct dobby_error *err)
{
    uint64_t *hash = context;
    (void)err;
    *hash = *hash * 31 + (uint64_t)row->state * 7 + row->attempt + row->tries + (uint64_t)row->state_unix_us +
            (row->summary != NULL);
    return DOBBY_OK;
}

static void nothing_is_written(void **state)
{
    struct fixture *fixture = *state;
    const char *const contents[] = {"int a;", "int b;"};
    const struct record_filter all = {.state = RECORD_UNKNOWN};
    struct plan_estimate estimate;
    struct dobby_error *err = &fixture->err;
    uint64_t before = 0, after = 0;
    put(fixture, "s", contents, COUNT_OF(contents));
    assert_ok(store_list(fixture->store, &all, add_to_hash, &before, err), err);
    struct store *reader = open_store(fixture, SQLITE_ACCESS_READ);
    assert_ok(plan_count(reader, fixture->lookup, fixture->engine, fixture->prompt, &fixture->options,
                         &fixture->counts, &fixture->sample, err),
              err);
    assert_ok(plan_time(fixture->engine, fixture->prompt, &fixture->options, &fixture->counts,
                        &fixture->sample, &estimate, err),
              err);
    assert_ok(store_list(fixture->store, &all, add_to_hash, &after, err), err);
    assert_true(before == after && fixture->counts.to_infer == 2);
    store_close(reader);
}

static void the_sample_tells_what_to_expect(void **state)
{
    struct fixture *fixture = *state;
    enum { RECORDS = 40 };
    char texts[RECORDS][32];
    const char *contents[RECORDS + 2];
    for (size_t i = 0; i < RECORDS; i++) {
        snprintf(texts[i], sizeof texts[i], "int a_%zu;", i);
        contents[i] = texts[i];
    }
    contents[RECORDS] = contents[RECORDS + 1] = texts[0];
    put(fixture, "s", contents, RECORDS + 2);
    count(fixture);
    struct plan_estimate estimate;
    struct dobby_error *err = &fixture->err;
    assert_ok(plan_time(fixture->engine, fixture->prompt, &fixture->options, &fixture->counts,
                        &fixture->sample, &estimate, err),
              err);
    const size_t text = strlen(engine_null_text());
    assert_int_equal(estimate.sample_records, RECORDS);
    assert_int_equal(estimate.sample_failed, 0);
    assert_int_equal(estimate.tokens_out, RECORDS * ((text + 2) / 3));
    assert_int_equal(estimate.summary_bytes, (RECORDS + 2) * text);
    assert_true(estimate.database_bytes > estimate.summary_bytes);
    assert_true(estimate.seconds_min > 0 && estimate.seconds_min < estimate.seconds_max);
    assert_true(estimate.records_per_s_min > 0 && estimate.records_per_s_min < estimate.records_per_s_max);
    assert_int_equal(estimate.sample_tokens_in, fixture->counts.tokens_in);
}

static void nothing_to_do_takes_no_time(void **state)
{
    struct fixture *fixture = *state;
    struct plan_estimate estimate;
    count(fixture);
    assert_int_equal(fixture->counts.work, 0);
    assert_ok(plan_time(fixture->engine, fixture->prompt, &fixture->options, &fixture->counts,
                        &fixture->sample, &estimate, &fixture->err),
              &fixture->err);
    assert_true(estimate.sample_records == 0 && estimate.seconds_max == 0);
}

static bool at_once(void *context)
{
    (void)context;
    return true;
}

static void it_can_be_canceled(void **state)
{
    struct fixture *fixture = *state;
    const char *const contents[] = {"int a;"};
    struct plan_estimate estimate;
    put(fixture, "s", contents, 1);
    count(fixture);
    fixture->options.canceled = at_once;
    assert_code(plan_time(fixture->engine, fixture->prompt, &fixture->options, &fixture->counts,
                          &fixture->sample, &estimate, NULL),
                DOBBY_CANCELED);
    assert_true(estimate.sample_records == 0 && estimate.seconds_max == 0);
    plan_sample_release(&fixture->sample);
    assert_code(plan_count(fixture->store, fixture->lookup, fixture->engine, fixture->prompt,
                           &fixture->options, &fixture->counts, &fixture->sample, NULL),
                DOBBY_CANCELED);
    assert_true(fixture->counts.work == 0 && fixture->sample.count == 0 && fixture->sample.records == NULL);
}

static void keys_are_told_apart(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    struct dobby_error err;
    struct key_set set = {0};
    for (int again = 0; again < 2; again++) {
        for (uint64_t i = 0; i < KEYS; i++) {
            uint8_t key[SHA256_BYTES] = {0};
            bool added;
            memcpy(key, &i, sizeof i); /* all in a row, and 0 among them */
            assert_ok(key_set_add(&set, key, &added, &err), &err);
            /* 0 and 1 are one: a free slot is 0. */
            assert_true(added == (again == 0 && i != 1));
        }
    }
    assert_int_equal(set.count, KEYS - 1);
    key_set_release(&set);
    assert_null(set.slots);
}

/* Every record offered is in the sample with equal chance: the mean of their numbers is the middle. */
static void a_sample_is_fair_and_bounded(void **state)
{
    (void)state;
    enum { OFFERED = 10 * PLAN_SAMPLE_RECORDS };
    struct dobby_error err;
    struct plan_sample sample = {0};
    for (uint64_t i = 0; i < OFFERED; i++) {
        char text[24];
        struct plan_sample_record record;
        snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        const struct record_row row = {
            .path = "p", .language = "c", .content = text, .content_length = strlen(text)};
        assert_ok(plan_sample_record_copy(&row, &record, &err), &err);
        assert_ok(plan_sample_offer(&sample, i, &record, &err), &err);
        plan_sample_record_release(&record);
    }
    plan_sample_shuffle(&sample);
    assert_int_equal(sample.count, PLAN_SAMPLE_RECORDS);
    bool *seen = calloc(OFFERED, sizeof *seen);
    assert_non_null(seen);
    double sum = 0, first_half = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < sample.count; i++) {
        char text[24] = "";
        memcpy(text, sample.records[i].content, sample.records[i].content_length);
        const unsigned long number = strtoul(text, NULL, 10);
        assert_true(number < OFFERED && !seen[number]);
        seen[number] = true;
        sum += (double)number;
        first_half += i < sample.count / 2 ? (double)number : 0;
        bytes += sample.records[i].content_length;
    }
    assert_int_equal(sample.bytes, bytes);
    /* Ten standard deviations of a fair sample's mean. */
    assert_true(sum / PLAN_SAMPLE_RECORDS > OFFERED * 0.44 && sum / PLAN_SAMPLE_RECORDS < OFFERED * 0.56);
    assert_true(first_half * 2 / PLAN_SAMPLE_RECORDS > OFFERED * 0.42 &&
                first_half * 2 / PLAN_SAMPLE_RECORDS < OFFERED * 0.58);
    free(seen);
    plan_sample_release(&sample);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(every_record_is_counted_once),
        WITH_STORE(answered_prompts_are_found),
        WITH_STORE(stale_results_are_work_only_when_redone),
        WITH_STORE(nothing_is_written),
        WITH_STORE(the_sample_tells_what_to_expect),
        WITH_STORE(nothing_to_do_takes_no_time),
        WITH_STORE(it_can_be_canceled),
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(a_sample_is_fair_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
