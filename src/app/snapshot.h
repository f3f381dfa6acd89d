/* Figures in JSON as lines for people: whatever parts a snapshot has is what is shown, so that a run that
 * measures something new needs no change here. What is nested deeper than a line can tell is left to --json.
 */
#ifndef APP_SNAPSHOT_H
#define APP_SNAPSHOT_H

#include "base/buffer.h"
#include "base/json.h"

/* A name as words: "latency_ms" reads "latency ms". */
DOBBY_NODISCARD dobby_code snapshot_append_name(struct buffer *out, const char *name,
                                                struct dobby_error *err);
/* Appends the object's plain members as one line, "  label         p50 12.5, p95 30", or nothing where there
 * are none to show. without: names to leave out, NULL-terminated; NULL: none. */
DOBBY_NODISCARD dobby_code snapshot_append_line(struct buffer *out, const char *label,
                                                const struct json *object, const char *const *without,
                                                bool without_zeros, struct dobby_error *err);
/* Appends such a line for each member that is an object, and for each element of those that are arrays. */
DOBBY_NODISCARD dobby_code snapshot_append_parts(struct buffer *out, const struct json *snapshot,
                                                 struct dobby_error *err);

#endif
