/* Streaming JSON writer over a buffer. The first failure sticks and the rest is ignored, so that a
 * chain of calls checks only json_writer_end. Strings may hold any bytes: invalid UTF-8 is repaired. */
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include "base/buffer.h"

enum { JSON_WRITER_DEPTH_MAX = 16 };

struct json;

struct json_writer {
    struct buffer *out;
    dobby_code code; /* of the first failure */
    bool indent;     /* two spaces a level; else all on one line */
    bool after_key;
    size_t depth;
    bool has_member[JSON_WRITER_DEPTH_MAX + 1];
};

void json_writer_init(struct json_writer *writer, struct buffer *out, bool indent);
void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
void json_put_string(struct json_writer *writer, const char *bytes, size_t length);
void json_put_text(struct json_writer *writer, const char *text); /* NULL writes null */
void json_put_integer(struct json_writer *writer, int64_t value);
/* The shortest decimal that reads back equal; null when not finite. */
void json_put_number(struct json_writer *writer, double value);
void json_put_boolean(struct json_writer *writer, bool value);
void json_put_null(struct json_writer *writer);
/* A value that json_parse made, with all that it holds; NULL writes null. */
void json_put_value(struct json_writer *writer, const struct json *value);
/* Fails with the first failure: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code json_writer_end(struct json_writer *writer, struct dobby_error *err);

#endif
