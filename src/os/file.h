/* Files and directories. Paths are NUL-terminated bytes, in no particular encoding. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/buffer.h"

/* A read-only view of a whole regular file. The file must not be truncated while mapped. */
struct file_map {
    const uint8_t *bytes; /* NULL for an empty file */
    size_t length;
};
/* Fails: FILE_NOT_FOUND, PERMISSION_DENIED, WRONG_FILE_TYPE, IO_FAILED. */
DOBBY_NODISCARD dobby_code file_map_open(const char *path, struct file_map *out, struct dobby_error *err);
void file_map_close(struct file_map *map);
/* Tells the kernel that the pages of [offset, offset+length) will not be read again soon. */
void file_map_drop(const struct file_map *map, size_t offset, size_t length);

enum file_kind { FILE_UNKNOWN, FILE_REGULAR, FILE_DIRECTORY, FILE_SYMLINK, FILE_OTHER };
struct file_info {
    enum file_kind kind; /* of the link itself when follow was false */
    bool executable;
    uint64_t bytes;
    int64_t modified_unix_us;
    uint64_t device, inode;
};
DOBBY_NODISCARD dobby_code file_stat(const char *path, bool follow, struct file_info *out,
                                     struct dobby_error *err);
bool file_exists(const char *path);
/* Whether this user may write there; of a directory, make files in it. */
bool file_is_writable(const char *path);

/* Appends the file's bytes; never blocks on a FIFO or device (they fail with WRONG_FILE_TYPE), never
 * follows a symlink as its last component unless follow. Fails too: LIMIT_EXCEEDED beyond bytes_max. */
DOBBY_NODISCARD dobby_code file_read(const char *path, bool follow, size_t bytes_max, struct buffer *out,
                                     struct dobby_error *err);
/* Appends all of standard input or another descriptor. Fails: IO_FAILED, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code file_read_descriptor(int descriptor, size_t bytes_max, struct buffer *out,
                                                struct dobby_error *err);
/* Writes all or leaves the old file: a temporary file beside it, fsync, rename. */
DOBBY_NODISCARD dobby_code file_write_atomic(const char *path, const void *bytes, size_t length,
                                             struct dobby_error *err);

/* The canonical absolute path, appended. */
DOBBY_NODISCARD dobby_code file_realpath(const char *path, struct buffer *out, struct dobby_error *err);

/* The names in one directory in byte order, without "." and "..". kind is of the entry itself. */
struct directory_entry {
    char *name;
    enum file_kind kind;
};
struct directory_list {
    struct directory_entry *entries;
    size_t count;
};
DOBBY_NODISCARD dobby_code directory_list_open(const char *path, struct directory_list *out,
                                               struct dobby_error *err);
void directory_list_release(struct directory_list *list);

#endif
