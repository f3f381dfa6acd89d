/* How the kinds of reasons read: why records were skipped, failed or degraded. */
#ifndef APP_REASONS_H
#define APP_REASONS_H

#include "base/json_writer.h"
#include "store/store.h"

/* "ungrounded, such as: 'x' is not in the source"; the whole reason where there is only one. */
DOBBY_NODISCARD dobby_code reason_append(struct buffer *out, const struct reason_count *row,
                                         struct dobby_error *err);
/* The members reason, its kind, example and count, into the object that is begun. */
void reason_write_json(const struct reason_count *row, struct json_writer *json);

#endif
