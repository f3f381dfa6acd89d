/* Holds every backend to what store/store_versions.h says. */
#include "contract/suite_helper.h"

/* What summaries of even and of odd numbers are made with; see make_summary. */
static const struct provenance_key even_key = {"f00d", "q8_0", "greedy", "nano@1"};
static const struct provenance_key odd_key = {"f00d", "q8_0", "greedy", "nano@2"};

/* What a visitor saw, as "record/number/flags " each: c current, o of old content, r reused, d degraded. */
struct seen_versions {
    char text[512];
    size_t used;
    struct store *store; /* not NULL: called from the visitor */
    unsigned stop_after; /* visits; 0: never */
};

static dobby_code see(struct seen_versions *seen, const char *between, const char *id,
                      const struct summary *summary, bool current, bool of_present_content,
                      struct dobby_error *err)
{
    uint32_t number = 0;
    uint64_t count = 0;
    memcpy(&number, summary->result_key, sizeof number);
    int wrote = snprintf(seen->text + seen->used, sizeof seen->text - seen->used, "%s%s/%u/%s%s%s%s ",
                         between, id, number, current ? "c" : "", of_present_content ? "" : "o",
                         summary->reused ? "r" : "", summary->degraded_reason == NULL ? "" : "d");
    assert_true(wrote > 0 && (size_t)wrote < sizeof seen->text - seen->used);
    seen->used += (size_t)wrote;
    if (seen->store != NULL)
        assert_int_equal(store_stale_count(seen->store, &even_key, &count, NULL), DOBBY_INVALID_ARGUMENT);
    if (seen->stop_after > 0 && --seen->stop_after == 0)
        return DOBBY_FAIL(err, DOBBY_CANCELED, "enough");
    return DOBBY_OK;
}

static dobby_code see_result(void *context, const struct summary_row *row, struct dobby_error *err)
{
    return see(context, row->key_index == 0 ? "" : "+", row->record_id, row->summary, row->current,
               row->of_present_content, err);
}

static dobby_code see_version(void *context, const struct record_row *row, struct dobby_error *err)
{
    if (row->summary == NULL)
        return DOBBY_OK;
    return see(context, "", row->id, row->summary, row->summary_current, row->summary_of_present_content,
               err);
}

static void assert_versions(struct store *store, const char *id, const char *want)
{
    const struct record_filter filter = {.id_prefix = id, .id_whole = true, .with_versions = true};
    struct seen_versions seen = {.used = 0};
    ASSERT_OK(store_list(store, &filter, see_version, &seen, err));
    assert_string_equal(seen.text, want);
}

static void assert_found(struct store *store, const uint32_t *numbers, size_t count, const char *want)
{
    uint8_t keys[8][SHA256_BYTES];
    struct seen_versions seen = {.used = 0};
    for (size_t i = 0; i < count; i++)
        memcpy(keys[i], make_summary(numbers[i], "").result_key, SHA256_BYTES);
    ASSERT_OK(store_find_results(store, (const uint8_t(*)[SHA256_BYTES])keys, count, see_result, &seen, err));
    assert_string_equal(seen.text, want);
}

static void assert_stale(struct store *store, const struct provenance_key *want, uint64_t count)
{
    uint64_t got = 99;
    ASSERT_OK(store_stale_count(store, want, &got, err));
    assert_int_equal(got, count);
}

static void redo(struct store *store, const struct provenance_key *want, uint64_t limit, uint64_t requeued,
                 uint64_t restored)
{
    struct stale_counts counts;
    ASSERT_OK(store_requeue_stale(store, want, 9 * SECOND, limit, &counts, err));
    assert_int_equal(counts.requeued, requeued);
    assert_int_equal(counts.restored, restored);
}

/* ---- versions ---- */

static void versions_live_side_by_side(void **state)
{
    struct store *store = *state;
    put_many(store, 2);
    assert_versions(store, "r00", "");
    complete(store, "r00", 2, SECOND);
    assert_versions(store, "r00", "r00/2/c ");
    redo(store, &odd_key, 0, 1, 0);
    assert_versions(store, "r00", "r00/2/c ");
    complete(store, "r00", 3, 2 * SECOND);
    assert_versions(store, "r00", "r00/3/c r00/2/ ");
    assert_versions(store, "r01", "");
    assert_int_equal(get_row(store, "r00").summary_us, 2 * SECOND);
}

