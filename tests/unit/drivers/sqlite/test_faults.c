/* Every call is made to fail at each of its allocations, writes, fsyncs, reads and mappings in turn. After
 * each failure the store is as it was, and the same call then works on the same handle. */
#include "contract/store_testing.h"
#include "fault_helper.h"
#include "sqlite_helper.h"

static char *directory;
static struct record_input first[6], second[5];

static dobby_code open_path(const char *name, struct store **store, struct dobby_error *err)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    struct store_sqlite_options options = {
        .path = path, .access = SQLITE_ACCESS_CREATE, .busy_timeout_ms = 0};
    return store_sqlite_open(&options, store, err);
}

static const struct provenance_key even_key = {"f00d", "q8_0", "greedy", "nano@1"};

static struct run_row make_run(void)
{
    return (struct run_row){.id = "run",
                            .owner = "w",
                            .state = RUN_RUNNING,
                            .settings = "{}",
                            .metrics = "{\"a metric that is\": \"long enough to be a text of its own\"}"};
}

/* A store with a record in every state, in the middle of a synchronisation that saw only some of them. */
static struct store *prepare(const char *name)
{
    struct store *store = NULL;
    struct record_batch batch;
    struct put_counts counts = {0};
    ASSERT_OK(open_path(name, &store, err));
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
    return store;
}

static dobby_code do_sync_begin(struct store *store, struct dobby_error *err)
{
    return store_sync_begin(store, "/new", 9, err);
}

static dobby_code do_put(struct store *store, struct dobby_error *err)
{
    struct put_counts counts = {0};
    dobby_code code = store_put(store, second, 5, 9, &counts, err);
    assert_int_equal(counts.added + counts.updated + counts.unchanged, code == DOBBY_OK ? 5 : 0);
    return code;
}

static dobby_code do_sync_end(struct store *store, struct dobby_error *err)
{
    struct put_counts counts = {0};
    dobby_code code = store_sync_end(store, "", &counts, err);
    assert_int_equal(counts.removed, code == DOBBY_OK ? 4 : 0);
    return code;
}

static dobby_code do_claim(struct store *store, struct dobby_error *err)
{
    struct record_batch batch;
    dobby_code code = store_claim(store, "v", 10, 2000, 8, &batch, err);
    assert_int_equal(batch.count, code == DOBBY_OK ? 2 : 0);
    for (size_t i = 0; i < batch.count; i++)
        assert_string_not_equal(batch.records[i].path, "");
    record_batch_release(&batch);
    return code;
}

static dobby_code do_renew(struct store *store, struct dobby_error *err)
{
    uint64_t renewed = 9;
    dobby_code code = store_renew(store, "w", 5000, &renewed, err);
    assert_int_equal(renewed, code == DOBBY_OK ? 2 : 0);
    return code;
}

static dobby_code do_settle(struct store *store, struct dobby_error *err)
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

static dobby_code do_owners(struct store *store, struct dobby_error *err)
{
    struct owner_list owners;
    dobby_code code = store_owners(store, &owners, err);
    assert_int_equal(owners.count, code == DOBBY_OK ? 2 : 0);
    if (code == DOBBY_OK)
        assert_string_equal(owners.owners[1], "w");
    owner_list_release(&owners);
    return code;
}

static dobby_code do_release_owner(struct store *store, struct dobby_error *err)
{
    uint64_t released = 9;
    dobby_code code = store_release_owner(store, "w", 9, &released, err);
    assert_int_equal(released, code == DOBBY_OK ? 2 : 0);
    return code;
}

static dobby_code do_count(struct store *store, struct dobby_error *err)
{
    struct store_counts counts;
    dobby_code code = store_count(store, &counts, err);
    assert_int_equal(counts.total, code == DOBBY_OK ? 6 : 0);
    return code;
}

static dobby_code do_reasons(struct store *store, struct dobby_error *err)
{
    struct reason_counts reasons;
    dobby_code code = store_reasons(store, &reasons, err);
    assert_int_equal(reasons.count, code == DOBBY_OK ? 1 : 0);
    reason_counts_release(&reasons);
    return code;
}

static dobby_code do_list(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    struct record_filter filter = {.path_glob = "*.c", .with_content = true};
    dobby_code code = store_list(store, &filter, dump_row, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, "a completely ordinary text"));
    buffer_release(&out);
    return code;
}

static dobby_code do_get(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    dobby_code code = store_get(store, "3", dump_row, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, "3|/src|"));
    buffer_release(&out);
    return code;
}

static dobby_code do_list_versions(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    struct record_filter filter = {.with_versions = true};
    dobby_code code = store_list(store, &filter, dump_row, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, " one "));
    buffer_release(&out);
    return code;
}

static dobby_code do_settle_retry(struct store *store, struct dobby_error *err)
{
    struct outcome outcomes[] = {make_outcome("3", 1, OUTCOME_RETRY, NULL),
                                 make_outcome("4", 1, OUTCOME_RELEASED, NULL)};
    return store_settle(store, outcomes, 2, 20, err);
}

