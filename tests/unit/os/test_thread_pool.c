#include "os/thread_pool.h"

#include "base/limits.h"
#include "os/clock.h"
#include "os/thread.h"
#include "unit/test.h"

#include <stdatomic.h>
#include <string.h>

enum { INDEXES_MAX = 5000, THREADS_MAX = 16 };

struct tally {
    uint32_t threads;
    atomic_int taken[INDEXES_MAX];
    int results[INDEXES_MAX]; /* plain: the pool must make them visible to the caller */
    atomic_int misplaced;
    atomic_int inside[THREADS_MAX]; /* calls now running under one thread number */
};

static void count_index(void *context, size_t index, uint32_t thread)
{
    struct tally *tally = context;
    if (thread >= tally->threads || atomic_fetch_add(&tally->inside[thread], 1) != 0)
        atomic_fetch_add(&tally->misplaced, 1);
    atomic_fetch_add(&tally->taken[index], 1);
    tally->results[index] = (int)index + 1;
    atomic_fetch_sub(&tally->inside[thread], 1);
}

static struct thread_pool *pool_of(uint32_t threads)
{
    struct thread_pool *pool;
    struct dobby_error err;
    assert_ok(thread_pool_open(threads, &pool, &err), &err);
    assert_int_equal(thread_pool_threads(pool), threads);
    return pool;
}

static void run_and_check(struct thread_pool *pool, size_t count, struct tally *tally)
{
    memset(tally, 0, sizeof *tally);
    tally->threads = thread_pool_threads(pool);
    thread_pool_run(pool, count, count_index, tally);
    assert_int_equal(tally->misplaced, 0);
    for (size_t i = 0; i < INDEXES_MAX; i++) {
        assert_int_equal(tally->taken[i], i < count ? 1 : 0);
        assert_int_equal(tally->results[i], i < count ? (int)i + 1 : 0);
    }
}

static void test_every_index_once(void **state)
{
    (void)state;
    static struct tally tally;
    const uint32_t threads[] = {1, 2, 3, 4, THREADS_MAX};
    const size_t counts[] = {0, 1, 2, 3, 7, 16, 100, INDEXES_MAX};
    for (size_t t = 0; t < COUNT_OF(threads); t++) {
        struct thread_pool *pool = pool_of(threads[t]);
        for (size_t i = 0; i < COUNT_OF(counts); i++)
            run_and_check(pool, counts[i], &tally);
        thread_pool_close(pool);
    }
}

struct sum {
    atomic_size_t total;
};

static void add_index(void *context, size_t index, uint32_t thread)
{
    (void)thread;
    atomic_fetch_add(&((struct sum *)context)->total, index + 1);
}

/* Loops in quick succession: a thread that is late for one must not take the next one's indexes wrongly. */
static void test_many_short_loops(void **state)
{
    (void)state;
    const uint32_t threads[] = {2, 4};
    for (size_t t = 0; t < COUNT_OF(threads); t++) {
        struct thread_pool *pool = pool_of(threads[t]);
        for (size_t loop = 0; loop < 20000; loop++) {
            struct sum sum = {0};
            size_t count = 1 + loop % 9;
            thread_pool_run(pool, count, add_index, &sum);
            assert_int_equal(sum.total, count * (count + 1) / 2);
        }
        thread_pool_close(pool);
    }
}

/* Pauses long enough for the threads to fall asleep: no wake-up may be missed. */
static void test_loops_after_sleep(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(4);
    for (int loop = 0; loop < 100; loop++) {
        struct sum sum = {0};
        if (loop % 2 == 0)
            clock_sleep_ms(1);
        thread_pool_run(pool, 8, add_index, &sum);
        assert_int_equal(sum.total, 36);
    }
    thread_pool_close(pool);
}

struct meeting {
    atomic_uint arrived;
    uint32_t expected;
};

/* Returns only when all threads are in: so a loop that is not shared out would never end. */
static void meet(void *context, size_t index, uint32_t thread)
{
    struct meeting *meeting = context;
    (void)index;
    (void)thread;
    atomic_fetch_add(&meeting->arrived, 1);
    while (atomic_load(&meeting->arrived) < meeting->expected)
        clock_sleep_ms(1);
}

