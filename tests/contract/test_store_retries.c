/* Holds every backend to what store/store.h says of retries, of when to come back, and of clocks that jump.
 */
#include "contract/suite_helper.h"

/* Settles one lease to be retried at retry_us. */
static void settle_retry(struct store *store, const char *id, uint32_t attempt, int64_t retry_us,
                         int64_t now_us)
{
    struct outcome outcome = make_outcome(id, attempt, OUTCOME_RETRY, NULL);
    outcome.retry_unix_us = retry_us;
    ASSERT_OK(store_settle(store, &outcome, 1, now_us, err));
    assert_false(outcome.stale);
}

/* When a claim of up to limit records for owner says to come back; what it got is given back. */
static int64_t next_time(struct store *store, const char *owner, int64_t now_us, size_t limit)
{
    struct record_batch batch;
    ASSERT_OK(store_claim(store, owner, now_us, now_us + 60 * SECOND, limit, &batch, err));
    int64_t next_us = batch.next_unix_us;
    for (size_t i = 0; i < batch.count; i++)
        assert_false(
            settle(store, batch.records[i].id, batch.records[i].attempt, OUTCOME_RELEASED, 0, now_us));
    record_batch_release(&batch);
    return next_us;
}

static void a_retry_waits_for_its_time(void **state)
{
    struct store *store = *state;
    put_many(store, 2);
    assert_claims(store, "w", SECOND, 1, "r00:1 ");
    settle_retry(store, "r00", 1, 10 * SECOND, 2 * SECOND);
    struct seen_row row = get_row(store, "r00");
    assert_int_equal(row.state, RECORD_PENDING);
    assert_int_equal(row.tries, 1);
    assert_int_equal(row.retry_us, 10 * SECOND);
    assert_int_equal(row.state_us, 2 * SECOND);
    assert_string_equal(row.error_id, "INFER-0005");
    assert_string_equal(row.reason, "why");
    assert_claims(store, "w", 10 * SECOND - 1, 8, "r01:1 ");
    assert_claims(store, "w", 10 * SECOND, 8, "r00:2 ");
    assert_int_equal(get_row(store, "r00").retry_us, 0);
    /* What is only waiting has no reason to be listed among what ended badly. */
    struct reason_counts reasons;
    ASSERT_OK(store_reasons(store, &reasons, err));
    assert_int_equal(reasons.count, 0);
    reason_counts_release(&reasons);
    assert_false(settle(store, "r00", 2, OUTCOME_COMPLETED, 1, 11 * SECOND));
    assert_string_equal(get_row(store, "r00").reason, "-");
    assert_string_equal(get_row(store, "r00").error_id, "-");
}

static void tries_say_how_often_it_was_tried(void **state)
{
    static const struct {
        const char *name;
        enum outcome_kind kind; /* UNKNOWN: the lease expires */
        uint32_t want;          /* of the next lease's tries */
    } cases[] = {
        {"retried", OUTCOME_RETRY, 2},
        {"released", OUTCOME_RELEASED, 2},
        {"expired", OUTCOME_UNKNOWN, 3},
        {"retried again", OUTCOME_RETRY, 4},
    };
    struct store *store = *state;
    struct record_batch batch;
    int64_t now_us = 0;
    put_many(store, 1);
    ASSERT_OK(store_claim(store, "w", now_us, now_us + SECOND, 1, &batch, err));
    assert_int_equal(batch.records[0].tries, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t attempt = batch.records[0].attempt;
        record_batch_release(&batch);
        if (cases[i].kind != OUTCOME_UNKNOWN)
            assert_false(settle(store, "r00", attempt, cases[i].kind, 0, now_us));
        now_us += 1000 * SECOND;
        ASSERT_OK(store_claim(store, "w", now_us, now_us + SECOND, 1, &batch, err));
        assert_int_equal(batch.count, 1);
        if (batch.records[0].tries != cases[i].want || batch.records[0].attempt != attempt + 1)
            fail_msg("%s: %u tries, attempt %u", cases[i].name, batch.records[0].tries,
                     batch.records[0].attempt);
    }
    record_batch_release(&batch);
}

/* A lease that was given back leaves the record as it was before, its last error too. */
static void a_release_forgets_only_the_lease(void **state)
{
    struct store *store = *state;
    put_many(store, 1);
    assert_claims(store, "w", SECOND, 1, "r00:1 ");
    settle_retry(store, "r00", 1, 2 * SECOND, SECOND);
    assert_claims(store, "w", 2 * SECOND, 1, "r00:2 ");
    assert_false(settle(store, "r00", 2, OUTCOME_RELEASED, 0, 3 * SECOND));
    struct seen_row row = get_row(store, "r00");
    assert_int_equal(row.tries, 1);
    assert_int_equal(row.retry_us, 0);
    assert_string_equal(row.reason, "why");
}

