/* dobby pause, resume, cancel: commands to a run in another process, by way of its row in the database. */
#include "app/commands.h"
#include "app/output.h"
#include "app/run_view.h"
#include "app/stores.h"
#include "base/limits.h"
#include "os/clock.h"
#include "os/interrupt.h"

#include <stdio.h>
#include <string.h>

/* A run looks at its row several times a second and acts at once; on a machine that is overloaded it may take
 * longer, and is not waited for. */
enum { ANSWER_MS = 3000, ASK_MS = 50, TARGETS_MAX = 8 };

/* ---- which run is meant ----------------------------------------------------------------------------- */

struct target {
    char id[UUID_TEXT_BYTES];
    char owner[LIMIT_OWNER_BYTES + 1];
    enum run_state state; /* as run_view_init */
    enum run_command command;
    int64_t heartbeat_us, silent_since_us; /* as run_view_init */
    int64_t waited_ms;                     /* for its answer */
    bool closed; /* it did not answer and was silent before: its row says LOST now */
};

struct targets {
    struct target *rows; /* room for TARGETS_MAX */
    size_t count, found; /* kept, and kept or not */
    bool active, lost;   /* which are collected; neither: all */
};

static dobby_code collect(void *context, const struct run_row *row, struct dobby_error *err)
{
    struct targets *targets = context;
    (void)err;
    struct run_view view;
    run_view_init(&view, row, clock_unix_us());
    const bool wanted =
        (!targets->active || run_state_is_active(view.state)) && (!targets->lost || view.state == RUN_LOST);
    targets->found += wanted;
    if (wanted && targets->count < TARGETS_MAX) {
        struct target *target = &targets->rows[targets->count++];
        *target = (struct target){.state = view.state,
                                  .command = row->command,
                                  .heartbeat_us = row->heartbeat_unix_us,
                                  .silent_since_us = view.silent_since_us};
        snprintf(target->id, sizeof target->id, "%s", row->id);
        snprintf(target->owner, sizeof target->owner, "%s", row->owner);
    }
    run_view_release(&view);
    return DOBBY_OK;
}

/* Nothing that lives has this id: says whether it has ended or never was. */
static dobby_code refuse_missing(struct store *store, const char *prefix, struct target *row,
                                 struct dobby_error *err)
{
    struct targets ended = {.rows = row};
    const struct run_filter filter = {.id_prefix = prefix, .limit = 1};
    if (prefix[0] == '\0')
        return DOBBY_FAIL(err, DOBBY_RUN_NOT_FOUND, "no run is active");
    const dobby_code code = store_run_list(store, &filter, collect, &ended, err);
    if (code != DOBBY_OK)
        return code;
    if (ended.count == 0)
        return DOBBY_FAIL(err, DOBBY_RUN_NOT_FOUND, "no run's id begins with '%.60s'", prefix);
    return DOBBY_FAIL(err, DOBBY_RUN_ENDED, "run %s is %s", row->id, run_state_name(row->state));
}

static dobby_code refuse_ambiguous(const struct targets *targets, const char *prefix, struct dobby_error *err)
{
    char names[DOBBY_ERROR_DETAIL_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; i < targets->count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s %s", i > 0 ? "," : "",
                                 targets->rows[i].id);
    return DOBBY_FAIL(err, DOBBY_RUN_AMBIGUOUS, "%zu active runs%s%.60s:%.280s", targets->found,
                      prefix[0] != '\0' ? " begin with " : "", prefix, names);
}

/* The rows of runs whose process died say so from now on: they must not stand in the way of the living. */
static dobby_code bury_the_dead(struct store *store, struct target rows[TARGETS_MAX], struct dobby_error *err)
{
    const struct run_filter filter = {.active_only = true};
    struct targets dead;
    uint64_t lost;
    dobby_code code;
    do {
        dead = (struct targets){.rows = rows, .lost = true};
        lost = 0;
        code = store_run_list(store, &filter, collect, &dead, err);
        for (size_t i = 0; code == DOBBY_OK && i < dead.count; i++)
            code = store_run_lost(store, rows[i].owner, clock_unix_us(), &lost, err);
    } while (code == DOBBY_OK && dead.found > dead.count && lost > 0);
    return code;
}

