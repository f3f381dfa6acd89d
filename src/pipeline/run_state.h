/* One run's state, shared by the files that a run is made of: its beginning (begin.c), its loop (run.c), its
 * intake (feed.c, stale.c, reuse.c), what comes back (answer.c), what is due by time and asked for
 * (control.c), breakers (health.c), and its row in the store (run_record.c). */
#ifndef PIPELINE_RUN_STATE_H
#define PIPELINE_RUN_STATE_H

#include "base/breaker.h"
#include "base/histogram.h"
#include "pipeline/concurrency.h"
#include "pipeline/jobs.h"
#include "pipeline/outbox.h"
#include "pipeline/result_cache.h"
#include "pipeline/result_check.h"
#include "pipeline/result_key.h"
#include "pipeline/run.h"

/* Outcomes that are worth a transaction, and how long a single one may wait for company: what a kill can
 * cost is at most this much inference. */
enum { RUN_SETTLE_RECORDS = 64, RUN_SETTLE_MS = 500 };
/* Records claimed at once, at most: some 100 ms of work where nothing is inferred. */
enum { RUN_CLAIM_RECORDS = 512 };
static_assert((int)RUN_CLAIM_RECORDS <= LIMIT_BATCH_RECORDS, "a batch can be claimed and looked up at once");
/* A record claimed so often without an answer takes its workers down with it: it is FAILED. More often where
 * run_options.attempts_max is more. */
enum { RUN_TRIES_MAX = 16 };
enum { RUN_RESULTS_AT_ONCE = 64, RUN_WAIT_MS = 100, RUN_PROGRESS_MS = 250, RUN_POLL_MS = 250 };

/* Requests from here on are probes; a run makes never so many others. */
#define RUN_PROBE_TAGS (UINT64_C(1) << 63)

/* A record of the batch, once its prompt is rendered. */
struct intake {
    uint8_t key[SHA256_BYTES];
    bool done; /* it needs no inference: settled already, or it waits for an equal one */
};

/* A run's calls of the store. */
enum run_store_call {
    RUN_STORE_START, /* those before the loop, and those of the end */
    RUN_STORE_CLAIM,
    RUN_STORE_SETTLE,
    RUN_STORE_RENEW,
    RUN_STORE_LOOK, /* for results that are there */
    RUN_STORE_UPDATE,
    RUN_STORE_POLL
};

/* One of the two that a run depends on. */
struct dependency {
    struct breaker breaker;
    enum run_store_call call; /* the store's: which one opened it */
    struct dobby_error error; /* the last failure as a whole */
};

struct reuse_counts {
    uint64_t cache, in_flight, store;
};

/* A claimed record is in exactly one place: batch (not yet submitted), a job, a waiter of a job, or outbox.
 * Records are claimed only into free room, so that the sum never exceeds leases_max = outbox.capacity. */
struct run {
    struct store *store;
    struct engine *engine;
    const struct prompt_template *prompt;
    const struct run_options *options;
    struct run_progress *progress;
    struct provenance provenance;
    char sampling[SAMPLING_TEXT_BYTES];
    char engine_text[128], engine_text_second[192];
    struct sampling second_sampling; /* for what failed the quality gates; its seed is made for each */

    struct record_batch batch;
    struct intake *intake; /* of batch.records, RUN_CLAIM_RECORDS of them */
    size_t batch_next;     /* the first record that is not submitted */
    bool looked_up;        /* the batch's keys were looked for in the store */
    struct job_table jobs;
    struct outbox outbox;
    struct engine_result *results;
    struct text_span *spans;
    struct token_list tokens;      /* of one prompt; kept for its memory */
    uint8_t (*keys)[SHA256_BYTES]; /* that the store is asked for */
    uint32_t *key_records;         /* which record of the batch each is of */
    struct result_cache cache;

    size_t claim_records;  /* how many to claim at once, by how fast the last ones went */
    int64_t claimed_ns;    /* when the batch was claimed */
    uint64_t work;         /* progress->total without a cap */
    bool claims_over;      /* nothing more will be claimed */
    bool dry;              /* the last claim found nothing */
    int64_t claim_ns;      /* not before this; while dry */
    int64_t wait_until_us; /* unix: what the store said that there is to wait for; 0: nothing */