static void claims_say_when_to_come_back(void **state)
{
    struct store *store = *state;
    assert_int_equal(next_time(store, "w", SECOND, 8), 0);
    put_many(store, 4);
    /* Enough was there: then nobody asks. */
    assert_int_equal(next_time(store, "w", SECOND, 4), 0);
    assert_int_equal(next_time(store, "w", SECOND, 8), 0);
    assert_claims(store, "w", SECOND, 2, "r00:3 r01:3 ");
    /* One's own lease is nothing to wait for; another's is. */
    assert_int_equal(next_time(store, "w", SECOND, 8), 0);
    assert_int_equal(next_time(store, "v", 2 * SECOND, 8), 61 * SECOND);
    settle_retry(store, "r00", 3, 40 * SECOND, SECOND);
    settle_retry(store, "r01", 3, 30 * SECOND, SECOND);
    assert_int_equal(next_time(store, "w", SECOND, 8), 30 * SECOND);
    assert_int_equal(next_time(store, "v", 30 * SECOND, 8), 40 * SECOND);
    assert_int_equal(next_time(store, "v", 40 * SECOND, 8), 0);
}

static void ready_due_and_expired_come_in_order_of_put(void **state)
{
    struct store *store = *state;
    put_many(store, 6);
    assert_claims(store, "w", 0, 4, "r00:1 r01:1 r02:1 r03:1 ");
    settle_retry(store, "r00", 1, 20 * SECOND, SECOND);
    settle_retry(store, "r02", 1, 10 * SECOND, SECOND);
    /* Of the retries whose time has come the earlier one goes first, then what was put first. */
    assert_claims(store, "v", 70 * SECOND, 1, "r01:2 "); /* expired at 60 s; r02 and r04 were put later */
    assert_claims(store, "v", 70 * SECOND, 2, "r00:2 r02:2 ");
    assert_claims(store, "v", 70 * SECOND, 8, "r03:2 r04:1 r05:1 ");
}

/* A clock was put back since a retry was set: it waits no longer than a retry ever does. */
static void a_retry_too_far_ahead_is_due(void **state)
{
    struct store *store = *state;
    const int64_t now_us = 8000LL * SECOND, most_us = LIMIT_RETRY_WAIT_MS * 1000LL;
    put_many(store, 4);
    assert_claims(store, "w", now_us, 3, "r00:1 r01:1 r02:1 ");
    settle_retry(store, "r00", 1, now_us + 2 * most_us, now_us);
    settle_retry(store, "r01", 1, now_us + most_us, now_us);
    settle_retry(store, "r02", 1, now_us + most_us + 1, now_us);
    assert_claims(store, "w", now_us, 8, "r00:2 r02:2 r03:1 ");
    assert_int_equal(next_time(store, "w", now_us, 8), now_us + most_us);
    /* Put back by an hour. */
    assert_claims(store, "w", now_us - 3600LL * SECOND, 8, "r01:2 ");
}

/* However the clock jumps, nothing is lost and nothing is stored twice. */
static void clocks_may_jump(void **state)
{
    static const struct {
        const char *name;
        int64_t jump_us;
        bool claimable; /* by the process whose clock jumped, while the other one lives */
    } cases[] = {
        {"an hour on", 3600LL * SECOND, true},
        {"an hour back", -3600LL * SECOND, false},
        {"to before 1970", -9000LL * SECOND, false},
    };
    struct store *store = *state;
    const int64_t now_us = 8000LL * SECOND;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record_batch batch;
        uint64_t released = 0;
        int64_t then_us = now_us + cases[i].jump_us;
        (void)sync_source(store, "/src", NULL, 0, "", now_us);
        put_many(store, 1);
        ASSERT_OK(store_claim(store, "alive", now_us, now_us + 60 * SECOND, 1, &batch, err));
        assert_int_equal(batch.count, 1);
        const uint32_t first = batch.records[0].attempt;
        record_batch_release(&batch);
        ASSERT_OK(store_claim(store, "jumped", then_us, then_us + 60 * SECOND, 1, &batch, err));
        if (batch.count != cases[i].claimable)
            fail_msg("%s: %zu records claimed", cases[i].name, batch.count);
        record_batch_release(&batch);
        /* The lease that is over cannot settle; the one that holds can, once. */
        uint32_t attempt = cases[i].claimable ? first + 1 : first;
        assert_int_equal(settle(store, "r00", first, OUTCOME_COMPLETED, 1, now_us), cases[i].claimable);
        if (cases[i].claimable)
            assert_false(settle(store, "r00", attempt, OUTCOME_COMPLETED, 2, then_us));
        assert_true(settle(store, "r00", attempt, OUTCOME_COMPLETED, 3, now_us));
        struct store_counts counts;
        ASSERT_OK(store_count(store, &counts, err));
        assert_int_equal(counts.summaries, 1);
        assert_int_equal(counts.by_state[RECORD_COMPLETED], 1);

        /* A lease that would last an hour too long ends at once when its owner is known to be dead. */
        struct record_input changed = make_input("r00", "same.c", cases[i].name);
        (void)sync_source(store, "/src", &changed, 1, "", now_us);
        ASSERT_OK(store_claim(store, "dead", now_us, now_us + 60 * SECOND, 1, &batch, err));
        assert_int_equal(batch.count, 1);
        record_batch_release(&batch);
        ASSERT_OK(store_release_owner(store, "dead", then_us, &released, err));
        assert_int_equal(released, 1);
        ASSERT_OK(store_claim(store, "next", then_us, then_us + 60 * SECOND, 1, &batch, err));
        assert_int_equal(batch.count, 1);
        record_batch_release(&batch);
        ASSERT_OK(store_release_owner(store, "next", then_us, &released, err));
    }
}

