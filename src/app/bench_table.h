/* What dobby bench measured, as lines for people. */
#ifndef APP_BENCH_TABLE_H
#define APP_BENCH_TABLE_H

#include "app/bench_report.h"

/* compares: with columns for the ratios of now to then. then: the row's counterpart; NULL: there is none. */
DOBBY_NODISCARD dobby_code bench_table_kernel_header(bool compares, struct buffer *out,
                                                     struct dobby_error *err);
DOBBY_NODISCARD dobby_code bench_table_kernel(const struct kernel_figures *row,
                                              const struct kernel_figures *then, struct buffer *out,
                                              struct dobby_error *err);
DOBBY_NODISCARD dobby_code bench_table_engine_header(bool compares, struct buffer *out,
                                                     struct dobby_error *err);
DOBBY_NODISCARD dobby_code bench_table_engine(const struct engine_figures *row,
                                              const struct engine_figures *then, struct buffer *out,
                                              struct dobby_error *err);
/* against: the other report's machine; NULL: none. */
DOBBY_NODISCARD dobby_code bench_table_machine(const struct machine_figures *machine,
                                               const struct machine_figures *against, struct buffer *out,
                                               struct dobby_error *err);

/* Where the engine's time went, by enum engine_phase: one line. */
DOBBY_NODISCARD dobby_code bench_table_phases(const struct engine_figures *row, struct buffer *out,
                                              struct dobby_error *err);

#endif
