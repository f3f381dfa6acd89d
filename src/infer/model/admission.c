/* Which requests run next, and with what memory. */
#include "infer/model/scheduler_parts.h"
#include "os/clock.h"

/* Attached jobs hold no memory but their own, and are delivered with the one they are equal to. */
bool scheduler_attach(struct scheduler *s, struct job *job)
{
    struct job *equal = NULL;
    /* What runs while it is about to be canceled takes nobody along who came later. */
    const uint32_t running = atomic_load(&s->cancel_running) ? 0 : s->running_count;
    for (uint32_t i = 0; equal == NULL && i < running; i++)
        if (job_is_equal(s->running[i], job))
            equal = s->running[i];
    for (struct job *queued = s->queue.first; equal == NULL && queued != NULL; queued = queued->next)
        if (job_is_equal(queued, job))
            equal = queued;
    if (equal == NULL)
        return false;
    job->next = equal->equal;
    equal->equal = job;
    s->attached++;
    return true;
}

static void finish(struct scheduler *s, struct job *job)
{
    s->stats.finished++;
    s->stats.canceled += job->result.finish == FINISH_CANCELED;
    s->stats.failed += job->result.finish == FINISH_ERROR;
    job_list_append(&s->results, job);
}

void scheduler_deliver(struct scheduler *s, struct job *job, enum finish_reason reason)
{
    /* What failed may have written infinities, and what was cut off may have been about to fail. */
    if (reason != FINISH_END_TOKEN && reason != FINISH_LENGTH)
        kv_sequence_taint(&job->sequence);
    kv_sequence_close(s->kv, &job->sequence);
    job_finish(job, reason, clock_monotonic_ns());
    struct job *equal = job->equal;
    job->equal = NULL;
    while (equal != NULL) {
        struct job *next = equal->next;
        job_copy_result(equal, job);
        s->attached--;
        s->stats.shared += reason != FINISH_CANCELED;
        finish(s, equal);
        equal = next;
    }
    finish(s, job);
    condition_broadcast(&s->finished);
}

void scheduler_publish_counts(struct scheduler *s)
{
    s->stats.running = s->running_count;
    s->stats.queued = s->queue.count + s->attached;
    s->stats.sessions_now = s->tuner.now;
    s->stats.kv_bytes_used = kv_pool_bytes_used(s->kv);
    s->stats.kv_bytes_peak = kv_pool_bytes_peak(s->kv);
}

/* The job before the one to be admitted next, NULL when that is the queue's first: the longest prompt among
 * the first 2 * sessions, so that prompts that run together are of a size and the short ones fill the end. A
 * first one that was passed over as often as there are places is next, so nobody waits for ever. */
static struct job *choose(const struct scheduler *s)
{
    const uint32_t window = 2 * s->options.sessions;
    struct job *best_before = NULL, *best = s->queue.first, *before = s->queue.first;
    if (best->passed >= window)
        return NULL;
    for (uint32_t i = 1; i < window && before->next != NULL; i++, before = before->next) {
        if (before->next->prompt_count > best->prompt_count) {
            best_before = before;
            best = before->next;
        }
    }
    return best_before;
}

static bool must_wait(const struct scheduler *s, const struct job *job)
{
    for (uint32_t i = 0; i < s->running_count; i++)
        if (prefix_cache_worth_waiting(s->prefixes, job, s->running[i]))
            return true;
    return false;
}

/* The next one holds up those behind it while its memory is missing: else long ones would starve. It fits
 * once the others are gone, since scheduler_submit compared it with the limit; and what it may wait for
 * besides is a step of one that runs. */
void scheduler_admit(struct scheduler *s)
{
    while (s->running_count < s->tuner.now && s->queue.first != NULL) {
        struct job *before = choose(s);
        struct job *job = before != NULL ? before->next : s->queue.first;
        if (must_wait(s, job) || !prefix_cache_admit(s->prefixes, job, s->running_count == 0))
            return;
        (void)job_list_take_after(&s->queue, before);
        if (before != NULL)
            s->queue.first->passed++;
        job->admitted_ns = clock_monotonic_ns();
        if (job->result.error.code != DOBBY_OK) {
            scheduler_deliver(s, job, FINISH_ERROR);
            continue;
        }
        prefix_cache_plan(s->prefixes, job, s->queue.first);
        s->stats.prefix_tokens += job->prefix_count;
        s->running[s->running_count++] = job;
    }
}
