/* Whole runs over a scripted engine, on both stores: whatever the number of sessions, the order in which
 * results come and are saved, where runs are interrupted, and which calls fail for a while, the store holds
 * the same results in the end, and the runs' counters are what the tables hold. */
#include "property/table_helper.h"
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

#include <string.h>

enum { RECORDS = 120, WAYS = 120, RUNS_MAX = 40 };

static char contents[RECORDS][48];

/* Every tenth of a kind; a third are equal to others. */
static void make_contents(void)
{
    static const char *const words[] = {"",         "",          FAKE_LENGTH, FAKE_BLANK, FAKE_ONCE,
                                        FAKE_ERROR, FAKE_BROKEN, FAKE_LONG,   "",         FAKE_RETRY};
    for (size_t i = 0; i < RECORDS; i++)
        snprintf(contents[i], sizeof(contents[i]), "part %zu %s", i % 3 == 2 ? i % 20 : i,
                 words[i % 3 == 2 ? i % 20 % COUNT_OF(words) : i % COUNT_OF(words)]);
    contents[7][0] = '\0';
}

struct way {
    uint64_t seed;
    uint32_t sessions;
    bool sqlite, interrupted, troubled;
};

static uint32_t draw(struct way *way, uint32_t below)
{
    return (uint32_t)(bits_of(way->seed++) % below);
}

static void set_trouble(struct fixture *fixture, struct way *way)
{
    static const dobby_code codes[] = {DOBBY_STORE_BUSY, DOBBY_STORE_FULL, DOBBY_OUT_OF_MEMORY};
    for (int call = 0; call < FAULTY_CALLS; call++) {
        if (draw(way, 3) > 0)
            continue;
        fixture->store.of[call].pass = draw(way, 8);
        fixture->store.of[call].fail = 1 + draw(way, 2);
        fixture->store.of[call].code = codes[draw(way, COUNT_OF(codes))];
    }
}

/* Runs until nothing is left. Interrupted ones drain or stop at any point. */
static void run_all(struct way way, struct table *out, struct run_counts *counts)
{
    struct fixture fixture;
    const char *all[RECORDS];
    for (size_t i = 0; i < RECORDS; i++)
        all[i] = contents[i];
    fixture_open(&fixture, way.sessions);
    if (way.sqlite) {
        store_close(fixture.memory);
        fixture.memory = files_open();
        faulty_store_init(&fixture.store, fixture.memory);
    }
    fixture.options.sampling.temperature = 0;
    fixture.engine.newest_first = draw(&way, 2);
    fixture.engine.per_wait = way.sessions == 1 ? 1 : draw(&way, 5);
    fixture.engine.queue_max = 1 + draw(&way, 60);
    fixture_put(&fixture, RECORDS, all);
    if (way.troubled)
        set_trouble(&fixture, &way);
    bool done = false;
    for (uint32_t run = 0; run < RUNS_MAX && !done; run++) {
        bool last = !way.interrupted || run == RUNS_MAX - 1;
        fixture.drain_at = last ? 0 : 1 + draw(&way, 120);
        fixture.stop_at = last || draw(&way, 2) ? 0 : fixture.drain_at + draw(&way, 10);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_int_equal(fixture_count(&fixture, RECORD_LEASED), 0);
        done = fixture_count(&fixture, RECORD_PENDING) == 0;
    }
    assert_true(done);
    table_read(fixture.memory, out);
    *counts = runs_sum(fixture.memory);
    fixture_close(&fixture);
}

static void every_way_leads_to_the_same_table(void **state)
{
    (void)state;
    struct table want, have;
    struct run_counts counts;
    make_contents();
    run_all((struct way){.sessions = 1}, &want, &counts);
    counts_assert_match(&counts, &want, "one session");
    uint32_t states[RECORD_STATE_COUNT] = {0};
    for (size_t i = 0; i < want.count; i++)
        states[want.rows[i].state]++;
    assert_true(states[RECORD_COMPLETED] > 40 && states[RECORD_DEGRADED] > 10 && states[RECORD_FAILED] > 10 &&
                states[RECORD_SKIPPED] > 5);
    for (uint32_t i = 0; i < WAYS; i++) {
        struct way way = {.seed = (uint64_t)i << 32,
                          .sessions = 1 + i % 32,
                          .sqlite = i % 4 == 3,
                          .interrupted = i % 3 == 1,
                          .troubled = i % 5 == 2};
        char what[96];
        snprintf(what, sizeof(what), "way %u: %u sessions%s%s%s", (unsigned)i, (unsigned)way.sessions,
                 way.sqlite ? ", sqlite" : "", way.interrupted ? ", interrupted" : "",
                 way.troubled ? ", troubled" : "");
        run_all(way, &have, &counts);
        tables_assert_equal(&want, &have, what);
        counts_assert_match(&counts, &have, what);
        table_release(&have);
    }
    table_release(&want);
    files_release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_way_leads_to_the_same_table)};
    return cmocka_run_group_tests_name("runs lead to the same table", tests, NULL, NULL);
}
