/* Holds every backend to what store/store_runs.h says. */
#include "contract/suite_helper.h"

static struct run_row make_run(const char *id, const char *owner)
{
    return (struct run_row){.id = id,
                            .owner = owner,
                            .state = RUN_RUNNING,
                            .started_unix_us = SECOND,
                            .heartbeat_unix_us = SECOND,
                            .settings = "{\"model\":\"nano\"}",
                            .metrics = "{}",
                            .counts = {.total = 10}};
}

static void begin(struct store *store, const char *id, const char *owner)
{
    struct run_row row = make_run(id, owner);
    ASSERT_OK(store_run_begin(store, &row, err));
}

/* Updates the run to this state at this time; returns the pending command. */
static enum run_command update(struct store *store, const char *id, enum run_state state, int64_t now_us)
{
    enum run_command pending = RUN_COMMAND_UNKNOWN;
    struct run_row row = make_run(id, NULL);
    row.settings = NULL; /* not looked at */
    row.state = state;
    row.heartbeat_unix_us = now_us;
    row.ended_unix_us = run_state_is_active(state) ? 0 : now_us;
    ASSERT_OK(store_run_update(store, &row, &pending, err));
    return pending;
}

static char *dump_runs(struct store *store, const struct run_filter *filter)
{
    struct buffer out = {0};
    ASSERT_OK(store_run_list(store, filter, dump_run, &out, err));
    ASSERT_OK(buffer_append_string(&out, "", err));
    return buffer_take(&out, NULL);
}

/* The first letters of the ids in the order of the listing. */
static void assert_order(struct store *store, const struct run_filter *filter, const char *want)
{
    char *text = dump_runs(store, filter);
    char order[32] = "";
    size_t count = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1)
        order[count++] = line[strlen("run ")];
    assert_string_equal(order, want);
    free(text);
}

static void a_run_is_written_and_read_back(void **state)
{
    struct store *store = *state;
    enum run_command pending = RUN_COMMAND_UNKNOWN;
    begin(store, "a", "w");
    char *text = dump_runs(store, &(struct run_filter){0});
    assert_string_equal(text, "run a|w|running|none 0|1000000 1000000 0|10 0 0 0 0 0 0 0 0 0|-|"
                              "{\"model\":\"nano\"}|{}\n");
    free(text);
    struct run_row row = make_run("a", "somebody else");
    row.state = RUN_FAILED;
    row.started_unix_us = 7;
    row.heartbeat_unix_us = 8;
    row.ended_unix_us = 9;
    row.settings = "other";
    row.metrics = "{\"p50\":1}";
    row.end_reason = "the engine failed";
    row.counts = (struct run_counts){1, 2, 3, 4, 5, 6, 7, 8, 9, UINT64_C(1) << 40};
    ASSERT_OK(store_run_update(store, &row, &pending, err));
    assert_int_equal(pending, RUN_COMMAND_NONE);
    text = dump_runs(store, &(struct run_filter){0});
    assert_string_equal(text, "run a|w|failed|none 0|1000000 8 9|1 2 3 4 5 6 7 8 9 1099511627776|"
                              "the engine failed|{\"model\":\"nano\"}|{\"p50\":1}\n");
    free(text);
}

static void runs_are_listed_newest_first_and_filtered(void **state)
{
    static const struct {
        const char *name;
        struct run_filter filter;
        const char *want;
    } cases[] = {
        {"all", {0}, "bdca"},
        {"limit", {.limit = 2}, "bd"},
        {"limit beyond", {.limit = UINT64_MAX}, "bdca"},
        {"active", {.active_only = true}, "dc"},
        {"active, limit", {.active_only = true, .limit = 1}, "d"},
        {"id", {.id_prefix = "c1"}, "c"},
        {"id prefix", {.id_prefix = "c"}, "c"},
        {"empty id prefix", {.id_prefix = ""}, "bdca"},
        {"no such id", {.id_prefix = "x"}, ""},
        {"pattern signs", {.id_prefix = "%"}, ""},
        {"id of one that ended, active only", {.id_prefix = "b", .active_only = true}, ""},
    };
    struct store *store = *state;
    struct run_row late = make_run("b1", "w");
    late.started_unix_us = -5; /* the clock went back before it began */
    begin(store, "a1", "w");
    begin(store, "c1", "w");
    begin(store, "d1", "w");
    ASSERT_OK(store_run_begin(store, &late, err));
    (void)update(store, "a1", RUN_FINISHED, SECOND);
    (void)update(store, "d1", RUN_PAUSED, SECOND);
    (void)update(store, "b1", RUN_CAPPED, SECOND);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("    %s\n", cases[i].name);
        assert_order(store, &cases[i].filter, cases[i].want);
    }
}

