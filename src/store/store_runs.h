/* Runs: the history of `dobby run`, and the line by which other processes command a run.
 *
 *   (new)            -> RUNNING                                         [store_run_begin]
 *   RUNNING <-> PAUSED                                                  [store_run_update, by its owner]
 *   RUNNING, PAUSED  -> FINISHED, CAPPED, CANCELED, INTERRUPTED, FAILED [store_run_update, by its owner]
 *   RUNNING, PAUSED  -> LOST                                            [store_run_lost, by whoever notices]
 *   LOST             -> any of the above                                [store_run_update: it lived after
 * all]
 *
 * A command is a level, not an event: PAUSE holds until RESUME or CANCEL is commanded, CANCEL holds for good.
 * A run therefore acts on what it reads and need not acknowledge it. */
#ifndef STORE_STORE_RUNS_H
#define STORE_STORE_RUNS_H

#include "store/store.h"

enum run_state {
    RUN_UNKNOWN,
    RUN_RUNNING,
    RUN_PAUSED,
    RUN_FINISHED,    /* nothing was left to do */
    RUN_CAPPED,      /* a limit given by the user was reached; end_reason names it */
    RUN_CANCELED,    /* commanded so */
    RUN_INTERRUPTED, /* by a signal */
    RUN_FAILED,      /* end_reason is the error */
    RUN_LOST,        /* its owner died without a word */
    RUN_STATE_COUNT
};
const char *run_state_name(enum run_state state); /* "running" ... */
bool run_state_is_active(enum run_state state);   /* RUNNING or PAUSED */

enum run_command {
    RUN_COMMAND_UNKNOWN,
    RUN_COMMAND_NONE,
    RUN_COMMAND_PAUSE,
    RUN_COMMAND_RESUME,
    RUN_COMMAND_CANCEL,
    RUN_COMMAND_COUNT
};
const char *run_command_name(enum run_command command); /* "none", "pause" ... */

struct run_counts {
    uint64_t total;                                /* records that the run had to do, as it knew last */
    uint64_t completed, degraded, failed, skipped; /* settled by this run, stale ones not counted */
    uint64_t stale;                                /* late results that the store refused */
    uint64_t retried;                              /* OUTCOME_RETRY */
    uint64_t reused;                               /* of completed and degraded: without inference */
    uint64_t tokens_in, tokens_out;
};

/* Counts one settled outcome. */
void run_counts_add(struct run_counts *counts, const struct outcome *outcome);

/* Everything borrowed. */
struct run_row {
    const char *id;    /* UUIDv7; at most UUID_TEXT_BYTES with its NUL */
    const char *owner; /* of its leases */
    enum run_state state;
    int64_t started_unix_us, heartbeat_unix_us;
    int64_t ended_unix_us; /* 0 while active */
    const char *settings;  /* JSON text; fixed at store_run_begin */
    const char *metrics;   /* JSON text: the last snapshot; "{}" where there is none yet */
    struct run_counts counts;
    const char *end_reason;   /* NULL where none */
    enum run_command command; /* read only: what was commanded last */
    int64_t command_unix_us;  /* read only: when; 0 where nothing was */
};
struct run_filter {
    const char *id_prefix; /* NULL: all */
    bool active_only;
    uint64_t limit; /* 0: all */
};
/* Returns OK to go on; another code ends the listing and is returned from store_run_list. */
typedef dobby_code run_visit_fn(void *context, const struct run_row *row, struct dobby_error *err);

/* Adds an active run. Fails: INVALID_ARGUMENT (the id is there, the state is not active, ended_unix_us is not
 * 0), and as a write does: STORE_BUSY, STORE_FULL, STORE_READ_ONLY, STORE_FAILED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code store_run_begin(struct store *store, const struct run_row *row,
                                           struct dobby_error *err);
/* Writes state, heartbeat, end, metrics, counts and end reason, and reads the command, in one transaction.
 * row's id finds the run; its owner, start and settings are not looked at. *pending is NONE once the run has
 * ended. ended_unix_us is 0 just as long as the state is active. Fails: STORE_NOT_FOUND, and as a write. */
DOBBY_NODISCARD dobby_code store_run_update(struct store *store, const struct run_row *row,
                                            enum run_command *pending, struct dobby_error *err);
/* Reads the command alone: takes no write lock and waits for nobody. Fails: STORE_NOT_FOUND. */
DOBBY_NODISCARD dobby_code store_run_poll(struct store *store, const char *id, enum run_command *pending,
                                          struct dobby_error *err);
/* Commands the one active run whose id begins with id_prefix ("" finds the only active one). Commanding what
 * holds already is fine. Fails: STORE_NOT_FOUND, STORE_AMBIGUOUS_ID (several active ones), INVALID_ARGUMENT
 * (the run has ended; it is being canceled and the command is another one; the command is NONE), and as a
 * write. */
DOBBY_NODISCARD dobby_code store_run_command(struct store *store, const char *id_prefix,
                                             enum run_command command, int64_t now_unix_us,
                                             struct dobby_error *err);
/* The active runs of an owner that is known to be dead, or given up, become LOST, ended now; *lost counts
 * them. */
DOBBY_NODISCARD dobby_code store_run_lost(struct store *store, const char *owner, int64_t now_unix_us,
                                          uint64_t *lost, struct dobby_error *err);
/* Visits runs, the one begun last first, whatever the clock said. */
DOBBY_NODISCARD dobby_code store_run_list(struct store *store, const struct run_filter *filter,
                                          run_visit_fn *visit, void *context, struct dobby_error *err);

#endif
