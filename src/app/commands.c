#include "app/commands.h"

#include "app/suggest.h"

#include <stdio.h>
#include <string.h>

const struct command *const commands[] = {
    &command_ingest,
    &command_plan,
    &command_run,
    &command_status,
    &command_runs,
    &command_pause,
    &command_resume,
    &command_cancel,
    &command_retry,
    &command_list,
    &command_show,
    &command_export,
    &command_summarize,
    &command_model_info,
    &command_tokenize,
    &command_bench_kernels,
    &command_bench_engine,
    &command_bench_pipeline,
    &command_bench_contracts,
    &command_doctor,
    &command_config_show,
    &command_config_check,
    &command_version,
    &command_help,
};
const size_t command_count = sizeof commands / sizeof commands[0];

enum { COMMANDS_MAX = 32, COMMAND_NAME_BYTES = 64, SUMMARY_COLUMN = 19 };
_Static_assert(sizeof commands / sizeof commands[0] <= COMMANDS_MAX,
               "the suggestions' array is large enough");

static const char exit_statuses[] =
    "Exit status:\n"
    "  0    done; for run: every record is terminal and none failed\n"
    "  1    another error, such as output that cannot be written\n"
    "  2    the command line, the configuration or the prompt template is wrong\n"
    "  3    run: some records failed\n"
    "  4    the model or the engine\n"
    "  5    the database\n"
    "  6    the input: nothing to ingest, no such file or run, content too long\n"
    "  7    run: --max-time, --max-tokens or --max-failures ended it\n"
    "  130  interrupted, or canceled\n";

const struct command *command_find(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < command_count; i++) {
        const char *name = commands[i]->name, *space = strchr(name, ' ');
        if (space == NULL && argc >= 1 && strcmp(argv[0], name) == 0) {
            *words = 1;
            return commands[i];
        }
        if (space != NULL && argc >= 2 && strlen(argv[0]) == (size_t)(space - name) &&
            strncmp(argv[0], name, (size_t)(space - name)) == 0 && strcmp(argv[1], space + 1) == 0) {
            *words = 2;
            return commands[i];
        }
    }
    *words = 0;
    return NULL;
}

dobby_code command_refuse(int argc, char **argv, struct dobby_error *err)
{
    const char *names[COMMANDS_MAX];
    char both[COMMAND_NAME_BYTES];
    for (size_t i = 0; i < command_count; i++)
        names[i] = commands[i]->name;
    /* "config shwo" is nearest to "config show" as two words, "lst" to "list" as one. */
    const bool two_words = argc >= 2 && argv[1][0] != '-';
    snprintf(both, sizeof both, "%s%s%s", argv[0], two_words ? " " : "", two_words ? argv[1] : "");
    const char *near = suggest_nearest(both, names, command_count);
    if (near == NULL)
        near = suggest_nearest(argv[0], names, command_count);
    return DOBBY_FAIL(err, DOBBY_USAGE, "there is no command '%.60s'%s%s%s", near != NULL ? both : argv[0],
                      near != NULL ? "; did you mean: dobby " : "", near != NULL ? near : "",
                      near != NULL ? "?" : "");
}

static dobby_code append_program_help(struct buffer *out, struct dobby_error *err)
{
    dobby_code code = buffer_append_string(out,
                                           "Usage: dobby COMMAND [OPTION]... [ARGUMENT]...\n\n"
                                           "Turns a database of text into a database of summaries, with a "
                                           "local language model.\n\nCommands:\n",
                                           err);
    for (size_t i = 0; code == DOBBY_OK && i < command_count; i++)
        code = buffer_append_format(out, err, "  %-*s%s\n", SUMMARY_COLUMN - 2, commands[i]->name,
                                    commands[i]->summary);
    if (code == DOBBY_OK)
        code = buffer_append_string(out,
                                    "\nTo begin:\n"
                                    "  dobby ingest PATH     take the files of a directory or git work tree\n"
                                    "  dobby run             summarise them\n"
                                    "  dobby list            read the summaries\n\n"
                                    "Each command has --help.\n\n",
                                    err);
    return code == DOBBY_OK ? buffer_append_string(out, exit_statuses, err) : code;
}

dobby_code command_append_help(const struct command *command, struct buffer *out, struct dobby_error *err)
{
    if (command == NULL)
        return append_program_help(out, err);
    dobby_code code =
        buffer_append_format(out, err, "Usage: dobby %s [OPTION]...%s%s\n\n%s.\n\n", command->name,
                             command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
    if (code == DOBBY_OK && command->details != NULL) {
        code = options_append_wrapped(out, command->details, 0, 0, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    if (code == DOBBY_OK)
        code = options_append_help(command->options, out, err);
    if (code == DOBBY_OK)
        code = buffer_append_byte(out, '\n', err);
    return code == DOBBY_OK ? buffer_append_string(out, exit_statuses, err) : code;
}
