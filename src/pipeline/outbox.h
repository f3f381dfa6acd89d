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
    char reason[OUTBOX_REASON_BYTES];
};

struct outbox {
    struct outbox_entry *entries;
    struct outcome *outcomes; /* what store_settle is given */
    const char *run_id;       /* borrowed: whose row counts them; NULL after outbox_init: nobody's */
    size_t count, capacity;
    size_t failed;     /* entries that are FAILED */
    int64_t oldest_ns; /* monotonic, of entries[0]; while count > 0 */
};

DOBBY_NODISCARD dobby_code outbox_init(struct outbox *outbox, size_t capacity, struct dobby_error *err);
void outbox_release(struct outbox *outbox);
/* The caller keeps count below capacity, and fills in what the kind needs. */
struct outbox_entry *outbox_add(struct outbox *outbox, const struct lease *lease, enum outcome_kind kind);
/* As outbox_add, with a reason. */
struct outbox_entry *outbox_add_reason(struct outbox *outbox, const struct lease *lease,
                                       enum outcome_kind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* RETRY outcomes become RELEASED, and so do FAILED ones of a first try: it was not the records' fault. */
void outbox_pardon(struct outbox *outbox);
/* Saves the oldest entries, up to LIMIT_BATCH_RECORDS, in one transaction, counts them in *progress and
 * forgets them. *returned says whether some are PENDING again. After a failure all are still there. */
DOBBY_NODISCARD dobby_code outbox_settle(struct outbox *outbox, struct store *store,
                                         struct run_progress *progress, bool *returned,
                                         struct dobby_error *err);

#endif