    enum run_request request;
    bool paused;
    int64_t paused_since_ns, paused_ns; /* while paused; the pauses before that */
    bool stop_limits;   /* the user wants out, or the time is over: outages are waited for a moment only */
    bool stop_now;      /* asked twice: for less than a moment */
    bool engine_broken; /* it answered what nobody asked: no other answer is waited for */
    bool cancels_ours;  /* results that say CANCELED are no news */
    struct dependency store_health, engine_health;
    uint64_t asked; /* requests that the engine was given, probes too; the number of the last one */
    bool probing;   /* a probe is in the engine */
    bool vouched;   /* a probe in an outage was answered, and no record asked for after vouched_until */
    uint64_t vouched_until;
    uint64_t probes; /* made; the number of the last one */
    uint64_t probe_asked;
    int64_t probe_sent_ns;
    uint64_t tokens_inferred;

    struct concurrency concurrency;
    struct histogram latency_us, settle_us;
    struct reuse_counts reuse;
    uint64_t gates[QUALITY_VERDICT_COUNT]; /* results that failed each */
    uint64_t resampled, rescued;           /* tried again with other sampling, and then good */

    int64_t started_ns, renewed_ns, told_ns, polled_ns, recorded_ns, counted_ns, takeback_ns;
    int64_t started_us;
    double rate_now; /* records a second of late */
    int64_t rate_ns;
    uint64_t rate_done;
    bool recorded; /* the run's row is in the store */
};

/* ---- run.c ---- */
/* Room for records in an engine that runs so many at once: as many more as keep it from starving while the
 * run's thread waits for the disk. */
uint32_t run_in_flight_max(uint32_t sessions);
bool run_has_leases(const struct run *run);
uint64_t run_done(const struct run *run); /* records settled for good */

/* ---- begin.c ---- */
DOBBY_NODISCARD dobby_code run_begin(struct run *run, struct dobby_error *err);
/* How much this run may still have to do, and did. */
void run_set_total(struct run *run, const struct store_counts *counts);
void run_lower_total(struct run *run, uint64_t gone);
/* Takes back the leases of owners on this machine that are certainly dead. */
DOBBY_NODISCARD dobby_code run_take_back_dead(struct run *run, struct dobby_error *err);

/* ---- feed.c ---- */
/* Claims records if there is room and submits what is claimed until the engine is as full as it should be. */
DOBBY_NODISCARD dobby_code run_feed(struct run *run, struct dobby_error *err);
/* What a prompt fails with that is longer than the engine can take. */
bool run_is_too_long(dobby_code code);
/* Gives back what is claimed but not submitted. */
void run_release_batch(struct run *run);
/* Renders and tokenises a prompt into run->spans and run->tokens. Fails: as engine_tokenize. */
DOBBY_NODISCARD dobby_code run_tokenize(struct run *run, const struct prompt_values *values,
                                        struct dobby_error *err);

/* ---- stale.c ---- */
/* Counts the summaries made with other settings: *progress has them. Fails: as store_stale_count. */
DOBBY_NODISCARD dobby_code run_count_stale(struct run *run, struct dobby_error *err);
/* The same later, when others have done a part. What became stale since is not this run's: two runs with
 * different settings would undo each other's for ever. */
DOBBY_NODISCARD dobby_code run_count_stale_again(struct run *run, struct dobby_error *err);
/* Of these, how many the run has still to queue, as far as it knows; 0 where they are kept. */
uint64_t run_stale_left(const struct run *run);
/* Queues up to so many of them (limit and run_stale_left at least 1), and makes earlier versions current
 * again where they are as wanted; *queued says whether there is something to claim. Nothing is left when none
 * was found. Fails: as store_requeue_stale. */
DOBBY_NODISCARD dobby_code run_redo_stale(struct run *run, uint64_t limit, bool *queued,
                                          struct dobby_error *err);

/* ---- reuse.c ---- */
/* Renders each record's prompt and takes what has a result already out of the batch. */
DOBBY_NODISCARD dobby_code run_reuse(struct run *run, struct dobby_error *err);
/* For one record, just before it would be submitted: the cache and what is in flight. */
DOBBY_NODISCARD dobby_code run_reuse_late(struct run *run, const struct record *record, struct intake *intake,
                                          struct dobby_error *err);
