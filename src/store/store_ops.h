/* What a driver implements: one function for each of store.h, with the same contract. The wrappers in
 * store.c check arguments and limits, zero outputs before and after a failure, and keep the flags below,
 * so a driver need not. */
#ifndef STORE_STORE_OPS_H
#define STORE_STORE_OPS_H

#include "store/store.h"

struct store_ops {
    const char *name; /* "sqlite" */
    void (*close)(struct store *store);
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
};

/* A driver's store begins with this. */
struct store {
    const struct store_ops *ops;
    bool in_sync;  /* between sync_begin and sync_end; kept by the wrappers */
    bool visiting; /* a visitor runs: the handle is taken; kept by the wrappers */
};

#endif
