/* Each call that a store can be asked, once, with what it must answer whether it succeeds or fails: for tests
 * that make it fail at every opportunity. */
#ifndef CONTRACT_STORE_CALLS_H
#define CONTRACT_STORE_CALLS_H

#include "contract/store_testing.h"

struct store_call {
    const char *name;
    dobby_code (*call)(struct store *store, struct dobby_error *err);
};

/* What the source holds at first, and what is put of it later. */
static inline void make_first(struct record_input first[6])
{
    static const char *const texts[] = {"one", "a completely ordinary text", "three", "four", "five", "six"};
    static const char *const ids[] = {"0", "1", "2", "3", "4", "5"};
    for (size_t i = 0; i < 6; i++)
        first[i] = make_input(ids[i], "a/file.c", texts[i]);
    first[1].cut = "the cut of all that has one";
}

static inline void make_second(struct record_input second[5])
{
    second[0] = make_input("0", "a/file.c", "one");
    second[1] = make_input("1", "a/file.c", "new content");
    second[1].cut = "another cut that is long enough to be a text of its own";
    second[2] = make_input("6", "a/new.c", "a new record");
    second[3] = make_input("4", "a/moved.c", "five");
    second[4] = make_input("3", "a/file.c", "four");
    second[4].skip_reason = "generated";
}

static const struct provenance_key wanted_key = {"f00d", "q8_0", "greedy", "nano@1"};

static inline struct run_row make_run(void)
{
    return (struct run_row){.id = "run",
                            .owner = "w",
                            .state = RUN_RUNNING,
                            .settings = "{}",
                            .metrics = "{\"a metric that is\": \"long enough to be a text of its own\"}"};
}

/* A store with a record in every state, in the middle of a synchronisation that saw only some of them. */
static inline void prepare_store(struct store *store)
{
    struct record_input first[6];
    make_first(first);
    struct record_batch batch;
    struct put_counts counts = {0};
    (void)sync_source(store, "/src", first, 6, "", 1);
    ASSERT_OK(store_claim(store, "dead", 1, 5, 1, &batch, err));
    record_batch_release(&batch);
    ASSERT_OK(store_claim(store, "w", 1, 1000, 4, &batch, err));
    record_batch_release(&batch);
    struct summary summary = make_summary(1, "one");
    struct outcome outcomes[] = {make_outcome("1", 1, OUTCOME_COMPLETED, &summary),
                                 make_outcome("2", 1, OUTCOME_FAILED, NULL)};
    ASSERT_OK(store_settle(store, outcomes, 2, 2, err));
    struct run_row run = make_run();
    ASSERT_OK(store_run_begin(store, &run, err));
    ASSERT_OK(store_sync_begin(store, "/src", 3, err));
    ASSERT_OK(store_put(store, first, 2, 3, &counts, err));
}

static inline dobby_code do_sync_begin(struct store *store, struct dobby_error *err)
{
    return store_sync_begin(store, "/new", 9, err);
}

static inline dobby_code do_put(struct store *store, struct dobby_error *err)
{
    struct put_counts counts = {0};
    struct record_input second[5];
    make_second(second);
    dobby_code code = store_put(store, second, 5, 9, &counts, err);
    assert_int_equal(counts.added + counts.updated + counts.unchanged, code == DOBBY_OK ? 5 : 0);
    return code;
}

static inline dobby_code do_sync_end(struct store *store, struct dobby_error *err)
{
    struct put_counts counts = {0};
    dobby_code code = store_sync_end(store, "", &counts, err);
    assert_int_equal(counts.removed, code == DOBBY_OK ? 4 : 0);
    return code;
}

static inline dobby_code do_claim(struct store *store, struct dobby_error *err)
{
    struct record_batch batch;
    dobby_code code = store_claim(store, "v", 10, 2000, 8, &batch, err);
    assert_int_equal(batch.count, code == DOBBY_OK ? 2 : 0);
    for (size_t i = 0; i < batch.count; i++)
        assert_string_not_equal(batch.records[i].path, "");
    record_batch_release(&batch);
    return code;
}

