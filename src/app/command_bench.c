#include "app/bench_table.h"
#include "app/commands.h"
#include "app/models.h"
#include "app/output.h"
#include "base/limits.h"
#include "infer/bench/bench_engine.h"
#include "infer/bench/bench_kernels.h"
#include "infer/model/model_shape.h"
#include "os/file.h"

#include <stdlib.h>
#include <string.h>

enum { KERNEL_SECONDS = 60, ENGINE_SECONDS = 20 };

/* ---- what both commands share --------------------------------------------------------------------- */

struct bench_view {
    const struct options *options;
    struct bench_report report, against;
    bool json, compares;
    struct output output;
};

static dobby_code read_against(struct bench_view *view, const char *path, struct dobby_error *err)
{
    struct buffer text = {0};
    dobby_code code = file_read(path, true, LIMIT_JSON_BYTES, &text, err);
    if (code == DOBBY_OK) {
        code = bench_report_parse(text.bytes != NULL ? text.bytes : "", text.length, &view->against, err);
        if (code != DOBBY_OK)
            error_attribute(err, "against", "%s", path);
    }
    buffer_release(&text);
    return code;
}

/* Everything that can be refused is, before minutes are spent. */
static dobby_code begin(struct bench_view *view, const struct app *app, struct dobby_error *err)
{
    const char *against = options_text(&app->options, "against");
    const char *file = options_text(&app->options, "output");
    view->options = &app->options;
    view->json = options_switch(&app->options, "json");
    view->compares = against != NULL;
    dobby_code code = against != NULL ? read_against(view, against, err) : DOBBY_OK;
    if (code == DOBBY_OK && file != NULL) {
        code = output_open(&view->output, file, err);
        output_release(&view->output);
    }
    return code == DOBBY_OK ? output_open(&view->output, NULL, err) : code;
}

static dobby_code save(const struct bench_view *view, const char *path, struct dobby_error *err)
{
    struct output output;
    dobby_code code = output_open(&output, path, err);
    if (code == DOBBY_OK)
        code = bench_report_append_json(&view->report, NULL, &output.text, err);
    if (code == DOBBY_OK)
        code = output_finish(&output, err);
    output_release(&output);
    return code;
}

static dobby_code finish(struct bench_view *view, struct dobby_error *err)
{
    const struct bench_report *against = view->compares ? &view->against : NULL;
    const char *file = options_text(view->options, "output");
    struct buffer *out = &view->output.text;
    dobby_code code = view->json ? bench_report_append_json(&view->report, against, out, err)
                                 : bench_table_machine(&view->report.machine,
                                                       against != NULL ? &against->machine : NULL, out, err);
    if (code == DOBBY_OK && file != NULL)
        code = save(view, file, err);
    return code == DOBBY_OK ? output_finish(&view->output, err) : code;
}

static void release(struct bench_view *view)
{
    bench_report_release(&view->report);
    bench_report_release(&view->against);
    output_release(&view->output);
}

#define OPTIONS_OF_BOTH                                                                                      \
    OPTION_JSON,                                                                                             \
        {.name = "against",                                                                                  \
         .type = OPTION_TEXT,                                                                                \
         .argument = "FILE",                                                                                 \
         .help = "compare with the report in FILE: print ratios of now to then"},                            \
        {.name = "output",                                                                                   \
         .letter = 'o',                                                                                      \
         .type = OPTION_TEXT,                                                                                \
         .argument = "FILE",                                                                                 \
         .help = "save the report in FILE, as JSON, for a later --against"},                                 \
    {                                                                                                        \
        .name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS                 \
    }

/* ---- dobby bench kernels -------------------------------------------------------------------------- */

static dobby_code take_kernel(void *context, const struct kernel_figures *row, struct dobby_error *err)
{
    struct bench_view *view = context;
    struct buffer *out = &view->output.text;
    const bool first = view->report.kernel_count == 0;
    dobby_code code = bench_report_add_kernel(&view->report, row, err);
    if (code != DOBBY_OK || view->json)
        return code;
    if (first)
        code = bench_table_kernel_header(view->compares, out, err);
    if (code == DOBBY_OK)
        code = bench_table_kernel(row, bench_report_find_kernel(&view->against, row), out, err);
    return code == DOBBY_OK ? output_put(&view->output, err) : code;
}

