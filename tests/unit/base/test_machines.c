/* State machines without I/O: retries, the circuit breaker, percentiles. */
#include "base/breaker.h"
#include "base/histogram.h"
#include "unit/test.h"

#include <string.h>

static void retry_follows_the_error_and_the_count(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        dobby_code code;
        uint32_t attempts_max, attempts;
        enum retry_verdict want;
    } rows[] = {
        {"the first of three", DOBBY_OUT_OF_MEMORY, 3, 1, RETRY_AGAIN},
        {"the second of three", DOBBY_OUT_OF_MEMORY, 3, 2, RETRY_AGAIN},
        {"the last of three", DOBBY_OUT_OF_MEMORY, 3, 3, RETRY_EXHAUSTED},
        {"more than the last", DOBBY_OUT_OF_MEMORY, 3, 9, RETRY_EXHAUSTED},
        {"only one attempt", DOBBY_OUT_OF_MEMORY, 1, 1, RETRY_EXHAUSTED},
        {"no limit", DOBBY_STORE_BUSY, 0, UINT32_MAX, RETRY_AGAIN},
        {"a final error", DOBBY_NUMERIC_FAILURE, 3, 1, RETRY_USELESS},
        {"a final error without a limit", DOBBY_INTERNAL, 0, 1, RETRY_USELESS},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct retry_policy policy = {.attempts_max = rows[i].attempts_max};
        if (retry_decide(&policy, rows[i].code, rows[i].attempts) != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

static void retry_backs_off(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t first_ms, max_ms;
        uint32_t attempts;
        int64_t want_ms; /* the whole delay: half of it to all of it is drawn */
    } rows[] = {
        {"first", 1000, 60000, 1, 1000},
        {"no attempt counts as one", 1000, 60000, 0, 1000},
        {"second", 1000, 60000, 2, 2000},
        {"sixth", 1000, 60000, 6, 32000},
        {"capped", 1000, 60000, 7, 60000},
        {"far behind the cap", 1000, 60000, UINT32_MAX, 60000},
        {"the cap is below the first", 1000, 10, 1, 10},
        {"no delay", 0, 60000, 5, 0},
        {"one millisecond", 1, 1, 1, 1},
        {"the largest there is", INT64_MAX / 4, INT64_MAX / 2, 9, INT64_MAX / 2},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct retry_policy policy = {.delay_first_ms = rows[i].first_ms,
                                            .delay_max_ms = rows[i].max_ms};
        int64_t least = INT64_MAX, most = 0;
        for (uint64_t seed = 0; seed < 200; seed++) {
            int64_t delay_ms = retry_delay_ms(&policy, rows[i].attempts, seed);
            assert_int_equal(delay_ms, retry_delay_ms(&policy, rows[i].attempts, seed));
            least = delay_ms < least ? delay_ms : least;
            most = delay_ms > most ? delay_ms : most;
        }
        if (least < rows[i].want_ms / 2 || most > rows[i].want_ms ||
            (rows[i].want_ms >= 10 && most - least < rows[i].want_ms / 4))
            fail_msg("%s: from %lld to %lld ms", rows[i].name, (long long)least, (long long)most);
    }
}

/* One step: what is done at a time, and the state after it. */
enum step_kind { END, ALLOWED, REFUSED, SUCCESS, FAILURE, TRIP, ABANDON };
struct step {
    int64_t at_ms;
    enum step_kind kind;
    enum breaker_state want;
};

/* Cool-downs of 100 ms, doubling to 400 ms, of which half at least is waited. */
static const struct {
    const char *name;
    struct step steps[14];
} scripts[] = {
    {"failures below the limit leave it closed",
     {{0, FAILURE, BREAKER_CLOSED}, {0, FAILURE, BREAKER_CLOSED}, {1, ALLOWED, BREAKER_CLOSED}}},
    {"a success forgets the failures before it",
     {{0, FAILURE, BREAKER_CLOSED},
      {0, FAILURE, BREAKER_CLOSED},
      {0, SUCCESS, BREAKER_CLOSED},
      {0, FAILURE, BREAKER_CLOSED},
      {0, FAILURE, BREAKER_CLOSED}}},
    {"the third failure opens, a probe closes",
     {{0, FAILURE, BREAKER_CLOSED},
      {0, FAILURE, BREAKER_CLOSED},
      {0, FAILURE, BREAKER_OPEN},
      {49, REFUSED, BREAKER_OPEN},
      {100, ALLOWED, BREAKER_HALF_OPEN},
      {100, REFUSED, BREAKER_HALF_OPEN},
      {500, REFUSED, BREAKER_HALF_OPEN},
      {501, SUCCESS, BREAKER_CLOSED},
      {501, ALLOWED, BREAKER_CLOSED}}},
    {"one failure is enough without a doubt",
     {{0, TRIP, BREAKER_OPEN}, {49, REFUSED, BREAKER_OPEN}, {100, ALLOWED, BREAKER_HALF_OPEN}}},
    {"a failed probe waits twice as long, up to the limit",
     {{0, TRIP, BREAKER_OPEN},
      {100, ALLOWED, BREAKER_HALF_OPEN},
      {100, FAILURE, BREAKER_OPEN},
      {199, REFUSED, BREAKER_OPEN},
      {300, ALLOWED, BREAKER_HALF_OPEN},
      {300, TRIP, BREAKER_OPEN},
      {499, REFUSED, BREAKER_OPEN},
      {700, ALLOWED, BREAKER_HALF_OPEN},
      {700, FAILURE, BREAKER_OPEN},
      {1100, ALLOWED, BREAKER_HALF_OPEN}}},
    {"failures of calls that began before do not lengthen the wait",
     {{0, TRIP, BREAKER_OPEN},
      {20, FAILURE, BREAKER_OPEN},
      {30, TRIP, BREAKER_OPEN},
      {100, ALLOWED, BREAKER_HALF_OPEN}}},
    {"a late success closes it",
     {{0, TRIP, BREAKER_OPEN}, {20, SUCCESS, BREAKER_CLOSED}, {20, FAILURE, BREAKER_CLOSED}}},
    {"a probe that was not made can be made again at once",
     {{0, TRIP, BREAKER_OPEN},
      {100, ALLOWED, BREAKER_HALF_OPEN},
      {110, ABANDON, BREAKER_OPEN},
      {110, ALLOWED, BREAKER_HALF_OPEN},
      {110, SUCCESS, BREAKER_CLOSED},
      {120, ABANDON, BREAKER_CLOSED}}},
    {"after closing the waits begin anew",
     {{0, TRIP, BREAKER_OPEN},
      {100, ALLOWED, BREAKER_HALF_OPEN},
      {100, FAILURE, BREAKER_OPEN},
      {300, ALLOWED, BREAKER_HALF_OPEN},
      {300, SUCCESS, BREAKER_CLOSED},
      {400, TRIP, BREAKER_OPEN},
      {449, REFUSED, BREAKER_OPEN},
      {500, ALLOWED, BREAKER_HALF_OPEN}}},
};

static void take(struct breaker *breaker, const struct step *step, const char *name)
{
    const int64_t now_ns = step->at_ms * 1000000;
    bool would = breaker_would_allow(breaker, now_ns);
    assert_int_equal(would, breaker_wait_ns(breaker, now_ns) == 0);
    switch (step->kind) {
    case END:
        return;
    case ALLOWED:
    case REFUSED:
        if (breaker_allows(breaker, now_ns) != (step->kind == ALLOWED) || would != (step->kind == ALLOWED))
            fail_msg("%s: at %lld ms", name, (long long)step->at_ms);
        break;
    case SUCCESS:
        breaker_success(breaker);
        break;
    case FAILURE:
        breaker_failure(breaker, now_ns);
        break;
    case TRIP:
        breaker_trip(breaker, now_ns);
        break;
    case ABANDON:
        breaker_abandon(breaker, now_ns);
        break;
    }
    if (breaker->state != step->want)
        fail_msg("%s: at %lld ms: %s, want %s", name, (long long)step->at_ms,
                 breaker_state_name(breaker->state), breaker_state_name(step->want));
}

static void breaker_moves_as_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct breaker breaker = {
                .policy = {.failures_max = 3, .cool_down = {.delay_first_ms = 100, .delay_max_ms = 400}},
                .seed = seed};
            for (size_t k = 0; scripts[i].steps[k].kind != END; k++)
                take(&breaker, &scripts[i].steps[k], scripts[i].name);
        }
    }
}

