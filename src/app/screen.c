#include "app/screen.h"

#include "base/utf8.h"

#include <string.h>

enum { COLUMNS_DEFAULT = 80, ROWS_DEFAULT = 24 };

/* Bytes of the longest beginning of the line that fits. */
static size_t fit(const char *line, size_t length, size_t columns)
{
    size_t bytes = 0, used = 0;
    while (bytes < length) {
        uint32_t code_point;
        const size_t step = utf8_decode(line + bytes, length - bytes, &code_point);
        used += utf8_display_width(line + bytes, step);
        if (used > columns)
            break;
        bytes += step;
    }
    return bytes;
}

static dobby_code append_line(struct buffer *out, const char *line, size_t length, size_t columns, bool bold,
                              struct dobby_error *err)
{
    const size_t shown = fit(line, length, columns);
    dobby_code code = buffer_append_string(out, bold ? "\x1b[1m" : "", err);
    if (code == DOBBY_OK)
        code = buffer_append(out, line, shown, err);
    /* Erased after it is written, so that nothing flickers. */
    return code == DOBBY_OK ? buffer_append_string(out, bold ? "\x1b[0m\x1b[K" : "\x1b[K", err) : code;
}

dobby_code screen_append(struct buffer *out, const char *text, struct screen_size size, bool colour,
                         struct dobby_error *err)
{
    /* The last column stays free, since writing there wraps on some terminals, and so does the last row,
     * where the cursor waits. */
    const size_t columns = (size.columns > 0 ? size.columns : COLUMNS_DEFAULT) - 1;
    size_t rows = size.rows > 0 ? size.rows : ROWS_DEFAULT;
    dobby_code code = buffer_append_string(out, "\x1b[H", err);
    bool heading = true;
    for (const char *line = text; code == DOBBY_OK && *line != '\0' && rows > 1; rows--) {
        const size_t length = strcspn(line, "\n");
        code = append_line(out, line, length, columns, colour && heading && length > 0, err);
        heading = length == 0;
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
        line += length + (line[length] == '\n');
    }
    return code == DOBBY_OK ? buffer_append_string(out, "\x1b[J", err) : code;
}
