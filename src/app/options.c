#include "app/options.h"

#include "app/suggest.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every command has these. */
static const struct option_spec common_options[] = {
    {.name = "config", .type = OPTION_TEXT, .argument = "FILE", .help = "read this configuration file"},
    {.name = "help", .letter = 'h', .type = OPTION_SWITCH, .help = "show this help"},
};
enum { COMMON_CONFIG, COMMON_HELP, COMMON_COUNT, HELP_COLUMN = 24 };
#define OPTION_INTEGER_MAX ((uint64_t)1 << 53)

/* ---- parsing ------------------------------------------------------------------------------------ */

static size_t count_choices(const struct option_spec *spec)
{
    size_t count = 0;
    while (count < OPTION_CHOICES_MAX && spec->choices[count] != NULL)
        count++;
    return count;
}

static bool read_integer(const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && errno == 0 && *end == '\0' && *out <= OPTION_INTEGER_MAX;
}

static dobby_code refuse_unknown(struct option_list list, const char *name, struct dobby_error *err)
{
    const char *names[OPTIONS_MAX + COMMON_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++)
        names[count++] = list.specs[i].name;
    for (size_t i = 0; i < COMMON_COUNT; i++)
        names[count++] = common_options[i].name;
    const char *near = suggest_nearest(name, names, count);
    return DOBBY_FAIL(err, DOBBY_USAGE, "there is no option --%.100s%s%s%s", name,
                      near != NULL ? "; did you mean --" : "", near != NULL ? near : "",
                      near != NULL ? "?" : "");
}

static dobby_code check_value(const struct option_spec *spec, const char *value, struct dobby_error *err)
{
    uint64_t ignored;
    if (spec->type == OPTION_INTEGER && !read_integer(value, &ignored))
        return DOBBY_FAIL(err, DOBBY_USAGE, "--%s must be an integer from 0 to %" PRIu64 ", not '%.100s'",
                          spec->name, OPTION_INTEGER_MAX, value);
    if (spec->type != OPTION_CHOICE)
        return DOBBY_OK;
    char all[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < count_choices(spec); i++) {
        if (strcmp(spec->choices[i], value) == 0)
            return DOBBY_OK;
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i == 0 ? "" : ", ", spec->choices[i]);
    }
    const char *near = suggest_nearest(value, spec->choices, count_choices(spec));
    return DOBBY_FAIL(err, DOBBY_USAGE, "--%s must be one of %s, not '%.100s'%s%s%s", spec->name, all, value,
                      near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                      near != NULL ? "?" : "");
}

/* The option that text ("--name", "--name=value", "-o") names, and where its value is kept. */
static const struct option_spec *find_option(struct options *options, const char *text, size_t name_length,
                                             const char ***place)
{
    static const char *switched_on; /* Where --help would keep its value, which nobody reads. */
    const bool is_long = text[1] == '-';
    for (size_t i = 0; i < options->list.count + COMMON_COUNT; i++) {
        const bool common = i >= options->list.count;
        const struct option_spec *spec =
            common ? &common_options[i - options->list.count] : &options->list.specs[i];
        const bool named = is_long && strlen(spec->name) == name_length - 2 &&
                           memcmp(spec->name, text + 2, name_length - 2) == 0;
        const bool lettered = !is_long && name_length == 2 && spec->letter != '\0' && spec->letter == text[1];
        if (!named && !lettered)
            continue;
        if (common)
            *place = i - options->list.count == COMMON_CONFIG ? &options->config_file : &switched_on;
        else
            *place = &options->values[i];
        return spec;
    }
    return NULL;
}

/* Takes the option at argv[*at], and its value, which may be the next word. */
static dobby_code take_option(struct options *options, int argc, char **argv, int *at,
                              struct dobby_error *err)
{
    const char *text = argv[*at];
    const char *equals = strchr(text, '=');
    const size_t name_length = equals != NULL ? (size_t)(equals - text) : strlen(text);
    const char **place = NULL;
    const struct option_spec *spec = find_option(options, text, name_length, &place);
    if (spec == NULL && text[1] != '-')
        return DOBBY_FAIL(err, DOBBY_USAGE, "there is no option %.100s", text);
    if (spec == NULL) {
        char name[SUGGEST_WORD_BYTES_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)(name_length - 2), text + 2);
        return refuse_unknown(options->list, name, err);
    }
    const char *value = "";
    if (spec->type == OPTION_SWITCH && equals != NULL)
        return DOBBY_FAIL(err, DOBBY_USAGE, "--%s takes no value", spec->name);
    if (spec->type != OPTION_SWITCH) {
        if (equals == NULL && *at + 1 >= argc)
            return DOBBY_FAIL(err, DOBBY_USAGE, "--%s needs a value: %s", spec->name, spec->argument);
        value = equals != NULL ? equals + 1 : argv[++*at];
    }
    if (spec == &common_options[COMMON_HELP])
        options->help = true;
    else
        *place = value;
    return check_value(spec, value, err);
}

