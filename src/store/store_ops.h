/* What a driver implements: one function for each of store.h, store_runs.h and store_versions.h, with the
 * same contract. The wrappers in store.c check arguments and limits, zero outputs before and after a failure,
 * and keep the flags below, so a driver need not. */
#ifndef STORE_STORE_OPS_H
#define STORE_STORE_OPS_H

#include "store/store_runs.h"
#include "store/store_versions.h"

struct store_ops {
    const char *name; /* "sqlite" */
    void (*close)(struct store *store);
    dobby_code (*sources)(struct store *, source_visit_fn *, void *context, struct dobby_error *);
    dobby_code (*sync_begin)(struct store *, const char *source, int64_t now_unix_us, struct dobby_error *);
    dobby_code (*put)(struct store *, const struct record_input *, size_t count, int64_t now_unix_us,
                      struct put_counts *, struct dobby_error *);
    dobby_code (*sync_end)(struct store *, const char *path_scope, struct put_counts *, struct dobby_error *);
    dobby_code (*claim)(struct store *, const char *owner, int64_t now_unix_us, int64_t lease_until_unix_us,
                        size_t limit, struct record_batch *, struct dobby_error *);
    dobby_code (*renew)(struct store *, const char *owner, int64_t lease_until_unix_us, uint64_t *renewed,
                        struct dobby_error *);
    dobby_code (*settle)(struct store *, struct outcome *, size_t count, int64_t now_unix_us,
                         struct dobby_error *);
    dobby_code (*owners)(struct store *, struct owner_list *, struct dobby_error *);
    dobby_code (*release_owner)(struct store *, const char *owner, int64_t now_unix_us, uint64_t *released,
                                struct dobby_error *);
    dobby_code (*count)(struct store *, struct store_counts *, struct dobby_error *);
    dobby_code (*reasons)(struct store *, struct reason_counts *, struct dobby_error *);
    dobby_code (*list)(struct store *, const struct record_filter *, record_visit_fn *, void *context,
                       struct dobby_error *);
    dobby_code (*get)(struct store *, const char *id, record_visit_fn *, void *context, struct dobby_error *);
    dobby_code (*examine)(struct store *, bool thorough, struct store_health *, struct dobby_error *);

    dobby_code (*run_begin)(struct store *, const struct run_row *, struct dobby_error *);
    dobby_code (*run_update)(struct store *, const struct run_row *, enum run_command *,
                             struct dobby_error *);
    dobby_code (*run_poll)(struct store *, const char *id, enum run_command *, struct dobby_error *);
    dobby_code (*run_command)(struct store *, const char *id_prefix, enum run_command, int64_t now_unix_us,
                              struct dobby_error *);
    dobby_code (*run_lost)(struct store *, const char *owner, int64_t now_unix_us, uint64_t *lost,
                           struct dobby_error *);
    dobby_code (*run_list)(struct store *, const struct run_filter *, run_visit_fn *, void *context,
                           struct dobby_error *);

    dobby_code (*find_results)(struct store *, const uint8_t (*keys)[SHA256_BYTES], size_t count,
                               summary_visit_fn *, void *context, struct dobby_error *);
    dobby_code (*stale_count)(struct store *, const struct provenance_key *, uint64_t *count,
                              struct dobby_error *);
    dobby_code (*cuts)(struct store *, const char *want, cut_visit_fn *, void *context, struct dobby_error *);
    dobby_code (*requeue_stale)(struct store *, const struct provenance_key *, int64_t now_unix_us,
                                uint64_t limit, struct stale_counts *, struct dobby_error *);
    dobby_code (*requeue)(struct store *, const struct record_filter *, int64_t now_unix_us, uint64_t *count,
                          struct dobby_error *);
};

/* The state that a lease settled with this outcome leads to. */
enum record_state outcome_state(enum outcome_kind kind);

/* A driver's store begins with this. */
struct store {
    const struct store_ops *ops;
    bool in_sync;  /* between sync_begin and sync_end; kept by the wrappers */
    bool visiting; /* a visitor runs: the handle is taken; kept by the wrappers */
};

#endif
