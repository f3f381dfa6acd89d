/* Durations as people write them. */
#ifndef APP_DURATION_H
#define APP_DURATION_H

#include "base/error.h"

/* "90" (seconds), "1.5h", "8h", "1h30m", "45s", "500ms", "2d": one or more numbers with units d, h, m, s, ms,
 * larger ones first; a number without a unit is seconds and stands alone. More than nothing, at most a year.
 * name is the option, for the error. Fails: USAGE. */
DOBBY_NODISCARD dobby_code duration_parse(const char *name, const char *text, int64_t *ms,
                                          struct dobby_error *err);

#endif
