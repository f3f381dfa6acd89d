#include "app/commands.h"
#include "app/cuts.h"
#include "app/models.h"
#include "app/output.h"
#include "app/reasons.h"
#include "app/runs.h"
#include "app/secret.h"
#include "app/stores.h"
#include "base/utf8.h"
#include "os/interrupt.h"
#include "os/terminal.h"
#include "pipeline/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE_SECONDS = 15, TIME_BYTES = 48, SIZE_BYTES = 32, PROGRESS_RECORDS = 4096 };

/* All that a plan says. */
struct view {
    struct buffer url;
    struct plan_counts counts;
    struct reason_counts reasons;
    struct cuts cuts;
    struct plan_estimate estimate;
    bool sampled;
    bool shows_progress;
    bool stale_redo;
};

static bool canceled(void *context)
{
    (void)context;
    return interrupt_count() > 0;
}

static void progress(void *context, uint64_t records)
{
    const struct view *view = context;
    if (view->shows_progress && records > 0 && records % PROGRESS_RECORDS == 0)
        fprintf(stderr, "\rdobby: %" PRIu64 " records read", records);
}

/* ---- for people ---------------------------------------------------------------------------------- */

/* "4.2 s", "12 min 30 s", "7 h 05 min" */
static const char *time_text(double seconds, char out[TIME_BYTES])
{
    const uint64_t whole = (uint64_t)(seconds + 0.5);
    if (seconds < 60)
        snprintf(out, TIME_BYTES, "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(out, TIME_BYTES, "%" PRIu64 " min %02" PRIu64 " s", whole / 60, whole % 60);
    else
        snprintf(out, TIME_BYTES, "%" PRIu64 " h %02" PRIu64 " min", whole / 3600, whole % 3600 / 60);
    return out;
}

static const char *size_text(uint64_t bytes, char out[SIZE_BYTES])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double size = (double)bytes;
    size_t unit = 0;
    while (size >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        size /= 1000;
        unit++;
    }
    snprintf(out, SIZE_BYTES, "%.*f %s", unit > 0 ? 1 : 0, size, units[unit]);
    return out;
}

static dobby_code append_counts(const struct view *view, struct buffer *out, struct dobby_error *err)
{
    const struct plan_counts *counts = &view->counts;
    const uint64_t *states = counts->states.by_state;
    const struct {
        const char *label;
        uint64_t number;
        const char *remark;
    } rows[] = {
        {"records", counts->states.total, ""},
        {"  done", states[RECORD_COMPLETED] + states[RECORD_DEGRADED], ""},
        {"    degraded", states[RECORD_DEGRADED], ""},
        {"    stale", counts->stale,
         view->stale_redo ? "made with other settings: they are made anew"
                          : "made with other settings: kept, unless --stale redo"},
        {"    stale cut", view->cuts.results, "cut with other settings: dobby ingest cuts anew"},
        {"  failed", states[RECORD_FAILED],
         states[RECORD_FAILED] > 0 ? "dobby retry takes them up again" : ""},
        {"  skipped", states[RECORD_SKIPPED], ""},
        {"  leased", states[RECORD_LEASED],
         states[RECORD_LEASED] > 0 ? "another run has them, or had: see dobby status" : ""},
        {"to do", counts->work, ""},
        {"  duplicates", counts->duplicates,
         counts->duplicates_incomplete ? "at least: too many prompts to tell apart"
                                       : "of the prompt of another one to do"},
        {"  stored", counts->stored, "the same prompt was answered before"},
        {"  empty", counts->empty, "nothing to summarise: they will be skipped"},
        {"  too long", counts->too_long, "for the context: they will be skipped"},
        {"  to infer", counts->to_infer, ""},
    };
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < sizeof rows / sizeof rows[0]; i++) {
        const bool remark = rows[i].number > 0 && rows[i].remark[0] != '\0';
        code = buffer_append_format(out, err, "%-13s %10" PRIu64 "%s%s\n", rows[i].label, rows[i].number,
                                    remark ? "  " : "", remark ? rows[i].remark : "");
    }
    return code;
}

