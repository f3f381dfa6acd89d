#include "app/commands.h"
#include "app/contracts.h"
#include "app/output.h"
#include "app/stores.h"
#include "os/cpu.h"
#include "os/interrupt.h"
#include "os/thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CORES = 2, FIGURE_BYTES = 32, VERDICT_COLUMNS = 12 };

/* "12.3 ms": three digits are enough to compare with a limit. */
static const char *figure(double value, const char *unit, const char *sign, char out[FIGURE_BYTES])
{
    const double size = value < 0 ? -value : value;
    const int digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    snprintf(out, FIGURE_BYTES, "%s%.*f %s", sign, digits, value, unit);
    return out;
}

static dobby_code append_row(const struct contract *contract, struct buffer *out, struct dobby_error *err)
{
    char limit[FIGURE_BYTES], measured[FIGURE_BYTES] = "-";
    if (contract->verdict != CONTRACT_NOT_MEASURED)
        (void)figure(contract->measured, contract->unit, "", measured);
    const bool note = contract->note[0] != '\0';
    const char *verdict = contract_verdict_name(contract->verdict);
    return buffer_append_format(
        out, err, "%-5s %-50s %-9s %14s %14s  %-*s%s%s\n", contract->row, contract->what,
        contract->engine[0] != '\0' ? contract->engine : "-",
        figure(contract->limit, contract->unit, contract->at_least ? ">= " : "< ", limit), measured,
        note ? VERDICT_COLUMNS : 0, verdict, note ? "  " : "", contract->note);
}

static dobby_code append_text(const struct contract_list *list, double load, struct buffer *out,
                              struct dobby_error *err)
{
    dobby_code code = buffer_append_format(out, err, "%-5s %-50s %-9s %14s %14s  %s\n", "ROW", "CONTRACT",
                                           "ENGINE", "LIMIT", "MEASURED", "VERDICT");
    for (size_t i = 0; code == DOBBY_OK && i < list->count; i++)
        code = append_row(&list->rows[i], out, err);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%zu met, %zu broken, %zu not measured\n",
                                    contract_count(list, CONTRACT_MET), contract_count(list, CONTRACT_BROKEN),
                                    contract_count(list, CONTRACT_NOT_MEASURED));
    /* Who shares the machine shares its time: a broken contract of speed may be the neighbours'. */
    if (code == DOBBY_OK && load >= 0)
        code = buffer_append_format(out, err, "load average before: %.1f on %u processors\n", load,
                                    (unsigned)thread_cpu_count());
    return code;
}

static void put_row(struct json_writer *json, const struct contract *contract)
{
    const struct {
        const char *name, *text;
    } texts[] = {
        {"row", contract->row},
        {"contract", contract->what},
        {"engine", contract->engine[0] != '\0' ? contract->engine : NULL},
        {"unit", contract->unit},
        {"verdict", contract_verdict_name(contract->verdict)},
        {"note", contract->note[0] != '\0' ? contract->note : NULL},
    };
    json_begin_object(json);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_key(json, texts[i].name);
        json_put_text(json, texts[i].text);
    }
    json_key(json, "at_least");
    json_put_boolean(json, contract->at_least);
    json_key(json, "limit");
    json_put_number(json, contract->limit);
    json_key(json, "measured");
    if (contract->verdict == CONTRACT_NOT_MEASURED)
        json_put_null(json);
    else
        json_put_number(json, contract->measured);
    json_end_object(json);
}

static dobby_code append_json(const struct contract_list *list, double load, uint32_t threads,
                              struct buffer *out, struct dobby_error *err)
{
    static const struct {
        const char *name;
        enum contract_verdict verdict;
    } counts[] = {
        {"met", CONTRACT_MET}, {"broken", CONTRACT_BROKEN}, {"not_measured", CONTRACT_NOT_MEASURED}};
    struct json_writer json;
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    json_key(&json, "threads");
    json_put_integer(&json, threads);
    json_key(&json, "load_before");
    if (load >= 0)
        json_put_number(&json, load);
    else
        json_put_null(&json);
    json_key(&json, "contracts");
    json_begin_array(&json);
    for (size_t i = 0; i < list->count; i++)
        put_row(&json, &list->rows[i]);
    json_end_array(&json);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        json_key(&json, counts[i].name);
        json_put_integer(&json, (int64_t)contract_count(list, counts[i].verdict));
    }
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

