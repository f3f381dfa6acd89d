#include "app/config.h"

#include "app/config_toml.h"
#include "app/suggest.h"
#include "base/limits.h"
#include "os/file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANGE_TEXT_BYTES = 96, PLACE_TEXT_BYTES = 160 };
#define AUTO "auto" /* of keys whose 0 means that */

/* ---- one value ---------------------------------------------------------------------------------- */

/* Where a value stands, for an error: "dobby.toml:3:11: engine.threads", "DOBBY_RUN_SEED", "--threads". */
static void describe_place(const struct config_key_spec *spec, const struct config_source *source, char *out,
                           size_t out_bytes)
{
    if (source->origin == CONFIG_FROM_FILE)
        snprintf(out, out_bytes, "%s:%u:%u: %s", source->name, source->line, source->column, spec->name);
    else
        snprintf(out, out_bytes, "%s", source->name);
}

static dobby_code refuse(const struct config_key_spec *spec, const char *text,
                         const struct config_source *source, struct dobby_error *err)
{
    char range[RANGE_TEXT_BYTES], place[PLACE_TEXT_BYTES];
    config_key_range(spec, range, sizeof range);
    describe_place(spec, source, place, sizeof place);
    const char *near = NULL;
    if (spec->type == CONFIG_CHOICE) {
        size_t count = 0;
        while (count < CONFIG_CHOICES_MAX && spec->choices[count] != NULL)
            count++;
        near = suggest_nearest(text, spec->choices, count);
    }
    const dobby_code code = source->origin == CONFIG_FROM_FLAG ? DOBBY_USAGE : DOBBY_CONFIG_INVALID;
    return DOBBY_FAIL(err, code, "%s must be %s, not '%s'%s%s%s", place, range, text,
                      near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                      near != NULL ? "?" : "");
}

/* Reads text by the key's type into value; false when it does not fit. */
static bool read_value(const struct config_key_spec *spec, const char *text, struct config_value *value)
{
    char *end = NULL;
    errno = 0;
    switch (spec->type) {
    case CONFIG_INTEGER:
        if (spec->zero_is_auto && strcmp(text, AUTO) == 0)
            return true;
        value->integer = strtoll(text, &end, 10);
        value->number = (double)value->integer;
        break;
    case CONFIG_NUMBER:
        value->number = strtod(text, &end);
        break;
    case CONFIG_CHOICE:
        for (size_t i = 0; i < CONFIG_CHOICES_MAX && spec->choices[i] != NULL; i++) {
            if (strcmp(spec->choices[i], text) == 0)
                return true;
        }
        return false;
    case CONFIG_TEXT:
    case CONFIG_TYPE_UNKNOWN:
        return true;
    }
    const bool begins_well = (text[0] >= '0' && text[0] <= '9') || text[0] == '-' || text[0] == '.';
    return begins_well && errno == 0 && end != text && *end == '\0' && isfinite(value->number) &&
           value->number >= spec->minimum && value->number <= spec->maximum;
}

dobby_code config_set(struct config *config, enum config_key key, const char *text,
                      const struct config_source *source, struct dobby_error *err)
{
    const struct config_key_spec *spec = &config_keys[key];
    struct config_value value = {.source = *source};
    if (!read_value(spec, text, &value))
        return refuse(spec, text, source, err);
    if (source->origin < config->values[key].source.origin)
        return DOBBY_OK;
    const char *written = spec->zero_is_auto && value.integer == 0 ? AUTO : text;
    value.text = arena_copy(&config->memory, written, strlen(written));
    value.source.name = arena_copy(&config->memory, source->name, strlen(source->name));
    if (value.text == NULL || value.source.name == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "keeping %s", spec->name);
    config->values[key] = value;
    return DOBBY_OK;
}

dobby_code config_init(struct config *config, struct dobby_error *err)
{
    *config = (struct config){0};
    arena_init(&config->memory, 0);
    const struct config_source source = {.origin = CONFIG_FROM_DEFAULT, .name = ""};
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++) {
        const dobby_code code =
            config_set(config, (enum config_key)key, config_keys[key].default_text, &source, err);
        if (code != DOBBY_OK) {
            config_release(config);
            return code;
        }
    }
    return DOBBY_OK;
}

void config_release(struct config *config)
{
    arena_release(&config->memory);
    *config = (struct config){0};
}

const char *config_text(const struct config *config, enum config_key key)
{
    return config->values[key].text;
}

int64_t config_integer(const struct config *config, enum config_key key)
{
    return config->values[key].integer;
}

double config_number(const struct config *config, enum config_key key)
{
    return config->values[key].number;
}

/* ---- the file ----------------------------------------------------------------------------------- */

struct file_reading {
    struct config *config;
    const char *name;
};

