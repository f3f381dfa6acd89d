/* The schema's versions, and bringing a file to the newest one. */
#ifndef DRIVERS_SQLITE_SQLITE_SCHEMA_H
#define DRIVERS_SQLITE_SQLITE_SCHEMA_H

#include "drivers/sqlite/sqlite_handle.h"

enum {
    SQLITE_SCHEMA_APPLICATION_ID = 0x446F6262, /* PRAGMA application_id of Dobby's files: "Dobb" */
    SQLITE_SCHEMA_VERSION = 3                  /* PRAGMA user_version: the newest migration's */
};

/* What a file is, before anything in it is touched: OK when it is Dobby's at a version known here, or
 * still empty. Sets *version, 0 for an empty file.
 * Fails: STORE_CORRUPT (not a database, or somebody else's), STORE_SCHEMA_NEWER, STORE_BUSY. */
DOBBY_NODISCARD dobby_code sqlite_schema_recognise(struct sqlite_handle *handle, int64_t *version,
                                                   struct dobby_error *err);
/* Applies the missing migrations in one transaction; safe against others doing the same.
 * Fails: as sqlite_schema_recognise and sqlite_write_begin. */
DOBBY_NODISCARD dobby_code sqlite_schema_migrate(struct sqlite_handle *handle, struct dobby_error *err);

#endif