static void commands_hold_until_another_comes(void **state)
{
    static const struct {
        enum run_command command;
        dobby_code want;
        enum run_command pending; /* afterwards */
    } cases[] = {
        {RUN_COMMAND_RESUME, DOBBY_OK, RUN_COMMAND_RESUME},
        {RUN_COMMAND_PAUSE, DOBBY_OK, RUN_COMMAND_PAUSE},
        {RUN_COMMAND_PAUSE, DOBBY_OK, RUN_COMMAND_PAUSE},
        {RUN_COMMAND_RESUME, DOBBY_OK, RUN_COMMAND_RESUME},
        {RUN_COMMAND_NONE, DOBBY_INVALID_ARGUMENT, RUN_COMMAND_RESUME},
        {RUN_COMMAND_COUNT, DOBBY_INVALID_ARGUMENT, RUN_COMMAND_RESUME},
        {RUN_COMMAND_CANCEL, DOBBY_OK, RUN_COMMAND_CANCEL},
        {RUN_COMMAND_CANCEL, DOBBY_OK, RUN_COMMAND_CANCEL},
        {RUN_COMMAND_PAUSE, DOBBY_INVALID_ARGUMENT, RUN_COMMAND_CANCEL},
        {RUN_COMMAND_RESUME, DOBBY_INVALID_ARGUMENT, RUN_COMMAND_CANCEL},
    };
    struct store *store = *state;
    begin(store, "a", "w");
    assert_int_equal(update(store, "a", RUN_RUNNING, SECOND), RUN_COMMAND_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum run_command pending = RUN_COMMAND_UNKNOWN;
        int64_t now_us = (int64_t)(i + 2) * SECOND;
        dobby_code code = store_run_command(store, "a", cases[i].command, now_us, NULL);
        if (code != cases[i].want)
            fail_msg("%zu: %s", i, dobby_code_name(code));
        ASSERT_OK(store_run_poll(store, "a", &pending, err));
        assert_int_equal(pending, cases[i].pending);
        assert_int_equal(update(store, "a", RUN_PAUSED, now_us), cases[i].pending);
    }
    char *text = dump_runs(store, &(struct run_filter){0});
    assert_non_null(strstr(text, "|paused|cancel 9000000|"));
    free(text);
    /* Once ended, there is nothing to be done about any command. */
    assert_int_equal(update(store, "a", RUN_CANCELED, SECOND), RUN_COMMAND_NONE);
}

static void commands_find_their_run(void **state)
{
    static const struct {
        const char *name, *id;
        dobby_code want;
        char commanded; /* the run; 0: none */
    } cases[] = {
        {"id", "abc", DOBBY_OK, 'a'},
        {"exact id, though a prefix of an ended one", "b", DOBBY_OK, 'b'},
        {"prefix of one active run and of an ended one", "a", DOBBY_OK, 'a'},
        {"prefix of several active ones", "c", DOBBY_STORE_AMBIGUOUS_ID, 0},
        {"any active one where there are several", "", DOBBY_STORE_AMBIGUOUS_ID, 0},
        {"one that has ended", "abd", DOBBY_INVALID_ARGUMENT, 0},
        {"none", "x", DOBBY_STORE_NOT_FOUND, 0},
        {"pattern signs", "%", DOBBY_STORE_NOT_FOUND, 0},
        {"longer than any", "abcd", DOBBY_STORE_NOT_FOUND, 0},
    };
    struct store *store = *state;
    static const char *const ids[] = {"abc", "abd", "b", "bb", "c1", "c2"};
    for (size_t i = 0; i < 6; i++)
        begin(store, ids[i], "w");
    (void)update(store, "abd", RUN_FINISHED, SECOND);
    (void)update(store, "bb", RUN_FAILED, SECOND);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t now_us = (int64_t)(i + 100) * SECOND;
        struct dobby_error failure = {0};
        dobby_code code = store_run_command(store, cases[i].id, RUN_COMMAND_PAUSE, now_us, &failure);
        if (code != cases[i].want)
            fail_msg("%s: %s: %s", cases[i].name, dobby_code_name(code), failure.detail);
        char *text = dump_runs(store, &(struct run_filter){0});
        char time[40];
        (void)snprintf(time, sizeof time, "|pause %" PRId64 "|", now_us);
        const char *found = strstr(text, time);
        if ((found != NULL) != (cases[i].commanded != 0))
            fail_msg("%s: %s", cases[i].name, text);
        free(text);
    }
}