static dobby_code do_examine(struct store *store, struct dobby_error *err)
{
    struct store_health health;
    dobby_code code = store_examine(store, true, &health, err);
    assert_string_equal(health.problem, "");
    assert_int_equal(health.schema_version != 0, code == DOBBY_OK);
    return code;
}

static dobby_code do_run_begin(struct store *store, struct dobby_error *err)
{
    struct run_row run = make_run();
    run.id = "another";
    return store_run_begin(store, &run, err);
}

static dobby_code do_run_update(struct store *store, struct dobby_error *err)
{
    enum run_command pending = RUN_COMMAND_CANCEL;
    struct run_row run = make_run();
    run.counts.completed = 9;
    dobby_code code = store_run_update(store, &run, &pending, err);
    assert_int_equal(pending, code == DOBBY_OK ? RUN_COMMAND_NONE : RUN_COMMAND_UNKNOWN);
    return code;
}

static dobby_code do_run_poll(struct store *store, struct dobby_error *err)
{
    enum run_command pending = RUN_COMMAND_CANCEL;
    dobby_code code = store_run_poll(store, "run", &pending, err);
    assert_int_equal(pending, code == DOBBY_OK ? RUN_COMMAND_NONE : RUN_COMMAND_UNKNOWN);
    return code;
}

static dobby_code do_run_command(struct store *store, struct dobby_error *err)
{
    return store_run_command(store, "r", RUN_COMMAND_PAUSE, 9, err);
}

static dobby_code do_run_lost(struct store *store, struct dobby_error *err)
{
    uint64_t lost = 9;
    dobby_code code = store_run_lost(store, "w", 9, &lost, err);
    assert_int_equal(lost, code == DOBBY_OK);
    return code;
}

static dobby_code do_run_list(struct store *store, struct dobby_error *err)
{
    struct buffer out = {0};
    dobby_code code = store_run_list(store, &(struct run_filter){.active_only = true}, dump_run, &out, err);
    if (code == DOBBY_OK)
        assert_non_null(strstr(out.bytes, "a text of its own"));
    buffer_release(&out);
    return code;
}

static dobby_code see_summary(void *context, const struct summary_row *row, struct dobby_error *err)
{
    unsigned *count = context;
    (void)err;
    (*count)++;
    assert_string_equal(row->record_id, "1");
    assert_string_equal(row->summary->text, "one");
    return DOBBY_OK;
}

static dobby_code do_versions(struct store *store, struct dobby_error *err)
{
    unsigned count = 0;
    dobby_code code = store_versions(store, "1", see_summary, &count, err);
    assert_true(code != DOBBY_OK || count == 1);
    return code;
}

static dobby_code do_find_results(struct store *store, struct dobby_error *err)
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

static dobby_code do_stale_count(struct store *store, struct dobby_error *err)
{
    uint64_t count = 9;
    dobby_code code = store_stale_count(store, &even_key, &count, err);
    assert_int_equal(count, code == DOBBY_OK);
    return code;
}

static dobby_code do_requeue_stale(struct store *store, struct dobby_error *err)
{
    struct stale_counts counts;
    dobby_code code = store_requeue_stale(store, &even_key, 9, 0, &counts, err);
    /* That a second transaction finds no more may fail too, when the first one has done its work. */
    if (code != DOBBY_OK && counts.requeued == 1) {
        error_clear(err);
        code = DOBBY_OK;
    }
    assert_int_equal(counts.requeued, code == DOBBY_OK);
    return code;
}

static dobby_code do_requeue(struct store *store, struct dobby_error *err)
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

static const struct {
    const char *name;
    dobby_code (*call)(struct store *store, struct dobby_error *err);
} calls[] = {
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
    {"versions", do_versions},
    {"find_results", do_find_results},
    {"stale_count", do_stale_count},
    {"requeue_stale", do_requeue_stale},
    {"requeue", do_requeue},
};

static const struct fault_case {
    const char *name;
    enum fault_kind kind;
    dobby_code want;
} faults[] = {
    {"memory", FAULT_MEMORY, DOBBY_OUT_OF_MEMORY}, {"disk full", FAULT_DISK_FULL, DOBBY_STORE_FULL},
    {"write", FAULT_WRITE, DOBBY_STORE_FAILED},    {"sync", FAULT_SYNC, DOBBY_STORE_FAILED},
    {"read", FAULT_READ, DOBBY_STORE_FAILED},      {"shared map", FAULT_SHARED_MAP, DOBBY_STORE_FAILED},
};

static void assert_dump(struct store *store, const char *want, const char *call,
                        const struct fault_case *fault, unsigned n)
{
    char *got = dump_store(store);
    if (strcmp(got, want) != 0)
        fail_msg("%s, %s fault %u: the store is\n%s\nnot\n%s", call, fault->name, n, got, want);
    free(got);
}