/* An equal key is an equal result: it is not stored a second time, and its first text stays. */
static void an_equal_key_is_current_again(void **state)
{
    struct store *store = *state;
    put_many(store, 1);
    complete(store, "r00", 2, SECOND);
    redo(store, &odd_key, 0, 1, 0);
    complete(store, "r00", 3, 2 * SECOND);
    uint64_t count = 0;
    ASSERT_OK(store_requeue(store, &(struct record_filter){0}, SECOND, &count, err));
    assert_int_equal(count, 0); /* what is good is not retried by hand */
    struct record_input changed = make_input("r00", "a", "other");
    struct record_input as_before = make_input("r00", "a", "text");
    (void)sync_source(store, "/src", &changed, 1, "", SECOND);
    assert_versions(store, "r00", "r00/3/o r00/2/o ");
    (void)sync_source(store, "/src", &as_before, 1, "", SECOND);
    assert_versions(store, "r00", "r00/3/ r00/2/ ");
    assert_string_equal(get_row(store, "r00").summary, "-");

    struct record_batch batch;
    ASSERT_OK(store_claim(store, "w", 3 * SECOND, 60 * SECOND, 1, &batch, err));
    struct summary again = make_summary(2, "another text");
    (void)snprintf(again.id, sizeof again.id, "another id");
    struct outcome outcome = make_outcome("r00", batch.records[0].attempt, OUTCOME_COMPLETED, &again);
    record_batch_release(&batch);
    ASSERT_OK(store_settle(store, &outcome, 1, 4 * SECOND, err));
    assert_versions(store, "r00", "r00/3/ r00/2/c ");
    assert_string_equal(get_row(store, "r00").summary, "a summary");
    assert_int_equal(get_row(store, "r00").summary_us, SECOND);
    struct store_counts counts;
    ASSERT_OK(store_count(store, &counts, err));
    assert_int_equal(counts.summaries, 1);
    assert_int_equal(counts.tokens_in, 102);
}

/* A template of another name and the same text makes the same prompts: after a redo nothing is stale. */
static void an_equal_key_takes_the_present_provenance(void **state)
{
    static const struct provenance_key renamed = {"f00d", "q8_0", "greedy", "other@1"};
    struct store *store = *state;
    struct record_batch batch;
    put_many(store, 1);
    complete(store, "r00", 2, SECOND);
    redo(store, &renamed, 0, 1, 0);
    ASSERT_OK(store_claim(store, "w", SECOND, 60 * SECOND, 1, &batch, err));
    struct summary again = make_summary(2, "a summary");
    (void)snprintf(again.id, sizeof again.id, "another id");
    again.template_id = "other@1";
    again.engine = "9.9.9 other";
    struct outcome outcome = make_outcome("r00", batch.records[0].attempt, OUTCOME_COMPLETED, &again);
    record_batch_release(&batch);
    ASSERT_OK(store_settle(store, &outcome, 1, SECOND, err));
    assert_versions(store, "r00", "r00/2/c ");
    assert_stale(store, &renamed, 0);
    assert_stale(store, &even_key, 1);
    char *text = dump_filtered(store, &(struct record_filter){0});
    assert_non_null(strstr(text, "greedy other@1 0.1.0 avx2")); /* the engine is the one that made the text */
    free(text);
}

static void a_version_says_whether_it_is_good(void **state)
{
    struct store *store = *state;
    put_many(store, 1);
    assert_claims(store, "w", SECOND, 1, "r00:1 ");
    assert_false(settle(store, "r00", 1, OUTCOME_DEGRADED, 2, SECOND));
    assert_versions(store, "r00", "r00/2/cd ");
    redo(store, &odd_key, 0, 1, 0);
    complete(store, "r00", 3, SECOND);
    assert_versions(store, "r00", "r00/3/c r00/2/d ");
    /* Settled again with an equal result that is now found to be good. */
    redo(store, &even_key, 0, 0, 1);
    assert_versions(store, "r00", "r00/3/ r00/2/cd ");
    uint64_t count = 0;
    ASSERT_OK(store_requeue(store, &(struct record_filter){0}, SECOND, &count, err));
    assert_int_equal(count, 1);
    complete(store, "r00", 2, SECOND);
    assert_versions(store, "r00", "r00/3/ r00/2/c ");
}

static void removal_takes_all_versions(void **state)
{
    static const uint32_t numbers[] = {2, 3};
    struct store *store = *state;
    put_many(store, 1);
    complete(store, "r00", 2, SECOND);
    redo(store, &odd_key, 0, 1, 0);
    complete(store, "r00", 3, SECOND);
    assert_found(store, numbers, 2, "r00/2/ +r00/3/c ");
    (void)sync_source(store, "/src", NULL, 0, "", SECOND);
    assert_found(store, numbers, 2, "");
    assert_stale(store, &even_key, 0);
}

