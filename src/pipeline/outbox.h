/* Outcomes on their way to the store. Kept until a transaction has taken them: a store that is busy costs
 * time, never results. The entries' memory is there from the start, so that putting an outcome in cannot
 * fail. */
#ifndef PIPELINE_OUTBOX_H
#define PIPELINE_OUTBOX_H

#include "base/limits.h"
#include "pipeline/jobs.h"
#include "pipeline/run.h"
#include "store/store.h"

enum { OUTBOX_REASON_BYTES = DOBBY_ERROR_DETAIL_BYTES + 128 };

struct outbox_entry {
    struct lease lease;
    enum outcome_kind kind;
    struct summary summary; /* COMPLETED, DEGRADED */
    char *text;             /* owned; what summary.text points to */
    char *engine;           /* owned, NULL: summary.engine is borrowed from the run */
    const char *error_id;   /* FAILED, RETRY; static */
    int64_t retry_unix_us;  /* RETRY */
    bool held;              /* not to be saved yet: see outbox_hold */
    uint64_t held_at;       /* while held */
    char reason[OUTBOX_REASON_BYTES];
};

struct outbox {
    struct outbox_entry *entries;
    struct outcome *outcomes; /* what store_settle is given */
    const char *run_id;       /* borrowed: whose row counts them; NULL after outbox_init: nobody's */
    size_t count, capacity;
    size_t held;       /* of count */
    size_t failed;     /* entries that are FAILED and not held */
    int64_t oldest_ns; /* monotonic: since when there is something to save; while outbox_due > 0 */
    int64_t held_ns;   /* since when nothing was decided of what is held; while held > 0 */
};

DOBBY_NODISCARD dobby_code outbox_init(struct outbox *outbox, size_t capacity, struct dobby_error *err);
void outbox_release(struct outbox *outbox);
/* The caller keeps count below capacity, and fills in what the kind needs. */
struct outbox_entry *outbox_add(struct outbox *outbox, const struct lease *lease, enum outcome_kind kind);
/* As outbox_add, with a reason. */
struct outbox_entry *outbox_add_reason(struct outbox *outbox, const struct lease *lease,
                                       enum outcome_kind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Entries that may be saved. */
size_t outbox_due(const struct outbox *outbox);

/* A failure costs a record a try, and it may be the engine's. So it is held back until one of the two below
 * is known. asked: how many requests the engine had been given when it failed. */
void outbox_hold(struct outbox *outbox, struct outbox_entry *entry, uint64_t asked);
/* The engine has answered its request number `asked` with a text: it worked after those failures that are
 * held since before that, so they are the records' own, and may be saved. */
void outbox_charge(struct outbox *outbox, uint64_t asked);
/* It was the engine: all that is held becomes RELEASED. */
void outbox_pardon(struct outbox *outbox);

/* Saves the oldest entries that are not held, up to LIMIT_BATCH_RECORDS, in one transaction, counts them in
 * *progress and forgets them. *returned says whether some are PENDING again. After a failure all are still
 * there. */
DOBBY_NODISCARD dobby_code outbox_settle(struct outbox *outbox, struct store *store,
                                         struct run_progress *progress, bool *returned,
                                         struct dobby_error *err);

#endif
