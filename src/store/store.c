/* The thin wrappers of the interface: they check, keep the handle's flags and zero what a failed call must
 * leave zeroed; the driver does the work. */
#include "store/store.h"

#include "base/limits.h"
#include "store/store_check.h"
#include "store/store_ops.h"

#include <string.h>

static const char *const state_names[RECORD_STATE_COUNT] = {
    [RECORD_UNKNOWN] = "unknown",     [RECORD_PENDING] = "pending",   [RECORD_LEASED] = "leased",
    [RECORD_COMPLETED] = "completed", [RECORD_DEGRADED] = "degraded", [RECORD_FAILED] = "failed",
    [RECORD_SKIPPED] = "skipped",
};

const char *record_state_name(enum record_state state)
{
    return (unsigned)state < RECORD_STATE_COUNT ? state_names[state] : state_names[RECORD_UNKNOWN];
}

enum record_state record_state_parse(const char *name)
{
    for (enum record_state state = RECORD_PENDING; name != NULL && state < RECORD_STATE_COUNT; state++) {
        if (strcmp(name, state_names[state]) == 0)
            return state;
    }
    return RECORD_UNKNOWN;
}

enum record_state outcome_state(enum outcome_kind kind)
{
    static const enum record_state states[] = {
        [OUTCOME_UNKNOWN] = RECORD_UNKNOWN,   [OUTCOME_COMPLETED] = RECORD_COMPLETED,
        [OUTCOME_DEGRADED] = RECORD_DEGRADED, [OUTCOME_FAILED] = RECORD_FAILED,
        [OUTCOME_SKIPPED] = RECORD_SKIPPED,   [OUTCOME_RELEASED] = RECORD_PENDING,
        [OUTCOME_RETRY] = RECORD_PENDING,
    };
    return states[(unsigned)kind < sizeof states / sizeof states[0] ? kind : OUTCOME_UNKNOWN];
}

void store_close(struct store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

dobby_code store_sources(struct store *store, source_visit_fn *visit, void *context, struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_sources", err);
    if (code != DOBBY_OK)
        return code;
    store->visiting = true;
    code = store->ops->sources(store, visit, context, err);
    store->visiting = false;
    return code;
}

dobby_code store_sync_begin(struct store *store, const char *source, int64_t now_unix_us,
                            struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_sync_begin", err);
    if (code == DOBBY_OK)
        code = store_check_text(source, "source", 1, LIMIT_RECORD_PATH_BYTES, err);
    if (code != DOBBY_OK)
        return code;
    /* A synchronisation that was given up is forgotten: the new one starts with nothing seen. */
    store->in_sync = false;
    code = store->ops->sync_begin(store, source, now_unix_us, err);
    store->in_sync = code == DOBBY_OK;
    return code;
}

dobby_code store_put(struct store *store, const struct record_input *records, size_t count,
                     int64_t now_unix_us, struct put_counts *counts, struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_put", err);
    if (code == DOBBY_OK && !store->in_sync)
        code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "store_put outside of a synchronisation");
    if (code == DOBBY_OK)
        code = store_check_count(count, "records to put", err);
    for (size_t i = 0; i < count && code == DOBBY_OK; i++)
        code = store_check_input(&records[i], err);
    if (code != DOBBY_OK || count == 0)
        return code;

    struct put_counts added = {0};
    code = store->ops->put(store, records, count, now_unix_us, &added, err);
    if (code != DOBBY_OK)
        return code;
    counts->added += added.added;
    counts->updated += added.updated;
    counts->unchanged += added.unchanged;
    return DOBBY_OK;
}

dobby_code store_sync_end(struct store *store, const char *path_scope, struct put_counts *counts,
                          struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_sync_end", err);
    if (code == DOBBY_OK && !store->in_sync)
        code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "store_sync_end outside of a synchronisation");
    if (code == DOBBY_OK)
        code = store_check_text(path_scope, "path scope", 0, LIMIT_RECORD_PATH_BYTES, err);
    if (code != DOBBY_OK)
        return code;

    struct put_counts added = {0};
    code = store->ops->sync_end(store, path_scope, &added, err);
    if (code != DOBBY_OK)
        return code; /* still in the synchronisation: the call may be repeated */
    counts->removed += added.removed;
    store->in_sync = false;
    return DOBBY_OK;
}