static void listings_show_versions_when_asked(void **state)
{
    static const struct {
        const char *name;
        struct record_filter filter;
        unsigned rows;
    } cases[] = {
        {"current ones", {0}, 3},
        {"all", {.with_versions = true}, 4},
        {"limit", {.with_versions = true, .limit = 3}, 3},
        {"state", {.with_versions = true, .state = RECORD_COMPLETED}, 2},
        {"id", {.with_versions = true, .id_prefix = "r00"}, 2},
        {"id without any", {.with_versions = true, .id_prefix = "r01"}, 1},
    };
    struct store *store = *state;
    put_many(store, 3);
    complete(store, "r00", 2, SECOND);
    redo(store, &odd_key, 0, 1, 0);
    complete(store, "r00", 3, 2 * SECOND);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen_row seen = {0};
        ASSERT_OK(store_list(store, &cases[i].filter, see_row, &seen, err));
        if (seen.count != cases[i].rows)
            fail_msg("%s: %u rows, not %u", cases[i].name, seen.count, cases[i].rows);
    }
    char *text = dump_filtered(store, &(struct record_filter){.with_versions = true, .id_prefix = "r00"});
    assert_true(strstr(text, "current") < strstr(text, "old")); /* the newest first */
    free(text);
}

/* ---- equal results ---- */

static void results_are_found_anywhere(void **state)
{
    static const uint32_t numbers[] = {9, 4, 2, 4};
    struct store *store = *state;
    struct record_input other = make_input("other", "a.c", "text");
    put_many(store, 2);
    (void)sync_source(store, "/other", &other, 1, "", SECOND);
    assert_found(store, numbers, 0, "");
    assert_found(store, numbers, 4, "");
    complete(store, "r00", 2, SECOND);
    complete(store, "other", 4, SECOND);
    assert_found(store, numbers, 4, "+other/4/c +r00/2/c +other/4/c ");
    assert_found(store, numbers + 2, 1, "r00/2/c ");
    /* One that is no longer current is a result all the same. */
    redo(store, &odd_key, 0, 2, 0);
    complete(store, "r00", 3, SECOND);
    assert_found(store, numbers + 2, 1, "r00/2/ ");
}

static void a_reused_result_shows_and_the_first_is_found(void **state)
{
    static const uint32_t numbers[] = {2};
    struct store *store = *state;
    put_many(store, 2);
    complete(store, "r01", 2, SECOND);
    assert_claims(store, "w", SECOND, 1, "r00:2 ");
    struct summary summary = make_summary(2, "a summary");
    (void)snprintf(summary.id, sizeof summary.id, "another id");
    summary.reused = true;
    struct outcome outcome = make_outcome("r00", 2, OUTCOME_COMPLETED, &summary);
    ASSERT_OK(store_settle(store, &outcome, 1, SECOND, err));
    assert_true(get_row(store, "r00").reused);
    assert_false(get_row(store, "r01").reused);
    assert_versions(store, "r00", "r00/2/cr ");
    assert_found(store, numbers, 1, "r01/2/c ");
    struct store_counts counts;
    ASSERT_OK(store_count(store, &counts, err));
    assert_int_equal(counts.summaries, 2);
    assert_int_equal(counts.tokens_in, 204);
    /* Without the first one the other is found. */
    struct record_input left = make_input("r00", "same.c", "text");
    (void)sync_source(store, "/src", &left, 1, "", SECOND);
    assert_found(store, numbers, 1, "r00/2/cr ");
}

static void visitors_stop_and_keep_off_the_handle(void **state)
{
    struct store *store = *state;
    struct seen_versions seen = {.store = store, .stop_after = 1};
    uint8_t keys[2][SHA256_BYTES];
    uint64_t count = 0;
    put_many(store, 1);
    complete(store, "r00", 2, SECOND);
    memcpy(keys[0], make_summary(2, "").result_key, SHA256_BYTES);
    memcpy(keys[1], keys[0], SHA256_BYTES);
    ASSERT_FAILS(store_find_results(store, (const uint8_t(*)[SHA256_BYTES])keys, 2, see_result, &seen, err),
                 DOBBY_CANCELED);
    assert_string_equal(seen.text, "r00/2/c ");
    seen.stop_after = 1;
    ASSERT_FAILS(store_list(store, &(struct record_filter){.with_versions = true}, see_version, &seen, err),
                 DOBBY_CANCELED);
    /* And the handle serves on. */
    ASSERT_OK(store_requeue(store, &(struct record_filter){0}, SECOND, &count, err));
}