/* ---- by hand ---- */

/* r00 completed, r01 degraded, r02 failed, r03 skipped by a run, r04 waiting for a retry, r05 leased, r06
 * pending, r07 skipped by the source's reader. */
static void put_one_of_each(struct store *store)
{
    static const enum outcome_kind kinds[] = {OUTCOME_COMPLETED, OUTCOME_DEGRADED, OUTCOME_FAILED,
                                              OUTCOME_SKIPPED, OUTCOME_RETRY};
    static const char *const ids[] = {"r00", "r01", "r02", "r03", "r04", "r05", "r06", "r07"};
    static const char *const paths[] = {"a", "a", "a", "b", "b", "b", "b", "b"};
    struct record_input inputs[8];
    struct record_batch batch;
    for (size_t i = 0; i < 8; i++)
        inputs[i] = make_input(ids[i], paths[i], "text");
    inputs[7].skip_reason = "binary";
    (void)sync_source(store, "/src", inputs, 8, "", SECOND);
    ASSERT_OK(store_claim(store, "w", SECOND, 60 * SECOND, 6, &batch, err));
    for (size_t i = 0; i < 5; i++)
        assert_false(settle(store, ids[i], batch.records[i].attempt, kinds[i], (uint32_t)i + 1, 2 * SECOND));
    record_batch_release(&batch);
}

static void requeue_chooses(void **state)
{
    static const struct {
        const char *name;
        struct record_filter which;
        const char *want; /* what is pending with the time of the call */
    } cases[] = {
        {"all", {0}, "r01 r02 r03 "},
        {"failed", {.state = RECORD_FAILED}, "r02 "},
        {"degraded", {.state = RECORD_DEGRADED}, "r01 "},
        {"skipped by a run", {.state = RECORD_SKIPPED}, "r03 "},
        {"id", {.id_prefix = "r02"}, "r02 "},
        {"id prefix", {.id_prefix = "r0"}, "r01 r02 r03 "},
        {"empty id prefix", {.id_prefix = ""}, "r01 r02 r03 "},
        {"whole id", {.id_prefix = "r02", .id_whole = true}, "r02 "},
        {"no whole id", {.id_prefix = "r0", .id_whole = true}, ""},
        {"empty whole id", {.id_prefix = "", .id_whole = true}, ""},
        {"no id, whole", {.id_whole = true}, "r01 r02 r03 "},
        {"an id in another state", {.id_prefix = "r00"}, ""},
        {"an id skipped by its source", {.id_prefix = "r07"}, ""},
        {"path", {.path_glob = "a*"}, "r01 r02 "},
        {"state, id and path", {.state = RECORD_FAILED, .id_prefix = "r", .path_glob = "b"}, ""},
        {"limit", {.limit = 2}, "r01 r02 "},
        {"limit of an id prefix", {.limit = 1, .id_prefix = "r0"}, "r01 "},
    };
    struct store *store = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t count = 0;
        char got[64] = "";
        unsigned found = 0;
        (void)sync_source(store, "/src", NULL, 0, "", SECOND);
        put_one_of_each(store);
        ASSERT_OK(store_requeue(store, &cases[i].which, 9 * SECOND, &count, err));
        for (size_t j = 0; j < 8; j++) {
            char id[24];
            (void)snprintf(id, sizeof id, "r%02zu", j);
            struct seen_row row = get_row(store, id);
            if (row.state != RECORD_PENDING || row.state_us != 9 * SECOND)
                continue;
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", id);
            found++;
            assert_int_equal(row.tries, 0);
            assert_string_equal(row.reason, "-");
            assert_string_equal(row.error_id, "-");
        }
        if (strcmp(got, cases[i].want) != 0 || found != count)
            fail_msg("%s: %s(%u), not %s", cases[i].name, got, (unsigned)count, cases[i].want);
    }
}

