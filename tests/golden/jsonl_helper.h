/* Reading golden vectors: one JSON object a line. */
#ifndef TESTS_GOLDEN_JSONL_HELPER_H
#define TESTS_GOLDEN_JSONL_HELPER_H

#include "base/json.h"

/* Calls visit with each line's object; returns how many there were. Fails the test when the file cannot be
 * read. */
size_t jsonl_each(const char *path, void (*visit)(void *context, size_t line, const struct json *),
                  void *context);

/* An array of numbers; the caller frees it. Fails the test when it is none. */
int32_t *jsonl_integers(const struct json *array, size_t *count);
float *jsonl_numbers(const struct json *array, size_t *count);

#endif
