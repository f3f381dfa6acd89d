/* A directory for files that nobody needs afterwards. */
#ifndef OS_TEMPORARY_H
#define OS_TEMPORARY_H

#include "base/buffer.h"

/* Makes an empty directory with a name of its own in parent ("" is the working directory), for this user
 * alone, and appends its path. Fails: FILE_NOT_FOUND, PERMISSION_DENIED, DISK_FULL, IO_FAILED, OUT_OF_MEMORY.
 */
DOBBY_NODISCARD dobby_code temporary_directory_make(const char *parent, struct buffer *path,
                                                    struct dobby_error *err);
/* Removes the files in it and the directory; what does not go is left there. Directories in it stay. */
void temporary_directory_remove(const char *path);

#endif
