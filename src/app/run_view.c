#include "app/run_view.h"

#include "app/snapshot.h"
#include "base/utf8.h"
#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_PART_BYTES = 32, DURATION_BYTES = 24, STARTED_CHARACTERS = 16 };
enum { QUIET_S_MIN = 3, SILENT_MS_MIN = 10000 }; /* a run shows itself twice a second */

/* ---- what the row says ---------------------------------------------------------------------------- */

/* An active run whose process is certainly dead is LOST, whatever its row says. */
static enum run_state state_of(const struct run_row *row)
{
    struct process_identity process;
    const bool dead = run_state_is_active(row->state) &&
                      process_identity_parse(row->owner, &process, NULL) == DOBBY_OK &&
                      process_is_dead(&process);
    return dead ? RUN_LOST : row->state;
}

static struct json *parse(const char *text)
{
    struct json *value = NULL;
    if (text != NULL && json_parse(text, strlen(text), &value, NULL) != DOBBY_OK)
        return NULL;
    return value;
}

/* At the present rate where the run measures one: a pause must not count. */
static int64_t eta_of(const struct run_view *view)
{
    const uint64_t total = view->row->counts.total;
    double per_min = 0;
    if (!run_view_metric(view, "records_per_min_now", &per_min) || per_min <= 0)
        per_min = view->records_per_min;
    if (view->state != RUN_RUNNING || view->silent_since_us != 0 || view->quiet_s > 0 || per_min <= 0 ||
        total < view->done)
        return -1;
    return (int64_t)((double)(total - view->done) / per_min * 60 + 0.5);
}

static int64_t silent_since(const struct run_view *view, int64_t now_unix_us)
{
    const int64_t heartbeat_us = view->row->heartbeat_unix_us;
    int64_t lease_ms = 0;
    if (!json_to_integer(json_member(view->settings, "lease_ms"), &lease_ms) || lease_ms < SILENT_MS_MIN)
        lease_ms = SILENT_MS_MIN;
    const bool silent =
        run_state_is_active(view->state) && now_unix_us / 1000 - heartbeat_us / 1000 > lease_ms;
    return silent ? heartbeat_us : 0;
}

void run_view_init(struct run_view *view, const struct run_row *row, int64_t now_unix_us)
{
    const struct run_counts *counts = &row->counts;
    *view = (struct run_view){
        .row = row,
        .settings = parse(row->settings),
        .metrics = parse(row->metrics),
        .state = state_of(row),
        .done = counts->completed + counts->degraded + counts->failed + counts->skipped,
    };
    view->silent_since_us = silent_since(view, now_unix_us);
    const int64_t quiet_us = now_unix_us - row->heartbeat_unix_us;
    if (run_state_is_active(view->state) && quiet_us >= QUIET_S_MIN * (int64_t)1000000)
        view->quiet_s = quiet_us / 1000000;
    if (process_identity_parse(row->owner, &view->process, NULL) != DOBBY_OK)
        view->process.pid = 0;
    /* A clock that was set back while it ran must not give a run a negative time. */
    const int64_t end_us = row->ended_unix_us != 0 ? row->ended_unix_us : row->heartbeat_unix_us;
    if (end_us > row->started_unix_us)
        view->seconds = (double)(end_us - row->started_unix_us) / 1e6;
    double paused_s = 0;
    const bool paused = run_view_metric(view, "paused_s", &paused_s) && paused_s < view->seconds;
    const double busy_s = paused ? view->seconds - paused_s : view->seconds;
    if (busy_s > 0)
        view->records_per_min = (double)view->done / busy_s * 60;
    view->eta_s = eta_of(view);
}

void run_view_release(struct run_view *view)
{
    json_free(view->settings);
    json_free(view->metrics);
    *view = (struct run_view){0};
}

bool run_view_metric(const struct run_view *view, const char *path, double *out)
{
    const struct json *value = view->metrics;
    char part[PATH_PART_BYTES];
    while (value != NULL && *path != '\0') {
        const size_t length = strcspn(path, ".");
        if (length >= sizeof part)
            return false;
        memcpy(part, path, length);
        part[length] = '\0';
        value = json_member(value, part);
        path += length + (path[length] == '.');
    }
    return json_to_number(value, out);
}

/* ---- for programs --------------------------------------------------------------------------------- */

static void put_time(struct json_writer *json, const char *name, int64_t unix_us)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format(unix_us, text);
    json_key(json, name);
    json_put_text(json, unix_us != 0 ? text : NULL);
}

