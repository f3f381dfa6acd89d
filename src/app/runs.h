/* From the configuration to a run, and from a run to what is printed about it. */
#ifndef APP_RUNS_H
#define APP_RUNS_H

#include "app/config.h"
#include "app/cuts.h"
#include "pipeline/run.h"

/* The configured options of a run; owner, run_id, caps and callbacks are the caller's. */
struct run_options runs_options(const struct config *config);
/* Opens the configured engine with as many sessions as the run may use. Fails: CONFIG_INVALID (sessions_min
 * above sessions_max or above the engine's sessions), and as models_open_engine. */
DOBBY_NODISCARD dobby_code runs_open_engine(const struct config *config, struct engine **out,
                                            struct dobby_error *err);
/* Appends who holds the leases: this process, and this run in it, whose id is given back in run_id. */
DOBBY_NODISCARD dobby_code runs_make_owner(struct buffer *out, char run_id[UUID_TEXT_BYTES],
                                           struct dobby_error *err);

/* The totals of a finished run, for people and as JSON. counts and cuts are the store's after it.
 * For JSON, which an error has too: run_id "" where it did not come to a run, counts and cuts NULL where they
 * cannot be had, failure NULL where there was none. */
DOBBY_NODISCARD dobby_code runs_append_summary(struct buffer *out, const struct run_progress *totals,
                                               const struct store_counts *counts, const struct cuts *cuts,
                                               struct dobby_error *err);
DOBBY_NODISCARD dobby_code runs_append_json(struct buffer *out, const char *run_id,
                                            const struct run_progress *totals,
                                            const struct store_counts *counts, const struct cuts *cuts,
                                            const struct dobby_error *failure, struct dobby_error *err);

#endif
