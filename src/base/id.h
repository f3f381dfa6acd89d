/* Identifiers. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/error.h"

enum { UUID_BYTES = 16, UUID_TEXT_BYTES = 37 /* NUL included */ };

/* UUID version 7 (RFC 9562): 48 bits of unix milliseconds, then random. time_unix_ms and random (10
 * bytes) are the caller's, since base does no I/O. Two ids of one millisecond have no order. */
void uuid7_make(uint64_t time_unix_ms, const uint8_t random[10], char text[UUID_TEXT_BYTES]);

#endif