/* The one living run whose id begins with prefix, in rows[0]. */
static dobby_code find_target(struct store *store, const char *prefix, struct target rows[TARGETS_MAX],
                              struct dobby_error *err)
{
    struct targets living = {.rows = rows, .active = true};
    const struct run_filter filter = {.id_prefix = prefix[0] != '\0' ? prefix : NULL, .active_only = true};
    dobby_code code = bury_the_dead(store, rows, err);
    if (code == DOBBY_OK)
        code = store_run_list(store, &filter, collect, &living, err);
    if (code == DOBBY_OK && living.found == 0)
        code = refuse_missing(store, prefix, rows, err);
    else if (code == DOBBY_OK && living.found > 1)
        code = refuse_ambiguous(&living, prefix, err);
    return code;
}

/* ---- telling it, and its answer --------------------------------------------------------------------- */

static bool has_answered(enum run_command command, enum run_state state)
{
    switch (command) {
    case RUN_COMMAND_PAUSE:
        return state != RUN_RUNNING;
    case RUN_COMMAND_RESUME:
        return state != RUN_PAUSED;
    default:
        return !run_state_is_active(state);
    }
}

/* Waits until the run has done as told, or ANSWER_MS. */
static dobby_code await_answer(struct store *store, enum run_command command, struct target *target,
                               struct dobby_error *err)
{
    const struct run_filter filter = {.id_prefix = target->id, .limit = 1};
    const int64_t start_ns = clock_monotonic_ns();
    dobby_code code = DOBBY_OK;
    for (;;) {
        struct targets now = {.rows = target};
        code = store_run_list(store, &filter, collect, &now, err);
        target->waited_ms = (clock_monotonic_ns() - start_ns) / 1000000;
        if (code != DOBBY_OK || has_answered(command, target->state) || target->waited_ms >= ANSWER_MS ||
            interrupt_count() > 0)
            return code;
        clock_sleep_ms(ASK_MS);
    }
}

/* A run that was silent and stays so is closed: it is dead on another machine, or at least cut off from the
 * database. Its leases expire; should it live, it finds the command when it comes back, and ends. */
static dobby_code close_silent(struct store *store, const struct target *before, struct target *target,
                               struct dobby_error *err)
{
    uint64_t lost = 0;
    if (!run_state_is_active(target->state) || before->silent_since_us == 0 ||
        target->heartbeat_us != before->heartbeat_us || interrupt_count() > 0)
        return DOBBY_OK;
    const dobby_code code = store_run_lost(store, target->owner, clock_unix_us(), &lost, err);
    target->closed = code == DOBBY_OK && lost > 0;
    if (target->closed)
        target->state = RUN_LOST;
    return code;
}

