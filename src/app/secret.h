/* Keeping secrets out of what is printed. */
#ifndef APP_SECRET_H
#define APP_SECRET_H

#include "base/buffer.h"

/* Appends text with the password of every URL in it (scheme://user:password@host, ?password=...) as ***.
 * Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code secret_append_masked(struct buffer *out, const char *text,
                                                struct dobby_error *err);

#endif
