/* A run's progress on standard error: one redrawn line on a terminal, a plain line every few seconds
 * elsewhere. */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include "base/buffer.h"
#include "pipeline/run.h"

/* Where and how to show it; decided once from the terminal, TERM and NO_COLOR. */
struct progress_style {
    bool redraw;
    bool colour;
};
struct progress_style progress_style_of(bool terminal, const char *term, const char *no_color);

/* What both forms tell. */
struct progress_rates {
    uint64_t done;
    double records_per_s, tokens_per_s; /* pauses left out */
    int64_t eta_s;                      /* -1: not known yet */
};
struct progress_rates progress_rates_of(const struct run_progress *progress);

/* Appends the redrawn line, at most columns - 3 wide (0 means 80), without a line's end. */
DOBBY_NODISCARD dobby_code progress_append_bar(struct buffer *out, const struct run_progress *progress,
                                               uint32_t columns, bool colour, struct dobby_error *err);
/* Appends the plain line, with its end. */
DOBBY_NODISCARD dobby_code progress_append_line(struct buffer *out, const struct run_progress *progress,
                                                struct dobby_error *err);

struct progress {
    struct progress_style style;
    int64_t next_ns; /* when it is shown again */
    bool drawn;      /* a redrawn line stands on the terminal */
};
void progress_init(struct progress *progress);
/* Shows what has changed, if it is time. Output that fails is no reason to end a run: it is dropped. */
void progress_show(struct progress *progress, const struct run_progress *now);
/* Takes the redrawn line away, before anything else is printed. */
void progress_clear(struct progress *progress);

#endif