static void without_an_id_the_only_active_run_is_meant(void **state)
{
    struct store *store = *state;
    enum run_command pending = RUN_COMMAND_UNKNOWN;
    ASSERT_FAILS(store_run_command(store, "", RUN_COMMAND_PAUSE, 1, err), DOBBY_STORE_NOT_FOUND);
    begin(store, "a", "w");
    (void)update(store, "a", RUN_FINISHED, SECOND);
    ASSERT_FAILS(store_run_command(store, "", RUN_COMMAND_PAUSE, 1, err), DOBBY_STORE_NOT_FOUND);
    begin(store, "b", "w");
    ASSERT_OK(store_run_command(store, "", RUN_COMMAND_PAUSE, 1, err));
    ASSERT_OK(store_run_poll(store, "b", &pending, err));
    assert_int_equal(pending, RUN_COMMAND_PAUSE);
}

static void the_runs_of_the_dead_are_lost(void **state)
{
    struct store *store = *state;
    uint64_t lost = 99;
    begin(store, "a", "dead");
    begin(store, "b", "dead");
    begin(store, "c", "dead");
    begin(store, "d", "alive");
    (void)update(store, "b", RUN_FINISHED, SECOND);
    (void)update(store, "c", RUN_PAUSED, SECOND);
    ASSERT_OK(store_run_lost(store, "dead", 5 * SECOND, &lost, err));
    assert_int_equal(lost, 2);
    assert_order(store, &(struct run_filter){.active_only = true}, "d");
    char *text = dump_runs(store, &(struct run_filter){.id_prefix = "c"});
    assert_non_null(strstr(text, "c|dead|lost|none 0|1000000 1000000 5000000|"));
    free(text);
    ASSERT_OK(store_run_lost(store, "dead", 6 * SECOND, &lost, err));
    assert_int_equal(lost, 0);
    ASSERT_FAILS(store_run_command(store, "a", RUN_COMMAND_PAUSE, 1, err), DOBBY_INVALID_ARGUMENT);
    /* It had only slept. */
    (void)update(store, "a", RUN_RUNNING, 7 * SECOND);
    assert_order(store, &(struct run_filter){.active_only = true}, "da");
}

static void assert_counts(struct store *store, const char *id, const char *want)
{
    char *text = dump_runs(store, &(struct run_filter){.id_prefix = id});
    if (strstr(text, want) == NULL)
        fail_msg("run %s: no '%s' in %s", id, want, text);
    free(text);
}

