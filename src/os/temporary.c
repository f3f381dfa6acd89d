#include "os/temporary.h"

#include "base/error.h"
#include "os/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

dobby_code temporary_directory_make(const char *parent, struct buffer *path, struct dobby_error *err)
{
    const char *where = parent[0] != '\0' ? parent : ".";
    struct buffer name = {0};
    dobby_code code = buffer_append_format(&name, err, "%s/dobby-XXXXXX", where);
    if (code == DOBBY_OK && mkdtemp(name.bytes) == NULL)
        code = DOBBY_FAIL_ERRNO(err, errno, "a temporary directory in %s", where);
    if (code == DOBBY_OK) {
        code = buffer_append_string(path, name.bytes, err);
        if (code != DOBBY_OK)
            (void)rmdir(name.bytes);
    }
    buffer_release(&name);
    return code;
}

void temporary_directory_remove(const char *path)
{
    struct directory_list list;
    struct buffer file = {0};
    if (directory_list_open(path, &list, NULL) != DOBBY_OK)
        return;
    for (size_t i = 0; i < list.count; i++) {
        buffer_clear(&file);
        if (list.entries[i].kind != FILE_DIRECTORY &&
            buffer_append_format(&file, NULL, "%s/%s", path, list.entries[i].name) == DOBBY_OK)
            (void)unlink(file.bytes);
    }
    (void)rmdir(path);
    directory_list_release(&list);
    buffer_release(&file);
}
