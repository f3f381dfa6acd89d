#include "golden/jsonl_helper.h"

#include "base/buffer.h"
#include "os/file.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 22 };

size_t jsonl_each(const char *path, void (*visit)(void *context, size_t line, const struct json *),
                  void *context)
{
    struct dobby_error err;
    struct buffer lines = {0};
    size_t count = 0;
    assert_ok(file_read(path, true, FILE_BYTES_MAX, &lines, &err), &err);
    for (size_t at = 0; at < lines.length;) {
        const char *end = memchr(lines.bytes + at, '\n', lines.length - at);
        const size_t length = end != NULL ? (size_t)(end - lines.bytes) - at : lines.length - at;
        struct json *line = NULL;
        assert_ok(json_parse(lines.bytes + at, length, &line, &err), &err);
        visit(context, ++count, line);
        json_free(line);
        at += length + 1;
    }
    buffer_release(&lines);
    return count;
}

int32_t *jsonl_integers(const struct json *array, size_t *count)
{
    *count = json_count(array);
    int32_t *values = calloc(*count + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < *count; i++) {
        int64_t value;
        assert_true(json_to_integer(json_element(array, i), &value));
        values[i] = (int32_t)value;
    }
    return values;
}

float *jsonl_numbers(const struct json *array, size_t *count)
{
    *count = json_count(array);
    float *values = calloc(*count + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < *count; i++) {
        double value;
        assert_true(json_to_number(json_element(array, i), &value));
        values[i] = (float)value;
    }
    return values;
}
