#include "os/file_writer.h"

#include "os/file.h"
#include "os/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void file_writer_release(struct file_writer *writer)
{
    if (writer->open && writer->owned)
        close(writer->descriptor);
    if (writer->temporary.length > 0)
        unlink(writer->temporary.bytes);
    buffer_release(&writer->place);
    buffer_release(&writer->pending);
    buffer_release(&writer->temporary);
    *writer = (struct file_writer){0};
}

void file_writer_open_descriptor(int descriptor, struct file_writer *out)
{
    *out = (struct file_writer){.descriptor = descriptor, .open = true};
}

/* Creates the temporary file beside the place, with the permissions of the file that it will replace. */
static dobby_code open_temporary(struct file_writer *writer, const struct stat *old, struct dobby_error *err)
{
    const mode_t mode = old != NULL ? old->st_mode & 0777 : 0666;
    uint8_t random[8];
    dobby_code code = random_bytes(random, sizeof random, err);
    if (code != DOBBY_OK)
        return code;
    uint64_t suffix = 0;
    for (size_t i = 0; i < sizeof random; i++)
        suffix = suffix << 8 | random[i];
    code = buffer_append_format(&writer->temporary, err, "%s.%016llx.tmp", writer->place.bytes,
                                (unsigned long long)suffix);
    if (code != DOBBY_OK)
        return code;
    writer->descriptor = open(writer->temporary.bytes, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (writer->descriptor < 0) {
        code = DOBBY_FAIL_ERRNO(err, errno, "creating a file beside %s", writer->place.bytes);
        buffer_release(&writer->temporary);
        return code;
    }
    writer->open = true;
    if (old != NULL)
        (void)!fchmod(writer->descriptor, mode); /* The umask has cut it; not being allowed to is no loss. */
    return DOBBY_OK;
}

dobby_code file_writer_open(const char *path, struct file_writer *out, struct dobby_error *err)
{
    *out = (struct file_writer){.owned = true};
    struct stat old;
    const bool exists = stat(path, &old) == 0;
    dobby_code code = DOBBY_OK;
    if (exists && S_ISDIR(old.st_mode)) {
        code = DOBBY_FAIL(err, DOBBY_WRONG_FILE_TYPE, "%s is a directory", path);
    } else if (exists && !S_ISREG(old.st_mode)) {
        out->descriptor = open(path, O_WRONLY | O_CLOEXEC);
        out->open = out->descriptor >= 0;
        if (!out->open)
            code = DOBBY_FAIL_ERRNO(err, errno, "opening %s", path);
    } else {
        /* Through a symbolic link its target is replaced, not the link. */
        code = exists ? file_realpath(path, &out->place, err) : buffer_append_string(&out->place, path, err);
        if (code == DOBBY_OK)
            code = open_temporary(out, exists ? &old : NULL, err);
    }
    if (code != DOBBY_OK)
        file_writer_release(out);
    return code;
}

static dobby_code write_all(struct file_writer *writer, const char *bytes, size_t length,
                            struct dobby_error *err)
{
    size_t done = 0;
    while (done < length) {
        const ssize_t n = write(writer->descriptor, bytes + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            writer->reader_gone = errno == EPIPE;
            return DOBBY_FAIL_ERRNO(err, errno, "writing %s",
                                    writer->place.length > 0 ? writer->place.bytes : "the output");
        }
        done += (size_t)n;
    }
    return DOBBY_OK;
}

dobby_code file_writer_flush(struct file_writer *writer, struct dobby_error *err)
{
    const dobby_code code = write_all(writer, writer->pending.bytes, writer->pending.length, err);
    buffer_clear(&writer->pending);
    return code;
}

dobby_code file_writer_write(struct file_writer *writer, const void *bytes, size_t length,
                             struct dobby_error *err)
{
    if (length == 0)
        return DOBBY_OK;
    if (writer->pending.length + length > FILE_WRITER_BLOCK_BYTES) {
        const dobby_code code = file_writer_flush(writer, err);
        if (code != DOBBY_OK)
            return code;
    }
    if (length > FILE_WRITER_BLOCK_BYTES)
        return write_all(writer, bytes, length, err);
    return buffer_append(&writer->pending, bytes, length, err);
}

dobby_code file_writer_finish(struct file_writer *writer, struct dobby_error *err)
{
    dobby_code code = file_writer_flush(writer, err);
    if (code != DOBBY_OK || !writer->owned)
        return code;
    const bool replaces = writer->temporary.length > 0;
    if (replaces && fsync(writer->descriptor) != 0)
        return DOBBY_FAIL_ERRNO(err, errno, "syncing %s", writer->place.bytes);
    writer->open = false;
    if (close(writer->descriptor) != 0)
        return DOBBY_FAIL_ERRNO(err, errno, "closing the output");
    if (replaces && rename(writer->temporary.bytes, writer->place.bytes) != 0)
        return DOBBY_FAIL_ERRNO(err, errno, "renaming into %s", writer->place.bytes);
    buffer_release(&writer->temporary);
    return DOBBY_OK;
}
