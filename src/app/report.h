/* How an error reads on standard error. */
#ifndef APP_REPORT_H
#define APP_REPORT_H

#include "base/buffer.h"

/* Appends "dobby: error ID: message: detail", its attributes and causes, and "  try: remedy". Secrets are
 * masked and control characters shown escaped. Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code report_format(struct buffer *out, const struct dobby_error *error,
                                         struct dobby_error *err);
/* The same, written to standard error. */
void report_error(const struct dobby_error *error);

#endif
