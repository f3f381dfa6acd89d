#include "unit/pipeline/faulty_store_helper.h"

static struct faulty_store *faulty(struct store *store)
{
    return (struct faulty_store *)(void *)store;
}

static dobby_code fault(struct store *store, enum faulty_call call, struct dobby_error *err)
{
    struct faulty_store *self = faulty(store);
    uint32_t number = self->of[call].calls++;
    if (number < self->of[call].pass || number - self->of[call].pass >= self->of[call].fail)
        return DOBBY_OK;
    return DOBBY_FAIL(err, self->of[call].code, "told to");
}

static dobby_code claim(struct store *store, const char *owner, int64_t now_unix_us,
                        int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                        struct dobby_error *err)
{
    struct faulty_store *self = faulty(store);
    dobby_code code = fault(store, FAULTY_CLAIM, err);
    if (limit > self->claimed_max)
        self->claimed_max = limit;
    return code != DOBBY_OK
               ? code
               : store_claim(self->inner, owner, now_unix_us, lease_until_unix_us, limit, out, err);
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
    dobby_code code = fault(store, FAULTY_SETTLE, err);
    return code != DOBBY_OK ? code : store_settle(faulty(store)->inner, outcomes, count, now_unix_us, err);
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

static const struct store_ops ops = {.name = "faulty",
                                     .claim = claim,
                                     .renew = renew,
                                     .settle = settle,
                                     .owners = owners,
                                     .release_owner = release_owner,
                                     .count = count};

void faulty_store_init(struct faulty_store *store, struct store *inner)
{
    *store = (struct faulty_store){.base.ops = &ops, .inner = inner};
}
