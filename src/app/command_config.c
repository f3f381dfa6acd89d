#include "app/commands.h"
#include "app/output.h"
#include "app/report.h"
#include "app/secret.h"
#include "app/variables.h"
#include "base/utf8.h"

#include <string.h>

/* "dobby.toml:3:11", "environment DOBBY_DB", "flag --db", "default". */
static dobby_code append_source(struct buffer *out, const struct config_source *source,
                                struct dobby_error *err)
{
    struct buffer name = {0};
    dobby_code code = utf8_append_display(&name, source->name, strlen(source->name), err);
    const char *shown = name.bytes != NULL ? name.bytes : "";
    if (code == DOBBY_OK && source->origin == CONFIG_FROM_FILE)
        code = buffer_append_format(out, err, "%s:%u:%u", shown, source->line, source->column);
    else if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%s%s%s", config_origin_name(source->origin),
                                    shown[0] != '\0' ? " " : "", shown);
    buffer_release(&name);
    return code;
}

static dobby_code append_text(struct buffer *out, const struct config *config, struct dobby_error *err)
{
    struct buffer value = {0}, shown = {0};
    dobby_code code = DOBBY_OK;
    for (int key = CONFIG_UNKNOWN + 1; code == DOBBY_OK && key < CONFIG_KEY_COUNT; key++) {
        buffer_clear(&value);
        buffer_clear(&shown);
        code = secret_append_masked(&value, config_text(config, (enum config_key)key), err);
        if (code == DOBBY_OK && value.length > 0)
            code = utf8_append_display(&shown, value.bytes, value.length, err);
        if (code == DOBBY_OK)
            code = buffer_append_format(out, err, "%-24s%-32s  ", config_keys[key].name,
                                        shown.length > 0 ? shown.bytes : "-");
        if (code == DOBBY_OK)
            code = append_source(out, &config->values[key].source, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    buffer_release(&value);
    buffer_release(&shown);
    return code;
}

static void write_value(struct json_writer *json, const struct config_key_spec *spec,
                        const struct config_value *value, const char *masked)
{
    if (spec->type == CONFIG_INTEGER && !(spec->zero_is_auto && value->integer == 0))
        json_put_integer(json, value->integer);
    else if (spec->type == CONFIG_NUMBER)
        json_put_number(json, value->number);
    else
        json_put_text(json, masked);
}

static dobby_code append_json(struct buffer *out, const struct config *config, struct dobby_error *err)
{
    struct buffer masked = {0};
    struct json_writer json;
    dobby_code code = DOBBY_OK;
    json_writer_init(&json, out, true);
    json_begin_object(&json);
    for (int key = CONFIG_UNKNOWN + 1; code == DOBBY_OK && key < CONFIG_KEY_COUNT; key++) {
        const struct config_value *value = &config->values[key];
        buffer_clear(&masked);
        code = secret_append_masked(&masked, value->text, err);
        json_key(&json, config_keys[key].name);
        json_begin_object(&json);
        json_key(&json, "value");
        write_value(&json, &config_keys[key], value, masked.length > 0 ? masked.bytes : "");
        json_key(&json, "origin");
        json_put_text(&json, config_origin_name(value->source.origin));
        json_key(&json, "name");
        json_put_text(&json, value->source.name[0] != '\0' ? value->source.name : NULL);
        if (value->source.origin == CONFIG_FROM_FILE) {
            json_key(&json, "line");
            json_put_integer(&json, value->source.line);
            json_key(&json, "column");
            json_put_integer(&json, value->source.column);
        }
        json_end_object(&json);
    }
    json_end_object(&json);
    if (code == DOBBY_OK)
        code = json_writer_end(&json, err);
    buffer_release(&masked);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code run_show(struct app *app, struct dobby_error *err)
{
    struct buffer text = {0};
    dobby_code code = options_switch(&app->options, "json") ? append_json(&text, &app->config, err)
                                                            : append_text(&text, &app->config, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

static void warn_of_variable(void *context, const char *name, const char *near)
{
    struct dobby_error warning = {0};
    const dobby_code code =
        near != NULL ? DOBBY_FAIL(&warning, DOBBY_VARIABLE_UNKNOWN, "%s; did you mean %s?", name, near)
                     : DOBBY_FAIL(&warning, DOBBY_VARIABLE_UNKNOWN, "%s", name);
    (void)context;
    if (code != DOBBY_OK)
        report_error(&warning);
}

/* The configuration was read and checked before the command began. */
static dobby_code run_check(struct app *app, struct dobby_error *err)
{
    struct buffer text = {0};
    const char *file = app->config.file;
    dobby_code code = buffer_append_string(&text, "the configuration is valid: ", err);
    if (code == DOBBY_OK)
        code = file != NULL ? utf8_append_display(&text, file, strlen(file), err)
                            : buffer_append_string(&text, "no file, only the environment and defaults", err);
    if (code == DOBBY_OK)
        code = buffer_append_byte(&text, '\n', err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    if (code == DOBBY_OK)
        (void)variables_visit_unknown(warn_of_variable, NULL);
    buffer_release(&text);
    return code;
}

static const struct option_spec show_options[] = {
    OPTION_DB,
    OPTION_MODEL,
    {.name = "sessions", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_SESSIONS},
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_JSON,
};

const struct command command_config_show = {
    .name = "config show",
    .arguments = "",
    .summary = "Show every configuration key, its value, and where it came from",
    .details = "Weakest first: the defaults, the configuration file, the environment, the command line. The "
               "file is that of --config, else of DOBBY_CONFIG, else ./dobby.toml, else dobby/config.toml "
               "below $XDG_CONFIG_HOME or ~/.config. Passwords in URLs are not shown.",
    .options = OPTION_LIST(show_options),
    .run = run_show,
};

const struct command command_config_check = {
    .name = "config check",
    .arguments = "",
    .summary = "Check the configuration file and the environment",
    .details =
        "What is wrong in the file or in a variable that is read ends with status 2. A DOBBY_ variable that "
        "nobody reads is warned of, with the nearest name that is read.",
    .run = run_check,
};
