/* What a command is, and what it is given. */
#ifndef APP_APP_H
#define APP_APP_H

#include "app/config.h"
#include "app/options.h"

/* What the program's exit status says: the README, docs/commands.md and every --help list it. */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_OTHER = 1,
    EXIT_STATUS_USAGE = 2, /* or configuration, or a prompt template */
    EXIT_STATUS_SOME_FAILED = 3,
    EXIT_STATUS_MODEL = 4, /* or the engine */
    EXIT_STATUS_STORE = 5,
    EXIT_STATUS_INPUT = 6,
    EXIT_STATUS_CAPPED = 7, /* a limit that the user gave ended the run before all was done */
    EXIT_STATUS_INTERRUPTED = 130
};
/* The status that an error ends the program with. */
enum exit_status exit_status_of(dobby_code code);

struct app {
    const struct command *command;
    struct options options;
    struct config config;
    enum exit_status status; /* of a command that succeeds: OK unless it says otherwise */
};

struct command {
    const char *name;      /* "model info" */
    const char *arguments; /* "PATH..."; "" for none */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs of help; NULL: none */
    struct option_list options;
    size_t arguments_min, arguments_max;
    bool without_config; /* it must work whatever the configuration says */
    dobby_code (*run)(struct app *app, struct dobby_error *err);
};
#define OPTION_LIST(array)                                                                                   \
    {                                                                                                        \
        (array), sizeof(array) / sizeof((array)[0])                                                          \
    }

/* Options that several commands have. */
#define OPTION_DB                                                                                            \
    {                                                                                                        \
        .name = "db", .type = OPTION_KEY, .argument = "URL", .key = CONFIG_DB_URL                            \
    }
#define OPTION_MODEL                                                                                         \
    {                                                                                                        \
        .name = "model", .type = OPTION_KEY, .argument = "PATH", .key = CONFIG_MODEL_PATH                    \
    }
#define OPTION_PRECISION                                                                                     \
    {                                                                                                        \
        .name = "precision", .type = OPTION_KEY, .argument = "P", .key = CONFIG_ENGINE_PRECISION             \
    }
#define OPTION_ENGINE                                                                                        \
    {                                                                                                        \
        .name = "engine", .type = OPTION_KEY, .argument = "KIND", .key = CONFIG_ENGINE_KIND                  \
    }
#define OPTION_JSON                                                                                          \
    {                                                                                                        \
        .name = "json", .type = OPTION_SWITCH, .help = "print JSON"                                          \
    }

/* Runs the command that argv names and returns the program's exit status. */
int app_main(int argc, char **argv);

#endif
