/* Threads, locks, conditions: pthreads whose failures are codes (creation) or bugs (the rest). */
#ifndef OS_THREAD_H
#define OS_THREAD_H

#include "base/error.h"

#include <pthread.h>

struct thread {
    pthread_t handle;
    bool started;
};
/* name: at most 15 bytes, shown by debuggers. All signals are blocked in the new thread. Fails:
 * THREAD_FAILED. */
DOBBY_NODISCARD dobby_code thread_start(struct thread *thread, const char *name, void (*run)(void *),
                                        void *argument, struct dobby_error *err);
void thread_join(struct thread *thread); /* does nothing when not started */

struct mutex {
    pthread_mutex_t handle;
};
void mutex_init(struct mutex *mutex);
void mutex_release(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

struct condition {
    pthread_cond_t handle; /* on the monotonic clock */
};
void condition_init(struct condition *condition);
void condition_release(struct condition *condition);
void condition_wait(struct condition *condition, struct mutex *mutex);
/* False when deadline_ns (clock_monotonic_ns) has passed. */
bool condition_wait_until(struct condition *condition, struct mutex *mutex, int64_t deadline_ns);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/* Processors this process may run on (affinity and cgroup quota counted), at least 1. */
uint32_t thread_cpu_count(void);

#endif
