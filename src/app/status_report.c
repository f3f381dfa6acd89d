#include "app/status_report.h"

#include "app/output.h"
#include "app/reasons.h"
#include "app/run_view.h"
#include "base/utf8.h"
#include "os/clock.h"

#include <inttypes.h>
#include <string.h>

enum { ACTIVE_SHOWN = 16, ENDED_SHOWN = 5, BAR_CELLS = 50 };

dobby_code status_read(struct status_report *report, struct dobby_error *err)
{
    return store_count(report->store, &report->counts, err);
}

dobby_code status_read_reasons(struct status_report *report, struct dobby_error *err)
{
    return store_reasons(report->store, &report->reasons, err);
}

void status_release(struct status_report *report)
{
    reason_counts_release(&report->reasons);
}

/* ---- runs ------------------------------------------------------------------------------------------- */

enum run_form { FORM_JSON, FORM_BLOCK, FORM_ROW, FORM_LINE };

struct run_listing {
    enum run_form form;
    int64_t now_unix_us;
    struct buffer *out;
    struct json_writer *json; /* FORM_JSON */
    const char *before;       /* what a line of text begins with; FORM_LINE */
    bool ended;               /* the ended runs, and not the active ones */
    size_t left, shown;
};

static dobby_code append_run(struct run_listing *listing, const struct run_view *view,
                             struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    switch (listing->form) {
    case FORM_JSON:
        run_view_write_json(view, listing->json);
        return listing->json->code;
    case FORM_BLOCK:
        if (listing->shown > 0)
            code = buffer_append_byte(listing->out, '\n', err);
        return code == DOBBY_OK ? run_view_append_block(listing->out, view, err) : code;
    case FORM_ROW:
        if (listing->shown == 0)
            code = run_view_append_header(listing->out, err);
        return code == DOBBY_OK ? run_view_append_row(listing->out, view, err) : code;
    case FORM_LINE:
        code = buffer_append_string(listing->out, listing->before, err);
        return code == DOBBY_OK ? run_view_append_line(listing->out, view, err) : code;
    }
    return code;
}

static dobby_code visit_run(void *context, const struct run_row *row, struct dobby_error *err)
{
    struct run_listing *listing = context;
    struct run_view view;
    dobby_code code = DOBBY_OK;
    run_view_init(&view, row, listing->now_unix_us);
    if (run_state_is_active(view.state) != listing->ended && listing->left > 0) {
        code = append_run(listing, &view, err);
        listing->left--;
        listing->shown++;
    }
    run_view_release(&view);
    return code;
}

/* *shown, where it is asked for, counts them. */
static dobby_code append_runs(const struct status_report *report, struct run_listing listing, size_t *shown,
                              struct dobby_error *err)
{
    /* The last ended runs are found among the last ones: the active ones before them are few. */
    const struct run_filter filter = {.active_only = !listing.ended, .limit = ACTIVE_SHOWN + ENDED_SHOWN};
    listing.now_unix_us = report->now_unix_us;
    listing.left = listing.ended ? ENDED_SHOWN : ACTIVE_SHOWN;
    const dobby_code code = store_run_list(report->store, &filter, visit_run, &listing, err);
    if (shown != NULL)
        *shown = listing.shown;
    return code;
}

/* ---- forms ------------------------------------------------------------------------------------------ */

static void write_reasons(const struct reason_counts *reasons, struct json_writer *json)
{
    json_begin_array(json);
    for (size_t i = 0; i < reasons->count; i++) {
        json_begin_object(json);
        json_key(json, "state");
        json_put_text(json, record_state_name(reasons->rows[i].state));
        reason_write_json(&reasons->rows[i], json);
        json_end_object(json);
    }
    json_end_array(json);
}

