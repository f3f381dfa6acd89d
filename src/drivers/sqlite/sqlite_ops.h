/* The driver's half of each operation of store_ops.h, by file. */
#ifndef DRIVERS_SQLITE_SQLITE_OPS_H
#define DRIVERS_SQLITE_SQLITE_OPS_H

#include "store/store_ops.h"

/* sqlite_put.c */
dobby_code sqlite_sources(struct store *, source_visit_fn *, void *context, struct dobby_error *);
dobby_code sqlite_sync_begin(struct store *, const char *source, int64_t now_unix_us, struct dobby_error *);
dobby_code sqlite_put(struct store *, const struct record_input *, size_t count, int64_t now_unix_us,
                      struct put_counts *, struct dobby_error *);
dobby_code sqlite_sync_end(struct store *, const char *path_scope, struct put_counts *, struct dobby_error *);

/* sqlite_work.c */
dobby_code sqlite_claim(struct store *, const char *owner, int64_t now_unix_us, int64_t lease_until_unix_us,
                        size_t limit, struct record_batch *, struct dobby_error *);
dobby_code sqlite_renew(struct store *, const char *owner, int64_t lease_until_unix_us, uint64_t *renewed,
                        struct dobby_error *);
dobby_code sqlite_settle(struct store *, struct outcome *, size_t count, int64_t now_unix_us,
                         struct dobby_error *);
dobby_code sqlite_owners(struct store *, struct owner_list *, struct dobby_error *);
dobby_code sqlite_release_owner(struct store *, const char *owner, int64_t now_unix_us, uint64_t *released,
                                struct dobby_error *);

/* sqlite_read.c */
dobby_code sqlite_count(struct store *, struct store_counts *, struct dobby_error *);
dobby_code sqlite_reasons(struct store *, struct reason_counts *, struct dobby_error *);
dobby_code sqlite_list(struct store *, const struct record_filter *, record_visit_fn *, void *context,
                       struct dobby_error *);
dobby_code sqlite_get(struct store *, const char *id, record_visit_fn *, void *context, struct dobby_error *);
dobby_code sqlite_examine(struct store *, bool thorough, struct store_health *, struct dobby_error *);

/* sqlite_runs.c */
dobby_code sqlite_run_begin(struct store *, const struct run_row *, struct dobby_error *);
dobby_code sqlite_run_update(struct store *, const struct run_row *, enum run_command *,
                             struct dobby_error *);
dobby_code sqlite_run_poll(struct store *, const char *id, enum run_command *, struct dobby_error *);
dobby_code sqlite_run_command(struct store *, const char *id_prefix, enum run_command, int64_t now_unix_us,
                              struct dobby_error *);
dobby_code sqlite_run_lost(struct store *, const char *owner, int64_t now_unix_us, uint64_t *lost,
                           struct dobby_error *);
dobby_code sqlite_run_count(struct store *, const struct outcome *, size_t count, struct dobby_error *);
dobby_code sqlite_run_list(struct store *, const struct run_filter *, run_visit_fn *, void *context,
                           struct dobby_error *);

/* sqlite_versions.c */
dobby_code sqlite_find_results(struct store *, const uint8_t (*keys)[SHA256_BYTES], size_t count,
                               summary_visit_fn *, void *context, struct dobby_error *);
dobby_code sqlite_stale_count(struct store *, const struct provenance_key *, uint64_t *count,
                              struct dobby_error *);
dobby_code sqlite_cuts(struct store *, const char *want, cut_visit_fn *, void *context, struct dobby_error *);
dobby_code sqlite_requeue_stale(struct store *, const struct provenance_key *, int64_t now_unix_us,
                                uint64_t limit, struct stale_counts *, struct dobby_error *);
dobby_code sqlite_requeue(struct store *, const struct record_filter *, int64_t now_unix_us, uint64_t *count,
                          struct dobby_error *);

#endif
