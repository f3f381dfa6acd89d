/* Records as JSON Lines, a JSON array, CSV or Markdown, one row at a time. */
#ifndef APP_EXPORT_H
#define APP_EXPORT_H

#include "app/output.h"
#include "store/store.h"

enum export_format { EXPORT_UNKNOWN, EXPORT_JSONL, EXPORT_JSON, EXPORT_CSV, EXPORT_MARKDOWN };
enum export_format export_format_parse(const char *name); /* "jsonl", "json", "csv", "md" */

struct exporter {
    enum export_format format;
    struct output *output; /* borrowed */
    uint64_t rows;
    struct buffer source, path; /* Markdown: whose heading was written last */
    bool (*canceled)(void);     /* asked for each row; NULL: never */
};
/* Memory does not grow with the rows. A zeroed struct may be released. */
DOBBY_NODISCARD dobby_code export_begin(struct exporter *exporter, enum export_format format,
                                        struct output *output, struct dobby_error *err);
/* A record_visit_fn whose context is the exporter. Fails: CANCELED, and as output_put. */
dobby_code export_row(void *context, const struct record_row *row, struct dobby_error *err);
DOBBY_NODISCARD dobby_code export_end(struct exporter *exporter, struct dobby_error *err);
void export_release(struct exporter *exporter);

#endif
