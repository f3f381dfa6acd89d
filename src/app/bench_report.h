/* What dobby bench measured: one document for all its commands, saved as JSON and compared with later.
 *
 *   {"machine": {"cpu", "threads", "ceilings": {...}}, "kernels": [{...}], "engine": [{...}]}
 *
 * One table of fields a row is what is both written and read; figures.h says what each means. */
#ifndef APP_BENCH_REPORT_H
#define APP_BENCH_REPORT_H

#include "base/buffer.h"
#include "infer/bench/figures.h"

struct bench_report { /* a zeroed one is empty */
    struct machine_figures machine;
    struct kernel_figures *kernels; /* owned, as the next */
    struct engine_figures *engines;
    size_t kernel_count, kernel_capacity, engine_count, engine_capacity;
};
void bench_report_release(struct bench_report *report);

/* Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code bench_report_add_kernel(struct bench_report *report,
                                                   const struct kernel_figures *figures,
                                                   struct dobby_error *err);
DOBBY_NODISCARD dobby_code bench_report_add_engine(struct bench_report *report,
                                                   const struct engine_figures *figures,
                                                   struct dobby_error *err);

/* The same row of another report; NULL: it has none. */
const struct kernel_figures *bench_report_find_kernel(const struct bench_report *report,
                                                      const struct kernel_figures *figures);
const struct engine_figures *bench_report_find_engine(const struct bench_report *report,
                                                      const struct engine_figures *figures);

/* Appends the document and a newline. against (NULL: none) gives each row that it has too "against": ratios
 * of now to then. */
DOBBY_NODISCARD dobby_code bench_report_append_json(const struct bench_report *report,
                                                    const struct bench_report *against, struct buffer *out,
                                                    struct dobby_error *err);
/* Reads such a document; what is missing or null is 0, what it has beyond is ignored. Fails: JSON_INVALID,
 * INVALID_ARGUMENT (naming the member), LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code bench_report_parse(const char *bytes, size_t length, struct bench_report *out,
                                              struct dobby_error *err);

#endif
