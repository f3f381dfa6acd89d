#include "pipeline/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

dobby_code job_table_init(struct job_table *table, uint32_t capacity, struct dobby_error *err)
{
    uint32_t buckets = 1;
    while (buckets < capacity)
        buckets *= 2;
    *table = (struct job_table){.jobs = calloc(capacity, sizeof(struct job)),
                                .buckets = calloc(buckets, sizeof(table->buckets[0])),
                                .bucket_mask = buckets - 1};
    if (table->jobs == NULL || table->buckets == NULL) {
        job_table_release(table);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a table of %u jobs", (unsigned)capacity);
    }
    table->capacity = capacity;
    for (uint32_t i = 0; i < buckets; i++)
        table->buckets[i] = capacity;
    for (uint32_t i = 0; i < capacity; i++)
        table->jobs[i].next_free = i + 1;
    return DOBBY_OK;
}

void job_table_release(struct job_table *table)
{
    for (uint32_t i = 0; i < table->capacity; i++)
        if (table->jobs[i].used)
            job_remove(table, &table->jobs[i]);
    free(table->jobs);
    free(table->buckets);
    *table = (struct job_table){0};
}

struct lease lease_of(const struct record *record)
{
    struct lease lease = {.attempt = record->attempt, .tries = record->tries};
    snprintf(lease.id, sizeof(lease.id), "%s", record->id);
    return lease;
}

/* A key is a hash already: any part of it will do. */
static uint32_t *bucket_of(const struct job_table *table, const uint8_t key[SHA256_BYTES])
{
    uint32_t hash;
    memcpy(&hash, key, sizeof(hash));
    return &table->buckets[hash & table->bucket_mask];
}

static char *copy_texts(const struct record *record, struct job *job)
{
    size_t path_bytes = strlen(record->path) + 1, language_bytes = strlen(record->language) + 1;
    job->path = malloc(path_bytes + language_bytes + record->content_length + 1);
    if (job->path == NULL)
        return NULL;
    job->language = job->path + path_bytes;
    job->content = job->language + language_bytes;
    job->content_length = record->content_length;
    memcpy(job->path, record->path, path_bytes);
    memcpy(job->language, record->language, language_bytes);
    if (record->content_length > 0)
        memcpy(job->content, record->content, record->content_length);
    job->content[record->content_length] = '\0';
    return job->path;
}

dobby_code job_add(struct job_table *table, const struct record *record, const uint8_t key[SHA256_BYTES],
                   struct job **out, struct dobby_error *err)
{
    *out = NULL;
    if (table->first_free == table->capacity)
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "%u jobs and another one", (unsigned)table->capacity);
    struct job *job = &table->jobs[table->first_free], texts = {0};
    if (copy_texts(record, &texts) == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a copy of %zu bytes", record->content_length);
    uint32_t index = table->first_free, *bucket = bucket_of(table, key);
    table->first_free = job->next_free;
    *job = texts;
    job->lease = lease_of(record);
    job->tag = table->serial++ * table->capacity + index;
    job->used = true;
    memcpy(job->key, key, SHA256_BYTES);
    job->chain = *bucket;
    *bucket = index;
    table->count++;
    *out = job;
    return DOBBY_OK;
}

dobby_code job_attach(struct job_table *table, struct job *job, const struct record *record,
                      struct dobby_error *err)
{
    struct waiter *waiter = malloc(sizeof(*waiter));
    if (waiter == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a record that waits for an equal one");
    *waiter = (struct waiter){.lease = lease_of(record), .next = job->waiters};
    job->waiters = waiter;
    table->waiters++;
    return DOBBY_OK;
}

struct job *job_find(struct job_table *table, uint64_t tag)
{
    struct job *job = table->capacity > 0 ? &table->jobs[tag % table->capacity] : NULL;
    return job != NULL && job->used && job->tag == tag ? job : NULL;
}

struct job *job_find_key(struct job_table *table, const uint8_t key[SHA256_BYTES])
{
    uint32_t index = *bucket_of(table, key);
    while (index < table->capacity && memcmp(table->jobs[index].key, key, SHA256_BYTES) != 0)
        index = table->jobs[index].chain;
    return index < table->capacity ? &table->jobs[index] : NULL;
}

bool job_tag_was_given(const struct job_table *table, uint64_t tag)
{
    return tag / table->capacity < table->serial;
}

void job_set_unsubmitted(struct job_table *table, struct job *job, bool unsubmitted)
{
    if (job->unsubmitted != unsubmitted)
        table->unsubmitted += unsubmitted ? 1 : UINT32_MAX;
    job->unsubmitted = unsubmitted;
}

void job_remove(struct job_table *table, struct job *job)
{
    uint32_t index = (uint32_t)(job - table->jobs), *link = bucket_of(table, job->key);
    while (*link != index)
        link = &table->jobs[*link].chain;
    *link = job->chain;
    job_set_unsubmitted(table, job, false);
    for (struct waiter *waiter = job->waiters, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        free(waiter);
        table->waiters--;
    }
    engine_result_release(&job->first);
    free(job->path);
    *job = (struct job){.next_free = table->first_free};
    table->first_free = index;
    table->count--;
}
