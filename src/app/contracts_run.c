/* Rows 3.5 and 3.15: whole runs over synthetic records through SQLite. */
#include "app/contracts.h"

#include <stdio.h>
#include <string.h>

enum {
    THOUSAND = 1000,
    TEN_THOUSAND = 10000,
    NULL_BYTES = 2048,
    SLOW_MS = 200,        /* more for every transaction of results */
    EMBEDDED_BYTES = 750, /* some 300 tokens, as the contracts take a record to be */
};

struct bench {
    const struct contract_options *options;
    const char *label;
    struct contract_list *list;
};

static void add(struct bench *bench, const char *what, const char *unit, double limit, double measured,
                const char *note)
{
    struct contract contract = {.row = "3.15",
                                .what = what,
                                .engine = bench->label,
                                .unit = unit,
                                .limit = limit,
                                .measured = measured};
    contract.at_least = strcmp(unit, "records/s") == 0;
    snprintf(contract.note, sizeof contract.note, "%s", note);
    contract_add(bench->list, &contract);
}

static dobby_code measure(struct bench *bench, uint64_t records, struct pipeline_figures *out,
                          struct dobby_error *err)
{
    const bool null = strcmp(bench->label, "null") == 0;
    const struct bench_pipeline_options options = {.config = bench->options->config,
                                                   .directory = bench->options->directory,
                                                   .records = records,
                                                   .bytes = null ? NULL_BYTES : EMBEDDED_BYTES};
    return bench_pipeline(&options, out, err);
}

static double error_percent(const struct pipeline_figures *figures)
{
    const struct run_progress *totals = &figures->totals;
    const uint64_t done = totals->completed + totals->degraded + totals->failed + totals->skipped;
    return done > 0 ? (double)totals->failed * 100 / (double)done : 100;
}

static dobby_code check_whole(const struct pipeline_figures *figures, struct dobby_error *err)
{
    const struct run_progress *totals = &figures->totals;
    const uint64_t done = totals->completed + totals->degraded + totals->failed + totals->skipped;
    return done == figures->records
               ? DOBBY_OK
               : DOBBY_FAIL(err, DOBBY_INTERNAL, "a run ended with %llu of %llu records",
                            (unsigned long long)done, (unsigned long long)figures->records);
}

dobby_code contracts_run(const struct contract_options *options, const char *label,
                         struct contract_list *list, struct dobby_error *err)
{
    struct bench bench = {.options = options, .label = label, .list = list};
    struct pipeline_figures figures, large;
    const bool large_too = options->full || strcmp(label, "null") == 0;
    char size[CONTRACT_NOTE_BYTES];
    dobby_code code = measure(&bench, THOUSAND, &figures, err);
    if (code == DOBBY_OK)
        code = check_whole(&figures, err);
    if (code == DOBBY_OK && large_too)
        code = measure(&bench, TEN_THOUSAND, &large, err);
    if (code == DOBBY_OK && large_too)
        code = check_whole(&large, err);
    if (code != DOBBY_OK)
        return code;
    snprintf(size, sizeof size, "records of %llu bytes", (unsigned long long)figures.bytes);
    add(&bench, "start: the engine opened, a record given to it", "s", 10,
        figures.open_s + figures.first_submit_ms / 1000, "");
    add(&bench, "first result stored after the start", "ms", 1000, figures.first_result_ms, "");
    add(&bench, "throughput", "records/s", 10, figures.records_per_min / 60, size);
    add(&bench, "1000 records", "s", 300, figures.seconds, "");
    if (large_too) {
        add(&bench, "10,000 records", "s", 2700, large.seconds, "");
    } else {
        const struct contract missing = {
            .row = "3.15", .what = "10,000 records", .engine = label, .unit = "s", .limit = 2700};
        contract_add_missing(list, &missing,
                             "takes ten times the row above: dobby bench contracts --full --only 3.15");
    }
    add(&bench, "records that fail", "%", 1, error_percent(&figures), "");
    add(&bench, "longest time between two reports of progress", "ms", 1000, figures.progress_gap_ms, "");
    const struct pipeline_figures *longer = large_too ? &large : &figures;
    if (longer->calls.update_gap_ns > 0) {
        add(&bench, "longest time between two metrics in the database", "ms", 1000,
            (double)longer->calls.update_gap_ns / 1e6, "");
    } else {
        const struct contract missing = {.row = "3.15",
                                         .what = "longest time between two metrics in the database",
                                         .engine = label,
                                         .unit = "ms",
                                         .limit = 1000};
        contract_add_missing(list, &missing, "the run ended before its second metrics");
    }
    add(&bench, "age of a report's figures when it comes", "ms", 100, figures.progress_age_ms, "");
    return DOBBY_OK;
}

dobby_code contracts_backpressure(const struct contract_options *options, struct contract_list *list,
                                  struct dobby_error *err)
{
    struct pipeline_figures figures;
    const struct bench_pipeline_options slowed = {.config = options->config,
                                                  .directory = options->directory,
                                                  .records = THOUSAND,
                                                  .bytes = NULL_BYTES,
                                                  .settle_delay_ms = SLOW_MS};
    dobby_code code = bench_pipeline(&slowed, &figures, err);
    if (code == DOBBY_OK)
        code = check_whole(&figures, err);
    if (code != DOBBY_OK)
        return code;
    struct contract contract = {.row = "3.5",
                                .what = "a slow writer: claims into a saving of results",
                                .engine = "null",
                                .unit = "ms",
                                .limit = 100,
                                .measured = (double)figures.calls.claim_in_settle_ns / 1e6};
    snprintf(contract.note, sizeof contract.note, "each takes %d ms longer; the last claim after its begin",
             SLOW_MS);
    contract_add(list, &contract);
    contract.what = "a slow writer: records in memory";
    contract.unit = "records";
    contract.limit = (double)figures.leases_max + 1;
    contract.measured = (double)figures.calls.held_max;
    snprintf(contract.note, sizeof contract.note, "whatever the table's size");
    contract_add(list, &contract);
    return DOBBY_OK;
}
