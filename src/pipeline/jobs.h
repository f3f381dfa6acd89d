/* What is in the engine: one small entry a record, found by the request's tag. The record's content is
 * not kept. */
#ifndef PIPELINE_JOBS_H
#define PIPELINE_JOBS_H

#include "base/crypto.h"
#include "base/limits.h"

struct job {
    char id[LIMIT_RECORD_ID_BYTES + 1];
    uint32_t attempt;
    uint8_t key[SHA256_BYTES];
    bool used;
    uint32_t next_free; /* index, while not used */
};

struct job_table {
    struct job *jobs;
    uint32_t capacity, count;
    uint32_t first_free;
};

DOBBY_NODISCARD dobby_code job_table_init(struct job_table *table, uint32_t capacity,
                                          struct dobby_error *err);
void job_table_release(struct job_table *table);
/* NULL when full. *tag finds it again. id is cut at its limit. */
struct job *job_add(struct job_table *table, const char *id, uint32_t attempt, uint64_t *tag);
struct job *job_find(struct job_table *table, uint64_t tag); /* NULL when there is none */
void job_remove(struct job_table *table, struct job *job);

#endif
