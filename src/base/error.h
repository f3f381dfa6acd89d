/* Filling error values: the macros every module uses where it detects a failure. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "dobby/error.h"

/* Fills *err (if not NULL) and returns the code: return DOBBY_FAIL(err, DOBBY_STORE_BUSY, "waited %d ms",
 * ms); */
#define DOBBY_FAIL(err, code, ...) error_fill((err), (code), __FILE__, __LINE__, __VA_ARGS__)

/* As DOBBY_FAIL, but what *err holds becomes the nearest cause. Attributes are kept. */
#define DOBBY_WRAP(err, code, ...) error_wrap((err), (code), __FILE__, __LINE__, __VA_ARGS__)

/* As DOBBY_FAIL, with the code that fits errno (not found, permission, disk full, ...) and its text appended.
 */
#define DOBBY_FAIL_ERRNO(err, errnum, ...) error_fill_errno((err), (errnum), __FILE__, __LINE__, __VA_ARGS__)

dobby_code error_fill(struct dobby_error *err, dobby_code code, const char *file, int line,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
dobby_code error_wrap(struct dobby_error *err, dobby_code code, const char *file, int line,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
dobby_code error_fill_errno(struct dobby_error *err, int errnum, const char *file, int line,
                            const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The code that fits an errno value; DOBBY_IO_FAILED where none fits better. */
dobby_code error_code_of_errno(int errnum);

/* Adds key=value; silently full after DOBBY_ERROR_ATTRIBUTES. Never put a secret here. */
void error_attribute(struct dobby_error *err, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void error_clear(struct dobby_error *err);

#endif
