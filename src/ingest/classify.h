/* Which files are not summarised, and why. Pure functions over a file's name and bytes. */
#ifndef INGEST_CLASSIFY_H
#define INGEST_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Raised when a file would be classified otherwise than before, here or in language.h. */
enum { CLASSIFY_RULES_VERSION = 1 };

/* By name and size, before the file is read: a static reason, or NULL. name: without directories. */
const char *classify_name(const char *name, uint64_t bytes);
/* By what the file holds. */
const char *classify_content(const char *name, const char *text, size_t length);
/* Side files of an SQLite database come and go with its connections: they are never seen. */
bool classify_is_transient(const char *name);

#endif
