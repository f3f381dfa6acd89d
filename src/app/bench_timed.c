#include "app/bench_timed.h"

#include "os/clock.h"

const char *timed_call_name(enum timed_call call)
{
    static const char *const names[TIMED_CALL_COUNT] = {
        [TIMED_CLAIM] = "store_claim",        [TIMED_SETTLE] = "store_settle",
        [TIMED_FIND] = "store_find_results",  [TIMED_STORE_OTHER] = "store_other",
        [TIMED_TOKENIZE] = "engine_tokenize", [TIMED_SUBMIT] = "engine_submit",
        [TIMED_WAIT] = "engine_wait",
    };
    return names[call];
}

static void take(struct timed_calls *calls, enum timed_call call, int64_t since_ns)
{
    const int64_t took_ns = clock_monotonic_ns() - since_ns;
    calls->ns[call] += took_ns;
    calls->calls[call]++;
    if (took_ns > calls->longest_ns[call])
        calls->longest_ns[call] = took_ns;
}

/* Defines the function `name` of a table of functions: the inner call between two readings of the clock. */
#define TIMED(type, name, call, parameters, inner_call)                                                      \
    static dobby_code name parameters                                                                        \
    {                                                                                                        \
        const struct type *self = (const struct type *)(void *)handle;                                       \
        const int64_t since_ns = clock_monotonic_ns();                                                       \
        const dobby_code code = inner_call;                                                                  \
        take(self->calls, call, since_ns);                                                                   \
        return code;                                                                                         \
    }

/* ---- the store ----------------------------------------------------------------------------------- */

TIMED(timed_store, find_results, TIMED_FIND,
      (struct store * handle, const uint8_t (*keys)[SHA256_BYTES], size_t key_count, summary_visit_fn *visit,
       void *context, struct dobby_error *err),
      store_find_results(self->inner, keys, key_count, visit, context, err))
TIMED(timed_store, renew, TIMED_STORE_OTHER,
      (struct store * handle, const char *owner, int64_t lease_until_unix_us, uint64_t *renewed,
       struct dobby_error *err),
      store_renew(self->inner, owner, lease_until_unix_us, renewed, err))
TIMED(timed_store, owners, TIMED_STORE_OTHER,
      (struct store * handle, struct owner_list *out, struct dobby_error *err),
      store_owners(self->inner, out, err))
TIMED(timed_store, release_owner, TIMED_STORE_OTHER,
      (struct store * handle, const char *owner, int64_t now_unix_us, uint64_t *released,
       struct dobby_error *err),
      store_release_owner(self->inner, owner, now_unix_us, released, err))
TIMED(timed_store, count, TIMED_STORE_OTHER,
      (struct store * handle, struct store_counts *out, struct dobby_error *err),
      store_count(self->inner, out, err))
TIMED(timed_store, run_begin, TIMED_STORE_OTHER,
      (struct store * handle, const struct run_row *row, struct dobby_error *err),
      store_run_begin(self->inner, row, err))
TIMED(timed_store, run_poll, TIMED_STORE_OTHER,
      (struct store * handle, const char *id, enum run_command *pending, struct dobby_error *err),
      store_run_poll(self->inner, id, pending, err))
TIMED(timed_store, run_lost, TIMED_STORE_OTHER,
      (struct store * handle, const char *owner, int64_t now_unix_us, uint64_t *lost,
       struct dobby_error *err),
      store_run_lost(self->inner, owner, now_unix_us, lost, err))
TIMED(timed_store, run_list, TIMED_STORE_OTHER,
      (struct store * handle, const struct run_filter *filter, run_visit_fn *visit, void *context,
       struct dobby_error *err),
      store_run_list(self->inner, filter, visit, context, err))
TIMED(timed_store, stale_count, TIMED_STORE_OTHER,
      (struct store * handle, const struct provenance_key *want, uint64_t *stale, struct dobby_error *err),
      store_stale_count(self->inner, want, stale, err))
TIMED(timed_store, requeue_stale, TIMED_STORE_OTHER,
      (struct store * handle, const struct provenance_key *want, int64_t now_unix_us, uint64_t limit,
       struct stale_counts *counts, struct dobby_error *err),
      store_requeue_stale(self->inner, want, now_unix_us, limit, counts, err))

