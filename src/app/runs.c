#include "app/runs.h"

#include "app/models.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/secret.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "os/process.h"
#include "os/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct run_options runs_options(const struct config *config)
{
    const int64_t outage_ms = config_integer(config, CONFIG_RUN_OUTAGE_MS);
    const int64_t least = config_integer(config, CONFIG_RUN_SESSIONS_MIN);
    const bool bounded = config_integer(config, CONFIG_RUN_SESSIONS_MAX) > 0;
    return (struct run_options){
        .tokens_max = (uint32_t)config_integer(config, CONFIG_RUN_MAX_TOKENS),
        .sampling = models_sampling(config),
        .run_seed = (uint64_t)config_integer(config, CONFIG_RUN_SEED),
        .stale_redo = strcmp(config_text(config, CONFIG_RUN_STALE), "redo") == 0,
        .lease_ms = config_integer(config, CONFIG_RUN_LEASE_MS),
        .attempts_max = (uint32_t)config_integer(config, CONFIG_RUN_MAX_ATTEMPTS),
        .retry_first_ms = config_integer(config, CONFIG_RUN_RETRY_MS),
        .outage_ms_max = outage_ms > 0 ? outage_ms : -1,
        .sessions_min = least > 0 ? (uint32_t)least
                        : bounded ? 1
                                  : 0,
        .cache_bytes_max = (size_t)config_integer(config, CONFIG_RUN_CACHE_MB) << 20,
        .cache_ttl_ms = config_integer(config, CONFIG_RUN_CACHE_TTL_S) * 1000,
    };
}

dobby_code runs_open_engine(const struct config *config, struct engine **out, struct dobby_error *err)
{
    const int64_t least = config_integer(config, CONFIG_RUN_SESSIONS_MIN);
    const int64_t most = config_integer(config, CONFIG_RUN_SESSIONS_MAX);
    *out = NULL;
    if (most > 0 && least > most)
        return DOBBY_FAIL(err, DOBBY_CONFIG_INVALID,
                          "run.sessions_min is %" PRId64 ", run.sessions_max %" PRId64, least, most);
    dobby_code code = models_open_engine(config, (uint32_t)most, out, err);
    if (code != DOBBY_OK)
        return code;
    const uint32_t sessions = engine_info(*out)->sessions;
    if (least > sessions) {
        engine_close(*out);
        *out = NULL;
        return DOBBY_FAIL(err, DOBBY_CONFIG_INVALID,
                          "run.sessions_min is %" PRId64 ", and the engine has %" PRIu32
                          " sessions: lower it, or give run.sessions_max",
                          least, sessions);
    }
    return DOBBY_OK;
}

dobby_code runs_make_owner(struct buffer *out, char run_id[UUID_TEXT_BYTES], struct dobby_error *err)
{
    struct process_identity identity;
    char text[PROCESS_IDENTITY_TEXT_BYTES];
    dobby_code code = process_identity_self(&identity, err);
    if (code == DOBBY_OK)
        code = uuid7_new(run_id, err);
    if (code != DOBBY_OK)
        return code;
    process_identity_format(&identity, text);
    return buffer_append_format(out, err, "%s;id=%s", text, run_id);
}

static dobby_code append_remarks(struct buffer *out, const struct run_progress *totals,
                                 const struct store_counts *counts, struct dobby_error *err)
{
    const uint64_t left = counts->by_state[RECORD_PENDING] + counts->by_state[RECORD_LEASED];
    const struct {
        uint64_t number;
        const char *one, *more;
    } remarks[] = {
        {totals->reused, "summary was taken from an equal prompt: not inferred again",
         "summaries were taken from equal prompts: not inferred again"},
        {totals->retried, "try failed and was made again later", "tries failed and were made again later"},
        {totals->stale, "result came too late: another run had the record",
         "results came too late: another run had the records"},
        {totals->stale_restored, "earlier summary made with these settings is current again",
         "earlier summaries made with these settings are current again"},
        {totals->stale_redone, "summary made with other settings was made anew, or will be",
         "summaries made with other settings were made anew, or will be"},
        {totals->stale_kept, "summary was made with other settings and kept: dobby run --stale redo",
         "summaries were made with other settings and kept: dobby run --stale redo"},
        {left, "record is left: dobby run", "records are left: dobby run"},
        {counts->by_state[RECORD_FAILED], "record has failed: dobby list --state failed, dobby retry",
         "records have failed: dobby list --state failed, dobby retry"},
    };
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < sizeof remarks / sizeof remarks[0] && code == DOBBY_OK; i++)
        if (remarks[i].number > 0)
            code = buffer_append_format(out, err, "%" PRIu64 " %s\n", remarks[i].number,
                                        remarks[i].number == 1 ? remarks[i].one : remarks[i].more);
    return code;
}

