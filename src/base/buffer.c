#include "base/buffer.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_release(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->bytes != NULL)
        buffer->bytes[0] = '\0';
}

dobby_code buffer_reserve(struct buffer *buffer, size_t more, struct dobby_error *err)
{
    if (more >= LIMIT_BUFFER_BYTES || buffer->length > LIMIT_BUFFER_BYTES - 1 - more)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "a buffer of %zu + %zu bytes exceeds the limit of %zu",
                          buffer->length, more, LIMIT_BUFFER_BYTES);
    size_t wanted = buffer->length + more + 1;
    if (wanted <= buffer->capacity)
        return DOBBY_OK;
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
    while (capacity < wanted)
        capacity += capacity / 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "growing a buffer to %zu bytes", capacity);
    bytes[buffer->length] = '\0';
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return DOBBY_OK;
}

dobby_code buffer_append(struct buffer *buffer, const void *bytes, size_t length, struct dobby_error *err)
{
    dobby_code code = buffer_reserve(buffer, length, err);
    if (code != DOBBY_OK)
        return code;
    if (length > 0)
        memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return DOBBY_OK;
}

dobby_code buffer_append_string(struct buffer *buffer, const char *text, struct dobby_error *err)
{
    return buffer_append(buffer, text, strlen(text), err);
}

dobby_code buffer_append_byte(struct buffer *buffer, char byte, struct dobby_error *err)
{
    return buffer_append(buffer, &byte, 1, err);
}

dobby_code buffer_append_format(struct buffer *buffer, struct dobby_error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    dobby_code code = DOBBY_OK;
    if (length < 0)
        code = DOBBY_FAIL(err, DOBBY_INTERNAL, "the format \"%s\" cannot be printed", format);
    else
        code = buffer_reserve(buffer, (size_t)length, err);
    if (code == DOBBY_OK) {
        (void)vsnprintf(buffer->bytes + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
    return code;
}

char *buffer_take(struct buffer *buffer, size_t *length)
{
    if (length != NULL)
        *length = buffer->length;
    char *bytes = buffer->bytes;
    *buffer = (struct buffer){0};
    return bytes != NULL ? bytes : calloc(1, 1);
}
