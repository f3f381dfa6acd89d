/* A run as people and programs read it: its row in the store, the snapshot in it that the run writes about
 * twice a second, and whether its process still lives. */
#ifndef APP_RUN_VIEW_H
#define APP_RUN_VIEW_H

#include "base/json.h"
#include "base/json_writer.h"
#include "os/process.h"
#include "store/store_runs.h"

/* Characters of a run's id that are shown: its millisecond, and 12 bits that tell apart what began in one. */
enum { RUN_VIEW_ID_CHARACTERS = 18 };

struct run_view {
    const struct run_row *row;       /* borrowed */
    struct json *settings, *metrics; /* NULL where the text is no JSON */
    enum run_state state;            /* the row's, or LOST when its process is certainly dead */
    int64_t silent_since_us;         /* unix, its last sign of life: active, but none is due so long; 0: no */
    int64_t quiet_s; /* active, and so long without a sign of life that something holds it up; or 0 */
    struct process_identity process; /* pid 0 where the owner does not name one */
    uint64_t done;                   /* completed, degraded, failed and skipped */
    double seconds;                  /* from its start to its end, or to its last sign of life */
    double records_per_min;          /* over all of them, pauses left out */
    int64_t eta_s;                   /* -1: not known, or it does not run: it has ended or is paused */
};

/* A zeroed struct may be released. now_unix_us tells how long a run has been silent: a run shows itself twice
 * a second, so one that does not for as long as its leases last, ten seconds at least, has died on another
 * machine, is stopped or cut off, or the machines' clocks differ by that much. */
void run_view_init(struct run_view *view, const struct run_row *row, int64_t now_unix_us);
void run_view_release(struct run_view *view);

/* A number of the snapshot, named by its path ("latency_ms.p50"); false where it has none. */
bool run_view_metric(const struct run_view *view, const char *path, double *out);

/* All of it as one object. */
void run_view_write_json(const struct run_view *view, struct json_writer *json);

/* The list of `dobby runs`: its heading, and a line for each run. */
DOBBY_NODISCARD dobby_code run_view_append_header(struct buffer *out, struct dobby_error *err);
DOBBY_NODISCARD dobby_code run_view_append_row(struct buffer *out, const struct run_view *view,
                                               struct dobby_error *err);
/* A paragraph of labelled lines, for `dobby status --watch` and `dobby runs ID`. */
DOBBY_NODISCARD dobby_code run_view_append_block(struct buffer *out, const struct run_view *view,
                                                 struct dobby_error *err);
/* One line without columns, for logs. */
DOBBY_NODISCARD dobby_code run_view_append_line(struct buffer *out, const struct run_view *view,
                                                struct dobby_error *err);

#endif
