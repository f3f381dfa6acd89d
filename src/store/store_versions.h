/* Versions: all summaries that a record ever got live side by side and one of them is current (store_list
 * shows them, with_versions); and what is done with them: finding equal results, counting and redoing stale
 * ones, and what is cut otherwise than wanted.
 *
 * A record's current summary is stale when the provenance that settings want is not its own. A version is of
 * the record's present content or of an earlier one; only the former can be made current again. */
#ifndef STORE_STORE_VERSIONS_H
#define STORE_STORE_VERSIONS_H

#include "store/store.h"

/* One stored summary. Everything borrowed for the call of the visitor. */
struct summary_row {
    const char *record_id;
    const struct summary *summary; /* with its degraded_reason and reused */
    bool current;
    bool of_present_content; /* false: of what the record held before */
    int64_t created_unix_us;
    size_t key_index; /* store_find_results: which of the keys; else 0 */
};
typedef dobby_code summary_visit_fn(void *context, const struct summary_row *row, struct dobby_error *err);

/* What makes a result's provenance equal; the model's name and the engine's version do not matter. */
struct provenance_key {
    const char *model_fingerprint, *precision, *sampling, *template_id;
};

/* For each of the keys that any summary of the store has, current or not, visits one such summary: the one
 * stored first. In the order of keys; count at most LIMIT_BATCH_RECORDS. Reads only. Equal keys are equal
 * results: settling another record with one needs a new summary id and sets reused. A summary with a
 * degraded_reason is to be settled as DEGRADED again. */
DOBBY_NODISCARD dobby_code store_find_results(struct store *store, const uint8_t (*keys)[SHA256_BYTES],
                                              size_t count, summary_visit_fn *visit, void *context,
                                              struct dobby_error *err);

/* Counts the COMPLETED and DEGRADED records whose current summary is stale. Costs as much as it counts. */
DOBBY_NODISCARD dobby_code store_stale_count(struct store *store, const struct provenance_key *want,
                                             uint64_t *count, struct dobby_error *err);

/* Records of one source that were cut with the same settings. Strings borrowed for the call of the visitor.
 */
struct cut_row {
    const char *source;
    const char *cut; /* "": not known, put by a version that did not keep it */
    uint64_t records;
    uint64_t results; /* of these, COMPLETED and DEGRADED */
};
typedef dobby_code cut_visit_fn(void *context, const struct cut_row *row, struct dobby_error *err);
/* Visits what was cut otherwise than want, in the order of source and cut; NULL: whatever was cut. Records
 * that are whole do not count. Reads only; costs as much as it counts. */
DOBBY_NODISCARD dobby_code store_cuts(struct store *store, const char *want, cut_visit_fn *visit,
                                      void *context, struct dobby_error *err);

struct stale_counts {
    uint64_t requeued; /* PENDING again; the old summary stays current until it is replaced */
    uint64_t restored; /* a version as wanted, of the present content, was there and is current again */
};
/* Redoes up to limit (0: all) of the records that store_stale_count counts. Where a version is restored the
 * record is COMPLETED, or DEGRADED with that version's reason. One transaction for each LIMIT_BATCH_RECORDS
 * records, so others get the write lock in between; *counts says what was done, after a failure too. */
DOBBY_NODISCARD dobby_code store_requeue_stale(struct store *store, const struct provenance_key *want,
                                               int64_t now_unix_us, uint64_t limit,
                                               struct stale_counts *counts, struct dobby_error *err);

/* Makes records PENDING again with no tries: DEGRADED, FAILED and those that a run SKIPPED (which->state
 * says which; RECORD_UNKNOWN: all three). id_prefix, path_glob and limit choose among them, in this order of
 * states and that of the puts; a current summary stays so until it is replaced. Transactions and *count as
 * with store_requeue_stale. Fails: INVALID_ARGUMENT for another state. */
DOBBY_NODISCARD dobby_code store_requeue(struct store *store, const struct record_filter *which,
                                         int64_t now_unix_us, uint64_t *count, struct dobby_error *err);

#endif
