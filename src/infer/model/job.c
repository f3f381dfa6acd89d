#include "infer/model/job.h"

#include "os/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void job_list_append(struct job_list *list, struct job *job)
{
    job->next = NULL;
    if (list->last)
        list->last->next = job;
    else
        list->first = job;
    list->last = job;
    list->count++;
}

struct job *job_list_take(struct job_list *list)
{
    return list->first != NULL ? job_list_take_after(list, NULL) : NULL;
}

struct job *job_list_take_after(struct job_list *list, struct job *before)
{
    struct job **link = before != NULL ? &before->next : &list->first;
    struct job *job = *link;
    *link = job->next;
    if (list->last == job)
        list->last = before;
    list->count--;
    job->next = NULL;
    return job;
}

/* ---- equal requests ---------------------------------------------------------------------------------- */

static bool is_greedy(const struct sampling *sampling)
{
    return sampling->temperature == 0;
}

/* FNV-1a by words (Fowler, Noll, Vo): equal jobs have equal hashes, others hardly ever. */
static uint64_t hash_of(const struct job *job)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < job->prompt_count; i++)
        hash = (hash ^ (uint32_t)job->tokens[i]) * UINT64_C(0x100000001b3);
    return (hash ^ job->tokens_max) * UINT64_C(0x100000001b3);
}

bool job_is_equal(const struct job *a, const struct job *b)
{
    const struct sampling *x = &a->sampling, *y = &b->sampling;
    if (a->hash != b->hash || a->prompt_count != b->prompt_count || a->tokens_max != b->tokens_max ||
        a->ignore_end != b->ignore_end || x->temperature != y->temperature ||
        x->repetition_penalty != y->repetition_penalty)
        return false;
    if (!is_greedy(x) && (x->top_k != y->top_k || x->top_p != y->top_p || x->seed != y->seed))
        return false;
    return memcmp(a->tokens, b->tokens, a->prompt_count * sizeof a->tokens[0]) == 0;
}

void job_copy_result(struct job *job, const struct job *from)
{
    struct engine_result *to = &job->result;
    const struct engine_result *result = &from->result;
    memcpy(to->tokens, result->tokens, result->tokens_out * sizeof to->tokens[0]);
    memcpy(to->logprobs, result->logprobs, from->logprob_count * sizeof to->logprobs[0]);
    to->finish = result->finish;
    to->error = result->error;
    to->tokens_out = result->tokens_out;
    to->confidence = result->confidence;
    to->first_token_us = result->first_token_us;
    to->total_us = result->total_us;
}

/* ---- one job ----------------------------------------------------------------------------------------- */

dobby_code job_new(const struct engine_request *request, struct job **out, struct dobby_error *err)
{
    *out = NULL;
    const size_t tokens = request->token_count + request->tokens_max;
    struct job *job = calloc(1, sizeof *job + tokens * sizeof job->tokens[0]);
    if (job == NULL)
        goto failed;
    job->result.tokens = calloc(request->tokens_max, sizeof *job->result.tokens);
    job->result.logprobs = calloc(request->tokens_max, sizeof *job->result.logprobs);
    if (!job->result.tokens || !job->result.logprobs)
        goto failed;
    job->result.tag = request->tag;
    job->result.tokens_in = (uint32_t)request->token_count;
    job->sampling = request->sampling;
    job->tokens_max = request->tokens_max;
    job->ignore_end = request->ignore_end;
    job->prompt_count = job->token_count = (uint32_t)request->token_count;
    memcpy(job->tokens, request->tokens, request->token_count * sizeof job->tokens[0]);
    job->hash = hash_of(job);
    *out = job;
    return DOBBY_OK;

failed:
    job_free(job);
    return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a request of %zu tokens", tokens);
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    for (struct job *equal = job->equal; equal != NULL;) {
        struct job *next = equal->next;
        job_free(equal);
        equal = next;
    }
    engine_result_release(&job->result);
    free(job);
}

enum finish_reason job_accept(struct job *job, const struct sampler_choice *choice,
                              const struct model_config *config)
{
    struct engine_result *result = &job->result;
    if (job->logprob_count == 0)
        result->first_token_us = (clock_monotonic_ns() - job->admitted_ns) / 1000;
    result->logprobs[job->logprob_count++] = choice->logprob;
    job->probability_sum += exp((double)choice->logprob);
    for (size_t i = 0; !job->ignore_end && i < config->end_token_count; i++)
        if (choice->token == config->end_tokens[i])
            return FINISH_END_TOKEN;
    result->tokens[result->tokens_out++] = choice->token;
    job->tokens[job->token_count++] = choice->token;
    return result->tokens_out == job->tokens_max ? FINISH_LENGTH : FINISH_UNKNOWN;
}

void job_finish(struct job *job, enum finish_reason reason, int64_t now_ns)
{
    job->result.finish = reason;
    if (job->logprob_count > 0)
        job->result.confidence = job->probability_sum / job->logprob_count;
    if (job->admitted_ns != 0)
        job->result.total_us = (now_ns - job->admitted_ns) / 1000;
}