static dobby_code append_reasons(const struct view *view, struct buffer *out, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    bool first = true;
    for (size_t i = 0; code == DOBBY_OK && i < view->reasons.count; i++) {
        const struct reason_count *row = &view->reasons.rows[i];
        if (row->state != RECORD_SKIPPED)
            continue;
        code = buffer_append_format(out, err, "%s%13s %10" PRIu64 "  ", first ? "skipped because\n" : "", "",
                                    row->count);
        if (code == DOBBY_OK)
            code = reason_append(out, row, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
        first = false;
    }
    return code;
}

static dobby_code append_estimate(const struct view *view, struct buffer *out, struct dobby_error *err)
{
    const struct plan_counts *counts = &view->counts;
    const struct plan_estimate *estimate = &view->estimate;
    char content[SIZE_BYTES], text[SIZE_BYTES], database[SIZE_BYTES], least[TIME_BYTES], most[TIME_BYTES];
    dobby_code code = buffer_append_format(out, err, "reads         %s of content, %s%" PRIu64 " tokens\n",
                                           size_text(counts->content_bytes, content),
                                           counts->tokens_estimated ? "about " : "", counts->tokens_in);
    if (!view->sampled || code != DOBBY_OK)
        return code;
    if (counts->to_infer > 0)
        code = buffer_append_format(
            out, err,
            "sample        %" PRIu64 " record%s in %.1f s: %.3g to %.3g records/s\n"
            "writes        about %" PRIu64 " tokens: %s of summaries, %s in the database\n",
            estimate->sample_records, plural_s(estimate->sample_records), estimate->sample_s,
            estimate->records_per_s_min, estimate->records_per_s_max, estimate->tokens_out,
            size_text(estimate->summary_bytes, text), size_text(estimate->database_bytes, database));
    if (code == DOBBY_OK && estimate->sample_failed > 0)
        code = buffer_append_format(out, err, "failures      %" PRIu64 " record%s of the sample failed\n",
                                    estimate->sample_failed, plural_s(estimate->sample_failed));
    return code == DOBBY_OK && counts->work > 0
               ? buffer_append_format(out, err, "time          %s to %s\n",
                                      time_text(estimate->seconds_min, least),
                                      time_text(estimate->seconds_max, most))
               : code;
}

static dobby_code append_text(const struct view *view, struct buffer *out, struct dobby_error *err)
{
    dobby_code code = buffer_append_string(out, "database      ", err);
    if (code == DOBBY_OK)
        code = utf8_append_display(out, view->url.bytes, view->url.length, err);
    if (code == DOBBY_OK)
        code = buffer_append_byte(out, '\n', err);
    if (code == DOBBY_OK)
        code = append_counts(view, out, err);
    if (code == DOBBY_OK)
        code = append_reasons(view, out, err);
    if (code == DOBBY_OK)
        code = cuts_append_text(&view->cuts, out, err);
    return code == DOBBY_OK ? append_estimate(view, out, err) : code;
}

/* ---- as JSON ------------------------------------------------------------------------------------- */

static void put_integers(struct json_writer *json, const struct view *view)
{
    const struct plan_counts *counts = &view->counts;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"total", counts->states.total},
        {"stale", counts->stale},
        {"to_do", counts->work},
        {"duplicates", counts->duplicates},
        {"stored", counts->stored},
        {"empty", counts->empty},
        {"too_long", counts->too_long},
        {"to_infer", counts->to_infer},
        {"content_bytes", counts->content_bytes},
        {"tokens_in", counts->tokens_in},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_key(json, rows[i].name);
        json_put_integer(json, (int64_t)rows[i].value);
    }
    json_key(json, "tokens_in_estimated");
    json_put_boolean(json, counts->tokens_estimated);
    json_key(json, "duplicates_incomplete");
    json_put_boolean(json, counts->duplicates_incomplete);
}

static void put_states(struct json_writer *json, const struct view *view)
{
    json_key(json, "states");
    json_begin_object(json);
    for (int state = RECORD_UNKNOWN + 1; state < RECORD_STATE_COUNT; state++) {
        json_key(json, record_state_name((enum record_state)state));
        json_put_integer(json, (int64_t)view->counts.states.by_state[state]);
    }
    json_end_object(json);
    json_key(json, "skipped");
    json_begin_array(json);
    for (size_t i = 0; i < view->reasons.count; i++) {
        const struct reason_count *row = &view->reasons.rows[i];
        if (row->state != RECORD_SKIPPED)
            continue;
        json_begin_object(json);
        reason_write_json(row, json);
        json_end_object(json);
    }
    json_end_array(json);
}

static void put_estimate(struct json_writer *json, const struct plan_estimate *estimate)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {
        {"sample_records", (double)estimate->sample_records},
        {"sample_failed", (double)estimate->sample_failed},
        {"sample_seconds", estimate->sample_s},
        {"records_per_s_min", estimate->records_per_s_min},
        {"records_per_s_max", estimate->records_per_s_max},
        {"seconds_min", estimate->seconds_min},
        {"seconds_max", estimate->seconds_max},
        {"tokens_out", (double)estimate->tokens_out},
        {"summary_bytes", (double)estimate->summary_bytes},
        {"database_bytes", (double)estimate->database_bytes},
    };
    json_begin_object(json);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_key(json, rows[i].name);
        json_put_number(json, rows[i].value);
    }
    json_end_object(json);
}

