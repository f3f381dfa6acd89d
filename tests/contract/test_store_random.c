/* The same random operations on every backend lead to the same store, step by step. The seed is printed;
 * DOBBY_TEST_SEED runs a certain one. */
#include "contract/backend_helper.h"
#include "contract/store_testing.h"

enum { SEEDS = 24, STEPS = 200, IDS = 24, OWNERS = 3, BATCH = 6 };

/* splitmix64: a full-period generator from Steele, Lea and Flood (2014), so that a seed means one sequence
 * everywhere. */
static uint64_t random_next(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(random_next(random) % bound);
}

static const char *const ids[IDS] = {"a", "ab", "abc", "b", "ba", "c", "d", "e", "f", "g", "h",        "i",
                                     "j", "k",  "l",   "m", "n",  "o", "p", "q", "r", "s", "\xc3\xa9", "z"};
static const char *const paths[] = {"", "lib", "lib/a.c", "lib/b.c", "lib-x/a.c", "lib0", "src/\xc3\xa9.c"};
static const char *const contents[] = {"", "one", "two", "three"};
static const char *const reasons[] = {NULL, NULL, NULL, NULL, "binary", "generated"};
static const char *const cuts[] = {NULL, "by 8", "by 9"};
static const char *const owners[OWNERS] = {"w1", "w2", "w3"};
static const char *const globs[] = {"*", "lib*", "lib/?.c", "*[ab]*", "[^l]*", "", "src/?.c"};
static const char *const scopes[] = {"", "lib", "lib/a.c", "src"};

#define PICK(random, array) ((array)[below((random), sizeof(array) / sizeof(array)[0])])

/* What one operation did, as text: code, counts, claimed ids, stale flags. */
struct trace {
    char text[2048];
    size_t used;
};

static void note(struct trace *trace, const char *what, uint64_t value)
{
    int wrote =
        snprintf(trace->text + trace->used, sizeof trace->text - trace->used, " %s=%" PRIu64, what, value);
    assert_true(wrote > 0 && (size_t)wrote < sizeof trace->text - trace->used);
    trace->used += (size_t)wrote;
}

static void step_put(struct store *store, uint64_t *random, int64_t now_us, struct trace *trace)
{
    struct record_input inputs[BATCH];
    size_t count = below(random, BATCH + 1);
    /* An id keeps to one source, but once in a while a put tries the other one. */
    for (size_t i = 0; i < count; i++) {
        inputs[i] = make_input(PICK(random, ids), PICK(random, paths), PICK(random, contents));
        inputs[i].position = below(random, 3);
        inputs[i].skip_reason = PICK(random, reasons);
        inputs[i].cut = PICK(random, cuts);
    }
    struct put_counts counts = {0};
    note(trace, "put", store_put(store, inputs, count, now_us, &counts, NULL));
    note(trace, "added", counts.added);
    note(trace, "updated", counts.updated);
    note(trace, "unchanged", counts.unchanged);
}

static const char *const run_ids[] = {"r", "r1", "r12", "s"};

static void step_claim(struct store *store, uint64_t *random, int64_t now_us, struct trace *trace)
{
    struct record_batch batch;
    const char *owner = PICK(random, owners);
    int64_t until_us = now_us + 1 + below(random, 40);
    note(trace, "claim", store_claim(store, owner, now_us, until_us, below(random, BATCH), &batch, NULL));
    for (size_t i = 0; i < batch.count; i++) {
        note(trace, batch.records[i].id, batch.records[i].attempt);
        note(trace, "tries", batch.records[i].tries);
    }
    note(trace, "next", (uint64_t)batch.next_unix_us);
    record_batch_release(&batch);
}

static dobby_code copy_attempt(void *context, const struct record_row *row, struct dobby_error *err)
{
    uint32_t *attempt = context;
    (void)err;
    *attempt = row->attempt;
    return DOBBY_OK;
}

