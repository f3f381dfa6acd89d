/* Reading JSON, through jansson: json.c is the only file that includes it. Writing: json_writer.h.
 *
 * The caller of json_parse owns the document and frees it with json_free; what a getter returns is
 * borrowed from the document. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/error.h"

struct json; /* one value */

/* Parses one JSON document of at most LIMIT_JSON_BYTES. Duplicate keys are refused; \u0000 is allowed.
 * Fails: JSON_INVALID (with line and column), LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code json_parse(const char *bytes, size_t length, struct json **out,
                                      struct dobby_error *err);
void json_free(struct json *value);

/* All take NULL, and return NULL / false / 0 when the type does not fit. */
bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_string(const struct json *value);
bool json_is_null(const struct json *value); /* also true for NULL */
struct json *json_get(const struct json *object, const char *key);
size_t json_count(const struct json *array_or_object);
struct json *json_at(const struct json *array, size_t index);
const char *json_string(const struct json *value, size_t *length); /* length may be NULL */
bool json_integer(const struct json *value, int64_t *out);
bool json_number(const struct json *value, double *out); /* integers too */
bool json_boolean(const struct json *value, bool *out);
/* Calls visit for each member in the document's order, until it returns false. */
typedef bool json_member_fn(void *context, const char *key, size_t key_length, struct json *value);
void json_each(const struct json *object, json_member_fn *visit, void *context);

#endif
