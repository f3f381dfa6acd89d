/* A loop hands out its indexes through one atomic counter.
 *
 * 1. `unclaimed` counts the indexes that no thread has taken. Whoever lowers it owns one index, and the loop
 *    cannot end before that index is done: so a loop's task, context and count may be read after a claim, and
 *    only then. A thread that slept through a whole loop is not waited for.
 * 2. `unfinished` counts the indexes that are not done. The caller returns when it is 0.
 * 3. A thread that goes to sleep first counts itself in (sleepers, caller_sleeps), then looks once more at
 *    what it waits for; the other side changes that first, then looks for sleepers. All four are sequentially
 *    consistent, so at least one of the two sees the other, and no wake-up is missed. */
#include "os/thread_pool.h"

#include "base/error.h"
#include "base/limits.h"
#include "os/clock.h"
#include "os/thread.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Loops of one forward pass follow each other within microseconds; sleeping in between would cost more. */
enum { SPIN_NS = 50000, PAUSES_PER_CLOCK_READ = 32, CACHE_LINE = 64 };

struct worker {
    struct thread_pool *pool;
    struct thread thread;
    uint32_t index;
};

struct thread_pool {
    _Alignas(CACHE_LINE) atomic_size_t unclaimed;
    _Alignas(CACHE_LINE) atomic_size_t unfinished;
    _Alignas(CACHE_LINE) thread_pool_task *task; /* these three: written while unclaimed is 0 */
    void *context;
    size_t count;
    atomic_uint sleepers;
    atomic_bool caller_sleeps;
    atomic_bool stop;
    struct mutex lock; /* guards nothing but the moment between a last look and the wait */
    struct condition work, done;
    int64_t spin_ns;
    uint32_t threads;
    struct worker *workers; /* threads - 1 */
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Takes indexes until none is left. */
static void work_off(struct thread_pool *pool, uint32_t thread)
{
    size_t left = atomic_load_explicit(&pool->unclaimed, memory_order_acquire);
    while (left > 0) {
        if (!atomic_compare_exchange_weak_explicit(&pool->unclaimed, &left, left - 1, memory_order_acquire,
                                                   memory_order_acquire))
            continue;
        pool->task(pool->context, pool->count - left, thread);
        if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            mutex_lock(&pool->lock);
            condition_signal(&pool->done);
            mutex_unlock(&pool->lock);
        }
        left = atomic_load_explicit(&pool->unclaimed, memory_order_acquire);
    }
}

static bool work_or_stop(struct thread_pool *pool)
{
    return atomic_load(&pool->unclaimed) > 0 || atomic_load(&pool->stop);
}

static bool all_done(struct thread_pool *pool)
{
    return atomic_load(&pool->unfinished) == 0;
}

/* True as soon as the condition holds; false when it has not come while spinning. */
static bool spin_until(struct thread_pool *pool, bool (*holds)(struct thread_pool *))
{
    int64_t deadline_ns = 0;
    do {
        for (int i = 0; i < PAUSES_PER_CLOCK_READ; i++) {
            if (holds(pool))
                return true;
            pause_briefly();
        }
        int64_t now_ns = clock_monotonic_ns();
        if (deadline_ns == 0)
            deadline_ns = now_ns + pool->spin_ns;
        if (now_ns >= deadline_ns)
            return false;
    } while (true);
}

static void run_worker(void *argument)
{
    struct worker *worker = argument;
    struct thread_pool *pool = worker->pool;
    while (!atomic_load(&pool->stop)) {
        if (!spin_until(pool, work_or_stop)) {
            mutex_lock(&pool->lock);
            atomic_fetch_add(&pool->sleepers, 1);
            while (!work_or_stop(pool))
                condition_wait(&pool->work, &pool->lock);
            atomic_fetch_sub(&pool->sleepers, 1);
            mutex_unlock(&pool->lock);
        }
        work_off(pool, worker->index);
    }
}

static void wake_workers(struct thread_pool *pool, size_t wanted)
{
    unsigned sleepers = atomic_load(&pool->sleepers);
    if (sleepers == 0)
        return;
    mutex_lock(&pool->lock);
    if (wanted >= sleepers)
        condition_broadcast(&pool->work);
    else
        for (size_t i = 0; i < wanted; i++)
            condition_signal(&pool->work);
    mutex_unlock(&pool->lock);
}

void thread_pool_run(struct thread_pool *pool, size_t count, thread_pool_task *task, void *context)
{
    if (pool->threads == 1 || count <= 1) {
        for (size_t i = 0; i < count; i++)
            task(context, i, 0);
        return;
    }
    assert(atomic_load(&pool->unclaimed) == 0 && atomic_load(&pool->unfinished) == 0);
    pool->task = task;
    pool->context = context;
    pool->count = count;
    atomic_store(&pool->unfinished, count);
    atomic_store(&pool->unclaimed, count);
    wake_workers(pool, count - 1);
    work_off(pool, 0);
    if (spin_until(pool, all_done))
        return;
    mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (!all_done(pool))
        condition_wait(&pool->done, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    mutex_unlock(&pool->lock);
}

dobby_code thread_pool_open(uint32_t threads, struct thread_pool **out, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    *out = NULL;
    if (threads == 0 || threads > LIMIT_THREADS)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "%u threads; 1 to %u are allowed", threads,
                          (unsigned)LIMIT_THREADS);
    struct thread_pool *pool = aligned_alloc(CACHE_LINE, sizeof *pool);
    if (pool == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a pool of %u threads", threads);
    *pool = (struct thread_pool){.threads = threads};
    /* With more threads than processors, spinning would keep the thread that is waited for from running. */
    pool->spin_ns = threads <= thread_cpu_count() ? SPIN_NS : 0;
    mutex_init(&pool->lock);
    condition_init(&pool->work);
    condition_init(&pool->done);
    pool->workers = calloc(threads, sizeof *pool->workers);
    if (pool->workers == NULL) {
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a pool of %u threads", threads);
        goto done;
    }
    for (uint32_t i = 0; i + 1 < threads && code == DOBBY_OK; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i + 1;
        code = thread_start(&pool->workers[i].thread, "dobby-compute", run_worker, &pool->workers[i], err);
    }
    if (code == DOBBY_OK) {
        *out = pool;
        pool = NULL;
    }
done:
    thread_pool_close(pool);
    return code;
}

void thread_pool_close(struct thread_pool *pool)
{
    if (pool == NULL)
        return;
    mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    condition_broadcast(&pool->work);
    mutex_unlock(&pool->lock);
    for (uint32_t i = 0; pool->workers != NULL && i + 1 < pool->threads; i++)
        thread_join(&pool->workers[i].thread);
    condition_release(&pool->done);
    condition_release(&pool->work);
    mutex_release(&pool->lock);
    free(pool->workers);
    free(pool);
}

uint32_t thread_pool_threads(const struct thread_pool *pool)
{
    return pool->threads;
}
