#ifndef OS_RANDOM_H
#define OS_RANDOM_H

#include "base/error.h"
#include "base/id.h"

/* Bytes from the kernel's generator. */
DOBBY_NODISCARD dobby_code random_bytes(void *out, size_t length, struct dobby_error *err);
/* A fresh UUIDv7 of now. */
DOBBY_NODISCARD dobby_code uuid7_new(char text[UUID_TEXT_BYTES], struct dobby_error *err);

#endif
