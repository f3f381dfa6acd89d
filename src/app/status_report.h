/* What `dobby status` tells: the records by state, why some were not summarised, and the runs. */
#ifndef APP_STATUS_REPORT_H
#define APP_STATUS_REPORT_H

#include "base/buffer.h"
#include "store/store.h"

struct status_report {
    struct store *store; /* borrowed */
    const char *url;     /* with secrets masked */
    int64_t now_unix_us;
    struct store_counts counts;
    struct reason_counts reasons; /* status_read_reasons; else empty */
};

/* Reads the counts. A zeroed struct may be released. Fails: as store_count. */
DOBBY_NODISCARD dobby_code status_read(struct status_report *report, struct dobby_error *err);
/* Reads the reasons: it takes a look at each record that has one, so that a watcher leaves it. */
DOBBY_NODISCARD dobby_code status_read_reasons(struct status_report *report, struct dobby_error *err);
void status_release(struct status_report *report);

/* For programs: one object with a line's end, the active runs in it. */
DOBBY_NODISCARD dobby_code status_append_json(struct buffer *out, const struct status_report *report,
                                              bool indent, struct dobby_error *err);
/* For people, once. */
DOBBY_NODISCARD dobby_code status_append_text(struct buffer *out, const struct status_report *report,
                                              struct dobby_error *err);
/* For people who watch: a bar, the active runs with all they measure, and the last ones that ended. */
DOBBY_NODISCARD dobby_code status_append_view(struct buffer *out, const struct status_report *report,
                                              struct dobby_error *err);
/* For logs: the time and a line for each active run; without one the counts. */
DOBBY_NODISCARD dobby_code status_append_lines(struct buffer *out, const struct status_report *report,
                                               bool *active, struct dobby_error *err);

#endif
