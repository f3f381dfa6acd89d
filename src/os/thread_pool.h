/* A persistent pool for data-parallel loops. All pools of a process share their threads, as many as the
 * widest one asks for, and their loops take turns: several engines at once take no more processors than one.
 */
#ifndef OS_THREAD_POOL_H
#define OS_THREAD_POOL_H

#include "base/error.h"

struct thread_pool;

/* threads counts the caller: 1 starts none. Fails: INVALID_ARGUMENT, THREAD_FAILED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code thread_pool_open(uint32_t threads, struct thread_pool **out,
                                            struct dobby_error *err);
/* The threads end with the last pool. */
void thread_pool_close(struct thread_pool *pool);
uint32_t thread_pool_threads(const struct thread_pool *pool);
/* Threads that the pools of this process have started, callers not counted. */
uint32_t thread_pool_workers(void);

/* Calls task(context, index, thread) once for every index below count, on the pool's threads and the
 * caller (thread 0), and returns when all are done. Which thread takes an index is not fixed. One loop
 * at a time per pool; it waits for those of other pools that came before it. A task must not run a loop. */
typedef void thread_pool_task(void *context, size_t index, uint32_t thread);
void thread_pool_run(struct thread_pool *pool, size_t count, thread_pool_task *task, void *context);

#endif