dobby_code options_parse(struct option_list list, int argc, char **argv, struct options *out,
                         struct dobby_error *err)
{
    assert(list.count <= OPTIONS_MAX);
    *out = (struct options){.list = list, .arguments = (const char *const *)argv};
    bool ended = false;
    for (int at = 0; at < argc; at++) {
        char *text = argv[at];
        if (ended || text[0] != '-' || text[1] == '\0') {
            argv[out->argument_count++] = text; /* Never ahead of at. */
        } else if (strcmp(text, "--") == 0) {
            ended = true;
        } else {
            const dobby_code code = take_option(out, argc, argv, &at, err);
            if (code != DOBBY_OK) {
                *out = (struct options){0};
                return code;
            }
        }
    }
    return DOBBY_OK;
}

dobby_code options_apply(const struct options *options, struct config *config, struct dobby_error *err)
{
    for (size_t i = 0; i < options->list.count; i++) {
        const struct option_spec *spec = &options->list.specs[i];
        if (spec->type != OPTION_KEY || options->values[i] == NULL)
            continue;
        char flag[SUGGEST_WORD_BYTES_MAX + 3];
        snprintf(flag, sizeof flag, "--%s", spec->name);
        const struct config_source source = {.origin = CONFIG_FROM_FLAG, .name = flag};
        const dobby_code code = config_set(config, spec->key, options->values[i], &source, err);
        if (code != DOBBY_OK)
            return code;
    }
    return DOBBY_OK;
}

/* ---- asking ------------------------------------------------------------------------------------- */

const char *options_text(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->list.count; i++) {
        if (strcmp(options->list.specs[i].name, name) == 0)
            return options->values[i];
    }
    assert(false && "the command has this option");
    return NULL;
}

bool options_switch(const struct options *options, const char *name)
{
    return options_text(options, name) != NULL;
}

uint64_t options_integer(const struct options *options, const char *name, uint64_t otherwise)
{
    const char *text = options_text(options, name);
    uint64_t value;
    return text != NULL && read_integer(text, &value) ? value : otherwise;
}

/* ---- help --------------------------------------------------------------------------------------- */

dobby_code options_append_wrapped(struct buffer *out, const char *text, size_t column, size_t indent,
                                  struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    bool line_begins = true;
    while (code == DOBBY_OK && *text != '\0') {
        const size_t word = strcspn(text, " \n");
        if (!line_begins && column + 1 + word > OPTIONS_HELP_COLUMNS) {
            code = buffer_append_format(out, err, "\n%*s", (int)indent, "");
            column = indent;
            line_begins = true;
        }
        if (code == DOBBY_OK && !line_begins) {
            code = buffer_append_byte(out, ' ', err);
            column++;
        }
        if (code == DOBBY_OK)
            code = buffer_append(out, text, word, err);
        column += word;
        line_begins = false;
        text += word;
        if (*text == '\n' && code == DOBBY_OK) {
            const bool blank = text[1] == '\n' || text[1] == '\0';
            code = buffer_append_format(out, err, "\n%*s", blank ? 0 : (int)indent, "");
            column = indent;
            line_begins = true;
        }
        if (*text != '\0')
            text++;
    }
    if (code == DOBBY_OK)
        code = buffer_append_byte(out, '\n', err);
    return code;
}

/* What an option does; for a value of the configuration also its range, default, variables and key. */
static void describe(const struct option_spec *spec, char *out, size_t out_bytes)
{
    if (spec->type != OPTION_KEY) {
        snprintf(out, out_bytes, "%s", spec->help);
        return;
    }
    const struct config_key_spec *key = &config_keys[spec->key];
    const bool has_default = key->default_text[0] != '\0';
    snprintf(out, out_bytes, "%s%s%s (%s, %s%s%s)", key->help, has_default ? "; default " : "",
             has_default ? key->default_text : "", key->name, key->environment[0],
             key->environment[1] != NULL ? ", " : "", key->environment[1] != NULL ? key->environment[1] : "");
}

static dobby_code append_option(const struct option_spec *spec, struct buffer *out, struct dobby_error *err)
{
    char head[64], text[512];
    int used = spec->letter != '\0' ? snprintf(head, sizeof head, "  -%c, --%s", spec->letter, spec->name)
                                    : snprintf(head, sizeof head, "  --%s", spec->name);
    if (spec->argument != NULL)
        used += snprintf(head + used, sizeof head - (size_t)used, " %s", spec->argument);
    dobby_code code = buffer_append_string(out, head, err);
    if (code == DOBBY_OK && used + 2 > HELP_COLUMN)
        code = buffer_append_format(out, err, "\n%*s", HELP_COLUMN, "");
    else if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%*s", HELP_COLUMN - used, "");
    describe(spec, text, sizeof text);
    return code == DOBBY_OK ? options_append_wrapped(out, text, HELP_COLUMN, HELP_COLUMN, err) : code;
}

dobby_code options_append_help(struct option_list list, struct buffer *out, struct dobby_error *err)
{
    dobby_code code = buffer_append_string(out, "Options:\n", err);
    for (size_t i = 0; code == DOBBY_OK && i < list.count; i++)
        code = append_option(&list.specs[i], out, err);
    for (size_t i = 0; code == DOBBY_OK && i < COMMON_COUNT; i++)
        code = append_option(&common_options[i], out, err);
    return code;
}