static dobby_code run_kernels(struct app *app, struct dobby_error *err)
{
    struct bench_view view = {0};
    const struct bench_kernels_options options = {
        .threads = (uint32_t)config_integer(&app->config, CONFIG_ENGINE_THREADS),
        .seconds = (double)options_integer(&app->options, "seconds", KERNEL_SECONDS),
        .only = options_text(&app->options, "only"),
        .row = take_kernel,
        .context = &view,
    };
    dobby_code code = begin(&view, app, err);
    if (code == DOBBY_OK) {
        code = bench_kernels(&options, &view.report.machine, err);
        if (code == DOBBY_INVALID_ARGUMENT)
            code = DOBBY_WRAP(err, DOBBY_USAGE, "--only %.60s", options.only != NULL ? options.only : "");
    }
    if (code == DOBBY_OK)
        code = finish(&view, err);
    release(&view);
    return code;
}

static const struct option_spec kernels_options[] = {
    {.name = "seconds",
     .type = OPTION_INTEGER,
     .argument = "S",
     .help = "for all rows together, the packing of weights aside; default 60"},
    {.name = "only",
     .type = OPTION_TEXT,
     .argument = "KERNEL",
     .help = "rows of this name, such as up or head"},
    OPTIONS_OF_BOTH,
};

const struct command command_bench_kernels = {
    .name = "bench kernels",
    .arguments = "",
    .summary = "Measure each kernel against this machine's own ceilings",
    .details =
        "Every kernel set that runs here but the scalar reference (or the one that DOBBY_CPU names), with "
        "every "
        "precision, over the shapes of a 0.5B model: (M, K) activations by (K, N) weights, preparing the "
        "activations (but in up_product and down_product), dequantisation and epilogue included; attention "
        "is M new tokens by N positions.\n\n"
        "The ceilings are loops over registers or tiles alone, and reading from beyond the caches. Machines "
        "are shared and drift, so kernel and ceilings are measured in turn, briefly and often, and the best "
        "of "
        "each counts. BOUND says which ceiling applies: a few tokens take as long as reading the weights. "
        "T/S "
        "are 10^12 operations a second, a product and its sum being two.",
    .options = OPTION_LIST(kernels_options),
    .run = run_kernels,
};

/* ---- dobby bench engine --------------------------------------------------------------------------- */

enum { SESSION_COUNTS_MAX = 32 };

struct session_counts {
    uint32_t values[SESSION_COUNTS_MAX]; /* 0: auto */
    size_t count;
};

/* "1,4,auto" */
static dobby_code parse_sessions(const char *text, struct session_counts *out, struct dobby_error *err)
{
    *out = (struct session_counts){0};
    while (out->count < SESSION_COUNTS_MAX) {
        const size_t length = strcspn(text, ",");
        char *end = NULL;
        unsigned long value = 0;
        if (length != 4 || memcmp(text, "auto", 4) != 0) {
            value = strtoul(text, &end, 10);
            if (text[0] < '0' || text[0] > '9' || end != text + length || value == 0 ||
                value > LIMIT_SESSIONS)
                return DOBBY_FAIL(err, DOBBY_USAGE,
                                  "--sessions must be numbers from 1 to %d or auto, with commas between, not "
                                  "'%.60s'",
                                  LIMIT_SESSIONS, text);
        }
        out->values[out->count++] = (uint32_t)value;
        if (text[length] == '\0')
            return DOBBY_OK;
        text += length + 1;
    }
    return DOBBY_FAIL(err, DOBBY_USAGE, "--sessions has more than %d numbers", SESSION_COUNTS_MAX);
}

static dobby_code take_engine(struct bench_view *view, const struct engine_figures *row,
                              struct dobby_error *err)
{
    struct buffer *out = &view->output.text;
    const bool first = view->report.engine_count == 0;
    dobby_code code = bench_report_add_engine(&view->report, row, err);
    if (code != DOBBY_OK || view->json)
        return code;
    if (first)
        code = bench_table_engine_header(view->compares, out, err);
    if (code == DOBBY_OK)
        code = bench_table_engine(row, bench_report_find_engine(&view->against, row), out, err);
    if (code == DOBBY_OK && options_switch(view->options, "phases"))
        code = bench_table_phases(row, out, err);
    return code == DOBBY_OK ? output_put(&view->output, err) : code;
}