static inline dobby_code do_renew(struct store *store, struct dobby_error *err)
{
    uint64_t renewed = 9;
    dobby_code code = store_renew(store, "w", 5000, &renewed, err);
    assert_int_equal(renewed, code == DOBBY_OK ? 2 : 0);
    return code;
}

static inline dobby_code do_settle(struct store *store, struct dobby_error *err)
{
    struct summary summaries[] = {make_summary(7, "seven"), make_summary(8, "eight")};
    struct outcome outcomes[] = {make_outcome("3", 1, OUTCOME_COMPLETED, &summaries[0]),
                                 make_outcome("4", 1, OUTCOME_DEGRADED, &summaries[1]),
                                 make_outcome("5", 1, OUTCOME_SKIPPED, NULL)};
    dobby_code code = store_settle(store, outcomes, 3, 20, err);
    assert_false(outcomes[0].stale);
    assert_int_equal(outcomes[2].stale, code == DOBBY_OK);
    return code;
}

static inline dobby_code do_owners(struct store *store, struct dobby_error *err)
{
    struct owner_list owners;
    dobby_code code = store_owners(store, &owners, err);
    assert_int_equal(owners.count, code == DOBBY_OK ? 2 : 0);
    if (code == DOBBY_OK)
        assert_string_equal(owners.owners[1], "w");
    owner_list_release(&owners);
    return code;
}

static inline dobby_code do_release_owner(struct store *store, struct dobby_error *err)
{
    uint64_t released = 9;
    dobby_code code = store_release_owner(store, "w", 9, &released, err);
    assert_int_equal(released, code == DOBBY_OK ? 2 : 0);
    return code;
}

static inline dobby_code do_count(struct store *store, struct dobby_error *err)
{
    struct store_counts counts;
    dobby_code code = store_count(store, &counts, err);
    assert_int_equal(counts.total, code == DOBBY_OK ? 6 : 0);
    return code;
}

static inline dobby_code do_reasons(struct store *store, struct dobby_error *err)
{
    struct reason_counts reasons;
    dobby_code code = store_reasons(store, &reasons, err);
    assert_int_equal(reasons.count, code == DOBBY_OK ? 1 : 0);
    reason_counts_release(&reasons);
    return code;
}

static inline dobby_code do_list(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    struct record_filter filter = {.path_glob = "*.c", .with_content = true};
    dobby_code code = store_list(store, &filter, dump_row, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, "a completely ordinary text"));
    buffer_release(&out);
    return code;
}

static inline dobby_code do_get(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    dobby_code code = store_get(store, "3", dump_row, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, "3|/src|"));
    buffer_release(&out);
    return code;
}

static inline dobby_code do_list_versions(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    struct record_filter filter = {.with_versions = true};
    dobby_code code = store_list(store, &filter, dump_row, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, " one "));
    buffer_release(&out);
    return code;
}

static inline dobby_code do_settle_retry(struct store *store, struct dobby_error *err)
{
    struct outcome outcomes[] = {make_outcome("3", 1, OUTCOME_RETRY, NULL),
                                 make_outcome("4", 1, OUTCOME_RELEASED, NULL)};
    return store_settle(store, outcomes, 2, 20, err);
}

static inline dobby_code do_examine(struct store *store, struct dobby_error *err)
{
    struct store_health health;
    dobby_code code = store_examine(store, true, &health, err);
    assert_string_equal(health.problem, "");
    assert_int_equal(health.database_bytes != 0, code == DOBBY_OK);
    return code;
}

static inline dobby_code do_run_begin(struct store *store, struct dobby_error *err)
{
    struct run_row run = make_run();
    run.id = "another";
    return store_run_begin(store, &run, err);
}

static inline dobby_code do_run_update(struct store *store, struct dobby_error *err)
{
    enum run_command pending = RUN_COMMAND_CANCEL;
    struct run_row run = make_run();
    run.counts.completed = 9;
    dobby_code code = store_run_update(store, &run, &pending, err);
    assert_int_equal(pending, code == DOBBY_OK ? RUN_COMMAND_NONE : RUN_COMMAND_UNKNOWN);
    return code;
}

static inline dobby_code do_run_poll(struct store *store, struct dobby_error *err)
{
    enum run_command pending = RUN_COMMAND_CANCEL;
    dobby_code code = store_run_poll(store, "run", &pending, err);
    assert_int_equal(pending, code == DOBBY_OK ? RUN_COMMAND_NONE : RUN_COMMAND_UNKNOWN);
    return code;
}