static dobby_code append_json(const struct view *view, struct buffer *out, struct dobby_error *err)
{
    struct json_writer json;
    json_writer_init(&json, out, true);
    json_begin_object(&json);
    json_key(&json, "database");
    json_put_text(&json, view->url.bytes);
    put_integers(&json, view);
    put_states(&json, view);
    cuts_put_json(&view->cuts, &json);
    json_key(&json, "estimate");
    if (view->sampled)
        put_estimate(&json, &view->estimate);
    else
        json_put_null(&json);
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

/* ---- the command --------------------------------------------------------------------------------- */

static dobby_code make_plan(struct app *app, struct view *view, struct store *store, struct store *lookup,
                            struct dobby_error *err)
{
    struct engine *engine = NULL;
    struct prompt_template *prompt = NULL;
    struct plan_sample sample = {0};
    const struct run_options run = runs_options(&app->config);
    const uint64_t seconds = options_integer(&app->options, "sample-seconds", SAMPLE_SECONDS);
    const struct plan_options options = {.run = &run,
                                         .sample_ms_max = (int64_t)seconds * 1000,
                                         .canceled = canceled,
                                         .progress = progress,
                                         .context = view};
    view->sampled = seconds > 0;
    view->stale_redo = run.stale_redo;
    dobby_code code = runs_open_engine(&app->config, &engine, err);
    if (code == DOBBY_OK)
        code = models_open_prompt(&app->config, engine, &prompt, err);
    if (code == DOBBY_OK)
        code = store_reasons(store, &view->reasons, err);
    if (code == DOBBY_OK)
        code = cuts_read(&app->config, store, &view->cuts, err);
    if (code == DOBBY_OK)
        code = plan_count(store, lookup, engine, prompt, &options, &view->counts, &sample, err);
    if (view->shows_progress)
        fputs("\r\033[K", stderr);
    if (code == DOBBY_OK && view->sampled)
        code = plan_time(engine, prompt, &options, &view->counts, &sample, &view->estimate, err);
    plan_sample_release(&sample);
    prompt_template_free(prompt);
    engine_close(engine);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    enum { SAMPLE_SECONDS_MAX = 3600 };
    struct store *store = NULL, *lookup = NULL;
    struct view view = {.shows_progress = terminal_is_terminal(STREAM_ERROR)};
    struct buffer text = {0};
    dobby_code code = DOBBY_OK;
    if (options_integer(&app->options, "sample-seconds", 0) > SAMPLE_SECONDS_MAX)
        return DOBBY_FAIL(err, DOBBY_USAGE, "--sample-seconds must be from 0 to %d", SAMPLE_SECONDS_MAX);
    interrupt_catch();
    code = stores_open(&app->config, SQLITE_ACCESS_READ, &store, err);
    if (code == DOBBY_OK)
        code = stores_open(&app->config, SQLITE_ACCESS_READ, &lookup, err);
    if (code == DOBBY_OK)
        code = secret_append_masked(&view.url, config_text(&app->config, CONFIG_DB_URL), err);
    if (code == DOBBY_OK)
        code = make_plan(app, &view, store, lookup, err);
    if (code == DOBBY_OK)
        code = options_switch(&app->options, "json") ? append_json(&view, &text, err)
                                                     : append_text(&view, &text, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    buffer_release(&view.url);
    cuts_release(&view.cuts);
    reason_counts_release(&view.reasons);
    store_close(lookup);
    store_close(store);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    OPTION_MODEL,
    OPTION_ENGINE,
    {.name = "sessions", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_SESSIONS},
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_PRECISION,
    {.name = "stale", .type = OPTION_KEY, .argument = "keep|redo", .key = CONFIG_RUN_STALE},
    {.name = "max-tokens-out", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_MAX_TOKENS},
    {.name = "prompt", .type = OPTION_KEY, .argument = "FILE", .key = CONFIG_RUN_PROMPT_FILE},
    {.name = "chunk-tokens", .type = OPTION_KEY, .argument = "N", .key = CONFIG_INGEST_CHUNK_TOKENS},
    {.name = "seed", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_SEED},
    {.name = "sample-seconds",
     .type = OPTION_INTEGER,
     .argument = "S",
     .help = "how long the timed sample may run; default 15; 0: count only"},
    OPTION_JSON,
};

const struct command command_plan = {
    .name = "plan",
    .arguments = "",
    .summary = "Say what a run would do, and how long it would take",
    .details =
        "Nothing is written. Every record that a run with these settings would take is read: equal prompts "
        "and "
        "prompts that were answered before cost no inference. Tokens are counted exactly for a minute, then "
        "estimated from the bytes.\n\n"
        "Results are stale that were made with another model, prompt or sampling, and so are, told apart, "
        "those "
        "of chunks that another ingest.chunk_tokens, chunker or tokenizer would cut otherwise: these become "
        "work "
        "when dobby ingest cuts anew.\n\n"
        "Then a sample of what is to infer, chosen by chance, runs with the real engine over records in "
        "memory. The "
        "range of times is that of the rates seen, widened for what other programs and the disk may do: the "
        "longer the sample runs, the better.",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
