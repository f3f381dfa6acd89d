#include "app/commands.h"
#include "app/output.h"
#include "app/stores.h"
#include "base/limits.h"
#include "os/clock.h"
#include "store/store_versions.h"

#include <inttypes.h>
#include <stdio.h>

enum { RECORDS_MAX = 1 << 16 };

struct candidate {
    char id[LIMIT_RECORD_ID_BYTES + 1];
    enum record_state state;
};

static dobby_code look(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct candidate *candidate = context;
    (void)err;
    snprintf(candidate->id, sizeof candidate->id, "%s", row->id);
    candidate->state = row->state;
    return DOBBY_OK;
}

static bool can_be_retried(enum record_state state, enum record_state wanted)
{
    if (wanted != RECORD_UNKNOWN)
        return state == wanted;
    return state == RECORD_FAILED || state == RECORD_DEGRADED || state == RECORD_SKIPPED;
}

/* The record that the argument means, if it can be retried. */
static dobby_code find(struct store *store, const char *argument, enum record_state wanted,
                       struct candidate *out, struct dobby_error *err)
{
    *out = (struct candidate){.state = RECORD_UNKNOWN};
    dobby_code code = store_get(store, argument, look, out, err);
    if (code == DOBBY_OK && !can_be_retried(out->state, wanted))
        code =
            DOBBY_FAIL(err, DOBBY_USAGE, "record %.24s is %s; what can be retried is %s", out->id,
                       record_state_name(out->state),
                       wanted != RECORD_UNKNOWN ? record_state_name(wanted) : "failed, degraded or skipped");
    return code;
}

/* A misspelt id must not leave the ones before it requeued, so all are looked at first. */
static dobby_code retry_each(const struct app *app, struct store *store, enum record_state wanted,
                             uint64_t *count, struct dobby_error *err)
{
    struct candidate candidate;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < app->options.argument_count; i++)
        code = find(store, app->options.arguments[i], wanted, &candidate, err);
    for (size_t i = 0; code == DOBBY_OK && i < app->options.argument_count; i++) {
        uint64_t requeued = 0;
        code = store_get(store, app->options.arguments[i], look, &candidate, err);
        const struct record_filter which = {.state = wanted, .id_prefix = candidate.id, .id_whole = true};
        if (code == DOBBY_OK)
            code = store_requeue(store, &which, clock_unix_us(), &requeued, err);
        *count += requeued;
    }
    return code;
}

static dobby_code print_count(bool as_json, uint64_t count, struct dobby_error *err)
{
    struct buffer text = {0};
    dobby_code code =
        as_json ? buffer_append_format(&text, err, "{\"requeued\": %" PRIu64 "}\n", count)
        : count == 0
            ? buffer_append_string(&text, "nothing to retry\n", err)
            : buffer_append_format(&text, err, "%" PRIu64 " record%s will be tried again: dobby run\n", count,
                                   plural_s(count));
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    const char *state = options_text(&app->options, "state"), *path = options_text(&app->options, "path");
    const bool each = app->options.argument_count > 0;
    const enum record_state wanted = state != NULL ? record_state_parse(state)
                                     : each        ? RECORD_UNKNOWN
                                                   : RECORD_FAILED;
    const struct record_filter which = {
        .state = wanted, .path_glob = path, .limit = options_integer(&app->options, "limit", 0)};
    struct store *store = NULL;
    uint64_t count = 0;
    if (each && (path != NULL || which.limit != 0))
        return DOBBY_FAIL(err, DOBBY_USAGE,
                          "--path and --limit choose among all records; ids name single ones");
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_WRITE, &store, err);
    if (code == DOBBY_OK)
        code = each ? retry_each(app, store, wanted, &count, err)
                    : store_requeue(store, &which, clock_unix_us(), &count, err);
    if (code == DOBBY_OK)
        code = print_count(options_switch(&app->options, "json"), count, err);
    store_close(store);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    {.name = "state",
     .type = OPTION_CHOICE,
     .argument = "S",
     .help = "failed, degraded or skipped; default failed, and with ids whichever of these they are in",
     .choices = {"failed", "degraded", "skipped"}},
    {.name = "path",
     .type = OPTION_TEXT,
     .argument = "GLOB",
     .help = "only paths that match; * also matches /, as in 'src/*.c'"},
    {.name = "limit", .type = OPTION_INTEGER, .argument = "N", .help = "at most N records; 0: all"},
    OPTION_JSON,
};

const struct command command_retry = {
    .name = "retry",
    .arguments = "[ID...]",
    .summary = "Let records that failed, or were not good enough, be tried again",
    .details =
        "Without ids all failed records. They are pending again with all their attempts, and the next dobby "
        "run, or one that runs now, takes them; a degraded record keeps its summary until there is a new "
        "one. What ingest skipped stays so: it holds no text to summarise.\n\n"
        "ID is a record's id or the beginning of it, as dobby list prints it.",
    .options = OPTION_LIST(option_specs),
    .arguments_max = RECORDS_MAX,
    .run = run,
};
