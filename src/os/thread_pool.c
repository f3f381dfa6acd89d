/* Pools of one process share one crew of threads, as many as the widest pool asks for, so that several
 * engines do not fight over the processors. A loop hands out its indexes through one atomic counter.
 *
 * 1. `unclaimed` counts the indexes that no thread has taken, and in its upper bits how many threads the
 * loop's pool has: a worker beyond these leaves the loop alone. Whoever lowers it owns one index, and the
 * loop cannot end before that index is done: so a loop's task, context and count may be read after a claim,
 * and only then. A thread that slept through a whole loop is not waited for.
 * 2. `unfinished` counts the indexes that are not done. The caller returns when it is 0.
 * 3. A thread that goes to sleep first counts itself in (sleepers, caller_sleeps), then looks once more at
 *    what it waits for; the other side changes that first, then looks for sleepers. All four are sequentially
 *    consistent, so at least one of the two sees the other, and no wake-up is missed.
 * 4. Loops of several pools take turns in the order in which they came: so none starves. */
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

enum { WIDTH_SHIFT = 48 };
#define CLAIMS_MASK ((UINT64_C(1) << WIDTH_SHIFT) - 1)

struct worker {
    struct crew *crew;
    struct thread thread;
    uint32_t index; /* 1..; 0 is the caller */
};

struct crew {
    _Alignas(CACHE_LINE) atomic_uint_fast64_t unclaimed;
    _Alignas(CACHE_LINE) atomic_size_t unfinished;
    _Alignas(CACHE_LINE) thread_pool_task *task; /* these three: written while unclaimed is 0 */
    void *context;
    size_t count;
    atomic_uint sleepers;
    atomic_bool caller_sleeps;
    atomic_bool stop;
    atomic_int_fast64_t spin_ns;
    struct mutex lock; /* guards nothing but the moment between a last look and the wait */
    struct condition work, done;
    struct mutex turn_lock;
    struct condition turn;
    uint64_t turn_next, turn_now; /* guarded by turn_lock: the next to give out, and the one that is on */
    uint32_t pools, worker_count; /* guarded by shared_lock */
    struct worker workers[LIMIT_THREADS];
};

struct thread_pool {
    struct crew *crew; /* NULL: one thread needs none */
    uint32_t threads;
};

/* The processors are the whole process', and so is who computes on them. */
static struct crew *shared; /* NULL: no pool of several threads is open; guarded by shared_lock */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static bool may_claim(uint_fast64_t unclaimed, uint32_t thread)
{
    return (unclaimed & CLAIMS_MASK) > 0 && thread < unclaimed >> WIDTH_SHIFT;
}

/* Takes indexes until none is left. */
static void work_off(struct crew *crew, uint32_t thread)
{
    uint_fast64_t left = atomic_load_explicit(&crew->unclaimed, memory_order_acquire);
    while (may_claim(left, thread)) {
        if (!atomic_compare_exchange_weak_explicit(&crew->unclaimed, &left, left - 1, memory_order_acquire,
                                                   memory_order_acquire))
            continue;
        crew->task(crew->context, crew->count - (size_t)(left & CLAIMS_MASK), thread);
        if (atomic_fetch_sub(&crew->unfinished, 1) == 1 && atomic_load(&crew->caller_sleeps)) {
            mutex_lock(&crew->lock);
            condition_signal(&crew->done);
            mutex_unlock(&crew->lock);
        }
        left = atomic_load_explicit(&crew->unclaimed, memory_order_acquire);
    }
}

static bool work_or_stop(struct crew *crew, uint32_t thread)
{
    return may_claim(atomic_load(&crew->unclaimed), thread) || atomic_load(&crew->stop);
}

static bool all_done(struct crew *crew, uint32_t thread)
{
    (void)thread;
    return atomic_load(&crew->unfinished) == 0;
}

/* True as soon as the condition holds; false when it has not come while spinning. */
static bool spin_until(struct crew *crew, bool (*holds)(struct crew *, uint32_t), uint32_t thread)
{
    int64_t deadline_ns = 0;
    do {
        for (int i = 0; i < PAUSES_PER_CLOCK_READ; i++) {
            if (holds(crew, thread))
                return true;
            pause_briefly();
        }
        int64_t now_ns = clock_monotonic_ns();
        if (deadline_ns == 0)
            deadline_ns = now_ns + atomic_load_explicit(&crew->spin_ns, memory_order_relaxed);
        if (now_ns >= deadline_ns)
            return false;
    } while (true);
}

static void run_worker(void *argument)
{
    struct worker *worker = argument;
    struct crew *crew = worker->crew;
    while (!atomic_load(&crew->stop)) {
        if (!spin_until(crew, work_or_stop, worker->index)) {
            mutex_lock(&crew->lock);
            atomic_fetch_add(&crew->sleepers, 1);
            while (!work_or_stop(crew, worker->index))
                condition_wait(&crew->work, &crew->lock);
            atomic_fetch_sub(&crew->sleepers, 1);
            mutex_unlock(&crew->lock);
        }
        work_off(crew, worker->index);
    }
}

/* All that sleep: one that is woken alone might be beyond the loop's threads. */
static void wake_workers(struct crew *crew)
{
    if (atomic_load(&crew->sleepers) == 0)
        return;
    mutex_lock(&crew->lock);
    condition_broadcast(&crew->work);
    mutex_unlock(&crew->lock);
}

