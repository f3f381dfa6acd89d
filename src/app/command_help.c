#include "app/commands.h"
#include "app/output.h"

#include <string.h>

enum { WORDS_MAX = 2 };

static dobby_code run_help(struct app *app, struct dobby_error *err)
{
    struct buffer text = {0};
    const struct command *command = NULL;
    char *words[WORDS_MAX];
    const int count = (int)app->options.argument_count;
    int used = 0;
    for (int i = 0; i < count; i++)
        words[i] = (char *)app->options.arguments[i]; /* Only read. */
    if (count > 0) {
        command = command_find(count, words, &used);
        if (command == NULL || used < count)
            return command_refuse(count, words, err);
    }
    dobby_code code = command_append_help(command, &text, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Show the commands, or the help of one",
    .arguments_max = WORDS_MAX,
    .without_config = true,
    .run = run_help,
};

static dobby_code run_version(struct app *app, struct dobby_error *err)
{
    struct buffer text = {0};
    dobby_code code = options_switch(&app->options, "json")
                          ? buffer_append_string(&text, "{\"version\":\"" DOBBY_VERSION "\"}\n", err)
                          : buffer_append_string(&text, "dobby " DOBBY_VERSION "\n", err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

static const struct option_spec version_options[] = {OPTION_JSON};

const struct command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version; also dobby --version",
    .options = OPTION_LIST(version_options),
    .without_config = true,
    .run = run_version,
};