static dobby_code print_answer(bool as_json, enum run_command command, const struct target *target,
                               struct dobby_error *err)
{
    struct buffer text = {0};
    struct json_writer json;
    const bool answered = !target->closed && has_answered(command, target->state);
    char since[CLOCK_TEXT_BYTES];
    dobby_code code;
    if (as_json) {
        json_writer_init(&json, &text, true);
        json_begin_object(&json);
        json_key(&json, "run");
        json_put_text(&json, target->id);
        json_key(&json, "command");
        json_put_text(&json, run_command_name(command));
        json_key(&json, "state");
        json_put_text(&json, run_state_name(target->state));
        json_key(&json, "answered");
        json_put_boolean(&json, answered);
        json_key(&json, "closed");
        json_put_boolean(&json, target->closed);
        json_key(&json, "waited_ms");
        json_put_integer(&json, target->waited_ms);
        json_end_object(&json);
        code = json_writer_end(&json, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(&text, '\n', err);
    } else if (target->closed) {
        clock_format(target->heartbeat_us, since);
        code = buffer_append_format(
            &text, err,
            "run %s does not answer and was silent since %s: it is closed as lost; what it "
            "had is free once its leases run out\n",
            target->id, since);
    } else if (answered) {
        code = buffer_append_format(&text, err, "run %s is %s\n", target->id, run_state_name(target->state));
    } else {
        code = buffer_append_format(&text, err,
                                    "run %s was told to %s and will; it is still %s: see dobby status\n",
                                    target->id, run_command_name(command), run_state_name(target->state));
    }
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

static dobby_code control(struct app *app, enum run_command command, struct dobby_error *err)
{
    const char *prefix = app->options.argument_count > 0 ? app->options.arguments[0] : "";
    struct target rows[TARGETS_MAX], *target = &rows[0];
    struct store *store = NULL;
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_WRITE, &store, err);
    if (code == DOBBY_OK)
        code = find_target(store, prefix, rows, err);
    if (code == DOBBY_OK && target->command == RUN_COMMAND_CANCEL && command != RUN_COMMAND_CANCEL)
        code = DOBBY_FAIL(err, DOBBY_RUN_ENDED, "run %s is being canceled", target->id);
    if (code == DOBBY_OK)
        code = store_run_command(store, target->id, command, clock_unix_us(), err);
    if (code == DOBBY_OK) {
        const struct target before = *target;
        interrupt_catch();
        code = await_answer(store, command, target, err);
        if (code == DOBBY_OK && command == RUN_COMMAND_CANCEL)
            code = close_silent(store, &before, target, err);
    }
    if (code == DOBBY_OK)
        code = print_answer(options_switch(&app->options, "json"), command, target, err);
    store_close(store);
    return code;
}

static dobby_code run_pause(struct app *app, struct dobby_error *err)
{
    return control(app, RUN_COMMAND_PAUSE, err);
}

static dobby_code run_resume(struct app *app, struct dobby_error *err)
{
    return control(app, RUN_COMMAND_RESUME, err);
}

static dobby_code run_cancel(struct app *app, struct dobby_error *err)
{
    return control(app, RUN_COMMAND_CANCEL, err);
}

#define WHICH_RUN                                                                                            \
    "RUN is its id or the beginning of it, as dobby runs prints it; without it the only active run is "      \
    "meant."

static const struct option_spec option_specs[] = {OPTION_DB, OPTION_JSON};

const struct command command_pause = {
    .name = "pause",
    .arguments = "[RUN]",
    .summary = "Let a run in another process pause",
    .details = WHICH_RUN
    "\n\nIt finishes the records that are in the engine, gives the others back, so that other runs may have "
    "them, and takes no new ones until dobby resume. The run pauses within a second; the command waits for "
    "that, three seconds at most. A paused run ends once other runs have done what was left.",
    .options = OPTION_LIST(option_specs),
    .arguments_max = 1,
    .run = run_pause,
};

const struct command command_resume = {
    .name = "resume",
    .arguments = "[RUN]",
    .summary = "Let a paused run go on",
    .details =
        WHICH_RUN "\n\nA run that has ended is not resumed but followed by the next dobby run, which does "
                  "what is left.",
    .options = OPTION_LIST(option_specs),
    .arguments_max = 1,
    .run = run_resume,
};

const struct command command_cancel = {
    .name = "cancel",
    .arguments = "[RUN]",
    .summary = "End a run in another process",
    .details =
        WHICH_RUN "\n\nWithin a second it stores what it has finished, gives the rest back and ends. "
                  "The next dobby run does what is left.\n\n"
                  "A run that has been silent for longer than its leases last (dobby status shows since "
                  "when) and does not answer within three seconds is closed as lost: its machine is gone, "
                  "or it is cut off from the database.",
    .options = OPTION_LIST(option_specs),
    .arguments_max = 1,
    .run = run_cancel,
};
