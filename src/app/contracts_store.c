/* Row 1.9 on a SQLite database of 10,000 records of 2 KB. */
#include "app/bench_records.h"
#include "app/contracts.h"
#include "base/limits.h"
#include "drivers/sqlite/store_sqlite.h"
#include "infer/bench/bench_engine.h"
#include "os/clock.h"
#include "os/temporary.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RECORDS = 10000,
    RECORD_BYTES = 2048,
    LOOKUPS = 1000,
    REPEATS = 50,
    SCANS = 5,
    ROWS = 100,
    SMALL_BATCH = 100,
    LARGE_BATCH = 1000,
    NAME_BYTES = 32,
    SAMPLES_MAX = LOOKUPS
};

struct bench {
    struct contract_list *list;
    struct store_sqlite_options sqlite;
    struct store *store;
    double samples_ms[SAMPLES_MAX];
    size_t sample_count;
    uint64_t visited;
};

static void sample(struct bench *bench, int64_t since_ns)
{
    bench->samples_ms[bench->sample_count++] = (double)(clock_monotonic_ns() - since_ns) / 1e6;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Adds the row for the samples since the last one; their percentile, 100 for the worst. */
static void settle(struct bench *bench, const char *what, double limit_ms, double percent)
{
    qsort(bench->samples_ms, bench->sample_count, sizeof bench->samples_ms[0], compare);
    const struct contract contract = {.row = "1.9",
                                      .what = what,
                                      .engine = "",
                                      .unit = "ms",
                                      .limit = limit_ms,
                                      .measured =
                                          bench_percentile(bench->samples_ms, bench->sample_count, percent)};
    contract_add(bench->list, &contract);
    bench->sample_count = 0;
}

static dobby_code visit(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct bench *bench = context;
    (void)row;
    (void)err;
    bench->visited++;
    return DOBBY_OK;
}

static dobby_code check_visits(struct bench *bench, uint64_t want, const char *what, struct dobby_error *err)
{
    const uint64_t visited = bench->visited;
    bench->visited = 0;
    return visited == want ? DOBBY_OK
                           : DOBBY_FAIL(err, DOBBY_INTERNAL, "%s visited %llu rows, not %llu", what,
                                        (unsigned long long)visited, (unsigned long long)want);
}

static dobby_code measure_open(struct bench *bench, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (int i = 0; code == DOBBY_OK && i < REPEATS; i++) {
        struct store *store;
        const int64_t since_ns = clock_monotonic_ns();
        code = store_sqlite_open(&bench->sqlite, &store, err);
        sample(bench, since_ns);
        store_close(store);
    }
    settle(bench, "acquire a handle (opening one: no pool yet), p95", 100, 95);
    return code;
}

static dobby_code measure_reads(struct bench *bench, struct dobby_error *err)
{
    struct store_health health;
    const struct record_filter page = {.limit = ROWS, .with_content = true}, like = {.path_glob = "*77*"};
    uint64_t alike = 0;
    char name[NAME_BYTES];
    dobby_code code = DOBBY_OK;
    for (uint32_t i = 0; code == DOBBY_OK && i < LOOKUPS; i++) {
        snprintf(name, sizeof name, "part-%010u.c", i * 7919u % RECORDS);
        const int64_t since_ns = clock_monotonic_ns();
        code = store_get(bench->store, name, visit, bench, err);
        sample(bench, since_ns);
    }
    settle(bench, "look a record up by its id, p95", 10, 95);
    if (code == DOBBY_OK)
        code = check_visits(bench, LOOKUPS, "looking up", err);
    for (int i = 0; code == DOBBY_OK && i < REPEATS; i++) {
        const int64_t since_ns = clock_monotonic_ns();
        code = store_list(bench->store, &page, visit, bench, err);
        sample(bench, since_ns);
    }
    settle(bench, "read 100 rows with content, p95", 50, 95);
    if (code == DOBBY_OK)
        code = check_visits(bench, ROWS * REPEATS, "reading", err);
    for (int i = 0; code == DOBBY_OK && i < SCANS; i++) {
        const int64_t since_ns = clock_monotonic_ns();
        code = store_list(bench->store, &like, visit, bench, err);
        sample(bench, since_ns);
        alike = alike == 0 ? bench->visited : alike;
    }
    settle(bench, "count records by a pattern of paths, worst", 200, 100);
    if (code == DOBBY_OK)
        code = check_visits(bench, alike * SCANS, "counting", err);
    for (int i = 0; code == DOBBY_OK && i < REPEATS; i++) {
        const int64_t since_ns = clock_monotonic_ns();
        code = store_examine(bench->store, false, &health, err);
        sample(bench, since_ns);
    }
    settle(bench, "check the health, p95", 50, 95);
    return code;
}

/* A synchronisation of a source of its own that puts so many records; with a spoiler the last one's id is
 * another source's, so that the whole transaction is rolled back. */
static dobby_code put_batch(struct bench *bench, const char *source, size_t count, bool spoiler,
                            struct dobby_error *err)
{
    struct record_input *inputs = calloc(count, sizeof *inputs);
    char(*names)[NAME_BYTES] = calloc(count, NAME_BYTES);
    struct buffer text = {0};
    struct put_counts counts = {0};
    dobby_code code = inputs == NULL || names == NULL
                          ? DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu records", count)
                          : bench_record_content(count, RECORD_BYTES, &text, err);
    for (size_t i = 0; code == DOBBY_OK && i < count; i++) {
        snprintf(names[i], NAME_BYTES, "%s-%zu", source, i);
        inputs[i] = (struct record_input){.id = names[i],
                                          .path = names[i],
                                          .language = "c",
                                          .content = text.bytes,
                                          .content_length = text.length};
    }
    if (code == DOBBY_OK && spoiler)
        inputs[count - 1].id = "part-0000000000.c";
    if (code == DOBBY_OK)
        code = store_sync_begin(bench->store, source, clock_unix_us(), err);
    if (code == DOBBY_OK) {
        const int64_t since_ns = clock_monotonic_ns();
        code = store_put(bench->store, inputs, count, clock_unix_us(), &counts, err);
        sample(bench, since_ns);
    }
    buffer_release(&text);
    free(inputs);
    free(names);
    return code;
}

static dobby_code measure_rollback(struct bench *bench, struct dobby_error *err)
{
    struct store_counts before, after;
    dobby_code code = store_count(bench->store, &before, err);
    if (code != DOBBY_OK)
        return code;
    code = put_batch(bench, "rolled-back", LARGE_BATCH, true, err);
    if (code != DOBBY_INVALID_ARGUMENT)
        return code == DOBBY_OK ? DOBBY_FAIL(err, DOBBY_INTERNAL, "a record of another source was taken")
                                : code;
    error_clear(err);
    settle(bench, "roll 1000 writes back", 5000, 100);
    code = store_count(bench->store, &after, err);
    return code == DOBBY_OK && before.total != after.total
               ? DOBBY_FAIL(err, DOBBY_INTERNAL, "a rollback left %llu records",
                            (unsigned long long)(after.total - before.total))
               : code;
}

/* Leases so many records and stores a result for each. */
static dobby_code settle_batch(struct bench *bench, size_t count, struct dobby_error *err)
{
    struct record_batch batch = {0};
    const int64_t now_us = clock_unix_us();
    struct outcome *outcomes = calloc(count, sizeof *outcomes);
    struct summary *summaries = calloc(count, sizeof *summaries);
    dobby_code code = outcomes == NULL || summaries == NULL
                          ? DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu outcomes", count)
                          : store_claim(bench->store, "bench", now_us, now_us + 60000000, count, &batch, err);
    if (code == DOBBY_OK && batch.count != count)
        code = DOBBY_FAIL(err, DOBBY_INTERNAL, "claimed %zu records, not %zu", batch.count, count);
    for (size_t i = 0; code == DOBBY_OK && i < count; i++) {
        summaries[i] =
            (struct summary){.text = "A summary of the usual length, which a person reads in a moment.",
                             .confidence = 1,
                             .model = "bench",
                             .model_fingerprint = "bench",
                             .precision = "none",
                             .sampling = "none",
                             .template_id = "bench",
                             .engine = "bench"};
        snprintf(summaries[i].id, sizeof summaries[i].id, "%08x-0000-7000-8000-%012x", (unsigned)count,
                 (unsigned)i);
        snprintf((char *)summaries[i].result_key, sizeof summaries[i].result_key, "%u-%u", (unsigned)count,
                 (unsigned)i);
        outcomes[i] = (struct outcome){.record_id = batch.records[i].id,
                                       .attempt = batch.records[i].attempt,
                                       .kind = OUTCOME_COMPLETED,
                                       .summary = &summaries[i]};
    }
    if (code == DOBBY_OK) {
        const int64_t since_ns = clock_monotonic_ns();
        code = store_settle(bench->store, outcomes, count, now_us, err);
        sample(bench, since_ns);
    }
    record_batch_release(&batch);
    free(outcomes);
    free(summaries);
    return code;
}

static dobby_code measure_writes(struct bench *bench, struct dobby_error *err)
{
    dobby_code code = put_batch(bench, "small", SMALL_BATCH, false, err);
    settle(bench, "write 100 records in one transaction", 1000, 100);
    if (code == DOBBY_OK)
        code = put_batch(bench, "large", LARGE_BATCH, false, err);
    settle(bench, "write 1000 records in one transaction", 10000, 100);
    if (code == DOBBY_OK)
        code = settle_batch(bench, SMALL_BATCH, err);
    settle(bench, "write 100 results in one transaction", 1000, 100);
    if (code == DOBBY_OK)
        code = settle_batch(bench, LARGE_BATCH, err);
    settle(bench, "write 1000 results in one transaction", 10000, 100);
    return code == DOBBY_OK ? measure_rollback(bench, err) : code;
}

dobby_code contracts_store(const struct contract_options *options, struct contract_list *list,
                           struct dobby_error *err)
{
    struct bench bench = {.list = list};
    struct buffer directory = {0}, path = {0};
    dobby_code code = temporary_directory_make(options->directory, &directory, err);
    if (code == DOBBY_OK)
        code = buffer_append_format(&path, err, "%s/bench.db", directory.bytes);
    if (code != DOBBY_OK)
        goto done;
    bench.sqlite = (struct store_sqlite_options){
        .path = path.bytes,
        .access = SQLITE_ACCESS_CREATE,
        .busy_timeout_ms = (int)config_integer(options->config, CONFIG_STORE_BUSY_TIMEOUT_MS)};
    code = store_sqlite_open(&bench.sqlite, &bench.store, err);
    if (code == DOBBY_OK)
        code = bench_records_put(bench.store, RECORDS, RECORD_BYTES, err);
    if (code == DOBBY_OK)
        code = measure_open(&bench, err);
    if (code == DOBBY_OK)
        code = measure_reads(&bench, err);
    if (code == DOBBY_OK)
        code = measure_writes(&bench, err);
done:
    store_close(bench.store);
    if (directory.length > 0)
        temporary_directory_remove(directory.bytes);
    buffer_release(&directory);
    buffer_release(&path);
    return code;
}
