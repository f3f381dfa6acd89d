/* Growable byte buffer. Always NUL-terminated behind its length once anything was appended. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/error.h"

#include <stdarg.h>

struct buffer {
    char *bytes; /* NULL while empty and never appended to */
    size_t length;
    size_t capacity;
};

/* A zeroed struct is an empty buffer. */
void buffer_release(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* length 0, memory kept */
/* Room for `more` further bytes and a NUL. Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code buffer_reserve(struct buffer *buffer, size_t more, struct dobby_error *err);
DOBBY_NODISCARD dobby_code buffer_append(struct buffer *buffer, const void *bytes, size_t length,
                                         struct dobby_error *err);
DOBBY_NODISCARD dobby_code buffer_append_string(struct buffer *buffer, const char *text,
                                                struct dobby_error *err);
DOBBY_NODISCARD dobby_code buffer_append_byte(struct buffer *buffer, char byte, struct dobby_error *err);
DOBBY_NODISCARD dobby_code buffer_append_format(struct buffer *buffer, struct dobby_error *err,
                                                const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The bytes as a NUL-terminated heap string that the caller frees; the buffer is empty after.
 * *length may be NULL. Returns an empty string's allocation when nothing was appended, NULL when out of
 * memory. */
char *buffer_take(struct buffer *buffer, size_t *length);

#endif
