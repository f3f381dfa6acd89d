/* A persistent pool for data-parallel loops. */
#ifndef OS_THREAD_POOL_H
#define OS_THREAD_POOL_H

#include "base/error.h"

struct thread_pool;

/* threads counts the caller: 1 starts none. Fails: THREAD_FAILED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code thread_pool_open(uint32_t threads, struct thread_pool **out,
                                            struct dobby_error *err);
void thread_pool_close(struct thread_pool *pool);
uint32_t thread_pool_threads(const struct thread_pool *pool);

/* Calls task(context, index, thread) once for every index below count, on the pool's threads and the
 * caller (thread 0), and returns when all are done. Which thread takes an index is not fixed. One loop
 * at a time per pool. */
typedef void thread_pool_task(void *context, size_t index, uint32_t thread);
void thread_pool_run(struct thread_pool *pool, size_t count, thread_pool_task *task, void *context);

#endif