dobby_code status_append_json(struct buffer *out, const struct status_report *report, bool indent,
                              struct dobby_error *err)
{
    const struct store_counts *counts = &report->counts;
    char now[CLOCK_TEXT_BYTES];
    struct json_writer json;
    clock_format(report->now_unix_us, now);
    json_writer_init(&json, out, indent);
    json_begin_object(&json);
    json_key(&json, "database");
    json_put_text(&json, report->url);
    json_key(&json, "time");
    json_put_text(&json, now);
    json_key(&json, "total");
    json_put_integer(&json, (int64_t)counts->total);
    json_key(&json, "states");
    json_begin_object(&json);
    for (int state = RECORD_UNKNOWN + 1; state < RECORD_STATE_COUNT; state++) {
        json_key(&json, record_state_name((enum record_state)state));
        json_put_integer(&json, (int64_t)counts->by_state[state]);
    }
    json_end_object(&json);
    json_key(&json, "summaries");
    json_put_integer(&json, (int64_t)counts->summaries);
    json_key(&json, "tokens_in");
    json_put_integer(&json, (int64_t)counts->tokens_in);
    json_key(&json, "tokens_out");
    json_put_integer(&json, (int64_t)counts->tokens_out);
    json_key(&json, "reasons");
    write_reasons(&report->reasons, &json);
    json_key(&json, "runs");
    json_begin_array(&json);
    dobby_code code = append_runs(report, (struct run_listing){.form = FORM_JSON, .json = &json}, NULL, err);
    json_end_array(&json);
    json_end_object(&json);
    if (code == DOBBY_OK)
        code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

dobby_code status_append_text(struct buffer *out, const struct status_report *report, struct dobby_error *err)
{
    const struct store_counts *counts = &report->counts;
    const struct reason_counts *reasons = &report->reasons;
    dobby_code code = buffer_append_string(out, "database     ", err);
    if (code == DOBBY_OK)
        code = utf8_append_display(out, report->url, strlen(report->url), err);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "\nrecords      %" PRIu64 "\n", counts->total);
    for (int state = RECORD_UNKNOWN + 1; code == DOBBY_OK && state < RECORD_STATE_COUNT; state++)
        code = buffer_append_format(out, err, "  %-9s  %" PRIu64 "\n",
                                    record_state_name((enum record_state)state), counts->by_state[state]);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err,
                                    "summaries    %" PRIu64 "\ntokens       %" PRIu64 " read, %" PRIu64
                                    " written, reused results counted too\n",
                                    counts->summaries, counts->tokens_in, counts->tokens_out);
    if (code == DOBBY_OK && reasons->count > 0)
        code = buffer_append_string(out, "reasons\n", err);
    for (size_t i = 0; code == DOBBY_OK && i < reasons->count; i++) {
        const struct reason_count *row = &reasons->rows[i];
        code = buffer_append_format(out, err, "  %8" PRIu64 "  %-9s  ", row->count,
                                    record_state_name(row->state));
        if (code == DOBBY_OK)
            code = reason_append(out, row, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    if (code == DOBBY_OK)
        code = append_runs(report, (struct run_listing){.form = FORM_BLOCK, .out = out}, NULL, err);
    return code;
}

/* "5000: 1200 completed, 3 failed", in the order of the states; those that no record is in are left out. */
static dobby_code append_states(struct buffer *out, const struct store_counts *counts,
                                struct dobby_error *err)
{
    const char *between = ": ";
    dobby_code code =
        buffer_append_format(out, err, "%" PRIu64 " record%s", counts->total, plural_s(counts->total));
    for (int state = RECORD_UNKNOWN + 1; code == DOBBY_OK && state < RECORD_STATE_COUNT; state++) {
        if (counts->by_state[state] == 0)
            continue;
        code = buffer_append_format(out, err, "%s%" PRIu64 " %s", between, counts->by_state[state],
                                    record_state_name((enum record_state)state));
        between = ", ";
    }
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code append_bar(struct buffer *out, const struct store_counts *counts, struct dobby_error *err)
{
    static const char full[BAR_CELLS + 1] = "##################################################";
    const uint64_t left = counts->by_state[RECORD_PENDING] + counts->by_state[RECORD_LEASED];
    const double share = counts->total > 0 ? (double)(counts->total - left) / (double)counts->total : 0;
    const int cells = (int)(share * BAR_CELLS);
    return buffer_append_format(out, err, "  [%.*s%*s] %.1f %%\n\n", cells, full, BAR_CELLS - cells, "",
                                share * 100);
}

dobby_code status_append_view(struct buffer *out, const struct status_report *report, struct dobby_error *err)
{
    char now[CLOCK_TEXT_BYTES];
    size_t active = 0;
    clock_format(report->now_unix_us, now);
    dobby_code code = buffer_append_format(out, err, "%s  ", now);
    if (code == DOBBY_OK)
        code = utf8_append_display(out, report->url, strlen(report->url), err);
    if (code == DOBBY_OK)
        code = buffer_append_string(out, "\n  ", err);
    if (code == DOBBY_OK)
        code = append_states(out, &report->counts, err);
    if (code == DOBBY_OK)
        code = append_bar(out, &report->counts, err);
    if (code == DOBBY_OK)
        code = append_runs(report, (struct run_listing){.form = FORM_BLOCK, .out = out}, &active, err);
    if (code == DOBBY_OK)
        code = buffer_append_string(out, active == 0 ? "no run is active\n\n" : "\n", err);
    if (code == DOBBY_OK)
        code =
            append_runs(report, (struct run_listing){.form = FORM_ROW, .out = out, .ended = true}, NULL, err);
    return code;
}

dobby_code status_append_lines(struct buffer *out, const struct status_report *report, bool *active,
                               struct dobby_error *err)
{
    char before[CLOCK_TEXT_BYTES + 1];
    size_t shown = 0;
    clock_format(report->now_unix_us, before);
    before[strlen(before) + 1] = '\0';
    before[strlen(before)] = ' ';
    dobby_code code = append_runs(
        report, (struct run_listing){.form = FORM_LINE, .out = out, .before = before}, &shown, err);
    *active = shown > 0;
    if (code == DOBBY_OK && !*active)
        code = buffer_append_format(out, err, "%sno run is active; ", before);
    return code == DOBBY_OK && !*active ? append_states(out, &report->counts, err) : code;
}
