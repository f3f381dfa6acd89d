/* Holds every backend to what store/store.h says of ingest, leases, results and arguments. */
#include "contract/suite_helper.h"

/* ---- ingest ---- */

static void put_adds_and_keeps(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_input("a", "x/a.c", "one"), make_input("b", "x/b.c", ""),
                                    make_input("c", "y.c", "three")};
    assert_put(store, inputs, 3, "", (struct put_counts){.added = 3});
    char *before = dump_store(store);
    assert_put(store, inputs, 3, "", (struct put_counts){.unchanged = 3});
    char *after = dump_store(store);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void put_moves_without_losing_the_summary(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("a", "a.c", "one");
    assert_put(store, &input, 1, "", (struct put_counts){.added = 1});
    assert_claims(store, "w", SECOND, 8, "a:1 ");
    assert_false(settle(store, "a", 1, OUTCOME_COMPLETED, 1, 2 * SECOND));
    input.first_line = 5;
    input.position = 3;
    assert_put(store, &input, 1, "", (struct put_counts){.updated = 1});
    struct seen_row row = get_row(store, "a");
    assert_int_equal(row.first_line, 5);
    assert_int_equal(row.position, 3);
    assert_int_equal(row.state, RECORD_COMPLETED);
    assert_int_equal(row.state_us, 2 * SECOND);
    assert_string_equal(row.summary, "a summary");
}

static void new_content_is_work_again(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("a", "a.c", "one");
    assert_put(store, &input, 1, "", (struct put_counts){.added = 1});
    assert_claims(store, "w", SECOND, 8, "a:1 ");
    assert_false(settle(store, "a", 1, OUTCOME_COMPLETED, 1, SECOND));
    struct record_input changed = make_input("a", "a.c", "two");
    assert_put(store, &changed, 1, "", (struct put_counts){.updated = 1});
    struct seen_row row = get_row(store, "a");
    assert_int_equal(row.state, RECORD_PENDING);
    assert_int_equal(row.tries, 0);
    assert_string_equal(row.summary, "-");
    assert_string_equal(row.content, "two");
    assert_claims(store, "w", SECOND, 8, "a:2 ");
}

/* The content changes while a worker has the old one: its result must not be stored for the new one. */
static void new_content_outdates_the_lease(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("a", "a.c", "one");
    assert_put(store, &input, 1, "", (struct put_counts){.added = 1});
    assert_claims(store, "w", SECOND, 8, "a:1 ");
    struct record_input changed = make_input("a", "a.c", "two");
    assert_put(store, &changed, 1, "", (struct put_counts){.updated = 1});
    assert_true(settle(store, "a", 1, OUTCOME_COMPLETED, 1, SECOND));
    assert_claims(store, "v", SECOND, 8, "a:2 ");
    assert_true(settle(store, "a", 1, OUTCOME_COMPLETED, 1, SECOND));
    assert_false(settle(store, "a", 2, OUTCOME_COMPLETED, 2, SECOND));
}

static void skip_reason_comes_changes_and_goes(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("a", "a.c", "one");
    input.skip_reason = "binary";
    assert_put(store, &input, 1, "", (struct put_counts){.added = 1});
    struct seen_row row = get_row(store, "a");
    assert_int_equal(row.state, RECORD_SKIPPED);
    assert_string_equal(row.reason, "binary");
    assert_claims(store, "w", SECOND, 8, "");
    assert_put(store, &input, 1, "", (struct put_counts){.unchanged = 1});

    input.skip_reason = "generated";
    assert_put(store, &input, 1, "", (struct put_counts){.updated = 1});
    assert_string_equal(get_row(store, "a").reason, "generated");

    input.skip_reason = NULL;
    assert_put(store, &input, 1, "", (struct put_counts){.updated = 1});
    row = get_row(store, "a");
    assert_int_equal(row.state, RECORD_PENDING);
    assert_string_equal(row.reason, "-");
    assert_claims(store, "w", SECOND, 8, "a:1 ");
    assert_false(settle(store, "a", 1, OUTCOME_COMPLETED, 1, SECOND));

    input.skip_reason = "generated";
    assert_put(store, &input, 1, "", (struct put_counts){.updated = 1});
    row = get_row(store, "a");
    assert_int_equal(row.state, RECORD_SKIPPED);
    assert_string_equal(row.summary, "-");
}

