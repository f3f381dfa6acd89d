#include "app/progress.h"

#include "os/clock.h"
#include "os/terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REDRAW_NS (INT64_C(100) * 1000 * 1000)
#define PLAIN_NS (INT64_C(5) * 1000 * 1000 * 1000)
enum {
    COLUMNS_DEFAULT = 80,
    BAR_CELLS_MAX = 40,
    BAR_CELLS_MIN = 8,
    TAIL_BYTES = 200,
    NOTE_BYTES = 128,
    ETA_BYTES = 24
};

struct progress_style progress_style_of(bool terminal, const char *term, const char *no_color)
{
    const bool capable = terminal && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
    const bool colour = capable && (no_color == NULL || no_color[0] == '\0');
    return (struct progress_style){.redraw = capable, .colour = colour};
}

struct progress_rates progress_rates_of(const struct run_progress *progress)
{
    struct progress_rates rates = {.eta_s = -1};
    const double seconds = (double)(progress->elapsed_ns - progress->paused_ns) / 1e9;
    rates.done = progress->completed + progress->degraded + progress->failed + progress->skipped;
    if (seconds > 0) {
        rates.records_per_s = (double)rates.done / seconds;
        rates.tokens_per_s = (double)(progress->tokens_in + progress->tokens_out) / seconds;
    }
    const uint64_t left = progress->total > rates.done ? progress->total - rates.done : 0;
    if (left == 0)
        rates.eta_s = 0;
    else if (rates.records_per_s > 0)
        rates.eta_s = (int64_t)((double)left / rates.records_per_s + 0.5);
    return rates;
}

static void format_eta(int64_t seconds, char out[ETA_BYTES])
{
    if (seconds < 0 || seconds > INT64_C(999) * 3600)
        snprintf(out, ETA_BYTES, "--:--");
    else if (seconds >= 3600)
        snprintf(out, ETA_BYTES, "%" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60,
                 seconds % 60);
    else
        snprintf(out, ETA_BYTES, "%" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
}

/* What the run does when it does not simply run; "" while it does. */
static const char *phase_note(const struct run_progress *progress, char note[NOTE_BYTES])
{
    switch (progress->phase) {
    case RUN_PHASE_WAITING:
        return "waiting for later tries and other runs";
    case RUN_PHASE_STORE_OUTAGE:
    case RUN_PHASE_ENGINE_OUTAGE:
        snprintf(note, NOTE_BYTES, "%s %s: trying again", dobby_code_id(progress->outage),
                 dobby_code_message(progress->outage));
        return note;
    case RUN_PHASE_PAUSED:
        return "paused: dobby resume";
    case RUN_PHASE_DRAINING:
        return "finishing what is running";
    case RUN_PHASE_STOPPING:
        return "stopping";
    case RUN_PHASE_UNKNOWN:
    case RUN_PHASE_RUNNING:
    case RUN_PHASE_ENDED:
        break;
    }
    return "";
}

dobby_code progress_append_bar(struct buffer *out, const struct run_progress *progress, uint32_t columns,
                               bool colour, struct dobby_error *err)
{
    const struct progress_rates rates = progress_rates_of(progress);
    char tail[TAIL_BYTES], eta[ETA_BYTES], text[NOTE_BYTES];
    format_eta(rates.eta_s, eta);
    const char *note = phase_note(progress, text);
    int length;
    if (note[0] != '\0') /* then a rate says nothing */
        length = snprintf(tail, sizeof tail, "%" PRIu64 "/%" PRIu64 "  %s  %" PRIu64 " failed", rates.done,
                          progress->total, note, progress->failed);
    else
        length = snprintf(
            tail, sizeof tail, "%" PRIu64 "/%" PRIu64 "  %.1f rec/s  %.0f tok/s  ETA %s  %" PRIu64 " failed",
            rates.done, progress->total, rates.records_per_s, rates.tokens_per_s, eta, progress->failed);
    /* The last column stays free, since writing there would wrap, and so does what "^C" takes. */
    const int room = (int)(columns == 0 ? COLUMNS_DEFAULT : columns) - 3;
    int cells = room - length - 4; /* brackets and two blanks */
    cells = cells > BAR_CELLS_MAX ? BAR_CELLS_MAX : cells;
    dobby_code code = DOBBY_OK;
    if (cells >= BAR_CELLS_MIN) {
        const double share = progress->total == 0 ? 1 : (double)rates.done / (double)progress->total;
        const int full = (int)((share > 1 ? 1 : share) * cells);
        code = buffer_append_format(out, err, "[%s%.*s%s%*s]  ", colour ? "\x1b[32m" : "", full,
                                    "########################################", colour ? "\x1b[0m" : "",
                                    cells - full, "");
    }
    length = length > room ? (room > 0 ? room : 0) : length;
    const bool alarm = colour && progress->failed > 0;
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%s%.*s%s", alarm ? "\x1b[33m" : "", length, tail,
                                    alarm ? "\x1b[0m" : "");
    return code;
}

dobby_code progress_append_line(struct buffer *out, const struct run_progress *progress,
                                struct dobby_error *err)
{
    const struct progress_rates rates = progress_rates_of(progress);
    char eta[ETA_BYTES], text[NOTE_BYTES];
    const char *note = phase_note(progress, text);
    format_eta(rates.eta_s, eta);
    if (note[0] != '\0') /* then a rate says nothing */
        return buffer_append_format(out, err,
                                    "dobby: %" PRIu64 " of %" PRIu64 " records, %" PRIu64 " failed; %s\n",
                                    rates.done, progress->total, progress->failed, note);
    return buffer_append_format(
        out, err,
        "dobby: %" PRIu64 " of %" PRIu64 " records, %.1f records/s, %.0f tokens/s, ETA "
        "%s, %" PRIu64 " failed\n",
        rates.done, progress->total, rates.records_per_s, rates.tokens_per_s, eta, progress->failed);
}

void progress_init(struct progress *progress)
{
    const bool terminal = terminal_is_terminal(STREAM_ERROR);
    *progress = (struct progress){.style = progress_style_of(terminal, getenv("TERM"), getenv("NO_COLOR"))};
    /* The first plain line comes after a while: a short run needs none. */
    progress->next_ns = progress->style.redraw ? 0 : clock_monotonic_ns() + PLAIN_NS;
}

void progress_show(struct progress *progress, const struct run_progress *now)
{
    const int64_t time_ns = clock_monotonic_ns();
    if (time_ns < progress->next_ns)
        return;
    struct buffer text = {0};
    dobby_code code;
    if (progress->style.redraw) {
        code = buffer_append_string(&text, "\r", NULL);
        if (code == DOBBY_OK)
            code =
                progress_append_bar(&text, now, terminal_columns(STREAM_ERROR), progress->style.colour, NULL);
        if (code == DOBBY_OK)
            code = buffer_append_string(&text, "\x1b[K", NULL);
    } else {
        code = progress_append_line(&text, now, NULL);
    }
    if (code == DOBBY_OK && text.bytes != NULL) {
        fwrite(text.bytes, 1, text.length, stderr);
        progress->drawn = progress->style.redraw;
    }
    buffer_release(&text);
    progress->next_ns = time_ns + (progress->style.redraw ? REDRAW_NS : PLAIN_NS);
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn)
        fputs("\r\x1b[K", stderr);
    progress->drawn = false;
}
