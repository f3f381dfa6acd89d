#include "pipeline/jobs.h"

#include <stdio.h>
#include <stdlib.h>

dobby_code job_table_init(struct job_table *table, uint32_t capacity, struct dobby_error *err)
{
    *table = (struct job_table){.jobs = calloc(capacity, sizeof(struct job))};
    if (table->jobs == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a table of %u jobs", (unsigned)capacity);
    table->capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++)
        table->jobs[i].next_free = i + 1;
    return DOBBY_OK;
}

void job_table_release(struct job_table *table)
{
    free(table->jobs);
    *table = (struct job_table){0};
}

struct job *job_add(struct job_table *table, const char *id, uint32_t attempt, uint64_t *tag)
{
    *tag = 0;
    if (table->first_free == table->capacity)
        return NULL;
    struct job *job = &table->jobs[table->first_free];
    *tag = table->first_free;
    table->first_free = job->next_free;
    *job = (struct job){.attempt = attempt, .used = true};
    snprintf(job->id, sizeof(job->id), "%s", id);
    table->count++;
    return job;
}

struct job *job_find(struct job_table *table, uint64_t tag)
{
    return tag < table->capacity && table->jobs[tag].used ? &table->jobs[tag] : NULL;
}

void job_remove(struct job_table *table, struct job *job)
{
    job->used = false;
    job->next_free = table->first_free;
    table->first_free = (uint32_t)(job - table->jobs);
    table->count--;
}
