#include "app/commands.h"
#include "app/doctor.h"
#include "app/output.h"
#include "app/secret.h"
#include "base/utf8.h"

#include <string.h>

/* Text from outside, for a terminal. */
static dobby_code append_shown(struct buffer *out, const char *text, struct dobby_error *err)
{
    struct buffer masked = {0};
    dobby_code code = secret_append_masked(&masked, text, err);
    if (code == DOBBY_OK)
        code = utf8_append_display(out, masked.bytes != NULL ? masked.bytes : "", masked.length, err);
    buffer_release(&masked);
    return code;
}

static dobby_code append_finding(const struct finding *finding, bool first_of_group, struct buffer *out,
                                 struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    if (first_of_group)
        code = buffer_append_format(out, err, "%s\n", finding->group);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "  %-8s %-12s ", finding_state_name(finding->state),
                                    finding->name);
    if (code == DOBBY_OK && finding->error_id != NULL)
        code = buffer_append_format(out, err, "%s: ", finding->error_id);
    if (code == DOBBY_OK)
        code = append_shown(out, finding->text, err);
    if (code == DOBBY_OK && finding->remedy[0] != '\0') {
        code = buffer_append_format(out, err, "\n  %-8s %-12s try: ", "", "");
        if (code == DOBBY_OK)
            code = append_shown(out, finding->remedy, err);
    }
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code append_text(const struct findings *findings, struct buffer *out, struct dobby_error *err)
{
    const char *group = "";
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < findings->count; i++) {
        const struct finding *finding = &findings->rows[i];
        code = append_finding(finding, strcmp(finding->group, group) != 0, out, err);
        group = finding->group;
    }
    const size_t broken = finding_count(findings, FINDING_BROKEN);
    const size_t warnings = finding_count(findings, FINDING_WARNING);
    if (code != DOBBY_OK)
        return code;
    return buffer_append_format(out, err, "%zu checks: %zu broken, %zu warning%s%s\n", findings->count,
                                broken, warnings, warnings == 1 ? "" : "s",
                                broken + warnings == 0 ? ": all is well" : "");
}

static dobby_code put_masked(struct json_writer *json, const char *key, const char *text,
                             struct dobby_error *err)
{
    struct buffer masked = {0};
    const dobby_code code = secret_append_masked(&masked, text, err);
    json_key(json, key);
    if (text[0] != '\0')
        json_put_string(json, masked.bytes, masked.length);
    else
        json_put_null(json);
    buffer_release(&masked);
    return code;
}

static dobby_code append_json(const struct findings *findings, struct buffer *out, struct dobby_error *err)
{
    struct json_writer json;
    dobby_code code = DOBBY_OK;
    json_writer_init(&json, out, true);
    json_begin_object(&json);
    json_key(&json, "checks");
    json_begin_array(&json);
    for (size_t i = 0; code == DOBBY_OK && i < findings->count; i++) {
        const struct finding *finding = &findings->rows[i];
        json_begin_object(&json);
        json_key(&json, "group");
        json_put_text(&json, finding->group);
        json_key(&json, "check");
        json_put_text(&json, finding->name);
        json_key(&json, "state");
        json_put_text(&json, finding_state_name(finding->state));
        json_key(&json, "error_id");
        json_put_text(&json, finding->error_id);
        code = put_masked(&json, "text", finding->text, err);
        if (code == DOBBY_OK)
            code = put_masked(&json, "remedy", finding->remedy, err);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_key(&json, "broken");
    json_put_integer(&json, (int64_t)finding_count(findings, FINDING_BROKEN));
    json_key(&json, "warnings");
    json_put_integer(&json, (int64_t)finding_count(findings, FINDING_WARNING));
    json_end_object(&json);
    if (code == DOBBY_OK)
        code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

/* Reads the configuration. One that cannot be read is a finding, and the defaults stand in for it. */
static dobby_code load_settings(struct app *app, struct findings *findings, struct dobby_error *err)
{
    struct dobby_error failure = {0};
    dobby_code code = config_init(&app->config, err);
    if (code != DOBBY_OK)
        return code;
    if (config_load(&app->config, app->options.config_file, &failure) != DOBBY_OK) {
        (void)finding_add_error(findings, "settings", "configuration", FINDING_BROKEN, &failure);
        (void)finding_add(findings, "settings", "defaults", FINDING_NOTE,
                          "the checks below take the defaults for what could not be read");
        config_release(&app->config);
        code = config_init(&app->config, err);
    }
    return code == DOBBY_OK ? options_apply(&app->options, &app->config, err) : code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct findings findings = {.count = 0};
    struct buffer text = {0};
    dobby_code code = load_settings(app, &findings, err);
    if (code == DOBBY_OK) {
        const struct doctor_options options = {.config = &app->config,
                                               .quick = options_switch(&app->options, "quick")};
        doctor_settings(&options, &findings);
        doctor_machine(&options, &findings);
        doctor_model(&options, &findings);
        doctor_store(&options, &findings);
        code = options_switch(&app->options, "json") ? append_json(&findings, &text, err)
                                                     : append_text(&findings, &text, err);
    }
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    if (finding_count(&findings, FINDING_BROKEN) > 0)
        app->status = EXIT_STATUS_OTHER;
    buffer_release(&text);
    return code;
}

static const struct option_spec option_specs[] = {
    OPTION_DB,
    OPTION_MODEL,
    OPTION_ENGINE,
    {.name = "sessions", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_SESSIONS},
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_PRECISION,
    {.name = "prompt", .type = OPTION_KEY, .argument = "FILE", .key = CONFIG_RUN_PROMPT_FILE},
    {.name = "quick",
     .type = OPTION_SWITCH,
     .help = "leave out what reads the whole database or the whole model, and what infers"},
    OPTION_JSON,
};

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "Check machine, model, database and settings, and say what to fix",
    .details =
        "Nothing is written or repaired. Each check ends as ok, as a note, as a warning (it works, but not "
        "well or not for long) or as broken (a run would fail); then the exit status is 1. The model's file "
        "is hashed, and one small function is summarised with it.",
    .options = OPTION_LIST(option_specs),
    .without_config = true,
    .run = run,
};
