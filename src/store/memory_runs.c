/* Runs of the memory store. */
#include "store/memory_entry.h"
#include "store/store_check.h"

#include <stdlib.h>
#include <string.h>

/* The run with this id; run_count where there is none. */
static size_t find_run(const struct memory_store *memory, const char *id)
{
    size_t i = 0;
    while (i < memory->run_count && strcmp(memory->runs[i].id, id) != 0)
        i++;
    return i;
}

static dobby_code no_such_run(const char *id, struct dobby_error *err)
{
    return DOBBY_FAIL(err, DOBBY_STORE_NOT_FOUND, "no run's id is or begins with %s", id);
}

dobby_code memory_run_begin(struct store *store, const struct run_row *row, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    if (find_run(memory, row->id) < memory->run_count)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "there is a run %s already", row->id);
    if (memory->run_count == memory->run_capacity) {
        size_t capacity = 2 * memory->run_capacity + 1;
        struct run_row *runs = realloc(memory->runs, capacity * sizeof *runs);
        if (runs == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu runs", capacity);
        memory->runs = runs;
        memory->run_capacity = capacity;
    }
    struct run_row made = *row;
    char *id = NULL, *owner = NULL, *settings = NULL, *metrics = NULL, *end_reason = NULL;
    bool copied = text_copy(&id, row->id) && text_copy(&owner, row->owner) &&
                  text_copy(&settings, row->settings) && text_copy(&metrics, row->metrics) &&
                  text_copy(&end_reason, row->end_reason);
    made.id = id;
    made.owner = owner;
    made.settings = settings;
    made.metrics = metrics;
    made.end_reason = end_reason;
    made.command = RUN_COMMAND_NONE;
    made.command_unix_us = 0;
    if (!copied) {
        run_row_release(&made);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the run %s", row->id);
    }
    memory->runs[memory->run_count++] = made;
    return DOBBY_OK;
}

dobby_code memory_run_update(struct store *store, const struct run_row *row, enum run_command *pending,
                             struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    size_t at = find_run(memory, row->id);
    if (at == memory->run_count)
        return no_such_run(row->id, err);
    char *metrics = NULL, *end_reason = NULL;
    if (!text_copy(&metrics, row->metrics) || !text_copy(&end_reason, row->end_reason)) {
        free(metrics);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the run %s", row->id);
    }
    struct run_row *there = &memory->runs[at];
    free((char *)there->metrics);
    free((char *)there->end_reason);
    there->metrics = metrics;
    there->end_reason = end_reason;
    there->state = row->state;
    there->heartbeat_unix_us = row->heartbeat_unix_us;
    there->ended_unix_us = row->ended_unix_us;
    there->counts = row->counts;
    *pending = there->command;
    return DOBBY_OK;
}

void memory_run_count(struct memory_store *memory, const struct outcome *outcome)
{
    const size_t at = outcome->run_id != NULL ? find_run(memory, outcome->run_id) : memory->run_count;
    if (at < memory->run_count)
        run_counts_add(&memory->runs[at].counts, outcome);
}

dobby_code memory_run_poll(struct store *store, const char *id, enum run_command *pending,
                           struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    size_t at = find_run(memory, id);
    if (at == memory->run_count)
        return no_such_run(id, err);
    *pending = memory->runs[at].command;
    return DOBBY_OK;
}

dobby_code memory_run_command(struct store *store, const char *id_prefix, enum run_command command,
                              int64_t now_unix_us, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    struct run_row *active = NULL;
    const struct run_row *ended = NULL;
    for (size_t i = 0; i < memory->run_count; i++) {
        struct run_row *row = &memory->runs[i];
        if (!text_begins_with(row->id, id_prefix))
            continue;
        if (!run_state_is_active(row->state))
            ended = row;
        else if (active != NULL)
            return store_fail_ambiguous_run(id_prefix, err);
        else
            active = row;
    }
    dobby_code code = store_check_command(id_prefix, active, ended, command, err);
    if (code != DOBBY_OK)
        return code;
    active->command = command;
    active->command_unix_us = now_unix_us;
    return DOBBY_OK;
}

dobby_code memory_run_lost(struct store *store, const char *owner, int64_t now_unix_us, uint64_t *lost,
                           struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    (void)err;
    for (size_t i = 0; i < memory->run_count; i++) {
        struct run_row *row = &memory->runs[i];
        if (!run_state_is_active(row->state) || strcmp(row->owner, owner) != 0)
            continue;
        row->state = RUN_LOST;
        row->ended_unix_us = now_unix_us;
        (*lost)++;
    }
    return DOBBY_OK;
}

dobby_code memory_run_list(struct store *store, const struct run_filter *filter, run_visit_fn *visit,
                           void *context, struct dobby_error *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    uint64_t left = filter->limit == 0 ? UINT64_MAX : filter->limit;
    dobby_code code = DOBBY_OK;
    for (size_t i = memory->run_count; i > 0 && left > 0 && code == DOBBY_OK; i--) {
        const struct run_row *row = &memory->runs[i - 1];
        if (!text_begins_with(row->id, filter->id_prefix) ||
            (filter->active_only && !run_state_is_active(row->state)))
            continue;
        code = visit(context, row, err);
        left--;
    }
    return code;
}