/* Mostly that of the record's last lease. */
static uint32_t some_attempt(struct store *store, const char *id, uint64_t *random)
{
    uint32_t attempt = 0;
    ASSERT_OK(store_list(store, &(struct record_filter){.id_prefix = id, .id_whole = true}, copy_attempt,
                         &attempt, err));
    return below(random, 4) > 0 ? attempt : attempt > 0 && below(random, 2) == 0 ? attempt - 1 : attempt + 1;
}

static void step_settle(struct store *store, uint64_t *random, int64_t now_us, struct trace *trace)
{
    struct summary summaries[BATCH];
    struct outcome outcomes[BATCH];
    size_t count = below(random, BATCH + 1);
    for (size_t i = 0; i < count; i++) {
        enum outcome_kind kind = (enum outcome_kind)(OUTCOME_COMPLETED + below(random, OUTCOME_RETRY));
        /* Few keys, so that results are equal now and then; ids never are. */
        summaries[i] = make_summary(below(random, 12), "a text");
        (void)snprintf(summaries[i].id, sizeof summaries[i].id, "%016" PRIx64, random_next(random));
        summaries[i].reused = below(random, 4) == 0;
        summaries[i].template_id = below(random, 3) == 0 ? "nano@3" : summaries[i].template_id;
        summaries[i].engine = below(random, 3) == 0 ? "0.2.0 ref" : summaries[i].engine;
        const char *id = PICK(random, ids);
        outcomes[i] = make_outcome(id, some_attempt(store, id, random), kind, &summaries[i]);
        if (kind == OUTCOME_RETRY)
            outcomes[i].retry_unix_us =
                now_us + below(random, 60) + (below(random, 4) == 0 ? LIMIT_RETRY_WAIT_MS * 1000LL : 0);
        outcomes[i].run_id = below(random, 4) == 0 ? NULL : PICK(random, run_ids);
    }
    note(trace, "settle", store_settle(store, outcomes, count, now_us, NULL));
    for (size_t i = 0; i < count; i++)
        note(trace, "stale", outcomes[i].stale);
}

static void step_read(struct store *store, uint64_t *random, struct trace *trace)
{
    struct record_filter filter = {.state = (enum record_state)below(random, RECORD_STATE_COUNT),
                                   .path_glob = below(random, 2) == 0 ? NULL : PICK(random, globs),
                                   .id_prefix = below(random, 2) == 0 ? NULL : PICK(random, ids),
                                   .id_whole = below(random, 2) == 0,
                                   .limit = below(random, 5)};
    struct buffer row = {0};
    char *text = dump_filtered(store, &filter);
    uint64_t hash = 0;
    for (const char *c = text; *c != '\0'; c++)
        hash = hash * 31 + (uint8_t)*c;
    note(trace, "list", hash);
    free(text);
    note(trace, "get", store_get(store, PICK(random, ids), dump_row, &row, NULL));
    note(trace, "bytes", row.length);
    buffer_release(&row);
}

static dobby_code note_version(void *context, const struct summary_row *row, struct dobby_error *err)
{
    struct trace *trace = context;
    (void)err;
    note(trace, row->record_id, row->key_index);
    note(trace, row->summary->id, (uint64_t)row->created_unix_us);
    note(trace, "current", row->current);
    note(trace, "of_present_content", row->of_present_content);
    return DOBBY_OK;
}

