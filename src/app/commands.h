/* Every command, in the order of the help. */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include "app/app.h"

extern const struct command command_ingest;
extern const struct command command_plan;
extern const struct command command_run;
extern const struct command command_status;
extern const struct command command_runs;
extern const struct command command_pause;
extern const struct command command_resume;
extern const struct command command_cancel;
extern const struct command command_retry;
extern const struct command command_list;
extern const struct command command_show;
extern const struct command command_export;
extern const struct command command_summarize;
extern const struct command command_model_info;
extern const struct command command_tokenize;
extern const struct command command_bench_kernels;
extern const struct command command_bench_engine;
extern const struct command command_bench_pipeline;
extern const struct command command_bench_contracts;
extern const struct command command_config_show;
extern const struct command command_config_check;
extern const struct command command_doctor;
extern const struct command command_version;
extern const struct command command_help;

extern const struct command *const commands[];
extern const size_t command_count;

/* The command that the words begin with; *words says how many are its name. NULL: none. */
const struct command *command_find(int argc, char **argv, int *words);
/* USAGE with the nearest name. */
dobby_code command_refuse(int argc, char **argv, struct dobby_error *err);
/* Appends the help of a command, or with NULL of the program. */
DOBBY_NODISCARD dobby_code command_append_help(const struct command *command, struct buffer *out,
                                               struct dobby_error *err);

#endif
