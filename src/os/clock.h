/* Time. Only the wall clock may be stored; only the monotonic one may be subtracted. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include <stdint.h>

int64_t clock_unix_us(void);
int64_t clock_monotonic_ns(void);
void clock_sleep_ms(int64_t ms); /* returns early on a signal */
enum { CLOCK_TEXT_BYTES = 28 };
/* RFC 3339 in UTC with milliseconds: 2026-01-31T23:59:59.123Z. */
void clock_format(int64_t unix_us, char text[CLOCK_TEXT_BYTES]);

#endif