static void step_versions(struct store *store, uint64_t *random, int64_t now_us, struct trace *trace)
{
    static const struct provenance_key wanted[] = {{"f00d", "q8_0", "greedy", "nano@1"},
                                                   {"f00d", "q8_0", "greedy", "nano@2"},
                                                   {"f00d", "q8_0", "greedy", "nano@3"}};
    const struct provenance_key *want = &PICK(random, wanted);
    uint8_t keys[2][SHA256_BYTES];
    struct stale_counts redone;
    uint64_t count = 0;
    struct record_filter which = {.path_glob = below(random, 2) == 0 ? NULL : PICK(random, globs),
                                  .id_prefix = below(random, 2) == 0 ? NULL : PICK(random, ids),
                                  .id_whole = below(random, 2) == 0,
                                  .limit = below(random, 3)};
    switch (below(random, 3)) {
    case 0:
        for (size_t i = 0; i < 2; i++)
            memcpy(keys[i], make_summary(below(random, 12), "").result_key, SHA256_BYTES);
        note(trace, "find",
             store_find_results(store, (const uint8_t(*)[SHA256_BYTES])keys, 2, note_version, trace, NULL));
        break;
    case 1:
        note(trace, "count", store_stale_count(store, want, &count, NULL));
        note(trace, "stale", count);
        note(trace, "redo", store_requeue_stale(store, want, now_us, 0, &redone, NULL));
        note(trace, "requeued", redone.requeued);
        note(trace, "restored", redone.restored);
        assert_int_equal(count, redone.requeued + redone.restored);
        break;
    default:
        note(trace, "requeue", store_requeue(store, &which, now_us, &count, NULL));
        note(trace, "requeued", count);
        break;
    }
}

static void step_runs(struct store *store, uint64_t *random, int64_t now_us, struct trace *trace)
{
    static const char *const prefixes[] = {"", "r", "r1", "r12", "s", "x"};
    enum run_command pending = RUN_COMMAND_UNKNOWN;
    uint64_t lost = 0;
    struct run_row row = {.id = PICK(random, run_ids),
                          .owner = PICK(random, owners),
                          .state = RUN_RUNNING,
                          .heartbeat_unix_us = now_us,
                          .settings = "{}",
                          .metrics = "{}",
                          .counts = {.total = below(random, 100), .tokens_out = below(random, 9)}};
    switch (below(random, 4)) {
    case 0:
        note(trace, "run", store_run_begin(store, &row, NULL));
        break;
    case 1:
        row.state = (enum run_state)(RUN_RUNNING + below(random, RUN_FAILED));
        row.ended_unix_us = run_state_is_active(row.state) ? 0 : now_us;
        row.end_reason = below(random, 2) == 0 ? NULL : "so";
        note(trace, "update", store_run_update(store, &row, &pending, NULL));
        note(trace, "pending", pending);
        break;
    case 2:
        note(trace, "command",
             store_run_command(store, PICK(random, prefixes),
                               (enum run_command)(RUN_COMMAND_PAUSE + below(random, 3)), now_us, NULL));
        break;
    default:
        note(trace, "lose", store_run_lost(store, PICK(random, owners), now_us, &lost, NULL));
        note(trace, "lost", lost);
        note(trace, "poll", store_run_poll(store, PICK(random, run_ids), &pending, NULL));
        note(trace, "pending", pending);
        break;
    }
}

/* One operation, chosen by *random alone: backends that are equal make equal choices. */
static void step(struct store *store, uint64_t *random, int64_t *now_us, struct trace *trace)
{
    uint64_t changed = 0;
    struct put_counts counts = {0};
    *trace = (struct trace){.used = 0};
    *now_us += below(random, 10);
    switch (below(random, 16)) {
    case 0:
        note(trace, "begin", store_sync_begin(store, below(random, 4) == 0 ? "/b" : "/a", *now_us, NULL));
        break;
    case 1:
        note(trace, "end", store_sync_end(store, PICK(random, scopes), &counts, NULL));
        note(trace, "removed", counts.removed);
        break;
    case 2:
        note(trace, "renew", store_renew(store, PICK(random, owners), *now_us + 30, &changed, NULL));
        note(trace, "renewed", changed);
        break;
    case 3:
        note(trace, "release", store_release_owner(store, PICK(random, owners), *now_us, &changed, NULL));
        note(trace, "released", changed);
        break;
    case 4:
        step_read(store, random, trace);
        break;
    case 5:
    case 6:
        step_versions(store, random, *now_us, trace);
        break;
    case 7:
        step_runs(store, random, *now_us, trace);
        break;
    case 8:
    case 9:
    case 10:
        step_claim(store, random, *now_us, trace);
        break;
    case 11:
    case 12:
    case 13:
        step_settle(store, random, *now_us, trace);
        break;
    default:
        step_put(store, random, *now_us, trace);
        break;
    }
}