/* The contracts are for two cores: where the configuration does not say how many threads, no more compute. */
static dobby_code limit_threads(struct config *config, struct dobby_error *err)
{
    const struct config_source source = {.origin = CONFIG_FROM_DEFAULT, .name = ""};
    return config_integer(config, CONFIG_ENGINE_THREADS) == 0 && thread_cpu_count() > CORES
               ? config_set(config, CONFIG_ENGINE_THREADS, "2", &source, err)
               : DOBBY_OK;
}

static dobby_code set_engine(struct config *config, const char *kind, struct dobby_error *err)
{
    const struct config_source source = {.origin = CONFIG_FROM_FLAG, .name = "bench contracts"};
    return config_set(config, CONFIG_ENGINE_KIND, kind, &source, err);
}

/* Whether an option that chooses one of several chooses this one. */
static bool wanted(const struct app *app, const char *option, const char *name)
{
    const char *only = options_text(&app->options, option);
    return only == NULL || strcmp(only, name) == 0;
}

static dobby_code measure(struct app *app, const char *directory, struct contract_list *list,
                          struct dobby_error *err)
{
    const struct contract_options options = {
        .config = &app->config, .directory = directory, .full = options_switch(&app->options, "full")};
    dobby_code code = limit_threads(&app->config, err);
    const bool embedded = wanted(app, "engine", "embedded"), null = wanted(app, "engine", "null");
    if (code == DOBBY_OK && wanted(app, "only", "1.9"))
        code = contracts_store(&options, list, err);
    if (code == DOBBY_OK)
        code = set_engine(&app->config, "native", err);
    if (code == DOBBY_OK && embedded && wanted(app, "only", "2.13"))
        code = contracts_engine(&options, list, err);
    if (code == DOBBY_OK && embedded && wanted(app, "only", "3.15"))
        code = contracts_run(&options, "embedded", list, err);
    if (code == DOBBY_OK)
        code = set_engine(&app->config, "null", err);
    if (code == DOBBY_OK && null && wanted(app, "only", "3.5"))
        code = contracts_backpressure(&options, list, err);
    if (code == DOBBY_OK && null && wanted(app, "only", "3.15"))
        code = contracts_run(&options, "null", list, err);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct contract_list list = {.count = 0};
    struct buffer directory = {0}, text = {0};
    const double load = cpu_load();
    dobby_code code = stores_directory(&app->config, options_text(&app->options, "dir"), &directory, err);
    interrupt_catch();
    if (code == DOBBY_OK)
        code = measure(app, directory.bytes, &list, err);
    const uint32_t configured = (uint32_t)config_integer(&app->config, CONFIG_ENGINE_THREADS);
    const uint32_t threads = configured > 0 ? configured : thread_cpu_count();
    if (code == DOBBY_OK)
        code = options_switch(&app->options, "json") ? append_json(&list, load, threads, &text, err)
                                                     : append_text(&list, load, &text, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    if (contract_count(&list, CONTRACT_BROKEN) > 0)
        app->status = EXIT_STATUS_OTHER;
    buffer_release(&directory);
    buffer_release(&text);
    return code;
}

static const struct option_spec option_specs[] = {
    {.name = "only",
     .type = OPTION_CHOICE,
     .argument = "ROW",
     .choices = {"1.9", "2.13", "3.5", "3.15"},
     .help = "1.9 the store, 2.13 the engine, 3.5 a slow store, 3.15 whole runs; default all"},
    {.name = "engine",
     .type = OPTION_CHOICE,
     .argument = "KIND",
     .choices = {"embedded", "null"},
     .help = "only the contracts of this engine and those of none; default both"},
    {.name = "full", .type = OPTION_SWITCH, .help = "measure what takes many minutes too"},
    {.name = "dir",
     .type = OPTION_TEXT,
     .argument = "DIR",
     .help = "where databases are made; default: where the configured one is"},
    OPTION_DB,
    OPTION_MODEL,
    {.name = "sessions", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_SESSIONS},
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_PRECISION,
    OPTION_JSON,
};

const struct command command_bench_contracts = {
    .name = "bench contracts",
    .arguments = "",
    .summary = "Measure what Dobby promises, each figure beside its limit",
    .details =
        "The contracts are for the embedded model on two cores: unless --threads says otherwise no more than "
        "two threads compute. They take some minutes. Databases are made in a temporary directory on the "
        "disk of the configured one and removed; that one is not touched.\n\n"
        "With --full a run of 10,000 records with the embedded model is measured too, which takes ten times "
        "as "
        "long as the one of 1000.\n\n"
        "What cannot be measured is shown as \"not measured\" with the reason, never as met. The exit status "
        "is 1 when a contract is broken.",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
