/* The number of records in the engine at once, over simulated engines and a simulated clock. */
#include "pipeline/concurrency.h"
#include "unit/test.h"

/* An engine's throughput by the records in it. */
struct shape {
    const char *name;
    double per_session;  /* records a second of each, up to */
    double most;         /* so many together */
    double worse_beyond; /* sessions from which on each costs 2 % */
    uint32_t min, max;
    uint32_t least, greatest; /* where the limit has to settle */
};

static double rate_of(const struct shape *shape, uint32_t limit)
{
    double rate = shape->per_session * limit < shape->most ? shape->per_session * limit : shape->most;
    if (limit > shape->worse_beyond)
        rate *= 1 - 0.02 * (limit - shape->worse_beyond);
    return rate > 1 ? rate : 1;
}

/* Completes records at the shape's rate for so many seconds, with a scatter of +-1 %. */
static void simulate(struct concurrency *concurrency, const struct shape *shape, int64_t *now_ns,
                     uint32_t seconds)
{
    const int64_t end_ns = *now_ns + seconds * INT64_C(1000000000);
    for (uint32_t i = 0; *now_ns < end_ns; i++) {
        double scatter = 1 + 0.01 * ((double)(i * 7919 % 101) / 50 - 1);
        *now_ns += (int64_t)(1e9 * scatter / rate_of(shape, concurrency->limit));
        concurrency_completed(concurrency, *now_ns);
        concurrency_tick(concurrency, *now_ns);
        assert_in_range(concurrency->limit, shape->min, shape->max);
    }
}

static void settles_where_the_engine_is_full(void **state)
{
    (void)state;
    static const struct shape rows[] = {
        {"more is always faster", 2, 1e9, 1e9, 1, 64, 64, 64},
        {"full at ten", 10, 100, 1e9, 1, 64, 10, 14},
        {"full at one", 100, 100, 1e9, 1, 32, 1, 2},
        {"full at ten, but never below 20", 10, 100, 1e9, 20, 64, 20, 27},
        {"best at 33, where each more costs what it gains", 10, 1e9, 16, 1, 48, 26, 42},
        {"nothing to choose", 10, 100, 1e9, 8, 8, 8, 8},
        {"two to choose from", 10, 1e9, 1e9, 1, 2, 2, 2},
        {"slow: a record every two seconds each", 0.5, 4, 1e9, 1, 16, 8, 11},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct concurrency concurrency;
        int64_t now_ns = 1000000;
        print_message("    %s\n", rows[i].name);
        concurrency_init(&concurrency, rows[i].min, rows[i].max);
        assert_int_equal(concurrency.limit, rows[i].max);
        simulate(&concurrency, &rows[i], &now_ns, 600);
        assert_in_range(concurrency.kept, rows[i].least, rows[i].greatest);
    }
}

static void follows_an_engine_that_changes(void **state)
{
    (void)state;
    static const struct shape narrow = {"full at four", 10, 40, 1e9, 1, 64, 4, 6};
    static const struct shape wide = {"full at forty", 10, 400, 1e9, 1, 64, 40, 54};
    struct concurrency concurrency;
    int64_t now_ns = 1;
    concurrency_init(&concurrency, 1, 64);
    simulate(&concurrency, &narrow, &now_ns, 600);
    assert_in_range(concurrency.kept, narrow.least, narrow.greatest);
    simulate(&concurrency, &wide, &now_ns, 600);
    assert_in_range(concurrency.kept, wide.least, wide.greatest);
}

/* Measurements without enough records say nothing, and are not acted upon. */
static void a_starved_engine_moves_nothing(void **state)
{
    (void)state;
    struct concurrency concurrency;
    concurrency_init(&concurrency, 1, 64);
    for (int64_t second = 1; second < 1000; second++) {
        concurrency_completed(&concurrency, second * 1000000000);
        concurrency_starved(&concurrency);
        assert_false(concurrency_tick(&concurrency, second * 1000000000));
    }
    assert_int_equal(concurrency.limit, 64);
    assert_int_equal(concurrency.moves, 0);
}

/* At rest, tries become rare: what is tried costs up to a quarter of the throughput. */
static void tries_become_rare(void **state)
{
    (void)state;
    static const struct shape linear = {"more is always faster", 2, 1e9, 1e9, 1, 64, 64, 64};
    struct concurrency concurrency;
    int64_t now_ns = 1;
    uint32_t tried = 0;
    concurrency_init(&concurrency, 1, 64);
    simulate(&concurrency, &linear, &now_ns, 600);
    for (uint32_t second = 0; second < 600; second++) {
        simulate(&concurrency, &linear, &now_ns, 1);
        tried += concurrency.limit != concurrency.kept;
    }
    assert_in_range(tried, 1, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settles_where_the_engine_is_full),
        cmocka_unit_test(follows_an_engine_that_changes),
        cmocka_unit_test(a_starved_engine_moves_nothing),
        cmocka_unit_test(tries_become_rare),
    };
    return cmocka_run_group_tests_name("concurrency", tests, NULL, NULL);
}
