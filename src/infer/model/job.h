/* A request on its way through the scheduler: its tokens so far and the result in the making. */
#ifndef INFER_MODEL_JOB_H
#define INFER_MODEL_JOB_H

#include "infer/engine.h"
#include "infer/model/kv_cache.h"
#include "infer/model/sampler.h"

struct job {
    struct job *next;  /* in the list that holds it */
    struct job *equal; /* the first of those that get a copy of its result; their `next` is the second */
    struct engine_result result;
    struct sampling sampling;
    uint32_t tokens_max;
    bool ignore_end;
    uint64_t hash;                      /* of what decides the result */
    uint32_t prompt_count, token_count; /* token_count: prompt and generated */
    uint32_t prefix_count;              /* of the prompt: taken from a kept prefix */
    uint32_t keep_tokens;               /* of the prompt: to be kept as a prefix once computed; 0: none */
    uint32_t passed;                    /* how often a later request was admitted before this one */
    struct kv_sequence sequence;        /* open while the job runs; its length: tokens fed so far */
    int64_t admitted_ns;                /* 0: never */
    double probability_sum;
    uint32_t logprob_count;
    int32_t tokens[]; /* (prompt_count + tokens_max) */
};

struct job_list { /* first in, first out */
    struct job *first, *last;
    uint32_t count;
};
void job_list_append(struct job_list *list, struct job *job);
struct job *job_list_take(struct job_list *list); /* NULL when empty */
/* Takes out the job after `before`; NULL: the first. There must be one. */
struct job *job_list_take_after(struct job_list *list, struct job *before);

/* Copies the request. Everything that its result will need is allocated here, so that a job cannot fail for
 * memory once it runs. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code job_new(const struct engine_request *request, struct job **out,
                                   struct dobby_error *err);
void job_free(struct job *job); /* with its equals; NULL is fine */
/* Whether both would yield the same result. */
bool job_is_equal(const struct job *a, const struct job *b);
/* Copies a finished result, but for its tag. */
void job_copy_result(struct job *job, const struct job *from);

/* Records a chosen token. Returns the reason when it was the last, else FINISH_UNKNOWN. */
enum finish_reason job_accept(struct job *job, const struct sampler_choice *choice,
                              const struct model_config *config);
/* Completes the result; the sequence must be closed. now_ns: clock_monotonic_ns. */
void job_finish(struct job *job, enum finish_reason reason, int64_t now_ns);

#endif
