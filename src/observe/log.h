/* Structured log on standard error: text on a terminal, one JSON object a line elsewhere.
 *
 * A line is written at once, so that lines of several threads do not mix. Secrets are never passed here.
 * Thread-safe. */
#ifndef OBSERVE_LOG_H
#define OBSERVE_LOG_H

#include "base/error.h"

enum log_level { LOG_LEVEL_UNKNOWN, LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Lines below level are dropped. Call before threads start. */
void log_init(enum log_level level, enum log_format format);
enum log_level log_level_parse(const char *name); /* LOG_LEVEL_UNKNOWN when no level has this name */

struct log_field {
    const char *key;
    const char *text; /* NULL: value is in integer */
    int64_t integer;
};
#define LOG_TEXT(key, value) ((struct log_field){(key), (value), 0})
#define LOG_INTEGER(key, value) ((struct log_field){(key), NULL, (value)})

/* With one field or more: log_write(LOG_INFO, "run.start", "run started", LOG_INTEGER("records", n)) */
#define log_write(level, event, message, ...)                                                                \
    log_write_fields((level), (event), (message), (const struct log_field[]){__VA_ARGS__},                   \
                     sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_message(level, event, message) log_write_fields((level), (event), (message), NULL, 0)
/* event: stable dotted name for machines; message: for people. */
void log_write_fields(enum log_level level, const char *event, const char *message,
                      const struct log_field *fields, size_t count);
/* Logs an error value with its id, detail, attributes and causes. */
void log_error(const char *event, const struct dobby_error *err);

#endif
