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
    struct job *job = list->first;
    if (job == NULL)
        return NULL;
    list->first = job->next;
    if (list->first == NULL)
        list->last = NULL;
    list->count--;
    job->next = NULL;
    return job;
}

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