static void test_all_threads_take_part(void **state)
{
    (void)state;
    for (uint32_t threads = 2; threads <= 5; threads++) {
        struct thread_pool *pool = pool_of(threads);
        for (int loop = 0; loop < 5; loop++) {
            struct meeting meeting = {.expected = threads};
            thread_pool_run(pool, threads, meet, &meeting);
            assert_int_equal(meeting.arrived, threads);
        }
        thread_pool_close(pool);
    }
}

enum { RIVALS = 4, RIVAL_LOOPS = 1500 };

struct rival {
    struct thread thread;
    struct thread_pool *pool;
    struct tally tally;
};

static void run_rival(void *argument)
{
    struct rival *rival = argument;
    for (size_t loop = 0; loop < RIVAL_LOOPS; loop++) {
        const size_t count = 2 + loop % 7;
        memset(&rival->tally, 0, sizeof rival->tally);
        rival->tally.threads = thread_pool_threads(rival->pool);
        thread_pool_run(rival->pool, count, count_index, &rival->tally);
        for (size_t i = 0; i <= count; i++)
            if (rival->tally.results[i] != (i < count ? (int)i + 1 : 0))
                return; /* and the last tally says so */
        if (rival->tally.misplaced != 0)
            return;
    }
    rival->tally.threads = 0; /* all went well */
}

/* Pools of several callers: each loop has its own indexes and thread numbers, and there are no more threads
 * than the widest pool has. */
static void test_pools_take_turns(void **state)
{
    (void)state;
    static struct rival rivals[RIVALS];
    const uint32_t threads[RIVALS] = {2, 4, 3, 2};
    struct dobby_error err;
    for (size_t i = 0; i < RIVALS; i++)
        rivals[i].pool = pool_of(threads[i]);
    assert_int_equal(thread_pool_workers(), 3);
    for (size_t i = 0; i < RIVALS; i++)
        assert_ok(thread_start(&rivals[i].thread, "rival", run_rival, &rivals[i], &err), &err);
    for (size_t i = 0; i < RIVALS; i++) {
        thread_join(&rivals[i].thread);
        assert_int_equal(rivals[i].tally.threads, 0);
    }
    assert_int_equal(thread_pool_workers(), 3);
    for (size_t i = 0; i < RIVALS; i++)
        thread_pool_close(rivals[i].pool);
    assert_int_equal(thread_pool_workers(), 0);
}

/* A wider pool that opens and closes meanwhile changes nothing for one that works. */
static void test_pools_come_and_go(void **state)
{
    (void)state;
    static struct rival rival;
    struct dobby_error err;
    rival.pool = pool_of(2);
    assert_ok(thread_start(&rival.thread, "rival", run_rival, &rival, &err), &err);
    static struct tally tally;
    for (uint32_t i = 0; i < 20; i++) {
        struct thread_pool *pool = pool_of(3 + i % 3);
        run_and_check(pool, 50, &tally);
        thread_pool_close(pool);
    }
    thread_join(&rival.thread);
    assert_int_equal(rival.tally.threads, 0);
    thread_pool_close(rival.pool);
}

static void test_open_and_close_without_work(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        thread_pool_close(pool_of(1 + (uint32_t)i % 4));
    thread_pool_close(NULL);
}

static void test_bad_sizes_are_refused(void **state)
{
    (void)state;
    const uint32_t sizes[] = {0, LIMIT_THREADS + 1, UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct thread_pool *pool = (struct thread_pool *)1;
        struct dobby_error err;
        assert_code(thread_pool_open(sizes[i], &pool, &err), DOBBY_INVALID_ARGUMENT);
        assert_null(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index_once),
        cmocka_unit_test(test_many_short_loops),
        cmocka_unit_test(test_loops_after_sleep),
        cmocka_unit_test(test_all_threads_take_part),
        cmocka_unit_test(test_pools_take_turns),
        cmocka_unit_test(test_pools_come_and_go),
        cmocka_unit_test(test_open_and_close_without_work),
        cmocka_unit_test(test_bad_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
