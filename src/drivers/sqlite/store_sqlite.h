#ifndef DRIVERS_SQLITE_STORE_SQLITE_H
#define DRIVERS_SQLITE_STORE_SQLITE_H

#include "store/store.h"

enum sqlite_access { SQLITE_ACCESS_UNKNOWN, SQLITE_ACCESS_READ, SQLITE_ACCESS_WRITE, SQLITE_ACCESS_CREATE };

struct store_sqlite_options {
    const char *path;
    enum sqlite_access access; /* CREATE makes the file and migrates; WRITE and READ want it there */
    int busy_timeout_ms;
};
/* Opens in WAL mode with synchronous=FULL and brings the schema up to date (not with READ).
 * Fails: STORE_OPEN_FAILED, STORE_SCHEMA_NEWER, STORE_READ_ONLY, STORE_CORRUPT, STORE_BUSY, STORE_FULL; with
 * READ also STORE_SCHEMA_OLDER, and STORE_MISSING for an empty file. */
DOBBY_NODISCARD dobby_code store_sqlite_open(const struct store_sqlite_options *options, struct store **out,
                                             struct dobby_error *err);

#endif