/* What a run skipped stays skipped while the content is the same, else each ingest would undo it. */
static void a_runs_skip_stays(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("a", "a.c", "one");
    assert_put(store, &input, 1, "", (struct put_counts){.added = 1});
    assert_claims(store, "w", SECOND, 8, "a:1 ");
    assert_false(settle(store, "a", 1, OUTCOME_SKIPPED, 0, SECOND));
    assert_put(store, &input, 1, "", (struct put_counts){.unchanged = 1});
    assert_int_equal(get_row(store, "a").state, RECORD_SKIPPED);
}

static void removes_what_is_gone_in_scope(void **state)
{
    static const struct {
        const char *name, *scope, *left;
    } cases[] = {
        {"everything", "", ""},
        {"a directory", "lib", "lib-a a.lib lib0 zz "},
        {"a file", "lib/x.c", "lib-a a.lib lib0 zz lib/x.cc lib/y/z.c "},
        {"nothing there", "nowhere", "lib-a a.lib lib0 zz lib/x.c lib/x.cc lib/y/z.c "},
        {"no pattern", "l%", "lib-a a.lib lib0 zz lib/x.c lib/x.cc lib/y/z.c "},
    };
    static const char *const paths[] = {"lib-a", "a.lib", "lib0", "zz", "lib/x.c", "lib/x.cc", "lib/y/z.c"};
    enum { PATHS = sizeof paths / sizeof paths[0] };
    struct store *store = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record_input inputs[PATHS];
        for (size_t j = 0; j < PATHS; j++)
            inputs[j] = make_input(paths[j], paths[j], "text");
        (void)sync_source(store, "/src", inputs, PATHS, "", SECOND);
        struct put_counts counts = sync_source(store, "/src", NULL, 0, cases[i].scope, SECOND);
        struct store_counts left;
        ASSERT_OK(store_count(store, &left, err));
        assert_int_equal(left.total + counts.removed, PATHS);
        for (size_t j = 0; j < PATHS; j++) {
            struct seen_row row = {0};
            char word[32];
            (void)snprintf(word, sizeof word, "%s ", paths[j]);
            bool kept = store_get(store, paths[j], see_row, &row, NULL) == DOBBY_OK &&
                        strcmp(row.path, paths[j]) == 0;
            const char *found = strstr(cases[i].left, word);
            bool wanted = found != NULL && (found == cases[i].left || found[-1] == ' ');
            if (kept != wanted)
                fail_msg("%s: %s is %s", cases[i].name, paths[j], kept ? "there" : "gone");
        }
    }
}

static void removal_takes_the_summary_and_leaves_other_sources(void **state)
{
    struct store *store = *state;
    struct record_input one = make_input("a", "a.c", "one");
    struct record_input two = make_input("b", "a.c", "two");
    (void)sync_source(store, "/one", &one, 1, "", SECOND);
    (void)sync_source(store, "/two", &two, 1, "", SECOND);
    assert_claims(store, "w", SECOND, 8, "a:1 b:1 ");
    assert_false(settle(store, "a", 1, OUTCOME_COMPLETED, 1, SECOND));
    struct put_counts counts = sync_source(store, "/one", NULL, 0, "", SECOND);
    assert_int_equal(counts.removed, 1);
    struct store_counts left;
    ASSERT_OK(store_count(store, &left, err));
    assert_int_equal(left.total, 1);
    assert_int_equal(left.summaries, 0);
    assert_int_equal(left.tokens_in, 0);
    /* Its lease is over too. */
    assert_true(settle(store, "a", 1, OUTCOME_COMPLETED, 1, SECOND));
    assert_false(settle(store, "b", 1, OUTCOME_COMPLETED, 2, SECOND));
}

static void an_unfinished_synchronisation_removes_nothing(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_input("a", "a.c", "one"), make_input("b", "b.c", "two")};
    struct put_counts counts = {0};
    (void)sync_source(store, "/src", inputs, 2, "", SECOND);
    ASSERT_OK(store_sync_begin(store, "/src", SECOND, err));
    ASSERT_OK(store_put(store, &inputs[0], 1, SECOND, &counts, err));
    /* Begun anew: what the first one saw does not count. */
    ASSERT_OK(store_sync_begin(store, "/src", SECOND, err));
    ASSERT_OK(store_put(store, &inputs[1], 1, SECOND, &counts, err));
    ASSERT_OK(store_sync_end(store, "", &counts, err));
    assert_int_equal(counts.removed, 1);
    assert_int_equal(counts.unchanged, 2);
    ASSERT_FAILS(store_get(store, "a", see_row, &(struct seen_row){0}, err), DOBBY_STORE_NOT_FOUND);
}

