/* TOML through toml++: config_toml.cpp is the only file that includes it, and the only C++. */
#ifndef APP_CONFIG_TOML_H
#define APP_CONFIG_TOML_H

#include "dobby/error.h"

enum toml_type { TOML_UNKNOWN, TOML_TEXT, TOML_INTEGER, TOML_NUMBER, TOML_BOOLEAN, TOML_OTHER };

/* One key that holds a value, not a table. Borrowed for the call. */
struct toml_entry {
    const char *key; /* dotted, from the root: "engine.threads" */
    enum toml_type type;
    const char *type_name; /* TOML's own: "integer", "array", "local date" */
    const char *text;      /* TOML_TEXT; NUL-terminated */
    size_t text_length;
    int64_t integer;       /* TOML_INTEGER */
    double number;         /* TOML_NUMBER */
    uint32_t line, column; /* of the value, from 1 */
};
typedef dobby_code toml_visit_fn(void *context, const struct toml_entry *entry, struct dobby_error *err);

/* Visits every value; stops at the first that visit refuses and returns its code. Order is by key.
 * Fails: CONFIG_INVALID (name:line:column), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code config_toml_parse(const char *name, const char *bytes, size_t length,
                                             toml_visit_fn *visit, void *context, struct dobby_error *err);

#endif
