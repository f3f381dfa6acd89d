/* What planning is made of: a set of result keys, and a sample of a stream. */
#ifndef PIPELINE_PLAN_PARTS_H
#define PIPELINE_PLAN_PARTS_H

#include "base/crypto.h"
#include "pipeline/plan.h"

/* Keys by their first 64 bits: two of ten million that are different look equal once in 360,000 plans. */
struct key_set {
    uint64_t *slots; /* 0: free */
    size_t capacity, count;
};
void key_set_release(struct key_set *set);
/* *added: it was not there. When LIMIT_PLAN_KEYS are there, nothing more is added. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code key_set_add(struct key_set *set, const uint8_t key[SHA256_BYTES], bool *added,
                                       struct dobby_error *err);

struct plan_sample_record {
    char *path, *language, *content; /* owned */
    size_t content_length;
};
/* Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code plan_sample_record_copy(const struct record_row *row,
                                                   struct plan_sample_record *out, struct dobby_error *err);
void plan_sample_record_release(struct plan_sample_record *record);
/* Offers the seen-th record (from 0) to the sample: each of those offered is in it with equal chance. One
 * that is taken is zeroed. One so large that the sample would exceed LIMIT_BATCH_CONTENT_BYTES is not. Fails:
 * OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code plan_sample_offer(struct plan_sample *sample, uint64_t seen,
                                             struct plan_sample_record *record, struct dobby_error *err);
/* Brings it into an order of chance, so that any first part of it is a sample too. */
void plan_sample_shuffle(struct plan_sample *sample);

#endif
