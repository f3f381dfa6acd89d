/* Backpressure: a store that is slow, or that takes nothing, stops the reader at once, and what is in memory
 * stays bounded. */
#include "base/json.h"
#include "os/clock.h"
#include "pipeline/run_state.h"
#include "unit/pipeline/run_helper.h"
#include "unit/test.h"

#include <string.h>

enum { STALLED_RECORDS = 1000, RECORDS = 500, SLOW_MS = 200, STOPPED_MS = 100 };

/* What a run does while nothing can be saved: counted at each look at the engine. */
struct stall {
    struct fixture *fixture;
    uint32_t claims_at_stall, claims_in_stall; /* calls of store_claim when saving failed first, and after */
    uint64_t leased_max;
    bool stalled;
};

static void watch_stall(void *context)
{
    struct stall *stall = context;
    struct fixture *fixture = stall->fixture;
    uint64_t leased = fixture_count(fixture, RECORD_LEASED);
    stall->leased_max = leased > stall->leased_max ? leased : stall->leased_max;
    uint32_t settles = fixture->store.of[FAULTY_SETTLE].calls, claims = fixture->store.of[FAULTY_CLAIM].calls;
    const uint32_t pass = fixture->store.of[FAULTY_SETTLE].pass, fail = fixture->store.of[FAULTY_SETTLE].fail;
    if (settles > pass && settles < pass + fail) {
        if (!stall->stalled)
            stall->claims_at_stall = claims;
        stall->stalled = true;
        stall->claims_in_stall = claims - stall->claims_at_stall;
    }
}

static void a_stalled_writer_stops_the_reader(void **state)
{
    (void)state;
    static const uint32_t sessions[] = {1, 16, 256};
    for (size_t i = 0; i < COUNT_OF(sessions); i++) {
        struct fixture fixture;
        struct stall stall = {.fixture = &fixture};
        fixture_open(&fixture, sessions[i]);
        fixture.engine.per_wait = 1;
        fixture.engine.wait_ms = 1;
        fixture.engine.on_wait = watch_stall;
        fixture.engine.context = &stall;
        fixture.store.of[FAULTY_SETTLE].pass = 2;
        fixture.store.of[FAULTY_SETTLE].fail = 5;
        fixture.store.of[FAULTY_SETTLE].code = DOBBY_STORE_BUSY;
        fixture_put(&fixture, STALLED_RECORDS, NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_true(stall.stalled);
        assert_int_equal(stall.claims_in_stall, 0);
        assert_true(stall.leased_max <= run_leases_max(sessions[i]));
        assert_int_equal(fixture.progress.completed, STALLED_RECORDS);
        fixture_close(&fixture);
    }
}

/* What a run does while saving is slow: looked at before each claim and at each snapshot of its metrics. */
struct crawl {
    struct fixture *fixture;
    uint32_t sessions, claims, snapshots;
    bool equal; /* some texts are; then more is saved than the engine answers */
};

/* Results that came back from the engine and are not saved. */
static size_t unsaved(struct fixture *fixture)
{
    const struct fake_engine *engine = &fixture->engine;
    const uint64_t open = fixture_count(fixture, RECORD_PENDING) + fixture_count(fixture, RECORD_LEASED);
    return engine->submitted - engine->count - (RECORDS - open);
}

static void before_claim(void *context)
{
    struct crawl *crawl = context;
    const struct faulty_store *store = &crawl->fixture->store;
    const int64_t now_ns = clock_monotonic_ns();
    crawl->claims++;
    if (store->slow == FAULTY_SETTLE && now_ns - store->slow_since_ns > STOPPED_MS * (int64_t)1000000)
        fail_msg("%lld ms into a slow transaction records are claimed",
                 (long long)(now_ns - store->slow_since_ns) / 1000000);
    if (!crawl->equal && unsaved(crawl->fixture) >= RUN_SETTLE_RECORDS)
        fail_msg("records are claimed while %zu results wait to be saved", unsaved(crawl->fixture));
}

static size_t depth(const struct json *queues, const char *name)
{
    int64_t number = -1;
    if (!json_to_integer(json_member(queues, name), &number) || number < 0)
        fail_msg("no queue '%s' in the metrics", name);
    return (size_t)number;
}

static void at_snapshot(void *context, const char *metrics)
{
    struct crawl *crawl = context;
    struct json *json;
    struct dobby_error err;
    assert_ok(json_parse(metrics, strlen(metrics), &json, &err), &err);
    const struct json *queues = json_member(json, "queues");
    const size_t claimed = depth(queues, "claimed"), waiting = depth(queues, "waiting_for_equal");
    const size_t engine = depth(queues, "engine_queued") + depth(queues, "engine_running");
    const size_t outbox = depth(queues, "outbox"), most = depth(queues, "leases_max");
    crawl->snapshots++;
    assert_int_equal(most, run_leases_max(crawl->sessions));
    assert_true(claimed <= RUN_CLAIM_RECORDS);
    assert_true(engine <= run_in_flight_max(crawl->sessions));
    assert_true(claimed + waiting + engine + outbox <= most);
    json_free(json);
}

static void a_slow_writer_stops_the_reader(void **state)
{
    (void)state;
    static const struct {
        uint32_t sessions;
        bool equal;
    } rows[] = {{1, false}, {16, true}, {256, false}, {256, true}};
    static char texts[RECORDS][32];
    const char *contents[RECORDS];
    for (size_t i = 0; i < RECORDS; i++) { /* every fifth is the same as another, near or far */
        snprintf(texts[i], sizeof(texts[i]), "text %zu", i % 5 == 4 ? i % 50 : i);
        contents[i] = texts[i];
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        const uint32_t sessions = rows[i].sessions;
        struct crawl crawl = {.fixture = &fixture, .sessions = sessions, .equal = rows[i].equal};
        fixture_open(&fixture, sessions); /* an engine that has all done when it is looked at */
        fixture.store.of[FAULTY_SETTLE].slow_ms = SLOW_MS;
        fixture.store.on_claim = before_claim;
        fixture.store.on_update = at_snapshot;
        fixture.store.context = &crawl;
        fixture_put(&fixture, RECORDS, rows[i].equal ? contents : NULL);
        assert_ok(fixture_run(&fixture), &fixture.err);
        assert_true(crawl.claims > 0 && crawl.snapshots > 2);
        assert_true(fixture.store.held_max <= run_leases_max(sessions));
        assert_int_equal(fixture.store.held, 0);
        assert_int_equal(fixture.progress.end, RUN_FINISHED);
        assert_int_equal(fixture.progress.completed, RECORDS);
        assert_int_equal(fixture_count(&fixture, RECORD_COMPLETED), RECORDS);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stalled_writer_stops_the_reader),
        cmocka_unit_test(a_slow_writer_stops_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