static void an_id_belongs_to_one_source(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_input("new", "n.c", "one"), make_input("a", "a.c", "one")};
    (void)sync_source(store, "/one", &inputs[1], 1, "", SECOND);
    struct put_counts counts = {0};
    ASSERT_OK(store_sync_begin(store, "/two", SECOND, err));
    char *before = dump_store(store);
    ASSERT_FAILS(store_put(store, inputs, 2, SECOND, &counts, err), DOBBY_INVALID_ARGUMENT);
    char *after = dump_store(store);
    assert_string_equal(before, after); /* "new" is not there either: wholly or not at all */
    assert_int_equal(counts.added, 0);
    free(before);
    free(after);
}

static void content_is_any_bytes(void **state)
{
    struct store *store = *state;
    static const char bytes[] = "\0\xff\xfe<|im_end|>\0";
    struct record_input input = make_input("a", "", "");
    input.content = bytes;
    input.content_length = sizeof bytes;
    (void)sync_source(store, "/src", &input, 1, "", SECOND);
    struct record_batch batch;
    ASSERT_OK(store_claim(store, "w", SECOND, 2 * SECOND, 1, &batch, err));
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.records[0].content_length, sizeof bytes);
    assert_memory_equal(batch.records[0].content, bytes, sizeof bytes);
    assert_string_equal(batch.records[0].source, "/src");
    assert_string_equal(batch.records[0].language, "c");
    record_batch_release(&batch);
    record_batch_release(&batch);
}

/* ---- work ---- */

static void claims_in_order_of_put(void **state)
{
    struct store *store = *state;
    put_many(store, 5);
    assert_claims(store, "w", SECOND, 2, "r00:1 r01:1 ");
    assert_claims(store, "v", SECOND, 0, "");
    assert_claims(store, "v", SECOND, 2, "r02:1 r03:1 ");
    assert_claims(store, "w", SECOND, 2, "r04:1 ");
    assert_claims(store, "w", SECOND, 2, "");
}

static void expired_leases_are_claimed_again(void **state)
{
    struct store *store = *state;
    put_many(store, 3);
    assert_claims(store, "w", 0, 2, "r00:1 r01:1 ");
    /* One microsecond before its end the lease still holds. */
    assert_claims(store, "v", 60 * SECOND - 1, 8, "r02:1 ");
    assert_claims(store, "v", 60 * SECOND, 1, "r00:2 ");
    assert_claims(store, "v", 60 * SECOND, 8, "r01:2 ");
    assert_true(settle(store, "r00", 1, OUTCOME_COMPLETED, 1, 61 * SECOND));
    assert_int_equal(get_row(store, "r00").state, RECORD_LEASED);
    assert_false(settle(store, "r00", 2, OUTCOME_COMPLETED, 2, 61 * SECOND));
    assert_true(settle(store, "r00", 2, OUTCOME_COMPLETED, 3, 61 * SECOND));
    struct seen_row row = get_row(store, "r00");
    assert_int_equal(row.state, RECORD_COMPLETED);
    assert_int_equal(row.attempt, 2);
    assert_int_equal(row.tries, 2);
}

static void renewed_leases_hold(void **state)
{
    struct store *store = *state;
    uint64_t renewed = 99;
    put_many(store, 2);
    assert_claims(store, "w", 0, 1, "r00:1 ");
    assert_claims(store, "v", 0, 1, "r01:1 ");
    ASSERT_OK(store_renew(store, "w", 90 * SECOND, &renewed, err));
    assert_int_equal(renewed, 1);
    assert_claims(store, "u", 80 * SECOND, 8, "r01:2 ");
    assert_claims(store, "u", 90 * SECOND, 8, "r00:2 ");
    ASSERT_OK(store_renew(store, "w", 190 * SECOND, &renewed, err));
    assert_int_equal(renewed, 0);
}