/* One model, at each number of sessions. */
static dobby_code run_model(struct bench_view *view, const struct app *app, const char *path,
                            const char *shape, const struct session_counts *sessions, struct dobby_error *err)
{
    struct bench_engine_options options = {
        .engine = models_engine_options(&app->config),
        .records = options_integer(&app->options, "records", 0),
        .seconds = (double)options_integer(&app->options, "seconds", ENGINE_SECONDS),
        .seed = (uint64_t)config_integer(&app->config, CONFIG_RUN_SEED),
    };
    options.engine.model_path = path;
    options.engine.shape = shape;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < sessions->count; i++) {
        struct engine_figures row;
        options.engine.sessions = sessions->values[i];
        code = bench_engine(&options, &row, err);
        if (code == DOBBY_OK)
            code = take_engine(view, &row, err);
    }
    return code;
}

static dobby_code run_models(struct bench_view *view, const struct app *app, struct dobby_error *err)
{
    const char *shape = options_text(&app->options, "shape");
    const char *counts = options_text(&app->options, "sessions");
    const bool named_model = options_text(&app->options, "model") != NULL;
    struct session_counts sessions;
    struct buffer path = {0};
    struct model_config config;
    dobby_code code = parse_sessions(counts != NULL ? counts : "1,4,8,20,64,128,auto", &sessions, err);
    if (code == DOBBY_OK && shape != NULL && model_shape_find(shape, &config, err) != DOBBY_OK)
        code = DOBBY_WRAP(err, DOBBY_USAGE, "--shape %.60s", shape);
    if (code == DOBBY_OK && (named_model || shape == NULL)) {
        code = models_path(&app->config, &path, err);
        if (code == DOBBY_OK)
            code = run_model(view, app, path.bytes, NULL, &sessions, err);
        if (code != DOBBY_OK)
            error_attribute(err, "model", "%s", path.bytes != NULL ? path.bytes : "");
    }
    if (code == DOBBY_OK && (shape != NULL || !named_model))
        code = run_model(view, app, NULL, shape != NULL ? shape : "qwen2.5-0.5b", &sessions, err);
    buffer_release(&path);
    return code;
}

static dobby_code run_engine(struct app *app, struct dobby_error *err)
{
    const uint32_t threads = (uint32_t)config_integer(&app->config, CONFIG_ENGINE_THREADS);
    struct bench_view view = {0};
    struct machine_figures before, *machine = &view.report.machine;
    dobby_code code = begin(&view, app, err);
    if (code == DOBBY_OK)
        code = bench_machine(threads, &before, err);
    if (code == DOBBY_OK)
        code = run_models(&view, app, err);
    if (code == DOBBY_OK)
        code = bench_machine(threads, machine, err);
    if (code == DOBBY_OK) {
        for (int i = 0; i < CEILING_COUNT; i++)
            if (before.ceilings[i] > machine->ceilings[i])
                machine->ceilings[i] = before.ceilings[i];
        code = finish(&view, err);
    }
    release(&view);
    return code;
}

static const struct option_spec engine_options[] = {
    OPTION_MODEL,
    {.name = "shape",
     .type = OPTION_TEXT,
     .argument = "NAME",
     .help = "random weights of this shape: qwen2.5-0.5b, smollm2-135m, tiny"},
    {.name = "sessions",
     .type = OPTION_TEXT,
     .argument = "LIST",
     .help = "records in the engine at once, a row each; default 1,4,8,20,64,128,auto"},
    {.name = "records", .type = OPTION_INTEGER, .argument = "N", .help = "so many for each row; 0: by time"},
    {.name = "seconds", .type = OPTION_INTEGER, .argument = "S", .help = "for each row; default 20"},
    {.name = "phases",
     .type = OPTION_SWITCH,
     .help = "print where the time of a pass goes (JSON always has it)"},
    OPTION_PRECISION,
    OPTIONS_OF_BOTH,
};

const struct command command_bench_engine = {
    .name = "bench engine",
    .arguments = "",
    .summary = "Measure records a minute, latency and memory at several session counts",
    .details =
        "Synthetic records: 300 prompt tokens, of which the first 40 are the same for all, and 30 generated. "
        "Without --model and --shape both the configured model and the shape qwen2.5-0.5b are measured.\n\n"
        "A row opens an engine, lets one record through and then keeps twice the sessions in it (or on a "
        "slow "
        "machine just the sessions), for --seconds, and until all are done. REC/MIN is of the whole row, its "
        "beginning and end included. PREFILL/S and DECODE/S are the tokens of either kind that were computed "
        "each second. FIRST MS (the median) and the latencies count from a record's admission. PEAK MB is "
        "the process' memory in this row, loading included; 1000 MB what it was when 1,000 records were done "
        "(or "
        "all of them): in a long row the two tell whether memory grows.",
    .options = OPTION_LIST(engine_options),
    .run = run_engine,
};
