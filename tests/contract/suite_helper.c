#include "contract/suite_helper.h"

static int open_backend(void **state)
{
    const struct backend *backend = *state;
    *state = backend->open();
    return 0;
}

static int close_backend(void **state)
{
    store_close(*state);
    return 0;
}

int suite_run(const char *name, const struct suite_test *tests, size_t count)
{
    char(*names)[96] = calloc(BACKEND_COUNT * count, sizeof *names);
    struct CMUnitTest *all = calloc(BACKEND_COUNT * count, sizeof *all);
    assert_non_null(names);
    assert_non_null(all);
    for (size_t i = 0; i < BACKEND_COUNT * count; i++) {
        const struct backend *backend = &backends[i / count];
        (void)snprintf(names[i], sizeof names[i], "%s: %s", backend->name, tests[i % count].name);
        all[i] = (struct CMUnitTest){.name = names[i],
                                     .test_func = tests[i % count].test,
                                     .setup_func = open_backend,
                                     .teardown_func = close_backend,
                                     .initial_state = (void *)backend};
    }
    int failed = _cmocka_run_group_tests(name, all, BACKEND_COUNT * count, NULL, NULL);
    backends_release();
    free(all);
    free(names);
    return failed;
}

/* Claims up to limit records for owner at now_us for 60 s and writes "id:attempt " for each into text. */
static void claim_text(struct store *store, const char *owner, int64_t now_us, size_t limit, char text[512])
{
    struct record_batch batch;
    ASSERT_OK(store_claim(store, owner, now_us, now_us + 60 * SECOND, limit, &batch, err));
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < batch.count; i++)
        used += (size_t)snprintf(text + used, 512 - used, "%s:%u ", batch.records[i].id,
                                 batch.records[i].attempt);
    record_batch_release(&batch);
}

void assert_claims(struct store *store, const char *owner, int64_t now_us, size_t limit, const char *want)
{
    char text[512];
    claim_text(store, owner, now_us, limit, text);
    assert_string_equal(text, want);
}

/* Settles one lease; returns whether it was stale. */
bool settle(struct store *store, const char *id, uint32_t attempt, enum outcome_kind kind, uint32_t number,
            int64_t now_us)
{
    struct summary summary = make_summary(number, "a summary");
    struct outcome outcome = make_outcome(id, attempt, kind, &summary);
    ASSERT_OK(store_settle(store, &outcome, 1, now_us, err));
    return outcome.stale;
}

void assert_put(struct store *store, const struct record_input *inputs, size_t count, const char *scope,
                struct put_counts want)
{
    struct put_counts got = sync_source(store, "/src", inputs, count, scope, SECOND);
    assert_int_equal(got.added, want.added);
    assert_int_equal(got.updated, want.updated);
    assert_int_equal(got.unchanged, want.unchanged);
    assert_int_equal(got.removed, want.removed);
}

dobby_code see_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct seen_row *seen = context;
    (void)err;
    *seen = (struct seen_row){.count = seen->count + 1,
                              .state = row->state,
                              .attempt = row->attempt,
                              .tries = row->tries,
                              .first_line = row->first_line,
                              .position = row->position,
                              .state_us = row->state_unix_us,
                              .summary_us = row->summary_unix_us,
                              .retry_us = row->retry_unix_us,
                              .reused = row->summary != NULL && row->summary->reused};
    (void)snprintf(seen->path, sizeof seen->path, "%s", row->path);
    (void)snprintf(seen->reason, sizeof seen->reason, "%s", row->reason == NULL ? "-" : row->reason);
    (void)snprintf(seen->error_id, sizeof seen->error_id, "%s", row->error_id == NULL ? "-" : row->error_id);
    (void)snprintf(seen->summary, sizeof seen->summary, "%s",
                   row->summary == NULL ? "-" : row->summary->text);
    (void)snprintf(seen->content, sizeof seen->content, "%.*s", (int)row->content_length,
                   row->content == NULL ? "" : row->content);
    return DOBBY_OK;
}

struct seen_row get_row(struct store *store, const char *id)
{
    struct seen_row seen = {0};
    ASSERT_OK(store_get(store, id, see_row, &seen, err));
    assert_int_equal(seen.count, 1);
    return seen;
}

void put_many(struct store *store, size_t count)
{
    static char ids[64][24];
    struct record_input inputs[64];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "r%02zu", i);
        /* The paths run backwards: claims go by the order of the puts all the same. */
        inputs[i] = make_input(ids[i], "same.c", "text");
        inputs[i].position = (uint32_t)(count - i);
    }
    (void)sync_source(store, "/src", inputs, count, "", SECOND);
}

void complete(struct store *store, const char *id, uint32_t number, int64_t now_us)
{
    struct record_batch batch;
    unsigned completed = 0;
    ASSERT_OK(store_claim(store, "w", now_us, now_us + 60 * SECOND, LIMIT_BATCH_RECORDS, &batch, err));
    for (size_t i = 0; i < batch.count; i++) {
        const struct record *record = &batch.records[i];
        bool wanted = strcmp(record->id, id) == 0;
        completed += wanted;
        assert_false(settle(store, record->id, record->attempt, wanted ? OUTCOME_COMPLETED : OUTCOME_RELEASED,
                            number, now_us));
    }
    record_batch_release(&batch);
    assert_int_equal(completed, 1);
}
