/* One run's state, shared by its loop (run.c) and its intake (feed.c). */
#ifndef PIPELINE_RUN_STATE_H
#define PIPELINE_RUN_STATE_H

#include "pipeline/jobs.h"
#include "pipeline/outbox.h"
#include "pipeline/result_check.h"
#include "pipeline/result_key.h"
#include "pipeline/run.h"
#include "pipeline/store_gate.h"

/* A claimed record is in exactly one place: batch (not yet submitted), jobs or outbox. Since records are
 * claimed only into free room, batch + jobs <= jobs.capacity, and with what was waiting to be settled
 * the sum is at most outbox.capacity. */
struct run {
    struct store *store;
    struct engine *engine;
    const struct prompt_template *prompt;
    const struct run_options *options;
    struct run_progress *progress;
    struct provenance provenance;
    char sampling[SAMPLING_TEXT_BYTES];
    char engine_text[128];

    struct record_batch batch;
    size_t batch_next; /* the first record that is not submitted */
    struct job_table jobs;
    struct outbox outbox;
    struct store_gate gate;
    struct engine_result *results;
    struct text_span *spans;
    struct token_list tokens; /* of one prompt; kept for its memory */

    uint64_t claimed;
    bool claims_over; /* nothing more will be claimed */
    enum run_request request;
    bool engine_failed;
    int64_t started_ns, renewed_ns, told_ns;
};

/* Outcomes that are worth a transaction, and how long a single one may wait for company: what a kill can
 * cost is at most this much inference. */
enum { RUN_SETTLE_RECORDS = 64, RUN_SETTLE_MS = 500 };

/* Claims records if there is room and submits what is claimed until the engine's queue is full. A busy
 * store is no failure until the gate gives up. */
DOBBY_NODISCARD dobby_code run_feed(struct run *run, struct dobby_error *err);
/* What is due by time: the caller's request, the lease, the progress. */
DOBBY_NODISCARD dobby_code run_tick(struct run *run, struct dobby_error *err);
/* Turns a store call's code into what the run does about it: BUSY closes the gate and is OK until its limit;
 * any other failure is the run's. */
DOBBY_NODISCARD dobby_code run_store_code(struct run *run, dobby_code code);
/* Gives back what is claimed but not submitted. */
void run_release_batch(struct run *run);

#endif
