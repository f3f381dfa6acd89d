/* The beginning of a run: its memory, its row in the store, what the dead left, and how much there is to do.
 */
#include "observe/log.h"
#include "os/clock.h"
#include "os/process.h"
#include "pipeline/run_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACTIVE_RUNS_MAX = 64 /* looked at for dead owners at once */ };

/* An owner is a process' identity with something unique behind it; one that is not is left alone. */
static bool owner_is_dead(const char *owner)
{
    struct process_identity identity;
    return process_identity_parse(owner, &identity, NULL) == DOBBY_OK && process_is_dead(&identity);
}

static dobby_code take_back(struct run *run, const char *owner, struct dobby_error *err)
{
    struct dobby_error failure;
    uint64_t released = 0, lost = 0;
    dobby_code code;
    do {
        failure = (struct dobby_error){0};
        code = store_release_owner(run->store, owner, clock_unix_us(), &released, &failure);
        if (code == DOBBY_OK)
            code = store_run_lost(run->store, owner, clock_unix_us(), &lost, &failure);
    } while (run_store_wait(run, &code, &failure, err));
    if (code == DOBBY_OK && (released > 0 || lost > 0)) {
        run->dry = false;
        log_write(LOG_INFO, "run.take_back", "took back the leases of a process that is gone",
                  LOG_TEXT("owner", owner), LOG_INTEGER("records", (int64_t)released));
    }
    return code;
}

/* Owners of active runs: a run that died between two claims holds no lease, but says that it runs. */
struct owners {
    char *names[ACTIVE_RUNS_MAX];
    size_t count;
};

static dobby_code note_owner(void *context, const struct run_row *row, struct dobby_error *err)
{
    struct owners *owners = context;
    if (owners->count == ACTIVE_RUNS_MAX || !owner_is_dead(row->owner))
        return DOBBY_OK;
    char *name = strdup(row->owner);
    if (name == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the owner of a run");
    owners->names[owners->count++] = name;
    return DOBBY_OK;
}

static void owners_release(struct owners *owners)
{
    while (owners->count > 0)
        free(owners->names[--owners->count]);
}

dobby_code run_take_back_dead(struct run *run, struct dobby_error *err)
{
    static const struct run_filter active = {.active_only = true};
    struct owner_list list = {0};
    struct owners runs = {.count = 0};
    struct dobby_error failure;
    dobby_code code;
    do {
        failure = (struct dobby_error){0};
        owners_release(&runs);
        code = store_owners(run->store, &list, &failure);
        if (code == DOBBY_OK)
            code = store_run_list(run->store, &active, note_owner, &runs, &failure);
        if (code != DOBBY_OK)
            owner_list_release(&list);
    } while (run_store_wait(run, &code, &failure, err));
    for (size_t i = 0; i < list.count && code == DOBBY_OK; i++)
        if (owner_is_dead(list.owners[i]))
            code = take_back(run, list.owners[i], err);
    for (size_t i = 0; i < runs.count && code == DOBBY_OK; i++)
        code = take_back(run, runs.names[i], err);
    owner_list_release(&list);
    owners_release(&runs);
    run->takeback_ns = clock_monotonic_ns();
    return code;
}

static void cap_total(struct run *run)
{
    uint64_t most = run->options->records_max;
    run->progress->total = most > 0 && run->work > most ? most : run->work;
}

void run_set_total(struct run *run, const struct store_counts *counts)
{
    run->work = run_done(run) + counts->by_state[RECORD_PENDING] + counts->by_state[RECORD_LEASED] +
                run_stale_left(run);
    cap_total(run);
}

void run_lower_total(struct run *run, uint64_t gone)
{
    run->work -= run->work > gone ? gone : run->work;
    cap_total(run);
}

static dobby_code count_work(struct run *run, struct dobby_error *err)
{
    struct store_counts counts;
    struct dobby_error failure;
    dobby_code code;
    do {
        failure = (struct dobby_error){0};
        code = run_count_stale(run, &failure);
        if (code == DOBBY_OK)
            code = store_count(run->store, &counts, &failure);
    } while (run_store_wait(run, &code, &failure, err));
    if (code != DOBBY_OK)
        return code;
    run_set_total(run, &counts);
    return DOBBY_OK;
}

static dobby_code check_options(const struct run *run, struct dobby_error *err)
{
    const struct run_options *options = run->options;
    const struct engine_info *info = run->provenance.info;
    if (options->owner == NULL || options->owner[0] == '\0')
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a run needs an owner");
    if (options->lease_ms <= 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a lease of %lld ms", (long long)options->lease_ms);
    if (options->sessions_min > info->sessions)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "at least %u sessions, and the engine has %u",
                          (unsigned)options->sessions_min, (unsigned)info->sessions);
    if (options->tokens_max == 0 || options->tokens_max > LIMIT_GENERATED_TOKENS ||
        options->tokens_max >= info->context_tokens)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                          "%u tokens to generate: at least 1, at most %d, and below the context of %u",
                          (unsigned)options->tokens_max, LIMIT_GENERATED_TOKENS,
                          (unsigned)info->context_tokens);
    return DOBBY_OK;
}