static void outcomes_lead_to_their_states(void **state)
{
    static const struct {
        enum outcome_kind kind;
        enum record_state want;
        const char *reason, *error_id, *summary;
        uint32_t tries;
    } cases[] = {
        {OUTCOME_COMPLETED, RECORD_COMPLETED, "-", "-", "a summary", 1},
        {OUTCOME_DEGRADED, RECORD_DEGRADED, "why", "-", "a summary", 1},
        {OUTCOME_FAILED, RECORD_FAILED, "why", "INFER-0005", "-", 1},
        {OUTCOME_SKIPPED, RECORD_SKIPPED, "why", "-", "-", 1},
        {OUTCOME_RELEASED, RECORD_PENDING, "-", "-", "-", 0},
    };
    struct store *store = *state;
    put_many(store, 5);
    assert_claims(store, "w", SECOND, 5, "r00:1 r01:1 r02:1 r03:1 r04:1 ");
    for (size_t i = 0; i < 5; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "r%02zu", i);
        assert_false(settle(store, id, 1, cases[i].kind, (uint32_t)i, 7 * SECOND));
        struct seen_row row = get_row(store, id);
        assert_int_equal(row.state, cases[i].want);
        assert_string_equal(row.reason, cases[i].reason);
        assert_string_equal(row.error_id, cases[i].error_id);
        assert_string_equal(row.summary, cases[i].summary);
        assert_int_equal(row.state_us, 7 * SECOND);
        assert_int_equal(row.tries, cases[i].tries);
        assert_int_equal(row.attempt, 1);
    }
    /* A released record's next lease has a new number, so that the old one can never settle it. */
    assert_claims(store, "w", SECOND, 5, "r04:2 ");
    assert_int_equal(get_row(store, "r04").tries, 1);
    assert_true(settle(store, "r04", 1, OUTCOME_COMPLETED, 9, SECOND));

    struct reason_counts reasons;
    ASSERT_OK(store_reasons(store, &reasons, err));
    assert_int_equal(reasons.count, 3);
    assert_int_equal(reasons.rows[0].state, RECORD_DEGRADED);
    assert_int_equal(reasons.rows[2].state, RECORD_SKIPPED);
    reason_counts_release(&reasons);
}

static void stale_outcomes_leave_the_others_alone(void **state)
{
    struct store *store = *state;
    put_many(store, 3);
    assert_claims(store, "w", SECOND, 2, "r00:1 r01:1 ");
    struct summary summaries[] = {make_summary(1, "one"), make_summary(2, "two"), make_summary(3, "three"),
                                  make_summary(4, "four"), make_summary(5, "five")};
    struct outcome outcomes[] = {
        make_outcome("r00", 2, OUTCOME_COMPLETED, &summaries[0]),  /* an attempt that is not out yet */
        make_outcome("r01", 1, OUTCOME_COMPLETED, &summaries[1]),  /* its lease */
        make_outcome("r01", 1, OUTCOME_COMPLETED, &summaries[2]),  /* the same lease again */
        make_outcome("r02", 0, OUTCOME_COMPLETED, &summaries[3]),  /* never leased */
        make_outcome("nope", 1, OUTCOME_COMPLETED, &summaries[4]), /* not there */
    };
    static const bool want[] = {true, false, true, true, true};
    ASSERT_OK(store_settle(store, outcomes, 5, SECOND, err));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(outcomes[i].stale, want[i]);
    struct store_counts counts;
    ASSERT_OK(store_count(store, &counts, err));
    assert_int_equal(counts.summaries, 1);
    assert_int_equal(counts.tokens_in, 102);
    assert_int_equal(counts.tokens_out, 12);
    assert_string_equal(get_row(store, "r01").summary, "two");
}

/* A record is removed while a worker has it, and put again: what the worker brings is of what is gone. */
static void a_removed_records_lease_settles_nothing(void **state)
{
    static const struct {
        const char *name, *next_owner, *next_source;
        bool released; /* the lease went back before the record was removed */
    } cases[] = {
        {.name = "claimed by another", .next_owner = "v", .next_source = "/src"},
        {.name = "claimed by the same run", .next_owner = "w", .next_source = "/src"},
        {.name = "the id is another source's now", .next_owner = "w", .next_source = "/other"},
        {.name = "the lease had gone back", .next_owner = "w", .next_source = "/src", .released = true},
    };
    struct store *store = *state;
    struct record_input first = make_input("a", "a.c", "one"), second = make_input("a", "a.c", "two");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record_batch batch;
        uint64_t released = 0;
        (void)sync_source(store, "/other", NULL, 0, "", SECOND);
        (void)sync_source(store, "/src", &first, 1, "", SECOND);
        ASSERT_OK(store_claim(store, "w", SECOND, 60 * SECOND, 1, &batch, err));
        assert_int_equal(batch.count, 1);
        const uint32_t late = batch.records[0].attempt;
        record_batch_release(&batch);
        if (cases[i].released)
            ASSERT_OK(store_release_owner(store, "w", SECOND, &released, err));
        (void)sync_source(store, "/src", NULL, 0, "", SECOND);
        (void)sync_source(store, cases[i].next_source, &second, 1, "", SECOND);
        assert_true(settle(store, "a", late, OUTCOME_COMPLETED, 1, SECOND));
        ASSERT_OK(store_claim(store, cases[i].next_owner, SECOND, 60 * SECOND, 1, &batch, err));
        assert_int_equal(batch.count, 1);
        assert_int_equal(batch.records[0].tries, 1);
        if (!settle(store, "a", late, OUTCOME_COMPLETED, 1, SECOND))
            fail_msg("%s: the late result was stored", cases[i].name);
        assert_int_equal(get_row(store, "a").state, RECORD_LEASED);
        assert_false(settle(store, "a", batch.records[0].attempt, OUTCOME_COMPLETED, 2, SECOND));
        record_batch_release(&batch);
    }
}