static void requeued_records_keep_their_summary_until_it_is_replaced(void **state)
{
    struct store *store = *state;
    uint64_t count = 0;
    put_many(store, 1);
    assert_claims(store, "w", SECOND, 1, "r00:1 ");
    assert_false(settle(store, "r00", 1, OUTCOME_DEGRADED, 1, SECOND));
    ASSERT_OK(store_requeue(store, &(struct record_filter){.state = RECORD_DEGRADED}, SECOND, &count, err));
    assert_int_equal(count, 1);
    assert_string_equal(get_row(store, "r00").summary, "a summary");
    assert_claims(store, "w", SECOND, 1, "r00:2 ");
    assert_int_equal(get_row(store, "r00").tries, 1);
    struct summary summary = make_summary(2, "a better one");
    struct outcome outcome = make_outcome("r00", 2, OUTCOME_COMPLETED, &summary);
    ASSERT_OK(store_settle(store, &outcome, 1, SECOND, err));
    assert_string_equal(get_row(store, "r00").summary, "a better one");
    struct store_counts counts;
    ASSERT_OK(store_count(store, &counts, err));
    assert_int_equal(counts.summaries, 1);
    assert_int_equal(counts.tokens_in, 102);
}

static void requeue_refuses_other_states(void **state)
{
    static const enum record_state states[] = {RECORD_PENDING, RECORD_LEASED, RECORD_COMPLETED,
                                               RECORD_STATE_COUNT};
    struct store *store = *state;
    put_one_of_each(store);
    char *before = dump_store(store);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        uint64_t count = 9;
        ASSERT_FAILS(store_requeue(store, &(struct record_filter){.state = states[i]}, SECOND, &count, err),
                     DOBBY_INVALID_ARGUMENT);
        assert_int_equal(count, 0);
    }
    char *after = dump_store(store);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

/* More than one transaction's worth. */
static void requeue_takes_as_many_as_there_are(void **state)
{
    enum { RECORDS = 2 * LIMIT_BATCH_RECORDS + 7 };
    struct store *store = *state;
    struct put_counts counts = {0};
    uint64_t count = 0;
    ASSERT_OK(store_sync_begin(store, "/src", SECOND, err));
    for (unsigned i = 0; i < RECORDS; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "%u", i);
        struct record_input input = make_input(id, "a", "x");
        ASSERT_OK(store_put(store, &input, 1, SECOND, &counts, err));
    }
    for (unsigned left = RECORDS; left > 0;) {
        struct record_batch batch;
        ASSERT_OK(store_claim(store, "w", SECOND, 60 * SECOND, LIMIT_BATCH_RECORDS, &batch, err));
        struct outcome *outcomes = calloc(batch.count, sizeof *outcomes);
        assert_non_null(outcomes);
        for (size_t i = 0; i < batch.count; i++)
            outcomes[i] = make_outcome(batch.records[i].id, batch.records[i].attempt, OUTCOME_FAILED, NULL);
        ASSERT_OK(store_settle(store, outcomes, batch.count, SECOND, err));
        left -= (unsigned)batch.count;
        free(outcomes);
        record_batch_release(&batch);
    }
    struct record_filter which = {.limit = LIMIT_BATCH_RECORDS + 1};
    ASSERT_OK(store_requeue(store, &which, SECOND, &count, err));
    assert_int_equal(count, LIMIT_BATCH_RECORDS + 1);
    ASSERT_OK(store_requeue(store, &(struct record_filter){0}, SECOND, &count, err));
    assert_int_equal(count, RECORDS - LIMIT_BATCH_RECORDS - 1);
    ASSERT_OK(store_requeue(store, &(struct record_filter){0}, SECOND, &count, err));
    assert_int_equal(count, 0);
}

int main(void)
{
    static const struct suite_test tests[] = {
        SUITE_TEST(a_retry_waits_for_its_time),
        SUITE_TEST(tries_say_how_often_it_was_tried),
        SUITE_TEST(a_release_forgets_only_the_lease),
        SUITE_TEST(claims_say_when_to_come_back),
        SUITE_TEST(ready_due_and_expired_come_in_order_of_put),
        SUITE_TEST(a_retry_too_far_ahead_is_due),
        SUITE_TEST(clocks_may_jump),
        SUITE_TEST(requeue_chooses),
        SUITE_TEST(requeued_records_keep_their_summary_until_it_is_replaced),
        SUITE_TEST(requeue_refuses_other_states),
        SUITE_TEST(requeue_takes_as_many_as_there_are),
    };
    return suite_run("store, retries", tests, sizeof tests / sizeof tests[0]);
}
