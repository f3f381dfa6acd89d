/* Thread names and processor affinity are GNU extensions. */
#define _GNU_SOURCE
#include "os/thread.h"

#include "os/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A lock call can fail only through a bug of ours; going on would corrupt data. */
static void must(int result, const char *what)
{
    if (result == 0)
        return;
    (void)fprintf(stderr, "dobby: bug: %s: %s\n", what, strerror(result));
    abort();
}

struct start {
    void (*run)(void *);
    void *argument;
    char name[16];
};

static void *thread_main(void *context)
{
    struct start start = *(struct start *)context;
    free(context);
#ifdef __linux__
    (void)pthread_setname_np(pthread_self(), start.name);
#endif
    start.run(start.argument);
    return NULL;
}

dobby_code thread_start(struct thread *thread, const char *name, void (*run)(void *), void *argument,
                        struct dobby_error *err)
{
    *thread = (struct thread){.started = false};
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "starting thread %s", name);
    *start = (struct start){.run = run, .argument = argument};
    (void)snprintf(start->name, sizeof start->name, "%s", name);

    sigset_t all, before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before), "pthread_sigmask");
    int result = pthread_create(&thread->handle, NULL, thread_main, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "pthread_sigmask");
    if (result != 0) {
        free(start);
        return DOBBY_FAIL(err, DOBBY_THREAD_FAILED, "starting thread %s: %s", name, strerror(result));
    }
    thread->started = true;
    return DOBBY_OK;
}

void thread_join(struct thread *thread)
{
    if (!thread->started)
        return;
    must(pthread_join(thread->handle, NULL), "pthread_join");
    thread->started = false;
}

void mutex_init(struct mutex *mutex)
{
    must(pthread_mutex_init(&mutex->handle, NULL), "pthread_mutex_init");
}

void mutex_release(struct mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->handle), "pthread_mutex_destroy");
}

void mutex_lock(struct mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->handle), "pthread_mutex_lock");
}

void mutex_unlock(struct mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->handle), "pthread_mutex_unlock");
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes), "pthread_condattr_init");
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock");
    must(pthread_cond_init(&condition->handle, &attributes), "pthread_cond_init");
    (void)pthread_condattr_destroy(&attributes);
}

void condition_release(struct condition *condition)
{
    must(pthread_cond_destroy(&condition->handle), "pthread_cond_destroy");
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    must(pthread_cond_wait(&condition->handle, &mutex->handle), "pthread_cond_wait");
}

bool condition_wait_until(struct condition *condition, struct mutex *mutex, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    int result = pthread_cond_timedwait(&condition->handle, &mutex->handle, &deadline);
    if (result == ETIMEDOUT)
        return false;
    must(result, "pthread_cond_timedwait");
    return true;
}

void condition_signal(struct condition *condition)
{
    must(pthread_cond_signal(&condition->handle), "pthread_cond_signal");
}

void condition_broadcast(struct condition *condition)
{
    must(pthread_cond_broadcast(&condition->handle), "pthread_cond_broadcast");
}

/* A container's CPU quota in whole processors, rounded up; 0 where there is none. */
static uint32_t cgroup_quota(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL)
        return 0;
    unsigned long quota = 0, period = 0;
    int fields = fscanf(file, "%lu %lu", &quota, &period); /* "max 100000" reads no field: no quota */
    (void)fclose(file);
    if (fields != 2 || quota == 0 || period == 0)
        return 0;
    return (uint32_t)((quota + period - 1) / period);
}

uint32_t thread_cpu_count(void)
{
    uint32_t count = 1;
#ifdef __linux__
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        count = (uint32_t)CPU_COUNT(&allowed);
    uint32_t quota = cgroup_quota();
    if (quota > 0 && quota < count)
        count = quota;
#else
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online > 0)
        count = (uint32_t)online;
#endif
    return count > 0 ? count : 1;
}