/* What a run settles is in its row by the same transaction, whoever writes the row next, or nobody. */
static void settling_counts_in_the_runs_row(void **state)
{
    struct store *store = *state;
    static const struct {
        enum outcome_kind kind;
        uint32_t attempt;
        bool reused;
        const char *run_id;
    } rows[] = {
        {OUTCOME_COMPLETED, 1, false, "a"}, {OUTCOME_COMPLETED, 1, true, "a"},
        {OUTCOME_DEGRADED, 1, false, "a"},  {OUTCOME_FAILED, 1, false, "a"},
        {OUTCOME_SKIPPED, 1, false, "a"},   {OUTCOME_RETRY, 1, false, "a"},
        {OUTCOME_RELEASED, 1, false, "a"},  {OUTCOME_COMPLETED, 9, false, "a"}, /* too late */
        {OUTCOME_COMPLETED, 1, false, "b"}, {OUTCOME_COMPLETED, 1, false, NULL},
        {OUTCOME_FAILED, 1, false, "gone"}, {OUTCOME_SKIPPED, 1, false, "b"},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct summary summaries[ROWS];
    struct outcome outcomes[ROWS];
    struct record_batch batch;
    char ids[ROWS][8];
    put_many(store, ROWS);
    begin(store, "a", "w");
    begin(store, "b", "w");
    ASSERT_OK(store_claim(store, "w", SECOND, 9 * SECOND, ROWS, &batch, err));
    assert_int_equal(batch.count, ROWS);
    record_batch_release(&batch);
    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "r%02zu", i);
        summaries[i] = make_summary((uint32_t)i, "a text");
        summaries[i].tokens_in = 100;
        summaries[i].tokens_out = 10;
        summaries[i].reused = rows[i].reused;
        outcomes[i] = make_outcome(ids[i], rows[i].attempt, rows[i].kind, &summaries[i]);
        outcomes[i].run_id = rows[i].run_id;
    }
    struct outcome bad[] = {outcomes[0], {.record_id = NULL}};
    ASSERT_FAILS(store_settle(store, bad, 2, 2 * SECOND, err), DOBBY_INVALID_ARGUMENT);
    assert_counts(store, "a", "|10 0 0 0 0 0 0 0 0 0|");
    ASSERT_OK(store_settle(store, outcomes, ROWS, 2 * SECOND, err));
    /* total; completed, degraded, failed, skipped; stale, retried, reused; tokens in and out */
    assert_counts(store, "a", "|10 2 1 1 1 1 1 1 200 20|");
    assert_counts(store, "b", "|10 1 0 0 1 0 0 0 100 10|");
    outcomes[0].attempt = 1; /* settled already */
    ASSERT_OK(store_settle(store, outcomes, 1, 3 * SECOND, err));
    assert_counts(store, "a", "|10 2 1 1 1 2 1 1 200 20|");
    (void)update(store, "a", RUN_RUNNING, 4 * SECOND); /* its owner knows better */
    assert_counts(store, "a", "|10 0 0 0 0 0 0 0 0 0|");
}

static void unknown_runs_are_not_found(void **state)
{
    struct store *store = *state;
    enum run_command pending = RUN_COMMAND_PAUSE;
    struct run_row row = make_run("a", "w");
    ASSERT_FAILS(store_run_update(store, &row, &pending, err), DOBBY_STORE_NOT_FOUND);
    assert_int_equal(pending, RUN_COMMAND_UNKNOWN);
    ASSERT_FAILS(store_run_poll(store, "a", &pending, err), DOBBY_STORE_NOT_FOUND);
    begin(store, "ab", "w");
    ASSERT_FAILS(store_run_poll(store, "a", &pending, err), DOBBY_STORE_NOT_FOUND); /* no prefixes here */
}