static void breaker_tells_how_long(void **state)
{
    (void)state;
    struct breaker breaker = {.policy = {.failures_max = 1, .cool_down = {1000, 1000, 0}}};
    assert_int_equal(breaker_trouble_ns(&breaker, 5), 0);
    breaker_failure(&breaker, 1000);
    assert_int_equal(breaker_trouble_ns(&breaker, 5000), 4000);
    assert_int_equal(breaker_wait_ns(&breaker, 1000), breaker.probe_ns - 1000);
    assert_true(breaker_allows(&breaker, breaker.probe_ns));
    assert_true(breaker_wait_ns(&breaker, breaker.probe_ns) == INT64_MAX);
    breaker_failure(&breaker, breaker.probe_ns);
    assert_int_equal(breaker_trouble_ns(&breaker, 5000), 4000); /* since it first opened */
    assert_int_equal(breaker.opened, 1);
    breaker_success(&breaker);
    assert_int_equal(breaker_trouble_ns(&breaker, 5000), 0);
    breaker_trip(&breaker, 6000);
    assert_int_equal(breaker.opened, 2);
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
    assert_string_equal(breaker_state_name((enum breaker_state)99), "unknown");
}

static void histogram_is_within_its_error(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t first, step;
        uint32_t count;
    } rows[] = {
        {"one value", 1234567, 0, 1},
        {"small values are exact", 0, 1, 31},
        {"a ramp", 1, 1, 100000},
        {"milliseconds", 1000, 977, 5000},
        {"large values", INT64_C(1) << 38, INT64_C(1) << 30, 500},
    };
    static const double shares[] = {0, 0.01, 0.5, 0.95, 0.99, 1};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct histogram histogram;
        histogram = (struct histogram){0};
        for (uint32_t k = 0; k < rows[i].count; k++)
            histogram_add(&histogram, rows[i].first + rows[i].step * k);
        for (size_t k = 0; k < COUNT_OF(shares); k++) {
            uint32_t rank = (uint32_t)(shares[k] * rows[i].count + 0.999999);
            int64_t want = rows[i].first + rows[i].step * (rank > 0 ? rank - 1 : 0);
            int64_t got = histogram_percentile(&histogram, shares[k]);
            int64_t error = got > want ? got - want : want - got;
            if (error > want / 32 || got > histogram.max)
                fail_msg("%s: %g: %lld, want %lld", rows[i].name, shares[k], (long long)got, (long long)want);
        }
    }
}

static void histogram_keeps_its_bounds(void **state)
{
    (void)state;
    static struct histogram histogram;
    assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
    histogram_add(&histogram, -5);
    assert_int_equal(histogram_percentile(&histogram, 1), 0);
    histogram_add(&histogram, INT64_MAX);
    histogram_add(&histogram, INT64_C(1) << 40);
    assert_int_equal(histogram.count, 3);
    assert_true(histogram.max == INT64_MAX);
    int64_t top = histogram_percentile(&histogram, 1);
    assert_true(top > (INT64_C(1) << 40) / 32 * 31 && top < INT64_C(1) << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_follows_the_error_and_the_count),
        cmocka_unit_test(retry_backs_off),
        cmocka_unit_test(breaker_moves_as_told),
        cmocka_unit_test(breaker_tells_how_long),
        cmocka_unit_test(histogram_is_within_its_error),
        cmocka_unit_test(histogram_keeps_its_bounds),
    };
    return cmocka_run_group_tests_name("state machines", tests, NULL, NULL);
}
