/* The wrappers of the runs' half of the interface; see store.c. */
#include "store/store_runs.h"

#include "base/limits.h"
#include "store/store_check.h"
#include "store/store_ops.h"

const char *run_state_name(enum run_state state)
{
    static const char *const names[RUN_STATE_COUNT] = {
        [RUN_UNKNOWN] = "unknown",   [RUN_RUNNING] = "running",         [RUN_PAUSED] = "paused",
        [RUN_FINISHED] = "finished", [RUN_CAPPED] = "capped",           [RUN_CANCELED] = "canceled",
        [RUN_FAILED] = "failed",     [RUN_INTERRUPTED] = "interrupted", [RUN_LOST] = "lost",
    };
    return names[(unsigned)state < RUN_STATE_COUNT ? state : RUN_UNKNOWN];
}

bool run_state_is_active(enum run_state state)
{
    return state == RUN_RUNNING || state == RUN_PAUSED;
}

const char *run_command_name(enum run_command command)
{
    static const char *const names[RUN_COMMAND_COUNT] = {
        [RUN_COMMAND_UNKNOWN] = "unknown", [RUN_COMMAND_NONE] = "none",     [RUN_COMMAND_PAUSE] = "pause",
        [RUN_COMMAND_RESUME] = "resume",   [RUN_COMMAND_CANCEL] = "cancel",
    };
    return names[(unsigned)command < RUN_COMMAND_COUNT ? command : RUN_COMMAND_UNKNOWN];
}

void run_counts_add(struct run_counts *counts, const struct outcome *outcome)
{
    uint64_t *const counters[] = {
        [OUTCOME_COMPLETED] = &counts->completed, [OUTCOME_DEGRADED] = &counts->degraded,
        [OUTCOME_FAILED] = &counts->failed,       [OUTCOME_SKIPPED] = &counts->skipped,
        [OUTCOME_RETRY] = &counts->retried,
    };
    if (outcome->kind == OUTCOME_RELEASED)
        return;
    if (outcome->stale) {
        counts->stale++;
        return;
    }
    ++*counters[outcome->kind];
    if (outcome->summary == NULL)
        return;
    if (outcome->summary->reused) {
        counts->reused++;
        return;
    }
    counts->tokens_in += outcome->summary->tokens_in;
    counts->tokens_out += outcome->summary->tokens_out;
}

dobby_code store_run_begin(struct store *store, const struct run_row *row, struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_run_begin", err);
    if (code == DOBBY_OK)
        code = store_check_run(row, false, err);
    return code == DOBBY_OK ? store->ops->run_begin(store, row, err) : code;
}

dobby_code store_run_update(struct store *store, const struct run_row *row, enum run_command *pending,
                            struct dobby_error *err)
{
    *pending = RUN_COMMAND_UNKNOWN;
    dobby_code code = store_check_free(store, "store_run_update", err);
    if (code == DOBBY_OK)
        code = store_check_run(row, true, err);
    if (code == DOBBY_OK)
        code = store->ops->run_update(store, row, pending, err);
    if (code != DOBBY_OK)
        *pending = RUN_COMMAND_UNKNOWN;
    else if (!run_state_is_active(row->state))
        *pending = RUN_COMMAND_NONE;
    return code;
}

dobby_code store_run_poll(struct store *store, const char *id, enum run_command *pending,
                          struct dobby_error *err)
{
    *pending = RUN_COMMAND_UNKNOWN;
    dobby_code code = store_check_free(store, "store_run_poll", err);
    if (code == DOBBY_OK)
        code = store_check_text(id, "run id", 1, UUID_TEXT_BYTES - 1, err);
    if (code == DOBBY_OK)
        code = store->ops->run_poll(store, id, pending, err);
    if (code != DOBBY_OK)
        *pending = RUN_COMMAND_UNKNOWN;
    return code;
}

dobby_code store_run_command(struct store *store, const char *id_prefix, enum run_command command,
                             int64_t now_unix_us, struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_run_command", err);
    if (code == DOBBY_OK)
        code = store_check_text(id_prefix, "run id", 0, UUID_TEXT_BYTES - 1, err);
    if (code == DOBBY_OK && command != RUN_COMMAND_PAUSE && command != RUN_COMMAND_RESUME &&
        command != RUN_COMMAND_CANCEL)
        code = DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "no run can be given the command %d", (int)command);
    return code == DOBBY_OK ? store->ops->run_command(store, id_prefix, command, now_unix_us, err) : code;
}

dobby_code store_run_lost(struct store *store, const char *owner, int64_t now_unix_us, uint64_t *lost,
                          struct dobby_error *err)
{
    *lost = 0;
    dobby_code code = store_check_free(store, "store_run_lost", err);
    if (code == DOBBY_OK)
        code = store_check_text(owner, "owner", 1, LIMIT_OWNER_BYTES, err);
    if (code == DOBBY_OK)
        code = store->ops->run_lost(store, owner, now_unix_us, lost, err);
    if (code != DOBBY_OK)
        *lost = 0;
    return code;
}

dobby_code store_run_list(struct store *store, const struct run_filter *filter, run_visit_fn *visit,
                          void *context, struct dobby_error *err)
{
    dobby_code code = store_check_free(store, "store_run_list", err);
    if (code == DOBBY_OK && filter->id_prefix != NULL)
        code = store_check_text(filter->id_prefix, "run id", 0, UUID_TEXT_BYTES - 1, err);
    if (code != DOBBY_OK)
        return code;
    store->visiting = true;
    code = store->ops->run_list(store, filter, visit, context, err);
    store->visiting = false;
    return code;
}