/* Fails call at its n-th opportunity, for n = 1 and up until it runs through. Returns the failures. */
static unsigned fail_everywhere(size_t which, const struct fault_case *fault)
{
    const char *name = calls[which].name;
    struct store *store = prepare("undisturbed.db");
    char *before = dump_store(store);
    ASSERT_OK(calls[which].call(store, err));
    char *after = dump_store(store);
    store_close(store);

    unsigned failures = 0;
    bool happened = true;
    store = prepare("a.db");
    for (unsigned n = 1; happened; n++) {
        struct dobby_error failure = {0};
        fault_arm(fault->kind, n);
        dobby_code code = calls[which].call(store, &failure);
        happened = fault_disarm();
        if (code != DOBBY_OK) {
            failures++;
            assert_true(happened);
            if (code != fault->want)
                fail_msg("%s, %s fault %u: %s: %s", name, fault->name, n, dobby_code_name(code),
                         failure.detail);
            assert_dump(store, before, name, fault, n);
            continue;
        }
        /* Not every failure need be noticed: then the call did all its work. */
        assert_dump(store, after, name, fault, n);
        store_close(store);
        test_remove(test_path(directory, "a.db"));
        store = prepare("a.db");
    }
    /* One failure more, then on the same handle the same call as if nothing had been. */
    fault_arm(fault->kind, 1);
    dobby_code first_try = calls[which].call(store, NULL);
    (void)fault_disarm();
    if (first_try != DOBBY_OK)
        ASSERT_OK(calls[which].call(store, err));
    assert_dump(store, after, name, fault, 0);
    store_close(store);
    test_remove(test_path(directory, "a.db"));
    test_remove(test_path(directory, "undisturbed.db"));
    free(before);
    free(after);
    return failures;
}

static void calls_fail_wholly(void **state)
{
    const struct fault_case *fault = *state;
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        failures += fail_everywhere(i, fault);
    print_message("%s: %u failures\n", fault->name, failures);
    /* The reads of so small a store all come from the cache. */
    if (fault->kind != FAULT_READ && fault->kind != FAULT_SHARED_MAP)
        assert_int_not_equal(failures, 0);
}

/* Making a database fails at each opportunity; a later try finishes what there is. */
static void opening_fails_wholly(void **state)
{
    const struct fault_case *fault = *state;
    unsigned failures = 0;
    bool happened = true;
    /* Opening allocates five thousand times, mostly to parse: of those every seventh is enough. */
    for (unsigned n = 1; happened; n += n < 100 ? 1 : 7) {
        struct store *store = NULL;
        struct dobby_error failure = {0};
        fault_arm(fault->kind, n);
        dobby_code code = open_path("open.db", &store, &failure);
        happened = fault_disarm();
        assert_int_equal(store == NULL, code != DOBBY_OK);
        if (code != DOBBY_OK) {
            failures++;
            assert_true(happened);
            assert_int_equal(failure.code, code);
            ASSERT_OK(open_path("open.db", &store, err));
        }
        char *text = dump_store(store);
        assert_non_null(strstr(text, "total=0"));
        free(text);
        store_close(store);
        test_remove(test_path(directory, "open.db"));
    }
    print_message("%s: %u failures\n", fault->name, failures);
    assert_int_not_equal(failures, 0);
}

int main(void)
{
    enum { FAULTS = sizeof faults / sizeof faults[0] };
    static char names[2 * FAULTS][64];
    struct CMUnitTest tests[2 * FAULTS];
    fault_install();
    directory = test_directory_open();
    static const char *const texts[] = {"one", "a completely ordinary text", "three", "four", "five", "six"};
    static const char *const ids[] = {"0", "1", "2", "3", "4", "5", "6"};
    for (size_t i = 0; i < 6; i++)
        first[i] = make_input(ids[i], "a/file.c", texts[i]);
    second[0] = first[0];
    second[1] = make_input("1", "a/file.c", "new content");
    second[2] = make_input("6", "a/new.c", "a new record");
    second[3] = make_input("4", "a/moved.c", texts[4]);
    second[4] = make_input("3", "a/file.c", texts[3]);
    second[4].skip_reason = "generated";

    for (size_t i = 0; i < FAULTS; i++) {
        (void)snprintf(names[2 * i], sizeof names[0], "calls, %s", faults[i].name);
        (void)snprintf(names[2 * i + 1], sizeof names[0], "opening, %s", faults[i].name);
        tests[2 * i] = (struct CMUnitTest){
            .name = names[2 * i], .test_func = calls_fail_wholly, .initial_state = (void *)&faults[i]};
        tests[2 * i + 1] = (struct CMUnitTest){
            .name = names[2 * i + 1], .test_func = opening_fails_wholly, .initial_state = (void *)&faults[i]};
    }
    int failed = _cmocka_run_group_tests("sqlite faults", tests, 2 * FAULTS, NULL, NULL);
    test_directory_close(directory);
    return failed;
}
