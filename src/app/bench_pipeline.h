/* A whole run over synthetic records, in a database of its own that is removed afterwards. */
#ifndef APP_BENCH_PIPELINE_H
#define APP_BENCH_PIPELINE_H

#include "app/bench_timed.h"
#include "app/config.h"
#include "pipeline/run.h"

enum { BENCH_LABEL_BYTES = 64 };

struct bench_pipeline_options {
    const struct config *config; /* the engine, its model and the run's settings */
    const char *directory; /* the database's directory is made in it: its file system is what is measured */
    uint64_t records;
    size_t bytes;            /* of each record, 1 to LIMIT_CONTENT_BYTES */
    int64_t settle_delay_ms; /* every saving of results takes so much longer */
};

struct pipeline_figures {
    char engine[BENCH_LABEL_BYTES], model[BENCH_LABEL_BYTES]; /* the kind; the model's name */
    uint64_t records, bytes;                                  /* as asked for; bytes of each */
    uint64_t leases_max;                                      /* records that the run may hold at once */
    struct run_progress totals;
    double put_s, open_s;            /* writing the records; opening the engine */
    double seconds, records_per_min; /* the run alone */
    double first_submit_ms; /* from the run's begin until the engine got its first record; 0: never */
    double first_result_ms; /* and until the first results were stored */
    double progress_gap_ms; /* the longest time between two reports of progress */
    double progress_age_ms; /* the oldest that a report's figures were when it came */
    double peak_rss_mb, database_mb; /* after the run, its log included; 10^6 bytes */
    struct timed_calls calls;
};

/* Fails: INVALID_ARGUMENT (records or bytes), as temporary_directory_make, store_sqlite_open,
 * models_open_engine and pipeline_run; CANCELED when the program was interrupted. */
DOBBY_NODISCARD dobby_code bench_pipeline(const struct bench_pipeline_options *options,
                                          struct pipeline_figures *out, struct dobby_error *err);
/* Of the run's seconds what none of the calls took: the pipeline's own work. */
double pipeline_figures_rest_s(const struct pipeline_figures *figures);

#endif
