/* The argument checks of the wrappers: each fails with INVALID_ARGUMENT or LIMIT_EXCEEDED and names what
 * was wrong. */
#ifndef STORE_STORE_CHECK_H
#define STORE_STORE_CHECK_H

#include "store/store_runs.h"
#include "store/store_versions.h"

/* No visitor runs: one that called back into its own handle would change what is being listed. */
DOBBY_NODISCARD dobby_code store_check_free(const struct store *store, const char *call,
                                            struct dobby_error *err);
/* text is not NULL, valid UTF-8 and bytes_min to bytes_max long. */
DOBBY_NODISCARD dobby_code store_check_text(const char *text, const char *what, size_t bytes_min,
                                            size_t bytes_max, struct dobby_error *err);
/* count is at most LIMIT_BATCH_RECORDS. */
DOBBY_NODISCARD dobby_code store_check_count(size_t count, const char *what, struct dobby_error *err);
DOBBY_NODISCARD dobby_code store_check_input(const struct record_input *input, struct dobby_error *err);
/* The kind is known and has the summary, error id and reason that it needs, and no others. */
DOBBY_NODISCARD dobby_code store_check_outcome(const struct outcome *outcome, struct dobby_error *err);
DOBBY_NODISCARD dobby_code store_check_filter(const struct record_filter *filter, struct dobby_error *err);
DOBBY_NODISCARD dobby_code store_check_provenance(const struct provenance_key *key, struct dobby_error *err);
/* The parts of a run's row that store_run_begin or, with update, store_run_update writes. */
DOBBY_NODISCARD dobby_code store_check_run(const struct run_row *row, bool update, struct dobby_error *err);

/* ---- for drivers ---- */

/* Whether the command can be given: active is the one active run whose id begins with id_prefix, or NULL;
 * ended is any ended one, or NULL. Fails as store_run_command. */
DOBBY_NODISCARD dobby_code store_check_command(const char *id_prefix, const struct run_row *active,
                                               const struct run_row *ended, enum run_command command,
                                               struct dobby_error *err);
/* Several active runs have this prefix. Returns STORE_AMBIGUOUS_ID. */
DOBBY_NODISCARD dobby_code store_fail_ambiguous_run(const char *id_prefix, struct dobby_error *err);

#endif