/* ---- what is stale ---- */

static void each_part_of_the_provenance_counts(void **state)
{
    static const struct {
        const char *name;
        struct provenance_key want;
        uint64_t stale;
    } cases[] = {
        {"as it is", {"f00d", "q8_0", "greedy", "nano@1"}, 0},
        {"another model", {"beef", "q8_0", "greedy", "nano@1"}, 1},
        {"another precision", {"f00d", "bf16", "greedy", "nano@1"}, 1},
        {"another sampling", {"f00d", "q8_0", "t=0.3", "nano@1"}, 1},
        {"another prompt", {"f00d", "q8_0", "greedy", "nano@2"}, 1},
        {"all empty", {"", "", "", ""}, 1},
    };
    struct store *store = *state;
    put_many(store, 2);
    complete(store, "r00", 2, SECOND);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t count = 99;
        ASSERT_OK(store_stale_count(store, &cases[i].want, &count, err));
        if (count != cases[i].stale)
            fail_msg("%s: %u stale", cases[i].name, (unsigned)count);
    }
}

static void only_what_is_done_is_stale(void **state)
{
    struct store *store = *state;
    put_many(store, 4);
    assert_claims(store, "w", SECOND, 4, "r00:1 r01:1 r02:1 r03:1 ");
    assert_false(settle(store, "r00", 1, OUTCOME_COMPLETED, 2, SECOND));
    assert_false(settle(store, "r01", 1, OUTCOME_DEGRADED, 4, SECOND));
    assert_false(settle(store, "r02", 1, OUTCOME_FAILED, 0, SECOND));
    assert_stale(store, &odd_key, 2);
    assert_stale(store, &even_key, 0);
    redo(store, &odd_key, 0, 2, 0);
    struct seen_row row = get_row(store, "r01");
    assert_int_equal(row.state, RECORD_PENDING);
    assert_int_equal(row.state_us, 9 * SECOND);
    assert_int_equal(row.tries, 0);
    assert_string_equal(row.reason, "-");
    assert_string_equal(row.summary, "a summary"); /* until it is replaced */
    /* What is being redone is not stale a second time, whether it waits, is leased or has failed. */
    assert_stale(store, &odd_key, 0);
    redo(store, &odd_key, 0, 0, 0);
    assert_claims(store, "w", SECOND, 2, "r00:2 r01:2 ");
    assert_stale(store, &odd_key, 0);
    assert_false(settle(store, "r00", 2, OUTCOME_FAILED, 0, SECOND));
    assert_stale(store, &odd_key, 0);
    assert_string_equal(get_row(store, "r00").summary, "a summary");
    assert_false(settle(store, "r01", 2, OUTCOME_COMPLETED, 5, SECOND));
    assert_stale(store, &odd_key, 0);
    assert_stale(store, &even_key, 1);
}

static void a_version_as_wanted_is_restored(void **state)
{
    struct store *store = *state;
    put_many(store, 2);
    complete(store, "r00", 2, SECOND);
    complete(store, "r01", 4, SECOND);
    redo(store, &odd_key, 0, 2, 0);
    complete(store, "r00", 3, 2 * SECOND);
    complete(store, "r01", 5, 2 * SECOND);
    /* Back to the first settings: nothing is to be inferred. */
    assert_stale(store, &even_key, 2);
    redo(store, &even_key, 0, 0, 2);
    assert_versions(store, "r00", "r00/3/ r00/2/c ");
    struct seen_row row = get_row(store, "r00");
    assert_int_equal(row.state, RECORD_COMPLETED);
    assert_int_equal(row.state_us, 9 * SECOND);
    assert_int_equal(row.summary_us, SECOND);
    struct store_counts counts;
    ASSERT_OK(store_count(store, &counts, err));
    assert_int_equal(counts.summaries, 2);
    assert_int_equal(counts.tokens_in, 102 + 104);
    assert_stale(store, &even_key, 0);
    assert_stale(store, &odd_key, 2);
}

static void the_newest_wanted_version_is_restored(void **state)
{
    struct store *store = *state;
    uint64_t count = 0;
    put_many(store, 1);
    assert_claims(store, "w", SECOND, 1, "r00:1 ");
    assert_false(settle(store, "r00", 1, OUTCOME_DEGRADED, 2, SECOND));
    ASSERT_OK(store_requeue(store, &(struct record_filter){0}, SECOND, &count, err));
    complete(store, "r00", 4, SECOND);
    redo(store, &odd_key, 0, 1, 0);
    complete(store, "r00", 3, SECOND);
    redo(store, &even_key, 0, 0, 1);
    assert_versions(store, "r00", "r00/3/ r00/4/c r00/2/d ");
}

