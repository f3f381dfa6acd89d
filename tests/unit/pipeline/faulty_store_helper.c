#include "unit/pipeline/faulty_store_helper.h"

#include "os/clock.h"

static struct faulty_store *faulty(struct store *store)
{
    return (struct faulty_store *)(void *)store;
}

static dobby_code fault(struct store *store, enum faulty_call call, struct dobby_error *err)
{
    struct faulty_store *self = faulty(store);
    uint32_t number = self->of[call].calls++;
    if (self->of[call].slow_ms > 0) {
        self->slow = call;
        self->slow_since_ns = clock_monotonic_ns();
        clock_sleep_ms(self->of[call].slow_ms);
        self->slow = FAULTY_CALLS;
    }
    if (number < self->of[call].pass || number - self->of[call].pass >= self->of[call].fail)
        return DOBBY_OK;
    return DOBBY_FAIL(err, self->of[call].code, "told to");
}

static dobby_code claim(struct store *store, const char *owner, int64_t now_unix_us,
                        int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                        struct dobby_error *err)
{
    struct faulty_store *self = faulty(store);
    if (self->on_claim != NULL)
        self->on_claim(self->context);
    dobby_code code = fault(store, FAULTY_CLAIM, err);
    if (limit > self->claimed_max)
        self->claimed_max = limit;
    if (code == DOBBY_OK)
        code = store_claim(self->inner, owner, now_unix_us, lease_until_unix_us, limit, out, err);
    if (code == DOBBY_OK)
        self->held += out->count;
    if (self->held > self->held_max)
        self->held_max = self->held;
    return code;
}

static dobby_code renew(struct store *store, const char *owner, int64_t lease_until_unix_us,
                        uint64_t *renewed, struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_RENEW, err);
    return code != DOBBY_OK ? code
                            : store_renew(faulty(store)->inner, owner, lease_until_unix_us, renewed, err);
}

static dobby_code settle(struct store *store, struct outcome *outcomes, size_t count, int64_t now_unix_us,
                         struct dobby_error *err)
{
    struct faulty_store *self = faulty(store);
    dobby_code code = fault(store, FAULTY_SETTLE, err);
    if (code == DOBBY_OK)
        code = store_settle(self->inner, outcomes, count, now_unix_us, err);
    if (code == DOBBY_OK)
        self->held -= count;
    return code;
}

static dobby_code owners(struct store *store, struct owner_list *out, struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_OWNERS, err);
    return code != DOBBY_OK ? code : store_owners(faulty(store)->inner, out, err);
}

static dobby_code release_owner(struct store *store, const char *owner, int64_t now_unix_us,
                                uint64_t *released, struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_RELEASE, err);
    return code != DOBBY_OK ? code
                            : store_release_owner(faulty(store)->inner, owner, now_unix_us, released, err);
}

static dobby_code count(struct store *store, struct store_counts *out, struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_COUNT, err);
    return code != DOBBY_OK ? code : store_count(faulty(store)->inner, out, err);
}

static dobby_code run_begin(struct store *store, const struct run_row *row, struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_RUN_BEGIN, err);
    return code != DOBBY_OK ? code : store_run_begin(faulty(store)->inner, row, err);
}

static dobby_code run_update(struct store *store, const struct run_row *row, enum run_command *pending,
                             struct dobby_error *err)
{
    if (faulty(store)->on_update != NULL)
        faulty(store)->on_update(faulty(store)->context, row->metrics);
    dobby_code code = fault(store, FAULTY_RUN_UPDATE, err);
    return code != DOBBY_OK ? code : store_run_update(faulty(store)->inner, row, pending, err);
}

static dobby_code run_poll(struct store *store, const char *id, enum run_command *pending,
                           struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_RUN_POLL, err);
    return code != DOBBY_OK ? code : store_run_poll(faulty(store)->inner, id, pending, err);
}

/* Not made to fail: a run only looks for the runs of the dead. */
static dobby_code run_lost(struct store *store, const char *owner, int64_t now_unix_us, uint64_t *lost,
                           struct dobby_error *err)
{
    return store_run_lost(faulty(store)->inner, owner, now_unix_us, lost, err);
}

static dobby_code run_list(struct store *store, const struct run_filter *filter, run_visit_fn *visit,
                           void *context, struct dobby_error *err)
{
    return store_run_list(faulty(store)->inner, filter, visit, context, err);
}

static dobby_code find_results(struct store *store, const uint8_t (*keys)[SHA256_BYTES], size_t count,
                               summary_visit_fn *visit, void *context, struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_FIND_RESULTS, err);
    return code != DOBBY_OK ? code
                            : store_find_results(faulty(store)->inner, keys, count, visit, context, err);
}

static dobby_code stale_count(struct store *store, const struct provenance_key *want, uint64_t *count,
                              struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_STALE_COUNT, err);
    return code != DOBBY_OK ? code : store_stale_count(faulty(store)->inner, want, count, err);
}

static dobby_code requeue_stale(struct store *store, const struct provenance_key *want, int64_t now_unix_us,
                                uint64_t limit, struct stale_counts *counts, struct dobby_error *err)
{
    dobby_code code = fault(store, FAULTY_REQUEUE_STALE, err);
    return code != DOBBY_OK
               ? code
               : store_requeue_stale(faulty(store)->inner, want, now_unix_us, limit, counts, err);
}

static const struct store_ops ops = {.name = "faulty",
                                     .claim = claim,
                                     .renew = renew,
                                     .settle = settle,
                                     .owners = owners,
                                     .release_owner = release_owner,
                                     .count = count,
                                     .run_begin = run_begin,
                                     .run_update = run_update,
                                     .run_poll = run_poll,
                                     .run_lost = run_lost,
                                     .run_list = run_list,
                                     .find_results = find_results,
                                     .stale_count = stale_count,
                                     .requeue_stale = requeue_stale};

void faulty_store_init(struct faulty_store *store, struct store *inner)
{
    *store = (struct faulty_store){.base.ops = &ops, .inner = inner, .slow = FAULTY_CALLS};
}
