/* Files and raw connections for the driver's tests. Each fails the test when it cannot do its work. */
#ifndef UNIT_DRIVERS_SQLITE_SQLITE_HELPER_H
#define UNIT_DRIVERS_SQLITE_SQLITE_HELPER_H

#include "drivers/sqlite/store_sqlite.h"

#include <sqlite3.h>
#undef SQLITE_ACCESS_READ

/* A fresh directory; the caller closes it, which removes it with all files in it. */
char *test_directory_open(void);
void test_directory_close(char *directory);
/* directory/name; valid until the next call. */
const char *test_path(const char *directory, const char *name);

void test_write(const char *path, const char *bytes, size_t length);
int64_t test_size(const char *path); /* -1 when there is no such file */
uint64_t test_hash(const char *path);
/* Removes a database and what SQLite puts beside it. */
void test_remove(const char *path);
void test_copy(const char *from, const char *to);

sqlite3 *test_connect(const char *path);
void test_execute(const char *path, const char *sql);
int64_t test_query(sqlite3 *db, const char *sql);

#endif