/* The last example of each, since a thousand alike say no more. */
static dobby_code append_errors(struct buffer *out, const struct error_tally *errors, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < errors->count && code == DOBBY_OK; i++) {
        const struct error_tally_row *row = &errors->rows[i];
        code = buffer_append_format(out, err, "%" PRIu64 " times %s, %s%s: ", row->count,
                                    dobby_code_id(row->code), dobby_code_message(row->code),
                                    dobby_code_retryable(row->code) ? " (it may pass)" : "");
        if (code == DOBBY_OK)
            code = utf8_append_display(out, row->sample, strlen(row->sample), err);
        if (code == DOBBY_OK && row->record_id[0] != '\0')
            code = buffer_append_string(out, "; record ", err);
        if (code == DOBBY_OK && row->record_id[0] != '\0')
            code = utf8_append_display(out, row->record_id, strlen(row->record_id), err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    return code;
}

/* A run that skips most of what it was given was given the wrong thing: it says so last, where it is seen. */
static dobby_code append_advice(struct buffer *out, const struct run_progress *totals, uint64_t done,
                                struct dobby_error *err)
{
    uint64_t too_long = 0;
    for (size_t i = 0; i < totals->errors.count; i++)
        if (totals->errors.rows[i].code == DOBBY_CONTEXT_EXCEEDED)
            too_long = totals->errors.rows[i].count;
    if (totals->skipped * 2 <= done)
        return DOBBY_OK;
    dobby_code code = buffer_append_format(out, err, "most records were skipped, %" PRIu64 " of %" PRIu64,
                                           totals->skipped, done);
    if (code == DOBBY_OK)
        code = too_long * 2 > totals->skipped
                   ? buffer_append_string(
                         out,
                         ": they are longer than the context. Lower ingest.chunk_tokens and dobby "
                         "ingest again, or raise engine.context_tokens and dobby retry --state "
                         "skipped\n",
                         err)
                   : buffer_append_string(out, ": dobby status says why\n", err);
    return code;
}

static void put_errors(struct json_writer *json, const struct error_tally *errors)
{
    json_key(json, "errors");
    json_begin_array(json);
    for (size_t i = 0; i < errors->count; i++) {
        const struct error_tally_row *row = &errors->rows[i];
        json_begin_object(json);
        json_key(json, "id");
        json_put_text(json, dobby_code_id(row->code));
        json_key(json, "message");
        json_put_text(json, dobby_code_message(row->code));
        json_key(json, "count");
        json_put_integer(json, (int64_t)row->count);
        json_key(json, "retryable");
        json_put_boolean(json, dobby_code_retryable(row->code));
        json_key(json, "sample");
        json_put_text(json, row->sample);
        json_key(json, "record");
        json_put_text(json, row->record_id[0] != '\0' ? row->record_id : NULL);
        json_end_object(json);
    }
    json_end_array(json);
}

dobby_code runs_append_summary(struct buffer *out, const struct run_progress *totals,
                               const struct store_counts *counts, const struct cuts *cuts,
                               struct dobby_error *err)
{
    const struct progress_rates rates = progress_rates_of(totals);
    dobby_code code = buffer_append_format(
        out, err,
        "%" PRIu64 " record%s in %.1f s: %" PRIu64 " completed, %" PRIu64 " degraded, %" PRIu64
        " skipped, %" PRIu64 " failed\n%.0f records/min, %" PRIu64 " tokens read, %" PRIu64
        " written, %.0f tokens/s, peak memory %.0f MB\n",
        rates.done, plural_s(rates.done), (double)totals->elapsed_ns / 1e9, totals->completed,
        totals->degraded, totals->skipped, totals->failed, rates.records_per_s * 60, totals->tokens_in,
        totals->tokens_out, rates.tokens_per_s, (double)process_peak_rss_bytes() / 1e6);
    if (code == DOBBY_OK && totals->cap != RUN_CAP_NONE)
        code = buffer_append_format(out, err, "ended because --%s was reached\n", run_cap_name(totals->cap));
    if (code == DOBBY_OK && totals->end == RUN_CANCELED)
        code = buffer_append_string(out, "ended because it was canceled: dobby cancel\n", err);
    if (code == DOBBY_OK && totals->ended_paused)
        code = buffer_append_string(out, "ended while it was paused: others have done the rest\n", err);
    if (code == DOBBY_OK)
        code = append_remarks(out, totals, counts, err);
    if (code == DOBBY_OK)
        code = cuts_append_line(cuts, out, err);
    if (code == DOBBY_OK)
        code = append_errors(out, &totals->errors, err);
    return code == DOBBY_OK ? append_advice(out, totals, rates.done, err) : code;
}

/* What the run ended with; its text may hold a URL. */
static dobby_code put_failure(struct json_writer *json, const struct dobby_error *failure,
                              struct dobby_error *err)
{
    struct buffer detail = {0};
    json_key(json, "error");
    if (failure == NULL) {
        json_put_null(json);
        return DOBBY_OK;
    }
    const dobby_code code = secret_append_masked(&detail, failure->detail, err);
    json_begin_object(json);
    json_key(json, "id");
    json_put_text(json, dobby_code_id(failure->code));
    json_key(json, "message");
    json_put_text(json, dobby_code_message(failure->code));
    json_key(json, "detail");
    json_put_text(json, detail.length > 0 ? detail.bytes : "");
    json_key(json, "retryable");
    json_put_boolean(json, dobby_code_retryable(failure->code));
    json_end_object(json);
    buffer_release(&detail);
    return code;
}

static void put_left(struct json_writer *json, const struct store_counts *counts)
{
    static const enum record_state states[] = {RECORD_PENDING, RECORD_LEASED};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        json_key(json, record_state_name(states[i]));
        if (counts != NULL)
            json_put_integer(json, (int64_t)counts->by_state[states[i]]);
        else
            json_put_null(json);
    }
}

