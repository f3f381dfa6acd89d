/* A view that is redrawn in place on a terminal. */
#ifndef APP_SCREEN_H
#define APP_SCREEN_H

#include "base/buffer.h"

struct screen_size {
    uint32_t columns, rows; /* 0: not known, then 80 and 24 */
};

/* Appends what redraws the screen from its top with text's lines: cut to the size, what stood there before
 * erased. With colour, a paragraph's first line is bold. text is what utf8_append_display let
 * through, in lines. Pure. */
DOBBY_NODISCARD dobby_code screen_append(struct buffer *out, const char *text, struct screen_size size,
                                         bool colour, struct dobby_error *err);

#endif