static inline dobby_code do_run_command(struct store *store, struct dobby_error *err)
{
    return store_run_command(store, "r", RUN_COMMAND_PAUSE, 9, err);
}

static inline dobby_code do_run_lost(struct store *store, struct dobby_error *err)
{
    uint64_t lost = 9;
    dobby_code code = store_run_lost(store, "w", 9, &lost, err);
    assert_int_equal(lost, code == DOBBY_OK);
    return code;
}

static inline dobby_code do_run_list(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    dobby_code code = store_run_list(store, &(struct run_filter){.active_only = true}, dump_run, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, "a text of its own"));
    buffer_release(&out);
    return code;
}

static inline dobby_code see_summary(void *context, const struct summary_row *row, struct dobby_error *err)
{
    unsigned *count = context;
    (void)err;
    (*count)++;
    assert_string_equal(row->record_id, "1");
    assert_string_equal(row->summary->text, "one");
    return DOBBY_OK;
}

static inline dobby_code do_find_results(struct store *store, struct dobby_error *err)
{
    unsigned count = 0;
    uint8_t keys[2][SHA256_BYTES];
    memcpy(keys[0], make_summary(99, "").result_key, SHA256_BYTES);
    memcpy(keys[1], make_summary(1, "").result_key, SHA256_BYTES);
    dobby_code code =
        store_find_results(store, (const uint8_t(*)[SHA256_BYTES])keys, 2, see_summary, &count, err);
    assert_true(code != DOBBY_OK || count == 1);
    return code;
}

static inline dobby_code do_stale_count(struct store *store, struct dobby_error *err)
{
    uint64_t count = 9;
    dobby_code code = store_stale_count(store, &wanted_key, &count, err);
    assert_int_equal(count, code == DOBBY_OK);
    return code;
}

static inline dobby_code do_cuts(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    dobby_code code = store_cuts(store, "another cut", dump_cut, &out, err);
    if (code == DOBBY_OK)
        assert_string_equal(out.bytes, "cut /src|the cut of all that has one|1 1\n");
    buffer_release(&out);
    return code;
}

static inline dobby_code do_requeue_stale(struct store *store, struct dobby_error *err)
{
    struct stale_counts counts;
    dobby_code code = store_requeue_stale(store, &wanted_key, 9, 0, &counts, err);
    /* That a second transaction finds no more may fail too, when the first one has done its work. */
    if (code != DOBBY_OK && counts.requeued == 1) {
        error_clear(err);
        code = DOBBY_OK;
    }
    assert_int_equal(counts.requeued, code == DOBBY_OK);
    return code;
}

static inline dobby_code do_requeue(struct store *store, struct dobby_error *err)
{
    uint64_t count = 9;
    dobby_code code = store_requeue(store, &(struct record_filter){0}, 9, &count, err);
    if (code != DOBBY_OK && count == 1) {
        error_clear(err);
        code = DOBBY_OK;
    }
    assert_int_equal(count, code == DOBBY_OK);
    return code;
}

static const struct store_call store_calls[] = {
    {"sync_begin", do_sync_begin},
    {"put", do_put},
    {"sync_end", do_sync_end},
    {"claim", do_claim},
    {"renew", do_renew},
    {"settle", do_settle},
    {"owners", do_owners},
    {"release_owner", do_release_owner},
    {"count", do_count},
    {"reasons", do_reasons},
    {"list", do_list},
    {"get", do_get},
    {"list versions", do_list_versions},
    {"settle with a retry", do_settle_retry},
    {"examine", do_examine},
    {"run_begin", do_run_begin},
    {"run_update", do_run_update},
    {"run_poll", do_run_poll},
    {"run_command", do_run_command},
    {"run_lost", do_run_lost},
    {"run_list", do_run_list},
    {"find_results", do_find_results},
    {"stale_count", do_stale_count},
    {"cuts", do_cuts},
    {"requeue_stale", do_requeue_stale},
    {"requeue", do_requeue},
};
enum { STORE_CALL_COUNT = sizeof store_calls / sizeof store_calls[0] };

#endif
