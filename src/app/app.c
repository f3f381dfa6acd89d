#include "app/app.h"

#include "app/commands.h"
#include "app/output.h"
#include "app/report.h"
#include "observe/log.h"
#include "os/interrupt.h"

#include <string.h>

/* An id's prefix says which part failed; the few codes that mean something else to a caller come first. */
enum exit_status exit_status_of(dobby_code code)
{
    static const struct {
        const char *prefix;
        enum exit_status status;
    } groups[] = {
        {"STORE-", EXIT_STATUS_STORE},  {"MODEL-", EXIT_STATUS_MODEL},  {"INFER-", EXIT_STATUS_MODEL},
        {"INGEST-", EXIT_STATUS_INPUT}, {"PROMPT-", EXIT_STATUS_USAGE}, {"RUN-", EXIT_STATUS_INPUT},
    };
    switch (code) {
    case DOBBY_OK:
        return EXIT_STATUS_OK;
    case DOBBY_USAGE:
    case DOBBY_CONFIG_INVALID:
        return EXIT_STATUS_USAGE;
    case DOBBY_FILE_NOT_FOUND:
    case DOBBY_PERMISSION_DENIED:
    case DOBBY_WRONG_FILE_TYPE:
    case DOBBY_CONTEXT_EXCEEDED:
    case DOBBY_LIMIT_EXCEEDED:
        return EXIT_STATUS_INPUT;
    case DOBBY_CANCELED:
        return EXIT_STATUS_INTERRUPTED;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (strncmp(dobby_code_id(code), groups[i].prefix, strlen(groups[i].prefix)) == 0)
            return groups[i].status;
    }
    return EXIT_STATUS_OTHER;
}

static dobby_code print_help(const struct command *command, struct dobby_error *err)
{
    struct buffer text = {0};
    dobby_code code = command_append_help(command, &text, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    return code;
}

static dobby_code check_arguments(const struct app *app, struct dobby_error *err)
{
    const struct command *command = app->command;
    const size_t count = app->options.argument_count;
    if (count < command->arguments_min)
        return DOBBY_FAIL(err, DOBBY_USAGE, "dobby %s needs %s", command->name, command->arguments);
    if (count > command->arguments_max)
        return DOBBY_FAIL(err, DOBBY_USAGE, "dobby %s: one argument too many: '%.100s'", command->name,
                          app->options.arguments[command->arguments_max]);
    return DOBBY_OK;
}

static void init_log(const struct config *config)
{
    const char *format = config_text(config, CONFIG_LOG_FORMAT);
    log_init(log_level_parse(config_text(config, CONFIG_LOG_LEVEL)),
             strcmp(format, "text") == 0   ? LOG_FORMAT_TEXT
             : strcmp(format, "json") == 0 ? LOG_FORMAT_JSON
                                           : LOG_FORMAT_AUTO);
}

static dobby_code run_command(struct app *app, int argc, char **argv, struct dobby_error *err)
{
    dobby_code code = options_parse(app->command->options, argc, argv, &app->options, err);
    if (code == DOBBY_OK && app->options.help)
        return print_help(app->command, err);
    if (code == DOBBY_OK)
        code = check_arguments(app, err);
    if (code == DOBBY_OK && app->command->without_config)
        return app->command->run(app, err);
    if (code == DOBBY_OK)
        code = config_init(&app->config, err);
    if (code == DOBBY_OK)
        code = config_load(&app->config, app->options.config_file, err);
    if (code == DOBBY_OK)
        code = options_apply(&app->options, &app->config, err);
    if (code != DOBBY_OK)
        return code;
    init_log(&app->config);
    return app->command->run(app, err);
}

int app_main(int argc, char **argv)
{
    struct app app = {0};
    struct dobby_error err = {0};
    dobby_code code;
    int words = 0;
    char version[] = "version";
    interrupt_ignore_failed_writes();
    argc--;
    argv++;
    if (argc <= 0) {
        code = DOBBY_FAIL(&err, DOBBY_USAGE, "a command is missing");
    } else if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        code = print_help(NULL, &err);
    } else {
        if (strcmp(argv[0], "--version") == 0)
            argv[0] = version;
        app.command = command_find(argc, argv, &words);
        code = app.command != NULL ? run_command(&app, argc - words, argv + words, &err)
                                   : command_refuse(argc, argv, &err);
    }
    config_release(&app.config);
    if (code == DOBBY_OK)
        return (int)app.status;
    /* Whoever closed the pipe knows that the output was cut. */
    if (code != DOBBY_OUTPUT_CLOSED)
        report_error(&err);
    return (int)exit_status_of(code);
}