dobby_code store_claim(struct store *store, const char *owner, int64_t now_unix_us,
                       int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                       struct dobby_error *err)
{
    *out = (struct record_batch){0};
    dobby_code code = store_check_free(store, "store_claim", err);
    if (code == DOBBY_OK)
        code = store_check_text(owner, "owner", 1, LIMIT_OWNER_BYTES, err);
    if (code == DOBBY_OK)
        code = store_check_count(limit, "records to claim", err);
    if (code == DOBBY_OK && lease_until_unix_us <= now_unix_us)
        code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "the lease would end before it begins");
    if (code != DOBBY_OK || limit == 0)
        return code;
    code = store->ops->claim(store, owner, now_unix_us, lease_until_unix_us, limit, out, err);
    if (code != DOBBY_OK)
        record_batch_release(out);
    return code;
}

dobby_code store_renew(struct store *store, const char *owner, int64_t lease_until_unix_us, uint64_t *renewed,
                       struct dobby_error *err)
{
    *renewed = 0;
    dobby_code code = store_check_free(store, "store_renew", err);
    if (code == DOBBY_OK)
        code = store_check_text(owner, "owner", 1, LIMIT_OWNER_BYTES, err);
    if (code == DOBBY_OK)
        code = store->ops->renew(store, owner, lease_until_unix_us, renewed, err);
    if (code != DOBBY_OK)
        *renewed = 0;
    return code;
}

dobby_code store_settle(struct store *store, struct outcome *outcomes, size_t count, int64_t now_unix_us,
                        struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_settle", err);
    if (code == DOBBY_OK)
        code = store_check_count(count, "outcomes to settle", err);
    if (code != DOBBY_OK)
        return code;
    for (size_t i = 0; i < count; i++)
        outcomes[i].stale = false;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++)
        code = store_check_outcome(&outcomes[i], err);
    if (code != DOBBY_OK || count == 0)
        return code;
    code = store->ops->settle(store, outcomes, count, now_unix_us, err);
    for (size_t i = 0; i < count && code != DOBBY_OK; i++)
        outcomes[i].stale = false;
    return code;
}

dobby_code store_owners(struct store *store, struct owner_list *out, struct dobby_error *err)
{
    *out = (struct owner_list){0};
    dobby_code code = store_check_free(store, "store_owners", err);
    if (code == DOBBY_OK)
        code = store->ops->owners(store, out, err);
    if (code != DOBBY_OK)
        owner_list_release(out);
    return code;
}

dobby_code store_release_owner(struct store *store, const char *owner, int64_t now_unix_us,
                               uint64_t *released, struct dobby_error *err)
{
    *released = 0;
    dobby_code code = store_check_free(store, "store_release_owner", err);
    if (code == DOBBY_OK)
        code = store_check_text(owner, "owner", 1, LIMIT_OWNER_BYTES, err);
    if (code == DOBBY_OK)
        code = store->ops->release_owner(store, owner, now_unix_us, released, err);
    if (code != DOBBY_OK)
        *released = 0;
    return code;
}

dobby_code store_count(struct store *store, struct store_counts *out, struct dobby_error *err)
{
    *out = (struct store_counts){0};
    dobby_code code = store_check_free(store, "store_count", err);
    if (code == DOBBY_OK)
        code = store->ops->count(store, out, err);
    if (code != DOBBY_OK)
        *out = (struct store_counts){0};
    return code;
}

dobby_code store_reasons(struct store *store, struct reason_counts *out, struct dobby_error *err)
{
    *out = (struct reason_counts){0};
    dobby_code code = store_check_free(store, "store_reasons", err);
    if (code == DOBBY_OK)
        code = store->ops->reasons(store, out, err);
    if (code != DOBBY_OK)
        reason_counts_release(out);
    return code;
}

dobby_code store_list(struct store *store, const struct record_filter *filter, record_visit_fn *visit,
                      void *context, struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_list", err);
    if (code == DOBBY_OK)
        code = store_check_filter(filter, err);
    if (code != DOBBY_OK)
        return code;
    store->visiting = true;
    code = store->ops->list(store, filter, visit, context, err);
    store->visiting = false;
    return code;
}

dobby_code store_get(struct store *store, const char *id, record_visit_fn *visit, void *context,
                     struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_get", err);
    if (code == DOBBY_OK)
        code = store_check_text(id, "id", 1, LIMIT_RECORD_ID_BYTES, err);
    if (code != DOBBY_OK)
        return code;
    store->visiting = true;
    code = store->ops->get(store, id, visit, context, err);
    store->visiting = false;
    return code;
}

dobby_code store_examine(struct store *store, bool thorough, struct store_health *out,
                         struct dobby_error *err)
{
    *out = (struct store_health){0};
    dobby_code code = store_check_free(store, "store_examine", err);
    if (code == DOBBY_OK)
        code = store->ops->examine(store, thorough, out, err);
    if (code != DOBBY_OK)
        *out = (struct store_health){0};
    return code;
}
