#include "base/error.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct error_row {
    const char *name;
    const char *id;
    enum dobby_severity severity;
    bool retryable;
    const char *message;
    const char *remedy;
};

enum { FINAL = 0, RETRY = 1 };

static const struct error_row error_table[DOBBY_CODE_COUNT] = {
    [DOBBY_OK] = {"OK", "OK", DOBBY_SEVERITY_NONE, false, "no error", ""},
#define DOBBY_ERROR_ROW(name, id, severity, retry, message, remedy)                                          \
    [DOBBY_##name] = {#name, id, DOBBY_SEVERITY_##severity, (retry) == RETRY, message, remedy},
    DOBBY_ERRORS(DOBBY_ERROR_ROW)
#undef DOBBY_ERROR_ROW
};

static const struct error_row *row_of(dobby_code code)
{
    if (code < 0 || code >= DOBBY_CODE_COUNT)
        code = DOBBY_INTERNAL;
    return &error_table[code];
}

const char *dobby_code_name(dobby_code code)
{
    return row_of(code)->name;
}

const char *dobby_code_id(dobby_code code)
{
    return row_of(code)->id;
}

const char *dobby_code_message(dobby_code code)
{
    return row_of(code)->message;
}

const char *dobby_code_remedy(dobby_code code)
{
    return row_of(code)->remedy;
}

enum dobby_severity dobby_code_severity(dobby_code code)
{
    return row_of(code)->severity;
}

bool dobby_code_retryable(dobby_code code)
{
    return row_of(code)->retryable;
}

/* base/ does no I/O and knows no os/; the time of day is the one exception, so that an error knows when. */
static int64_t now_unix_us(void)
{
    struct timespec now;
    if (timespec_get(&now, TIME_UTC) != TIME_UTC)
        return 0;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Cut and foreign bytes must not make a detail invalid UTF-8: it ends up in JSON and on terminals. */
static void make_valid_utf8(char *text)
{
    size_t length = strlen(text);
    size_t at = 0;
    while ((at += utf8_valid_prefix(text + at, length - at)) < length)
        text[at++] = '?';
}

static void format_text(char *out, size_t out_bytes, const char *format, va_list arguments)
{
    if (vsnprintf(out, out_bytes, format, arguments) < 0)
        out[0] = '\0';
    make_valid_utf8(out);
}

static void fill(struct dobby_error *err, dobby_code code, const char *file, int line, const char *format,
                 va_list arguments)
{
    err->code = code;
    err->file = file;
    err->line = line;
    err->time_unix_us = now_unix_us();
    format_text(err->detail, sizeof err->detail, format, arguments);
}

dobby_code error_fill(struct dobby_error *err, dobby_code code, const char *file, int line,
                      const char *format, ...)
{
    if (err == NULL)
        return code;
    error_clear(err);
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, file, line, format, arguments);
    va_end(arguments);
    return code;
}

dobby_code error_wrap(struct dobby_error *err, dobby_code code, const char *file, int line,
                      const char *format, ...)
{
    if (err == NULL)
        return code;
    if (err->code != DOBBY_OK) {
        size_t kept = err->cause_count < DOBBY_ERROR_CAUSES ? err->cause_count : DOBBY_ERROR_CAUSES - 1;
        memmove(&err->causes[1], &err->causes[0], kept * sizeof err->causes[0]);
        struct dobby_error_cause *cause = &err->causes[0];
        cause->code = err->code;
        cause->file = err->file;
        cause->line = err->line;
        memcpy(cause->detail, err->detail, sizeof cause->detail);
        err->cause_count = kept + 1;
    }
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, file, line, format, arguments);
    va_end(arguments);
    return code;
}

dobby_code error_code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return DOBBY_OUT_OF_MEMORY;
    case ENOENT:
    case ENOTDIR:
        return DOBBY_FILE_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return DOBBY_PERMISSION_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return DOBBY_DISK_FULL;
    case EMFILE:
    case ENFILE:
        return DOBBY_TOO_MANY_FILES;
    case EISDIR:
    case ELOOP:
        return DOBBY_WRONG_FILE_TYPE;
    default:
        return DOBBY_IO_FAILED;
    }
}

dobby_code error_fill_errno(struct dobby_error *err, int errnum, const char *file, int line,
                            const char *format, ...)
{
    dobby_code code = error_code_of_errno(errnum);
    if (err == NULL)
        return code;
    error_clear(err);
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, file, line, format, arguments);
    va_end(arguments);

    char reason[96];
    if (strerror_r(errnum, reason, sizeof reason) != 0)
        (void)snprintf(reason, sizeof reason, "errno %d", errnum);
    size_t length = strlen(err->detail);
    (void)snprintf(err->detail + length, sizeof err->detail - length, ": %s", reason);
    make_valid_utf8(err->detail);
    return code;
}

void error_attribute(struct dobby_error *err, const char *key, const char *format, ...)
{
    if (err == NULL || err->attribute_count >= DOBBY_ERROR_ATTRIBUTES)
        return;
    struct dobby_error_attribute *attribute = &err->attributes[err->attribute_count++];
    (void)snprintf(attribute->key, sizeof attribute->key, "%s", key);
    va_list arguments;
    va_start(arguments, format);
    format_text(attribute->value, sizeof attribute->value, format, arguments);
    va_end(arguments);
}

void error_clear(struct dobby_error *err)
{
    if (err != NULL)
        memset(err, 0, sizeof *err);
}