/* What a result that failed the gates is tried again with: the same settings, but drawn, and not greedily. */
static void set_second_sampling(struct run *run)
{
    enum {
        SECOND_TENTHS = 3
    }; /* of the temperature: another text, and still close to the most probable one */
    run->second_sampling = run->options->sampling;
    if (run->second_sampling.temperature <= 0) {
        run->second_sampling.temperature = SECOND_TENTHS / 10.0f;
        run->second_sampling.top_k = 0;
        run->second_sampling.top_p = 1;
    }
    snprintf(run->engine_text_second, sizeof(run->engine_text_second), "%s, second try at temperature %g",
             run->engine_text, (double)run->second_sampling.temperature);
}

static dobby_code allocate(struct run *run, struct dobby_error *err)
{
    const struct run_options *options = run->options;
    const struct engine_info *info = run->provenance.info;
    size_t cache_bytes = options->cache_bytes_max > 0 ? options->cache_bytes_max : RUN_CACHE_BYTES;
    int64_t ttl_ms = options->cache_ttl_ms > 0 ? options->cache_ttl_ms : RUN_CACHE_TTL_MS;
    dobby_code code = job_table_init(&run->jobs, run_in_flight_max(info->sessions), err);
    if (code == DOBBY_OK)
        code = outbox_init(&run->outbox, run_leases_max(info->sessions), err);
    if (code == DOBBY_OK)
        run->outbox.run_id = options->run_id;
    if (code == DOBBY_OK)
        code = result_cache_init(&run->cache, cache_bytes, ttl_ms * 1000000, err);
    if (code != DOBBY_OK)
        return code;
    run->results = calloc(RUN_RESULTS_AT_ONCE, sizeof(run->results[0]));
    run->spans = calloc(prompt_template_span_count(run->prompt), sizeof(run->spans[0]));
    run->intake = calloc(RUN_CLAIM_RECORDS, sizeof(run->intake[0]));
    run->keys = calloc(RUN_CLAIM_RECORDS, sizeof(run->keys[0]));
    run->key_records = calloc(RUN_CLAIM_RECORDS, sizeof(run->key_records[0]));
    if (run->results == NULL || run->spans == NULL || run->intake == NULL || run->keys == NULL ||
        run->key_records == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a run's buffers");
    return DOBBY_OK;
}

dobby_code run_begin(struct run *run, struct dobby_error *err)
{
    const struct engine_info *info = engine_info(run->engine);
    const struct run_options *options = run->options;
    run->provenance = (struct provenance){.info = info,
                                          .sampling = run->sampling,
                                          .template_id = prompt_template_id(run->prompt),
                                          .engine = run->engine_text};
    run_health_init(run);
    concurrency_init(&run->concurrency, options->sessions_min > 0 ? options->sessions_min : info->sessions,
                     info->sessions);
    dobby_code code = check_options(run, err);
    if (code != DOBBY_OK)
        return code;
    sampling_text(&options->sampling, options->run_seed, options->tokens_max, run->sampling);
    snprintf(run->engine_text, sizeof(run->engine_text), "%s %s", info->version, info->kernels);
    set_second_sampling(run);
    code = allocate(run, err);
    if (code == DOBBY_OK)
        code = run_record_begin(run, err);
    if (code == DOBBY_OK)
        code = run_take_back_dead(run, err);
    if (code == DOBBY_OK)
        code = count_work(run, err);
    if (code == DOBBY_OK)
        run->renewed_ns = run->counted_ns = clock_monotonic_ns();
    return code;
}