void run_view_write_json(const struct run_view *view, struct json_writer *json)
{
    const struct run_row *row = view->row;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"total", row->counts.total},           {"done", view->done},
        {"completed", row->counts.completed},   {"degraded", row->counts.degraded},
        {"failed", row->counts.failed},         {"skipped", row->counts.skipped},
        {"stale", row->counts.stale},           {"retried", row->counts.retried},
        {"reused", row->counts.reused},         {"tokens_in", row->counts.tokens_in},
        {"tokens_out", row->counts.tokens_out},
    };
    json_begin_object(json);
    json_key(json, "id");
    json_put_text(json, row->id);
    json_key(json, "state");
    json_put_text(json, run_state_name(view->state));
    json_key(json, "end_reason");
    json_put_text(json, row->end_reason);
    json_key(json, "command");
    json_put_text(json, run_command_name(row->command));
    put_time(json, "started_at", row->started_unix_us);
    put_time(json, "heartbeat_at", row->heartbeat_unix_us);
    put_time(json, "ended_at", row->ended_unix_us);
    put_time(json, "silent_since", view->silent_since_us);
    json_key(json, "host");
    json_put_text(json, view->process.pid != 0 ? view->process.host : NULL);
    json_key(json, "pid");
    json_put_integer(json, view->process.pid);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        json_key(json, counts[i].name);
        json_put_integer(json, (int64_t)counts[i].value);
    }
    json_key(json, "seconds");
    json_put_number(json, view->seconds);
    json_key(json, "records_per_min");
    json_put_number(json, view->records_per_min);
    json_key(json, "eta_s");
    if (view->eta_s >= 0)
        json_put_integer(json, view->eta_s);
    else
        json_put_null(json);
    json_key(json, "settings");
    json_put_value(json, view->settings);
    json_key(json, "metrics");
    json_put_value(json, view->metrics);
    json_end_object(json);
}

/* ---- for people ----------------------------------------------------------------------------------- */

static const char *duration_text(double seconds, char out[DURATION_BYTES])
{
    const int64_t whole = seconds < 0 || seconds > 1e9 ? 0 : (int64_t)(seconds + 0.5);
    if (whole >= 3600)
        (void)snprintf(out, DURATION_BYTES, "%" PRId64 ":%02" PRId64 ":%02" PRId64, whole / 3600,
                       whole / 60 % 60, whole % 60);
    else
        (void)snprintf(out, DURATION_BYTES, "%" PRId64 ":%02" PRId64, whole / 60, whole % 60);
    return out;
}

dobby_code run_view_append_header(struct buffer *out, struct dobby_error *err)
{
    return buffer_append_format(out, err, "%-*s  %-11s  %-*s  %8s  %13s  %6s  %7s  %s\n",
                                RUN_VIEW_ID_CHARACTERS, "RUN", "STATE", STARTED_CHARACTERS, "STARTED (UTC)",
                                "TIME", "DONE/TOTAL", "FAILED", "REC/MIN", "WHY IT ENDED");
}

/* ", silent since 2026-01-31T12:00:00.000Z"; nothing for a run that shows itself. */
static dobby_code append_silence(struct buffer *out, const struct run_view *view, const char *before,
                                 struct dobby_error *err)
{
    char since[CLOCK_TEXT_BYTES];
    if (view->silent_since_us == 0 && view->quiet_s > 0)
        return buffer_append_format(out, err,
                                    "%sno sign of life for %" PRId64 " s: it, or the database, is held up",
                                    before, view->quiet_s);
    if (view->silent_since_us == 0)
        return DOBBY_OK;
    clock_format(view->silent_since_us, since);
    return buffer_append_format(out, err, "%ssilent since %s", before, since);
}