static void owners_are_listed_and_released(void **state)
{
    struct store *store = *state;
    struct owner_list owners;
    uint64_t released = 99;
    put_many(store, 5);
    ASSERT_OK(store_owners(store, &owners, err));
    assert_int_equal(owners.count, 0);
    owner_list_release(&owners);
    assert_claims(store, "w", SECOND, 2, "r00:1 r01:1 ");
    assert_claims(store, "a", SECOND, 2, "r02:1 r03:1 ");
    ASSERT_OK(store_owners(store, &owners, err));
    assert_int_equal(owners.count, 2);
    assert_string_equal(owners.owners[0], "a");
    assert_string_equal(owners.owners[1], "w");
    owner_list_release(&owners);
    ASSERT_OK(store_release_owner(store, "w", 9 * SECOND, &released, err));
    assert_int_equal(released, 2);
    assert_int_equal(get_row(store, "r00").state_us, 9 * SECOND);
    ASSERT_OK(store_release_owner(store, "w", SECOND, &released, err));
    assert_int_equal(released, 0);
    assert_true(settle(store, "r00", 1, OUTCOME_COMPLETED, 1, SECOND));
    assert_claims(store, "b", SECOND, 8, "r00:2 r01:2 r04:1 ");
}

/* A batch of the largest records is cut short rather than held in memory whole. */
static void claims_are_bounded_in_bytes(void **state)
{
    struct store *store = *state;
    enum { LARGEST = 17 };
    char ids[LARGEST][24];
    char *content = calloc(1, LIMIT_CONTENT_BYTES);
    assert_non_null(content);
    struct put_counts counts = {0};
    ASSERT_OK(store_sync_begin(store, "/src", SECOND, err));
    for (size_t i = 0; i < LARGEST; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%zu", i);
        struct record_input input = make_input(ids[i], "a", "");
        input.content = content;
        input.content_length = LIMIT_CONTENT_BYTES;
        ASSERT_OK(store_put(store, &input, 1, SECOND, &counts, err));
    }
    struct record_batch batch;
    ASSERT_OK(store_claim(store, "w", SECOND, 2 * SECOND, LARGEST, &batch, err));
    assert_int_equal(batch.count, LIMIT_BATCH_CONTENT_BYTES / LIMIT_CONTENT_BYTES);
    record_batch_release(&batch);
    ASSERT_OK(store_claim(store, "w", SECOND, 2 * SECOND, LARGEST, &batch, err));
    assert_int_equal(batch.count, 1);
    record_batch_release(&batch);
    free(content);
}

/* ---- arguments ---- */

