/* A command's options: one table from which both parsing and --help are made.
 *
 * Long options only, but for -h and -o: --name VALUE, --name=VALUE; "--" ends them; they may stand before,
 * between and after the arguments; "-" is an argument. Every command also has --config and --help. */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include "app/config.h"
#include "base/buffer.h"

enum option_type {
    OPTION_UNKNOWN,
    OPTION_SWITCH,  /* no value */
    OPTION_TEXT,    /* any value */
    OPTION_INTEGER, /* from 0 to 2^53 */
    OPTION_CHOICE,  /* one of choices */
    OPTION_KEY      /* a value of the configuration, checked by its key's rules */
};
enum { OPTION_CHOICES_MAX = 9, OPTIONS_MAX = 32 };

struct option_spec {
    const char *name; /* "max-records" */
    enum option_type type;
    const char *argument; /* "N"; NULL for a switch */
    const char *help;     /* NULL for OPTION_KEY: the key's */
    enum config_key key;  /* of OPTION_KEY */
    char letter;          /* '\0': none */
    const char *choices[OPTION_CHOICES_MAX];
};

struct option_list {
    const struct option_spec *specs;
    size_t count;
};

struct options {
    struct option_list list;
    const char *values[OPTIONS_MAX]; /* borrowed from argv; NULL: not given; "" for a switch */
    const char *config_file;         /* of --config */
    bool help;
    const char *const *arguments; /* what is no option, in order */
    size_t argument_count;
};

/* Sorts argv (without the program's and the command's names), whose pointers it reorders. Values for the
 * configuration are taken later, by options_apply. Fails: USAGE. */
DOBBY_NODISCARD dobby_code options_parse(struct option_list list, int argc, char **argv, struct options *out,
                                         struct dobby_error *err);
/* Puts the values of OPTION_KEY options into the configuration. Fails: USAGE, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code options_apply(const struct options *options, struct config *config,
                                         struct dobby_error *err);

/* name must be one of the command's own; a switch that was not given is false, a text NULL, and an integer
 * otherwise. */
bool options_switch(const struct options *options, const char *name);
const char *options_text(const struct options *options, const char *name);
uint64_t options_integer(const struct options *options, const char *name, uint64_t otherwise);

/* Appends the options as help text, wrapped at OPTIONS_HELP_COLUMNS. */
enum { OPTIONS_HELP_COLUMNS = 80 };
DOBBY_NODISCARD dobby_code options_append_help(struct option_list list, struct buffer *out,
                                               struct dobby_error *err);
/* Appends text wrapped at OPTIONS_HELP_COLUMNS, each line but the first indented; the first begins at
 * column. Newlines in text are kept. */
DOBBY_NODISCARD dobby_code options_append_wrapped(struct buffer *out, const char *text, size_t column,
                                                  size_t indent, struct dobby_error *err);

#endif