static void begin_turn(struct crew *crew)
{
    mutex_lock(&crew->turn_lock);
    const uint64_t mine = crew->turn_next++;
    while (crew->turn_now != mine)
        condition_wait(&crew->turn, &crew->turn_lock);
    mutex_unlock(&crew->turn_lock);
}

static void end_turn(struct crew *crew)
{
    mutex_lock(&crew->turn_lock);
    crew->turn_now++;
    if (crew->turn_now != crew->turn_next)
        condition_broadcast(&crew->turn);
    mutex_unlock(&crew->turn_lock);
}

static void run_loop(struct crew *crew, uint32_t threads, size_t count, thread_pool_task *task, void *context)
{
    assert((atomic_load(&crew->unclaimed) & CLAIMS_MASK) == 0 && atomic_load(&crew->unfinished) == 0);
    assert(count <= CLAIMS_MASK);
    crew->task = task;
    crew->context = context;
    crew->count = count;
    atomic_store(&crew->unfinished, count);
    atomic_store(&crew->unclaimed, (uint_fast64_t)threads << WIDTH_SHIFT | count);
    wake_workers(crew);
    work_off(crew, 0);
    if (spin_until(crew, all_done, 0))
        return;
    mutex_lock(&crew->lock);
    atomic_store(&crew->caller_sleeps, true);
    while (!all_done(crew, 0))
        condition_wait(&crew->done, &crew->lock);
    atomic_store(&crew->caller_sleeps, false);
    mutex_unlock(&crew->lock);
}

void thread_pool_run(struct thread_pool *pool, size_t count, thread_pool_task *task, void *context)
{
    if (pool->threads == 1 || count <= 1) {
        for (size_t i = 0; i < count; i++)
            task(context, i, 0);
        return;
    }
    begin_turn(pool->crew);
    run_loop(pool->crew, pool->threads, count, task, context);
    end_turn(pool->crew);
}

/* ---- who is in the crew; shared_lock is held ---- */

static struct crew *crew_new(void)
{
    struct crew *crew = aligned_alloc(CACHE_LINE, sizeof *crew);
    if (crew == NULL)
        return NULL;
    *crew = (struct crew){0};
    mutex_init(&crew->lock);
    condition_init(&crew->work);
    condition_init(&crew->done);
    mutex_init(&crew->turn_lock);
    condition_init(&crew->turn);
    return crew;
}

static void crew_free(struct crew *crew)
{
    mutex_lock(&crew->lock);
    atomic_store(&crew->stop, true);
    condition_broadcast(&crew->work);
    mutex_unlock(&crew->lock);
    for (uint32_t i = 0; i < crew->worker_count; i++)
        thread_join(&crew->workers[i].thread);
    condition_release(&crew->turn);
    mutex_release(&crew->turn_lock);
    condition_release(&crew->done);
    condition_release(&crew->work);
    mutex_release(&crew->lock);
    free(crew);
}

/* Those that are started stay, even where not all can be. */
static dobby_code crew_grow(struct crew *crew, uint32_t threads, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    while (code == DOBBY_OK && crew->worker_count + 1 < threads) {
        struct worker *worker = &crew->workers[crew->worker_count];
        worker->crew = crew;
        worker->index = crew->worker_count + 1;
        code = thread_start(&worker->thread, "dobby-compute", run_worker, worker, err);
        if (code == DOBBY_OK)
            crew->worker_count++;
    }
    /* With more threads than processors, spinning would keep the thread that is waited for from running. */
    atomic_store(&crew->spin_ns, crew->worker_count < thread_cpu_count() ? SPIN_NS : 0);
    return code;
}

static void leave_crew(void)
{
    if (--shared->pools > 0)
        return;
    crew_free(shared);
    shared = NULL;
}

static dobby_code join_crew(uint32_t threads, struct crew **out, struct dobby_error *err)
{
    if (shared == NULL)
        shared = crew_new();
    if (shared == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a pool of %u threads", threads);
    shared->pools++;
    const dobby_code code = crew_grow(shared, threads, err);
    if (code == DOBBY_OK)
        *out = shared;
    else
        leave_crew();
    return code;
}

dobby_code thread_pool_open(uint32_t threads, struct thread_pool **out, struct dobby_error *err)
{
    *out = NULL;
    if (threads == 0 || threads > LIMIT_THREADS)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "%u threads; 1 to %u are allowed", threads,
                          (unsigned)LIMIT_THREADS);
    struct thread_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a pool of %u threads", threads);
    pool->threads = threads;
    dobby_code code = DOBBY_OK;
    if (threads > 1) {
        pthread_mutex_lock(&shared_lock);
        code = join_crew(threads, &pool->crew, err);
        pthread_mutex_unlock(&shared_lock);
    }
    if (code == DOBBY_OK)
        *out = pool;
    else
        free(pool);
    return code;
}

void thread_pool_close(struct thread_pool *pool)
{
    if (pool == NULL)
        return;
    if (pool->crew != NULL) {
        pthread_mutex_lock(&shared_lock);
        leave_crew();
        pthread_mutex_unlock(&shared_lock);
    }
    free(pool);
}

uint32_t thread_pool_threads(const struct thread_pool *pool)
{
    return pool->threads;
}

uint32_t thread_pool_workers(void)
{
    pthread_mutex_lock(&shared_lock);
    const uint32_t count = shared != NULL ? shared->worker_count : 0;
    pthread_mutex_unlock(&shared_lock);
    return count;
}
