/* Reading JSON, through jansson: json.c is the only file that includes it. Writing: json_writer.h.
 *
 * The caller of json_parse owns the document and frees it with json_free; what a getter returns is
 * borrowed from the document. (Names that jansson exports, such as json_string, are avoided here.) */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/error.h"

struct json; /* one value */

enum json_kind {
    JSON_KIND_NONE, /* no value: NULL */
    JSON_KIND_NULL,
    JSON_KIND_BOOLEAN,
    JSON_KIND_INTEGER,
    JSON_KIND_REAL,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};

/* Parses one JSON document of at most LIMIT_JSON_BYTES. Duplicate keys are refused; \u0000 is allowed
 * in strings. Fails: JSON_INVALID (with line and column), LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code json_parse(const char *bytes, size_t length, struct json **out,
                                      struct dobby_error *err);
void json_free(struct json *value);

/* All take NULL, and return NULL / false / 0 when the value's kind does not fit. */
enum json_kind json_kind_of(const struct json *value);
struct json *json_member(const struct json *object, const char *key);
struct json *json_element(const struct json *array, size_t index);
size_t json_count(const struct json *array_or_object);
const char *json_to_text(const struct json *value, size_t *length); /* length may be NULL */
bool json_to_integer(const struct json *value, int64_t *out);
bool json_to_number(const struct json *value, double *out); /* integers too */
bool json_to_boolean(const struct json *value, bool *out);

/* Calls visit for each member in the document's order, until it returns false. */
typedef bool json_member_fn(void *context, const char *key, size_t key_length, struct json *value);
void json_each_member(const struct json *object, json_member_fn *visit, void *context);

#endif
