/* Error codes and the error value that every fallible call fills.
 *
 * A fallible function returns a dobby_code and takes a `struct dobby_error *` last, which may be
 * NULL. The value is filled once, where the failure is detected; callers branch on the code, never
 * on text, and may add attributes or wrap it in a code of their own. It owns no memory: copy it
 * freely.
 */
#ifndef DOBBY_ERROR_H
#define DOBBY_ERROR_H

#include "dobby/error_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dobby_code {
    DOBBY_OK = 0,
#define DOBBY_ERROR_ENUM(name, id, severity, retry, message, remedy) DOBBY_##name,
    DOBBY_ERRORS(DOBBY_ERROR_ENUM)
#undef DOBBY_ERROR_ENUM
        DOBBY_CODE_COUNT
} dobby_code;

/* Ignoring a result marked so fails the build. */
#define DOBBY_NODISCARD __attribute__((warn_unused_result))

enum dobby_severity {
    DOBBY_SEVERITY_NONE,
    DOBBY_SEVERITY_WARNING,
    DOBBY_SEVERITY_ERROR,
    DOBBY_SEVERITY_FATAL
};

enum {
    DOBBY_ERROR_DETAIL_BYTES = 384,
    DOBBY_ERROR_ATTRIBUTES = 6,
    DOBBY_ERROR_KEY_BYTES = 24,
    DOBBY_ERROR_VALUE_BYTES = 104,
    DOBBY_ERROR_CAUSES = 3
};

struct dobby_error_attribute {
    char key[DOBBY_ERROR_KEY_BYTES];
    char value[DOBBY_ERROR_VALUE_BYTES];
};

struct dobby_error_cause {
    dobby_code code;
    int line;
    const char *file; /* static */
    char detail[DOBBY_ERROR_DETAIL_BYTES];
};

struct dobby_error {
    dobby_code code;
    int line;
    const char *file;                      /* source file, static; NULL when code is DOBBY_OK */
    int64_t time_unix_us;                  /* when it was detected */
    char detail[DOBBY_ERROR_DETAIL_BYTES]; /* the particulars, valid UTF-8, cut at the buffer's end */
    size_t attribute_count;
    struct dobby_error_attribute attributes[DOBBY_ERROR_ATTRIBUTES];
    size_t cause_count; /* causes[0] is the nearest; deeper ones than DOBBY_ERROR_CAUSES are cut */
    struct dobby_error_cause causes[DOBBY_ERROR_CAUSES];
};

/* The table's columns. An unknown code reads as INTERNAL. Never NULL. */
const char *dobby_code_name(dobby_code code);    /* "STORE_BUSY"; "OK" for DOBBY_OK */
const char *dobby_code_id(dobby_code code);      /* "STORE-0003" */
const char *dobby_code_message(dobby_code code); /* "the database is locked by another process" */
const char *dobby_code_remedy(dobby_code code);
enum dobby_severity dobby_code_severity(dobby_code code);
bool dobby_code_retryable(dobby_code code);

#endif