static void bad_arguments_are_refused(void **state)
{
    struct store *store = *state;
    static char long_text[LIMIT_RECORD_PATH_BYTES + 2];
    memset(long_text, 'x', sizeof long_text - 1);
    struct put_counts counts = {0};
    struct record_batch batch;
    uint64_t changed = 0;
    struct record_input good = make_input("a", "a.c", "x");

    ASSERT_FAILS(store_put(store, &good, 1, 0, &counts, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_sync_end(store, "", &counts, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_sync_begin(store, "", 0, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_sync_begin(store, NULL, 0, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_OK(store_sync_begin(store, "/src", 0, err));
    ASSERT_FAILS(store_put(store, &good, LIMIT_BATCH_RECORDS + 1, 0, &counts, err), DOBBY_LIMIT_EXCEEDED);

    struct record_input bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].id = "";
    bad[1].path = NULL;
    bad[2].path = "\xff";
    bad[3].language = "\xc0\x80";
    bad[4].skip_reason = "";
    bad[5].content = NULL;
    bad[6].content_length = LIMIT_CONTENT_BYTES + 1;
    bad[7].path = long_text;
    for (size_t i = 0; i < 8; i++)
        ASSERT_FAILS(store_put(store, &bad[i], 1, 0, &counts, err),
                     i < 6 ? DOBBY_INVALID_ARGUMENT : DOBBY_LIMIT_EXCEEDED);

    ASSERT_FAILS(store_claim(store, "", 0, 1, 1, &batch, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_claim(store, "w", 1, 1, 1, &batch, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_claim(store, "w", 0, 1, LIMIT_BATCH_RECORDS + 1, &batch, err), DOBBY_LIMIT_EXCEEDED);
    assert_null(batch.records);
    ASSERT_FAILS(store_renew(store, "", 0, &changed, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_release_owner(store, NULL, 0, &changed, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_list(store, &(struct record_filter){.state = RECORD_STATE_COUNT}, see_row, NULL, err),
                 DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_list(store, &(struct record_filter){.path_glob = "\xff"}, see_row, NULL, err),
                 DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_get(store, "", see_row, NULL, err), DOBBY_INVALID_ARGUMENT);
}

static void bad_outcomes_are_refused(void **state)
{
    struct store *store = *state;
    put_many(store, 1);
    assert_claims(store, "w", SECOND, 1, "r00:1 ");
    struct summary summary = make_summary(1, "text");
    struct summary not_utf8 = make_summary(1, "\xff");
    struct summary too_sure = make_summary(1, "text");
    too_sure.confidence = 1.5;
    struct summary nameless = make_summary(1, "text");
    nameless.model = NULL;
    struct outcome outcomes[] = {
        make_outcome("r00", 1, OUTCOME_UNKNOWN, NULL),
        make_outcome("r00", 1, (enum outcome_kind)9, NULL),
        make_outcome("r00", 1, OUTCOME_COMPLETED, NULL),
        make_outcome("r00", 1, OUTCOME_COMPLETED, &not_utf8),
        make_outcome("r00", 1, OUTCOME_COMPLETED, &too_sure),
        make_outcome("r00", 1, OUTCOME_COMPLETED, &nameless),
        make_outcome("", 1, OUTCOME_SKIPPED, NULL),
        make_outcome("r00", 1, OUTCOME_FAILED, NULL),
        make_outcome("r00", 1, OUTCOME_RELEASED, NULL),
    };
    outcomes[7].error_id = NULL;
    outcomes[8].summary = &summary;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        struct outcome pair[] = {make_outcome("r00", 1, OUTCOME_COMPLETED, &summary), outcomes[i]};
        pair[0].stale = true;
        ASSERT_FAILS(store_settle(store, pair, 2, SECOND, err), DOBBY_INVALID_ARGUMENT);
        assert_false(pair[0].stale);
    }
    assert_int_equal(get_row(store, "r00").state, RECORD_LEASED);
}

int main(void)
{
    static const struct suite_test tests[] = {
        SUITE_TEST(put_adds_and_keeps),
        SUITE_TEST(put_moves_without_losing_the_summary),
        SUITE_TEST(new_content_is_work_again),
        SUITE_TEST(new_content_outdates_the_lease),
        SUITE_TEST(skip_reason_comes_changes_and_goes),
        SUITE_TEST(a_runs_skip_stays),
        SUITE_TEST(removes_what_is_gone_in_scope),
        SUITE_TEST(removal_takes_the_summary_and_leaves_other_sources),
        SUITE_TEST(an_unfinished_synchronisation_removes_nothing),
        SUITE_TEST(an_id_belongs_to_one_source),
        SUITE_TEST(content_is_any_bytes),
        SUITE_TEST(claims_in_order_of_put),
        SUITE_TEST(expired_leases_are_claimed_again),
        SUITE_TEST(renewed_leases_hold),
        SUITE_TEST(outcomes_lead_to_their_states),
        SUITE_TEST(stale_outcomes_leave_the_others_alone),
        SUITE_TEST(a_removed_records_lease_settles_nothing),
        SUITE_TEST(owners_are_listed_and_released),
        SUITE_TEST(claims_are_bounded_in_bytes),
        SUITE_TEST(bad_arguments_are_refused),
        SUITE_TEST(bad_outcomes_are_refused),
    };
    return suite_run("store", tests, sizeof tests / sizeof tests[0]);
}