struct invariant_check {
    uint64_t current;
};

static dobby_code check_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct invariant_check *check = context;
    bool done = row->state == RECORD_COMPLETED || row->state == RECORD_DEGRADED;
    (void)err;
    check->current += row->summary_current;
    assert_true(!done || row->summary != NULL);
    assert_true(row->retry_unix_us == 0 || row->state == RECORD_PENDING);
    if (row->summary_current && done) {
        const char *why = row->summary->degraded_reason;
        assert_int_equal(row->state == RECORD_DEGRADED, why != NULL);
        if (why != NULL)
            assert_string_equal(why, row->reason);
    }
    return DOBBY_OK;
}

/* What must hold of any store at any time. */
static void check_invariants(struct store *store)
{
    struct store_counts counts;
    uint64_t sum = 0;
    ASSERT_OK(store_count(store, &counts, err));
    for (enum record_state state = RECORD_PENDING; state < RECORD_STATE_COUNT; state++)
        sum += counts.by_state[state];
    assert_int_equal(sum, counts.total);
    /* Each record that is done has a summary, and at most the others are being redone. */
    assert_in_range(counts.summaries, counts.by_state[RECORD_COMPLETED] + counts.by_state[RECORD_DEGRADED],
                    counts.total);
    struct invariant_check check = {0};
    struct record_filter all = {.with_versions = true};
    ASSERT_OK(store_list(store, &all, check_row, &check, err));
    assert_int_equal(check.current, counts.summaries);
}

static void run_seed(uint64_t seed)
{
    struct store *stores[BACKEND_COUNT];
    uint64_t random[BACKEND_COUNT];
    int64_t now_us[BACKEND_COUNT];
    for (size_t b = 0; b < BACKEND_COUNT; b++) {
        stores[b] = backends[b].open();
        random[b] = seed;
        now_us[b] = 1000;
    }
    for (unsigned i = 0; i < STEPS; i++) {
        struct trace trace[BACKEND_COUNT];
        char *dump[BACKEND_COUNT];
        for (size_t b = 0; b < BACKEND_COUNT; b++) {
            step(stores[b], &random[b], &now_us[b], &trace[b]);
            dump[b] = dump_store(stores[b]);
            check_invariants(stores[b]);
        }
        for (size_t b = 1; b < BACKEND_COUNT; b++) {
            if (strcmp(trace[0].text, trace[b].text) != 0)
                fail_msg("seed %" PRIu64 ", step %u: %s says\n%s\n%s says\n%s", seed, i, backends[0].name,
                         trace[0].text, backends[b].name, trace[b].text);
            if (strcmp(dump[0], dump[b]) != 0)
                fail_msg("seed %" PRIu64 ", step %u (%s): %s holds\n%s\n%s holds\n%s", seed, i, trace[0].text,
                         backends[0].name, dump[0], backends[b].name, dump[b]);
        }
        for (size_t b = 0; b < BACKEND_COUNT; b++)
            free(dump[b]);
    }
    for (size_t b = 0; b < BACKEND_COUNT; b++)
        store_close(stores[b]);
}

static void random_operations_agree(void **state)
{
    (void)state;
    const char *wanted = getenv("DOBBY_TEST_SEED");
    uint64_t first = wanted == NULL ? 1 : strtoull(wanted, NULL, 10);
    size_t count = wanted == NULL ? SEEDS : 1;
    print_message("seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
    for (size_t i = 0; i < count; i++)
        run_seed(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations_agree)};
    int failed = cmocka_run_group_tests_name("store, random operations", tests, NULL, NULL);
    backends_release();
    return failed;
}
