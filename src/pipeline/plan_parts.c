#include "pipeline/plan_parts.h"

#include "base/limits.h"
#include "base/mix.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS_FIRST = 1024 };

/* ---- keys ---------------------------------------------------------------------------------------- */

void key_set_release(struct key_set *set)
{
    free(set->slots);
    *set = (struct key_set){0};
}

/* The slot that holds the key, or a free one; there is one. A key is spread evenly as it is. */
static size_t find_slot(const uint64_t *slots, size_t capacity, uint64_t key)
{
    size_t slot = (size_t)(key % capacity);
    while (slots[slot] != 0 && slots[slot] != key)
        slot = (slot + 1) % capacity;
    return slot;
}

static dobby_code grow(struct key_set *set, struct dobby_error *err)
{
    const size_t capacity = set->capacity > 0 ? 2 * set->capacity : KEYS_FIRST;
    uint64_t *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu result keys", capacity);
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i] != 0)
            slots[find_slot(slots, capacity, set->slots[i])] = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return DOBBY_OK;
}

dobby_code key_set_add(struct key_set *set, const uint8_t key[SHA256_BYTES], bool *added,
                       struct dobby_error *err)
{
    uint64_t word;
    memcpy(&word, key, sizeof word);
    word = word != 0 ? word : 1;
    *added = false;
    if (2 * (set->count + 1) > set->capacity) {
        const dobby_code code = grow(set, err);
        if (code != DOBBY_OK)
            return code;
    }
    const size_t slot = find_slot(set->slots, set->capacity, word);
    *added = set->slots[slot] == 0;
    if (*added && set->count < LIMIT_PLAN_KEYS) {
        set->slots[slot] = word;
        set->count++;
    }
    return DOBBY_OK;
}

/* ---- the sample ---------------------------------------------------------------------------------- */

void plan_sample_record_release(struct plan_sample_record *record)
{
    free(record->path);
    free(record->language);
    free(record->content);
    *record = (struct plan_sample_record){0};
}

void plan_sample_release(struct plan_sample *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        plan_sample_record_release(&sample->records[i]);
    free(sample->records);
    *sample = (struct plan_sample){0};
}

dobby_code plan_sample_record_copy(const struct record_row *row, struct plan_sample_record *out,
                                   struct dobby_error *err)
{
    *out = (struct plan_sample_record){.path = strdup(row->path),
                                       .language = strdup(row->language),
                                       .content = malloc(row->content_length + 1),
                                       .content_length = row->content_length};
    if (out->path == NULL || out->language == NULL || out->content == NULL) {
        plan_sample_record_release(out);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a record of %zu bytes", row->content_length);
    }
    memcpy(out->content, row->content, row->content_length);
    return DOBBY_OK;
}

/* Vitter's algorithm R. */
dobby_code plan_sample_offer(struct plan_sample *sample, uint64_t seen, struct plan_sample_record *record,
                             struct dobby_error *err)
{
    if (sample->records == NULL) {
        sample->records = calloc(PLAN_SAMPLE_RECORDS, sizeof *sample->records);
        if (sample->records == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the sample");
    }
    const bool full = sample->count == PLAN_SAMPLE_RECORDS;
    const uint64_t at = full ? mix64(seen) % (seen + 1) : sample->count;
    if (at >= PLAN_SAMPLE_RECORDS)
        return DOBBY_OK;
    struct plan_sample_record *place = &sample->records[at];
    const size_t others = sample->bytes - (full ? place->content_length : 0);
    if (record->content_length > LIMIT_BATCH_CONTENT_BYTES - others)
        return DOBBY_OK;
    if (full)
        plan_sample_record_release(place);
    else
        sample->count++;
    sample->bytes = others + record->content_length;
    *place = *record;
    *record = (struct plan_sample_record){0};
    return DOBBY_OK;
}

void plan_sample_shuffle(struct plan_sample *sample)
{
    for (size_t i = sample->count; i > 1; i--) {
        const size_t j = (size_t)(mix64(i) % i);
        const struct plan_sample_record record = sample->records[i - 1];
        sample->records[i - 1] = sample->records[j];
        sample->records[j] = record;
    }
}
