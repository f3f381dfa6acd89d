/* The number of sessions that hill climbing finds, on machines made of a formula and with a clock of our own.
 */
#include "infer/model/sessions.h"

#include "unit/test.h"

enum { MS = 1000000, STEP_MS = 20 };

/* Tokens a second at so many sessions. */
struct machine {
    const char *name;
    uint32_t half;       /* sessions that yield half of the most; 0: any number yields the same */
    uint32_t worse_from; /* each session beyond it adds 3 % to all times; 0: none does */
    uint32_t most;
    uint32_t want_min, want_max;
};

static double rate_of(const struct machine *machine, uint32_t sessions)
{
    double rate = 10000;
    if (machine->half > 0)
        rate *= (double)sessions / (sessions + machine->half);
    if (machine->worse_from > 0 && sessions > machine->worse_from)
        rate /= 1 + 0.03 * (sessions - machine->worse_from);
    return rate;
}

/* Runs it for so long; returns how often the number changed. */
static uint32_t run(struct session_tuner *tuner, const struct machine *machine, int64_t *now_ns,
                    uint32_t seconds, bool waiting)
{
    uint32_t changes = 0;
    for (uint32_t i = 0; i < seconds * 1000 / STEP_MS; i++) {
        *now_ns += STEP_MS * MS;
        const double noise = 1 + 0.004 * ((int)(i * 7 % 5) - 2);
        const uint32_t tokens = (uint32_t)(rate_of(machine, tuner->now) * noise * STEP_MS / 1000);
        changes += session_tuner_step(tuner, *now_ns, tokens, tuner->now, waiting);
        assert_true(tuner->now >= 1 && tuner->now <= tuner->most);
    }
    return changes;
}

static void the_number_suits_the_machine(void **state)
{
    (void)state;
    static const struct machine rows[] = {
        {"more is always better", 200, 0, 128, 128, 128},
        {"any number is as good: as at first", 0, 0, 256, SESSIONS_FIRST, 256},
        {"best in the middle", 20, 48, 256, 32, 72},
        {"too many at the start", 4, 12, 96, 8, 16},
        {"few allowed", 50, 0, 12, 12, 12},
        {"fewer than the least allowed", 50, 0, 3, 3, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct session_tuner tuner;
        int64_t now_ns = 5;
        session_tuner_init(&tuner, rows[i].most, true);
        (void)run(&tuner, &rows[i], &now_ns, 60, true);
        const uint32_t found = tuner.phase == SESSION_FIXED ? tuner.now : tuner.base;
        if (found < rows[i].want_min || found > rows[i].want_max)
            fail_msg("%s: %u", rows[i].name, found);
        /* It settles: in another minute there are but a few trials. */
        assert_true(run(&tuner, &rows[i], &now_ns, 60, true) <= 12);
    }
}

static void it_follows_when_the_machine_changes(void **state)
{
    (void)state;
    static const struct machine before = {"", 0, 8, 96, 8, 8}, after = {"", 200, 0, 128, 128, 128};
    struct session_tuner tuner;
    int64_t now_ns = 5;
    session_tuner_init(&tuner, 128, true);
    (void)run(&tuner, &before, &now_ns, 90, true);
    assert_true(tuner.base <= 12);
    (void)run(&tuner, &after, &now_ns, 180, true);
    assert_int_equal(tuner.base, 128);
}

static void nothing_is_decided_without_demand(void **state)
{
    (void)state;
    static const struct machine machine = {"", 200, 0, 128, 0, 0};
    struct session_tuner tuner;
    int64_t now_ns = 5;
    session_tuner_init(&tuner, 128, true);
    assert_int_equal(run(&tuner, &machine, &now_ns, 60, false), 0);
    assert_int_equal(tuner.now, SESSIONS_FIRST);
    for (uint32_t i = 0; i < 1000; i++) /* fewer run than may: memory is short */
        assert_false(session_tuner_step(&tuner, now_ns += STEP_MS * MS, 100, tuner.now - 1, true));
}

static void a_given_number_stays(void **state)
{
    (void)state;
    static const struct machine machine = {"", 200, 0, 128, 0, 0};
    struct session_tuner tuner;
    int64_t now_ns = 5;
    session_tuner_init(&tuner, 100, false);
    assert_int_equal(tuner.now, 100);
    assert_int_equal(run(&tuner, &machine, &now_ns, 60, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_suits_the_machine),
        cmocka_unit_test(it_follows_when_the_machine_changes),
        cmocka_unit_test(nothing_is_decided_without_demand),
        cmocka_unit_test(a_given_number_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
