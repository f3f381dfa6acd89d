/* The wrappers of the versions' half of the interface; see store.c. */
#include "store/store_versions.h"

#include "base/limits.h"
#include "store/store_check.h"
#include "store/store_ops.h"

dobby_code store_find_results(struct store *store, const uint8_t (*keys)[SHA256_BYTES], size_t count,
                              summary_visit_fn *visit, void *context, struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_find_results", err);
    if (code == DOBBY_OK)
        code = store_check_count(count, "result keys to find", err);
    if (code != DOBBY_OK || count == 0)
        return code;
    store->visiting = true;
    code = store->ops->find_results(store, keys, count, visit, context, err);
    store->visiting = false;
    return code;
}

dobby_code store_stale_count(struct store *store, const struct provenance_key *want, uint64_t *count,
                             struct dobby_error *err)
{
    *count = 0;
    dobby_code code = store_check_free(store, "store_stale_count", err);
    if (code == DOBBY_OK)
        code = store_check_provenance(want, err);
    if (code == DOBBY_OK)
        code = store->ops->stale_count(store, want, count, err);
    if (code != DOBBY_OK)
        *count = 0;
    return code;
}

dobby_code store_cuts(struct store *store, const char *want, cut_visit_fn *visit, void *context,
                      struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_cuts", err);
    if (code == DOBBY_OK && want != NULL)
        code = store_check_text(want, "cut", 1, LIMIT_LABEL_BYTES, err);
    if (code != DOBBY_OK)
        return code;
    store->visiting = true;
    code = store->ops->cuts(store, want, visit, context, err);
    store->visiting = false;
    return code;
}

dobby_code store_requeue_stale(struct store *store, const struct provenance_key *want, int64_t now_unix_us,
                               uint64_t limit, struct stale_counts *counts, struct dobby_error *err)
{
    *counts = (struct stale_counts){0};
    dobby_code code = store_check_free(store, "store_requeue_stale", err);
    if (code == DOBBY_OK)
        code = store_check_provenance(want, err);
    if (code == DOBBY_OK)
        code =
            store->ops->requeue_stale(store, want, now_unix_us, limit == 0 ? UINT64_MAX : limit, counts, err);
    return code;
}

dobby_code store_requeue(struct store *store, const struct record_filter *which, int64_t now_unix_us,
                         uint64_t *count, struct dobby_error *err)
{
    *count = 0;
    dobby_code code = store_check_free(store, "store_requeue", err);
    if (code == DOBBY_OK)
        code = store_check_filter(which, err);
    if (code == DOBBY_OK && which->state != RECORD_UNKNOWN && which->state != RECORD_FAILED &&
        which->state != RECORD_DEGRADED && which->state != RECORD_SKIPPED)
        code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                          "records that are %s are not retried; failed, degraded and skipped ones are",
                          record_state_name(which->state));
    return code == DOBBY_OK ? store->ops->requeue(store, which, now_unix_us, count, err) : code;
}
