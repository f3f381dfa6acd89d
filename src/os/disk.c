#include "os/disk.h"

#include "base/error.h"

#include <errno.h>
#include <sys/statvfs.h>

dobby_code disk_space_of(const char *path, struct disk_space *out, struct dobby_error *err)
{
    struct statvfs found;
    *out = (struct disk_space){0};
    if (statvfs(path, &found) != 0)
        return DOBBY_FAIL_ERRNO(err, errno, "%s", path);
    out->total_bytes = (uint64_t)found.f_blocks * found.f_frsize;
    out->available_bytes = (uint64_t)found.f_bavail * found.f_frsize;
    out->read_only = (found.f_flag & ST_RDONLY) != 0;
    return DOBBY_OK;
}