dobby_code runs_append_json(struct buffer *out, const char *run_id, const struct run_progress *totals,
                            const struct store_counts *counts, const struct cuts *cuts,
                            const struct dobby_error *failure, struct dobby_error *err)
{
    const struct progress_rates rates = progress_rates_of(totals);
    const struct {
        const char *name;
        uint64_t value;
    } integers[] = {
        {"records", rates.done},
        {"total", totals->total},
        {"completed", totals->completed},
        {"degraded", totals->degraded},
        {"skipped", totals->skipped},
        {"failed", totals->failed},
        {"stale", totals->stale},
        {"retried", totals->retried},
        {"reused", totals->reused},
        {"inferred", totals->completed + totals->degraded - totals->reused},
        {"stale_kept", totals->stale_kept},
        {"stale_redone", totals->stale_redone},
        {"stale_restored", totals->stale_restored},
        {"tokens_in", totals->tokens_in},
        {"tokens_out", totals->tokens_out},
        {"peak_rss_bytes", process_peak_rss_bytes()},
    };
    struct json_writer json;
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    json_key(&json, "run");
    json_put_text(&json, run_id[0] != '\0' ? run_id : NULL);
    json_key(&json, "state");
    json_put_text(&json, run_state_name(failure != NULL ? RUN_FAILED : totals->end));
    json_key(&json, "cap");
    json_put_text(&json, totals->cap != RUN_CAP_NONE ? run_cap_name(totals->cap) : NULL);
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        json_key(&json, integers[i].name);
        json_put_integer(&json, (int64_t)integers[i].value);
    }
    put_left(&json, counts);
    json_key(&json, "seconds");
    json_put_number(&json, (double)totals->elapsed_ns / 1e9);
    json_key(&json, "records_per_min");
    json_put_number(&json, rates.records_per_s * 60);
    json_key(&json, "tokens_per_s");
    json_put_number(&json, rates.tokens_per_s);
    json_key(&json, "interrupted");
    json_put_boolean(&json, totals->end == RUN_INTERRUPTED);
    cuts_put_json(cuts, &json);
    put_errors(&json, &totals->errors);
    dobby_code code = put_failure(&json, failure, err);
    json_end_object(&json);
    if (code == DOBBY_OK)
        code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}
