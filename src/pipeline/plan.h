/* What a run would do, and how long it would take. Nothing is written: the store is only read, and the sample
 * is run over records in memory.
 *
 * Counting reads every record to do once: its result key tells equal prompts and those that were answered
 * before. Tokens are counted exactly for as long as tokenize_ms_max, then estimated from the bytes. */
#ifndef PIPELINE_PLAN_H
#define PIPELINE_PLAN_H

#include "pipeline/run.h"

struct plan_options {
    const struct run_options *run; /* the settings; owner, caps and callbacks are not looked at */
    int64_t tokenize_ms_max;       /* 0: PLAN_TOKENIZE_MS */
    int64_t sample_ms_max;         /* how long the timed sample may run; 0: PLAN_SAMPLE_MS */
    /* Asked several times a second: true ends it with CANCELED. NULL: never. */
    bool (*canceled)(void *context);
    /* Told now and then how many records were read. NULL: nobody. */
    void (*progress)(void *context, uint64_t records);
    void *context;
};
enum { PLAN_TOKENIZE_MS = 60000, PLAN_SAMPLE_MS = 15000, PLAN_SAMPLE_RECORDS = 2048 };

/* Records to do fall into exactly one of: duplicates, stored, empty, too_long, to_infer. */
struct plan_counts {
    struct store_counts states;
    uint64_t stale;      /* done, with other settings than these */
    uint64_t work;       /* to do: pending, leased, and with stale_redo the stale ones */
    uint64_t duplicates; /* their prompt is that of another one to do */
    uint64_t stored;     /* their prompt was answered before: the result is in the store */
    uint64_t empty, too_long;
    uint64_t to_infer;
    uint64_t content_bytes; /* of to_infer */
    uint64_t tokens_in;     /* of to_infer, the prompt included */
    bool tokens_estimated;  /* tokens_in and too_long, from the bytes of some */
    bool
        duplicates_incomplete; /* more different prompts than LIMIT_PLAN_KEYS: there may be more duplicates */
};

/* A sample of what is to infer, chosen by chance that is the same each time. */
struct plan_sample {
    struct plan_sample_record *records;
    size_t count;
    size_t bytes;
};
void plan_sample_release(struct plan_sample *sample);

/* Fails: as store_list, store_count, store_stale_count, store_find_results and engine_tokenize; CANCELED,
 * OUT_OF_MEMORY. lookup: another handle of the same store, used while the first one lists. */
DOBBY_NODISCARD dobby_code plan_count(struct store *store, struct store *lookup, struct engine *engine,
                                      const struct prompt_template *prompt,
                                      const struct plan_options *options, struct plan_counts *counts,
                                      struct plan_sample *sample, struct dobby_error *err);

struct plan_estimate {
    uint64_t sample_records, sample_tokens_in, sample_failed; /* of the timed sample */
    double sample_s;
    double records_per_s_min, records_per_s_max; /* of records to infer */
    double seconds_min, seconds_max;             /* for the whole run */
    uint64_t tokens_out, summary_bytes;          /* of the whole run */
    uint64_t database_bytes;                     /* by which the database grows, about */
};
/* Runs the sample over records in memory, with this engine, for up to sample_ms_max, and estimates the whole.
 * The range is that of the rates within the sample, widened for what other programs and a disk may do. With
 * nothing to infer no sample runs. Fails: as pipeline_run; CANCELED. */
DOBBY_NODISCARD dobby_code plan_time(struct engine *engine, const struct prompt_template *prompt,
                                     const struct plan_options *options, const struct plan_counts *counts,
                                     const struct plan_sample *sample, struct plan_estimate *out,
                                     struct dobby_error *err);

#endif