static void a_version_of_old_content_is_not_restored(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("r00", "a", "text");
    struct record_input changed = make_input("r00", "a", "other");
    (void)sync_source(store, "/src", &input, 1, "", SECOND);
    complete(store, "r00", 2, SECOND);
    (void)sync_source(store, "/src", &changed, 1, "", SECOND);
    complete(store, "r00", 3, SECOND);
    assert_versions(store, "r00", "r00/3/c r00/2/o ");
    redo(store, &even_key, 0, 1, 0);
    assert_int_equal(get_row(store, "r00").state, RECORD_PENDING);
    assert_versions(store, "r00", "r00/3/c r00/2/o ");
}

static void a_degraded_version_is_restored_as_degraded(void **state)
{
    struct store *store = *state;
    put_many(store, 1);
    assert_claims(store, "w", SECOND, 1, "r00:1 ");
    assert_false(settle(store, "r00", 1, OUTCOME_DEGRADED, 2, SECOND));
    redo(store, &odd_key, 0, 1, 0);
    complete(store, "r00", 3, SECOND);
    assert_string_equal(get_row(store, "r00").reason, "-");
    redo(store, &even_key, 0, 0, 1);
    assert_int_equal(get_row(store, "r00").state, RECORD_DEGRADED);
    assert_string_equal(get_row(store, "r00").reason, "why");
    redo(store, &odd_key, 0, 0, 1);
    assert_int_equal(get_row(store, "r00").state, RECORD_COMPLETED);
    assert_string_equal(get_row(store, "r00").reason, "-");
}

static void redoing_keeps_to_its_limit(void **state)
{
    struct store *store = *state;
    put_many(store, 5);
    for (uint32_t i = 0; i < 5; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "r%02u", i);
        complete(store, id, 2 * i, SECOND);
    }
    redo(store, &odd_key, 2, 2, 0);
    assert_stale(store, &odd_key, 3);
    redo(store, &odd_key, 9, 3, 0);
}

static void bad_arguments_are_refused(void **state)
{
    static const struct provenance_key bad[] = {
        {NULL, "q8_0", "greedy", "nano@1"},
        {"f00d", NULL, "greedy", "nano@1"},
        {"f00d", "q8_0", "\xff", "nano@1"},
        {"f00d", "q8_0", "greedy", NULL},
    };
    struct store *store = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t count = 9;
        struct stale_counts counts = {.requeued = 9};
        ASSERT_FAILS(store_stale_count(store, &bad[i], &count, err), DOBBY_INVALID_ARGUMENT);
        ASSERT_FAILS(store_requeue_stale(store, &bad[i], 1, 0, &counts, err), DOBBY_INVALID_ARGUMENT);
        assert_int_equal(count + counts.requeued, 0);
    }
    struct seen_versions seen = {.used = 0};
    ASSERT_FAILS(store_find_results(store, NULL, LIMIT_BATCH_RECORDS + 1, see_result, &seen, err),
                 DOBBY_LIMIT_EXCEEDED);
}

int main(void)
{
    static const struct suite_test tests[] = {
        SUITE_TEST(versions_live_side_by_side),
        SUITE_TEST(an_equal_key_is_current_again),
        SUITE_TEST(an_equal_key_takes_the_present_provenance),
        SUITE_TEST(a_version_says_whether_it_is_good),
        SUITE_TEST(removal_takes_all_versions),
        SUITE_TEST(listings_show_versions_when_asked),
        SUITE_TEST(results_are_found_anywhere),
        SUITE_TEST(a_reused_result_shows_and_the_first_is_found),
        SUITE_TEST(visitors_stop_and_keep_off_the_handle),
        SUITE_TEST(each_part_of_the_provenance_counts),
        SUITE_TEST(only_what_is_done_is_stale),
        SUITE_TEST(a_version_as_wanted_is_restored),
        SUITE_TEST(the_newest_wanted_version_is_restored),
        SUITE_TEST(a_version_of_old_content_is_not_restored),
        SUITE_TEST(a_degraded_version_is_restored_as_degraded),
        SUITE_TEST(redoing_keeps_to_its_limit),
        SUITE_TEST(bad_arguments_are_refused),
    };
    return suite_run("store, versions", tests, sizeof tests / sizeof tests[0]);
}
