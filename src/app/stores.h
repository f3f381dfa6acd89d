/* Database URLs to stores: the place that knows the drivers. */
#ifndef APP_STORES_H
#define APP_STORES_H

#include "app/config.h"
#include "drivers/sqlite/store_sqlite.h"

/* The path in a sqlite: URL, borrowed from url. Fails: STORE_URL_INVALID. */
DOBBY_NODISCARD dobby_code stores_sqlite_path(const char *url, const char **path, struct dobby_error *err);

/* Opens the configured database. Only with SQLITE_ACCESS_CREATE one that is missing is made.
 * Fails: STORE_URL_INVALID, STORE_MISSING, and as store_sqlite_open. */
DOBBY_NODISCARD dobby_code stores_open(const struct config *config, enum sqlite_access access,
                                       struct store **out, struct dobby_error *err);
/* As stores_open, for writing by a run: each call waits a moment only for another process' lock, so that the
 * run goes on obeying; it tries again itself. */
DOBBY_NODISCARD dobby_code stores_open_for_run(const struct config *config, struct store **out,
                                               struct dobby_error *err);

/* Appends a directory: the one named, or where it is NULL the one that the configured database lies in.
 * Fails: STORE_URL_INVALID. */
DOBBY_NODISCARD dobby_code stores_directory(const struct config *config, const char *named,
                                            struct buffer *out, struct dobby_error *err);

#endif
