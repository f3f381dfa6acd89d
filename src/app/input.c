#include "app/input.h"

#include "base/limits.h"
#include "os/file.h"
#include "os/terminal.h"

#include <string.h>

dobby_code input_read(const char *path, struct buffer *out, struct dobby_error *err)
{
    if (path == NULL || strcmp(path, "-") == 0)
        return file_read_descriptor(STREAM_INPUT, LIMIT_CONTENT_BYTES, out, err);
    return file_read(path, true, LIMIT_CONTENT_BYTES, out, err);
}