static dobby_code claim(struct store *store, const char *owner, int64_t now_unix_us,
                        int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                        struct dobby_error *err)
{
    const struct timed_store *self = (const struct timed_store *)(void *)store;
    struct timed_calls *calls = self->calls;
    const int64_t since_ns = clock_monotonic_ns();
    if (calls->settle_since_ns > 0 && since_ns - calls->settle_since_ns > calls->claim_in_settle_ns)
        calls->claim_in_settle_ns = since_ns - calls->settle_since_ns;
    const dobby_code code =
        store_claim(self->inner, owner, now_unix_us, lease_until_unix_us, limit, out, err);
    take(calls, TIMED_CLAIM, since_ns);
    if (code == DOBBY_OK)
        calls->held += out->count;
    if (calls->held > calls->held_max)
        calls->held_max = calls->held;
    return code;
}

static dobby_code settle(struct store *store, struct outcome *outcomes, size_t outcome_count,
                         int64_t now_unix_us, struct dobby_error *err)
{
    const struct timed_store *self = (const struct timed_store *)(void *)store;
    struct timed_calls *calls = self->calls;
    const int64_t since_ns = clock_monotonic_ns();
    calls->settle_since_ns = since_ns;
    if (self->settle_delay_ms > 0)
        clock_sleep_ms(self->settle_delay_ms);
    const dobby_code code = store_settle(self->inner, outcomes, outcome_count, now_unix_us, err);
    calls->settle_since_ns = 0;
    take(calls, TIMED_SETTLE, since_ns);
    if (code == DOBBY_OK)
        calls->held -= outcome_count;
    if (code == DOBBY_OK && outcome_count > 0 && calls->first_settle_ns == 0)
        calls->first_settle_ns = clock_monotonic_ns();
    return code;
}

static dobby_code run_update(struct store *store, const struct run_row *row, enum run_command *pending,
                             struct dobby_error *err)
{
    const struct timed_store *self = (const struct timed_store *)(void *)store;
    struct timed_calls *calls = self->calls;
    const int64_t since_ns = clock_monotonic_ns();
    const dobby_code code = store_run_update(self->inner, row, pending, err);
    take(calls, TIMED_STORE_OTHER, since_ns);
    const int64_t now_ns = clock_monotonic_ns();
    if (code == DOBBY_OK && calls->last_update_ns > 0 &&
        now_ns - calls->last_update_ns > calls->update_gap_ns)
        calls->update_gap_ns = now_ns - calls->last_update_ns;
    if (code == DOBBY_OK)
        calls->last_update_ns = now_ns;
    return code;
}

static const struct store_ops timed_store_ops = {.name = "timed",
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

void timed_store_init(struct timed_store *timed, struct store *inner, struct timed_calls *calls)
{
    *timed = (struct timed_store){.store.ops = &timed_store_ops, .inner = inner, .calls = calls};
}

/* ---- the engine ---------------------------------------------------------------------------------- */

TIMED(timed_engine, tokenize, TIMED_TOKENIZE,
      (struct engine * handle, const struct text_span *spans, size_t span_count, struct token_list *out,
       struct dobby_error *err),
      engine_tokenize(self->inner, spans, span_count, out, err))
TIMED(timed_engine, wait, TIMED_WAIT,
      (struct engine * handle, struct engine_result *results, size_t capacity, int64_t timeout_ms,
       size_t *result_count, struct dobby_error *err),
      engine_wait(self->inner, results, capacity, timeout_ms, result_count, err))

static dobby_code submit(struct engine *engine, const struct engine_request *request, struct dobby_error *err)
{
    const struct timed_engine *self = (const struct timed_engine *)(void *)engine;
    const int64_t since_ns = clock_monotonic_ns();
    const dobby_code code = engine_submit(self->inner, request, err);
    take(self->calls, TIMED_SUBMIT, since_ns);
    if (code == DOBBY_OK && self->calls->first_submit_ns == 0)
        self->calls->first_submit_ns = clock_monotonic_ns();
    return code;
}

static struct engine *inner_of(const struct engine *engine)
{
    return ((const struct timed_engine *)engine)->inner;
}

static const struct engine_info *info(const struct engine *engine)
{
    return engine_info(inner_of(engine));
}

static void cancel_queued(struct engine *engine)
{
    engine_cancel_queued(inner_of(engine));
}

static void cancel_all(struct engine *engine)
{
    engine_cancel_all(inner_of(engine));
}

static void stats(struct engine *engine, struct engine_stats *out)
{
    engine_stats(inner_of(engine), out);
}

static const struct engine_ops timed_engine_ops = {.info = info,
                                                   .tokenize = tokenize,
                                                   .submit = submit,
                                                   .wait = wait,
                                                   .cancel_queued = cancel_queued,
                                                   .cancel_all = cancel_all,
                                                   .stats = stats};

void timed_engine_init(struct timed_engine *timed, struct engine *inner, struct timed_calls *calls)
{
    *timed = (struct timed_engine){.engine.ops = &timed_engine_ops, .inner = inner, .calls = calls};
}
