/* The text that a command reads: a file, or standard input. */
#ifndef APP_INPUT_H
#define APP_INPUT_H

#include "base/buffer.h"

/* Appends the bytes of the file, or of standard input when path is NULL or "-", at most
 * LIMIT_CONTENT_BYTES. Fails: as file_read. */
DOBBY_NODISCARD dobby_code input_read(const char *path, struct buffer *out, struct dobby_error *err);

#endif