static dobby_code refuse_unknown(const struct file_reading *reading, const struct toml_entry *entry,
                                 struct dobby_error *err)
{
    const char *names[CONFIG_KEY_COUNT];
    size_t count = 0;
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++)
        names[count++] = config_keys[key].name;
    const char *near = suggest_nearest(entry->key, names, count);
    return DOBBY_FAIL(err, DOBBY_CONFIG_INVALID, "%s:%u:%u: there is no key '%.100s'%s%s%s", reading->name,
                      entry->line, entry->column, entry->key, near != NULL ? "; did you mean " : "",
                      near != NULL ? near : "", near != NULL ? "?" : "");
}

/* A value must have the key's type in the file too: threads = "4" is a mistake worth telling. */
static dobby_code take_entry(void *context, const struct toml_entry *entry, struct dobby_error *err)
{
    const struct file_reading *reading = context;
    const enum config_key key = config_key_find(entry->key);
    if (key == CONFIG_UNKNOWN)
        return refuse_unknown(reading, entry, err);
    const struct config_key_spec *spec = &config_keys[key];
    const struct config_source source = {
        .origin = CONFIG_FROM_FILE, .name = reading->name, .line = entry->line, .column = entry->column};
    const bool is_auto = spec->zero_is_auto && entry->type == TOML_TEXT && strcmp(entry->text, AUTO) == 0;
    const bool wants_text = spec->type == CONFIG_TEXT || spec->type == CONFIG_CHOICE || is_auto;
    char number[40];
    if (wants_text && entry->type == TOML_TEXT && strlen(entry->text) == entry->text_length)
        return config_set(reading->config, key, entry->text, &source, err);
    if (!wants_text && entry->type == TOML_INTEGER) {
        snprintf(number, sizeof number, "%" PRId64, entry->integer);
        return config_set(reading->config, key, number, &source, err);
    }
    if (spec->type == CONFIG_NUMBER && entry->type == TOML_NUMBER) {
        snprintf(number, sizeof number, "%.17g", entry->number);
        return config_set(reading->config, key, number, &source, err);
    }
    char range[RANGE_TEXT_BYTES];
    config_key_range(spec, range, sizeof range);
    return DOBBY_FAIL(err, DOBBY_CONFIG_INVALID, "%s:%u:%u: %s must be %s, not a value of type %s",
                      reading->name, entry->line, entry->column, spec->name, range, entry->type_name);
}

dobby_code config_parse(struct config *config, const char *name, const char *bytes, size_t length,
                        struct dobby_error *err)
{
    struct file_reading reading = {config, name};
    return config_toml_parse(name, bytes, length, take_entry, &reading, err);
}

/* ---- finding it --------------------------------------------------------------------------------- */

static const char *environment(const char *name)
{
    const char *value = name != NULL ? getenv(name) : NULL;
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Appends the path of the file to read; leaves it empty where there is none. */
static dobby_code find_file(const char *file, struct buffer *out, struct dobby_error *err)
{
    const char *named = file != NULL ? file : environment("DOBBY_CONFIG");
    if (named != NULL)
        return buffer_append_string(out, named, err);
    if (file_exists("dobby.toml"))
        return buffer_append_string(out, "dobby.toml", err);
    const char *base = environment("XDG_CONFIG_HOME"), *home = environment("HOME");
    dobby_code code = DOBBY_OK;
    if (base != NULL)
        code = buffer_append_format(out, err, "%s/dobby/config.toml", base);
    else if (home != NULL)
        code = buffer_append_format(out, err, "%s/.config/dobby/config.toml", home);
    if (code == DOBBY_OK && out->length > 0 && !file_exists(out->bytes))
        buffer_clear(out);
    return code;
}

static dobby_code read_environment(struct config *config, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (int key = CONFIG_UNKNOWN + 1; code == DOBBY_OK && key < CONFIG_KEY_COUNT; key++) {
        const char *const *names = config_keys[key].environment;
        const char *name = environment(names[0]) != NULL ? names[0] : names[1];
        const struct config_source source = {.origin = CONFIG_FROM_ENVIRONMENT, .name = name};
        if (environment(name) != NULL)
            code = config_set(config, (enum config_key)key, environment(name), &source, err);
    }
    return code;
}

dobby_code config_load(struct config *config, const char *file, struct dobby_error *err)
{
    struct buffer path = {0}, bytes = {0};
    dobby_code code = find_file(file, &path, err);
    if (code == DOBBY_OK && path.length > 0) {
        config->file = arena_copy(&config->memory, path.bytes, path.length);
        code = config->file == NULL ? DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "reading the configuration")
                                    : file_read(config->file, true, LIMIT_CONFIG_BYTES, &bytes, err);
        if (code == DOBBY_OK)
            code = config_parse(config, config->file, bytes.bytes, bytes.length, err);
        else if (code != DOBBY_OUT_OF_MEMORY)
            code = DOBBY_WRAP(err, DOBBY_CONFIG_INVALID, "%s cannot be read", path.bytes);
    }
    if (code == DOBBY_OK)
        code = read_environment(config, err);
    buffer_release(&path);
    buffer_release(&bytes);
    return code;
}
