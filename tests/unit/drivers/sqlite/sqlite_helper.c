#include "sqlite_helper.h"

#include "contract/store_testing.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

char *test_directory_open(void)
{
    /* In memory where that can be had: thousands of databases are made, and their fsyncs would take minutes.
     */
    char *directory = strdup("/dev/shm/dobby-sqlite-XXXXXX");
    assert_non_null(directory);
    if (mkdtemp(directory) == NULL) {
        free(directory);
        directory = strdup("/tmp/dobby-sqlite-XXXXXX");
        assert_non_null(directory);
        assert_non_null(mkdtemp(directory));
    }
    assert_int_equal(chmod(directory, 0777), 0);
    return directory;
}

void test_directory_close(char *directory)
{
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlink(test_path(directory, entry->d_name));
    }
    (void)closedir(stream);
    assert_int_equal(rmdir(directory), 0);
    free(directory);
}

const char *test_path(const char *directory, const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

void test_write(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

int64_t test_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

static struct buffer read_all(const char *path)
{
    struct buffer out = {0};
    char part[4096];
    size_t length = 0;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    while ((length = fread(part, 1, sizeof part, file)) > 0)
        ASSERT_OK(buffer_append(&out, part, length, err));
    assert_int_equal(fclose(file), 0);
    return out;
}

/* FNV-1a. */
uint64_t test_hash(const char *path)
{
    struct buffer bytes = read_all(path);
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < bytes.length; i++)
        hash = (hash ^ (uint8_t)bytes.bytes[i]) * 0x100000001b3U;
    buffer_release(&bytes);
    return hash;
}

void test_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[600];
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
}

void test_copy(const char *from, const char *to)
{
    struct buffer bytes = read_all(from);
    test_write(to, bytes.bytes, bytes.length);
    buffer_release(&bytes);
}

sqlite3 *test_connect(const char *path)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

void test_execute(const char *path, const char *sql)
{
    sqlite3 *db = test_connect(path);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int64_t test_query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}
