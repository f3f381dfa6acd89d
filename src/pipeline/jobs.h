/* What is in the engine: one entry a prompt, found by the request's tag or by the result's key. Records with
 * an equal prompt wait for the first one's result. */
#ifndef PIPELINE_JOBS_H
#define PIPELINE_JOBS_H

#include "base/crypto.h"
#include "base/limits.h"
#include "infer/engine.h"
#include "pipeline/quality.h"
#include "store/store.h"

/* A claimed record, without its content. */
struct lease {
    char id[LIMIT_RECORD_ID_BYTES + 1];
    uint32_t attempt, tries;
};

/* A record whose prompt equals that of a job. */
struct waiter {
    struct lease lease;
    struct waiter *next;
};

struct job {
    struct lease lease;
    uint64_t tag;
    uint8_t key[SHA256_BYTES];
    bool used;
    bool unsubmitted;           /* to be submitted (again) as soon as the engine has room */
    bool resampled;             /* its first result failed the quality gates; this is the second try */
    struct engine_result first; /* while resampled */
    char first_reason[QUALITY_REASON_BYTES];
    /* A copy of what the prompt was made of: the gates look at it, and a second try needs it. One allocation
     * that begins at path. Bounded by the context, since longer records do not get here. */
    char *path, *language, *content;
    size_t content_length;
    struct waiter *waiters;
    int64_t submitted_ns;
    uint64_t asked;     /* the number of its request among all that the engine was given */
    uint32_t next_free; /* index, while not used */
    uint32_t chain;     /* index of the next one of its bucket; capacity: none */
};

struct job_table {
    struct job *jobs;
    uint32_t *buckets; /* by key: an index, or capacity */
    uint32_t bucket_mask;
    uint32_t capacity, count;
    uint32_t waiters;     /* of all jobs */
    uint32_t unsubmitted; /* jobs */
    uint32_t first_free;
    uint64_t serial; /* of the next tag */
};

DOBBY_NODISCARD dobby_code job_table_init(struct job_table *table, uint32_t capacity,
                                          struct dobby_error *err);
void job_table_release(struct job_table *table);
/* Copies what it needs of the record. Fails: OUT_OF_MEMORY; INTERNAL when full. No tag is given twice. */
DOBBY_NODISCARD dobby_code job_add(struct job_table *table, const struct record *record,
                                   const uint8_t key[SHA256_BYTES], struct job **out,
                                   struct dobby_error *err);
/* Lets a record wait for the job's result. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code job_attach(struct job_table *table, struct job *job, const struct record *record,
                                      struct dobby_error *err);
struct job *job_find(struct job_table *table, uint64_t tag); /* NULL when there is none */
struct job *job_find_key(struct job_table *table, const uint8_t key[SHA256_BYTES]);
/* True for a tag that was given to a job, even if that is over. */
bool job_tag_was_given(const struct job_table *table, uint64_t tag);
/* With its waiters and its first result. */
void job_remove(struct job_table *table, struct job *job);
void job_set_unsubmitted(struct job_table *table, struct job *job, bool unsubmitted);

struct lease lease_of(const struct record *record);

#endif