/* Settles a record with a result that is there. Fails: OUT_OF_MEMORY and where it cannot get an id. */
DOBBY_NODISCARD dobby_code run_settle_reused(struct run *run, const struct lease *lease,
                                             const uint8_t key[SHA256_BYTES],
                                             const struct cached_result *result, struct dobby_error *err);

/* ---- answer.c ---- */
/* Moves what the engine has finished to the outbox, after waiting for it up to timeout_ms. */
DOBBY_NODISCARD dobby_code run_take_results(struct run *run, int64_t timeout_ms, struct dobby_error *err);
/* The engine refused or failed a record's prompt: again later, or for good, once it is clear that it is the
 * record's fault. The breaker may open and empty the batch. */
void run_record_failed(struct run *run, const struct lease *lease, const uint8_t key[SHA256_BYTES],
                       const struct dobby_error *failure);
/* The same for a job, which is over then: for the records that wait for it too. After a first result the
 * failure of a second try is none: the first one stands. */
DOBBY_NODISCARD dobby_code run_job_failed(struct run *run, struct job *job, const struct dobby_error *failure,
                                          struct dobby_error *err);
/* Returns jobs' leases without waiting for their results: all, or those that are not in the engine. */
void run_drop_jobs(struct run *run, bool unsubmitted_only);

/* ---- control.c ---- */
/* What is due by time: requests, commands, caps, leases, the progress, the run's row. */
DOBBY_NODISCARD dobby_code run_tick(struct run *run, struct dobby_error *err);
void run_obey(struct run *run, enum run_request request, enum run_state end, enum run_cap cap);
/* --max-time. */
bool run_time_is_over(const struct run *run, int64_t now_ns);
/* Brings *progress up to date. */
void run_refresh(struct run *run, bool finished);
void run_take_command(struct run *run, enum run_command command);

/* ---- health.c ---- */
void run_health_init(struct run *run);
/* True when the store may be called. */
bool run_store_is_open(struct run *run);
/* Turns a store call's code into what the run does about it: a failure that may pass opens the breaker and is
 * OK until the limit; any other is the run's. Closed again it is by the call that opened it, and by a settle
 * or a claim: on a full disk one may read, and even write a little. */
DOBBY_NODISCARD dobby_code run_store_code(struct run *run, enum run_store_call call, dobby_code code,
                                          const struct dobby_error *failure, struct dobby_error *err);
/* For calls that nothing can go on without: waits for the next try. False when there is none. */
bool run_store_wait(struct run *run, dobby_code *code, const struct dobby_error *failure,
                    struct dobby_error *err);
/* The same as run_store_code for the engine. What is in it comes back, and no record is charged for it. */
DOBBY_NODISCARD dobby_code run_engine_code(struct run *run, dobby_code code,
                                           const struct dobby_error *failure, struct dobby_error *err);
/* One record failed in the engine, and is held in the outbox: the whole may be to blame. */
void run_engine_record_failed(struct run *run, const struct lease *lease, const struct dobby_error *failure);
/* One record was answered, by the engine's request of that number: the engine works. */
void run_engine_record_good(struct run *run, uint64_t asked);
/* Sends a probe when it is time for one: in an outage, and when nobody else can tell whose failures are held.
 */
DOBBY_NODISCARD dobby_code run_probe(struct run *run, struct dobby_error *err);
DOBBY_NODISCARD dobby_code run_probe_answered(struct run *run, const struct engine_result *result,
                                              struct dobby_error *err);

/* ---- run_record.c ---- */
DOBBY_NODISCARD dobby_code run_record_begin(struct run *run, struct dobby_error *err);
/* Writes the snapshot and obeys the command that is pending. */
DOBBY_NODISCARD dobby_code run_record_update(struct run *run, struct dobby_error *err);
/* Reads the command that is pending, and obeys it. */
DOBBY_NODISCARD dobby_code run_record_poll(struct run *run, struct dobby_error *err);
/* The last state; a store that refuses it costs a warning. */
void run_record_end(struct run *run, dobby_code code, const struct dobby_error *failure);

#endif