dobby_code run_view_append_row(struct buffer *out, const struct run_view *view, struct dobby_error *err)
{
    const struct run_row *row = view->row;
    char started[CLOCK_TEXT_BYTES], duration[DURATION_BYTES], share[48];
    clock_format(row->started_unix_us, started);
    started[strlen("2026-01-31")] = ' ';
    (void)snprintf(share, sizeof share, "%" PRIu64 "/%" PRIu64, view->done, row->counts.total);
    dobby_code code = buffer_append_format(
        out, err, "%-*.*s  %-11s  %.*s  %8s  %13s  %6" PRIu64 "  %7.0f", RUN_VIEW_ID_CHARACTERS,
        RUN_VIEW_ID_CHARACTERS, row->id, run_state_name(view->state), STARTED_CHARACTERS, started,
        duration_text(view->seconds, duration), share, row->counts.failed, view->records_per_min);
    if (code == DOBBY_OK && row->end_reason != NULL) {
        code = buffer_append_string(out, "  ", err);
        if (code == DOBBY_OK)
            code = utf8_append_display(out, row->end_reason, strlen(row->end_reason), err);
    }
    if (code == DOBBY_OK)
        code = append_silence(out, view, "  ", err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code append_counts(struct buffer *out, const struct run_view *view, struct dobby_error *err)
{
    const struct run_counts *counts = &view->row->counts;
    char eta[DURATION_BYTES];
    return buffer_append_format(
        out, err,
        "  done          %" PRIu64 " of %" PRIu64 ", %.0f records/min%s%s\n"
        "  of these      %" PRIu64 " completed, %" PRIu64 " degraded, %" PRIu64 " failed, %" PRIu64
        " skipped; %" PRIu64 " reused\n"
        "  also          %" PRIu64 " to be tried again, %" PRIu64 " came too late\n"
        "  tokens        %" PRIu64 " read, %" PRIu64 " written, reused results not counted\n",
        view->done, counts->total, view->records_per_min, view->eta_s >= 0 ? ", ETA " : "",
        view->eta_s >= 0 ? duration_text((double)view->eta_s, eta) : "", counts->completed, counts->degraded,
        counts->failed, counts->skipped, counts->reused, counts->retried, counts->stale, counts->tokens_in,
        counts->tokens_out);
}

/* What it was told and does not do yet. */
static bool has_yet_to_obey(const struct run_view *view)
{
    switch (view->row->command) {
    case RUN_COMMAND_PAUSE:
        return view->state == RUN_RUNNING;
    case RUN_COMMAND_RESUME:
        return view->state == RUN_PAUSED;
    case RUN_COMMAND_CANCEL:
        return run_state_is_active(view->state);
    default:
        return false;
    }
}

/* "running, store outage"; the snapshot may be a moment older than the state. */
static bool tells_more(const struct run_view *view, const char *phase)
{
    return phase != NULL && run_state_is_active(view->state) &&
           strcmp(phase, run_state_name(RUN_RUNNING)) != 0 && strcmp(phase, run_state_name(RUN_PAUSED)) != 0;
}

static dobby_code append_state(struct buffer *out, const struct run_view *view, struct dobby_error *err)
{
    const struct run_row *row = view->row;
    char started[CLOCK_TEXT_BYTES], duration[DURATION_BYTES];
    const char *state = run_state_name(view->state);
    const char *phase = json_to_text(json_member(view->metrics, "phase"), NULL);
    clock_format(row->started_unix_us, started);
    dobby_code code = buffer_append_format(out, err, "run %s  %s", row->id, state);
    if (code == DOBBY_OK && tells_more(view, phase)) {
        code = buffer_append_string(out, ", ", err);
        if (code == DOBBY_OK)
            code = snapshot_append_name(out, phase, err);
    }
    if (code == DOBBY_OK)
        code = buffer_append_format(
            out, err, run_state_is_active(view->state) ? " for %s, since %s" : " after %s, begun %s",
            duration_text(view->seconds, duration), started);
    if (code == DOBBY_OK && view->process.pid != 0)
        code = buffer_append_format(out, err, ", pid %" PRId64 " on ", view->process.pid);
    if (code == DOBBY_OK && view->process.pid != 0)
        code = utf8_append_display(out, view->process.host, strlen(view->process.host), err);
    if (code == DOBBY_OK && has_yet_to_obey(view))
        code = buffer_append_format(out, err, "; told to %s", run_command_name(row->command));
    if (code == DOBBY_OK)
        code = append_silence(out, view, "\n  ", err);
    if (code == DOBBY_OK && view->silent_since_us != 0)
        code = buffer_append_string(out, ": if it is gone, dobby cancel closes it", err);
    if (code == DOBBY_OK && row->end_reason != NULL)
        code = buffer_append_string(out, "\n  ended         ", err);
    if (code == DOBBY_OK && row->end_reason != NULL)
        code = utf8_append_display(out, row->end_reason, strlen(row->end_reason), err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

dobby_code run_view_append_block(struct buffer *out, const struct run_view *view, struct dobby_error *err)
{
    static const char *const told_above[] = {"phase", "seconds", "records_per_min", NULL};
    dobby_code code = append_state(out, view, err);
    if (code == DOBBY_OK)
        code = append_counts(out, view, err);
    if (code == DOBBY_OK)
        code = snapshot_append_parts(out, view->metrics, err);
    if (code == DOBBY_OK)
        code = snapshot_append_line(out, "more", view->metrics, told_above, true, err);
    /* A limit of 0 is none. */
    return code == DOBBY_OK ? snapshot_append_line(out, "settings", view->settings, NULL, true, err) : code;
}

dobby_code run_view_append_line(struct buffer *out, const struct run_view *view, struct dobby_error *err)
{
    static const char *const percentiles[] = {"p50", "p95", "p99"};
    const struct run_counts *counts = &view->row->counts;
    char eta[DURATION_BYTES], path[PATH_PART_BYTES];
    double value = 0;
    dobby_code code = buffer_append_format(out, err, "run %.*s %s: %" PRIu64 " of %" PRIu64 " records",
                                           RUN_VIEW_ID_CHARACTERS, view->row->id, run_state_name(view->state),
                                           view->done, counts->total);
    if (code == DOBBY_OK && view->state != RUN_PAUSED)
        code = buffer_append_format(out, err, ", %.0f records/min, ETA %s", view->records_per_min,
                                    view->eta_s >= 0 ? duration_text((double)view->eta_s, eta) : "--:--");
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, ", %" PRIu64 " failed", counts->failed);
    if (code == DOBBY_OK)
        code = append_silence(out, view, ", ", err);
    for (size_t i = 0; code == DOBBY_OK && i < sizeof percentiles / sizeof percentiles[0]; i++) {
        (void)snprintf(path, sizeof path, "latency_ms.%s", percentiles[i]);
        if (run_view_metric(view, path, &value))
            code = buffer_append_format(out, err, ", %s %.0f ms", percentiles[i], value);
    }
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}
