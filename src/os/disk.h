/* The space of the file system that a path is on. */
#ifndef OS_DISK_H
#define OS_DISK_H

#include "base/error.h"

struct disk_space {
    uint64_t total_bytes;
    uint64_t available_bytes; /* to this user */
    bool read_only;
};
/* path: a file or directory that exists. Fails: FILE_NOT_FOUND, PERMISSION_DENIED, IO_FAILED. */
DOBBY_NODISCARD dobby_code disk_space_of(const char *path, struct disk_space *out, struct dobby_error *err);

#endif