static void bad_rows_are_refused(void **state)
{
    static char long_json[LIMIT_RUN_JSON_BYTES + 2];
    struct store *store = *state;
    memset(long_json, ' ', sizeof long_json - 1);
    begin(store, "there", "w");
    struct {
        const char *name;
        struct run_row row;
        bool update; /* it is bad for store_run_update too */
        dobby_code want;
    } cases[] = {
        {"an id twice", make_run("there", "w"), false, DOBBY_INVALID_ARGUMENT},
        {"no id", make_run("", "w"), true, DOBBY_INVALID_ARGUMENT},
        {"a long id", make_run("0123456789012345678901234567890123456", "w"), true, DOBBY_LIMIT_EXCEEDED},
        {"no owner", make_run("there", ""), false, DOBBY_INVALID_ARGUMENT},
        {"no settings", make_run("new", "w"), false, DOBBY_INVALID_ARGUMENT},
        {"no metrics", make_run("there", "w"), true, DOBBY_INVALID_ARGUMENT},
        {"long metrics", make_run("there", "w"), true, DOBBY_LIMIT_EXCEEDED},
        {"no state", make_run("there", "w"), true, DOBBY_INVALID_ARGUMENT},
        {"lost, by itself", make_run("there", "w"), true, DOBBY_INVALID_ARGUMENT},
        {"beginning with its end", make_run("new", "w"), false, DOBBY_INVALID_ARGUMENT},
        {"ended without an end", make_run("there", "w"), true, DOBBY_INVALID_ARGUMENT},
        {"an end while running", make_run("there", "w"), true, DOBBY_INVALID_ARGUMENT},
        {"an empty reason", make_run("there", "w"), true, DOBBY_INVALID_ARGUMENT},
    };
    cases[4].row.settings = NULL;
    cases[5].row.metrics = "";
    cases[6].row.metrics = long_json;
    cases[7].row.state = RUN_UNKNOWN;
    cases[8].row.state = RUN_LOST;
    cases[8].row.ended_unix_us = 5;
    cases[9].row.state = RUN_FINISHED;
    cases[9].row.ended_unix_us = 5;
    cases[10].row.state = RUN_FINISHED;
    cases[11].row.ended_unix_us = 5;
    cases[12].row.end_reason = "";
    char *before = dump_store(store);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum run_command pending = RUN_COMMAND_UNKNOWN;
        dobby_code code = store_run_begin(store, &cases[i].row, NULL);
        if (code != cases[i].want)
            fail_msg("%s: %s", cases[i].name, dobby_code_name(code));
        if (cases[i].update && store_run_update(store, &cases[i].row, &pending, NULL) != cases[i].want)
            fail_msg("%s: updated", cases[i].name);
    }
    char *after = dump_store(store);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

struct stopping {
    struct store *store;
    unsigned count;
};

static dobby_code stop_at_second(void *context, const struct run_row *row, struct dobby_error *err)
{
    struct stopping *stopping = context;
    enum run_command pending = RUN_COMMAND_UNKNOWN;
    assert_int_equal(store_run_poll(stopping->store, row->id, &pending, NULL), DOBBY_INVALID_ARGUMENT);
    return ++stopping->count == 2 ? DOBBY_FAIL(err, DOBBY_CANCELED, "enough") : DOBBY_OK;
}

static void visitors_stop_and_keep_off_the_handle(void **state)
{
    struct store *store = *state;
    struct stopping stopping = {.store = store};
    begin(store, "a", "w");
    begin(store, "b", "w");
    begin(store, "c", "w");
    ASSERT_FAILS(store_run_list(store, &(struct run_filter){0}, stop_at_second, &stopping, err),
                 DOBBY_CANCELED);
    assert_int_equal(stopping.count, 2);
    (void)update(store, "a", RUN_RUNNING, SECOND);
}

static void a_sound_store_has_no_problem(void **state)
{
    struct store *store = *state;
    struct store_health health;
    put_many(store, 3);
    complete(store, "r00", 1, SECOND);
    begin(store, "a", "w");
    for (int thorough = 0; thorough < 2; thorough++) {
        memset(&health, 0xff, sizeof health);
        ASSERT_OK(store_examine(store, thorough != 0, &health, err));
        assert_string_equal(health.problem, "");
        assert_true(health.database_bytes > 0);
        assert_true(health.free_bytes < health.database_bytes);
    }
}

int main(void)
{
    static const struct suite_test tests[] = {
        SUITE_TEST(a_run_is_written_and_read_back),
        SUITE_TEST(runs_are_listed_newest_first_and_filtered),
        SUITE_TEST(commands_hold_until_another_comes),
        SUITE_TEST(commands_find_their_run),
        SUITE_TEST(without_an_id_the_only_active_run_is_meant),
        SUITE_TEST(the_runs_of_the_dead_are_lost),
        SUITE_TEST(settling_counts_in_the_runs_row),
        SUITE_TEST(unknown_runs_are_not_found),
        SUITE_TEST(bad_rows_are_refused),
        SUITE_TEST(visitors_stop_and_keep_off_the_handle),
        SUITE_TEST(a_sound_store_has_no_problem),
    };
    return suite_run("store, runs", tests, sizeof tests / sizeof tests[0]);
}
