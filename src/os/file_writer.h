/* A stream of bytes into a file that appears whole or not at all, or into an open descriptor.
 *
 * 1. A regular file is written beside its place under a temporary name and renamed by
 *    file_writer_finish; until then the old file stays as it was.
 * 2. What is there and is no regular file (a terminal, a FIFO, /dev/null) is written in place.
 * 3. Memory is one block of FILE_WRITER_BLOCK_BYTES, whatever is written. */
#ifndef OS_FILE_WRITER_H
#define OS_FILE_WRITER_H

#include "base/buffer.h"

enum { FILE_WRITER_BLOCK_BYTES = 1 << 16 };

struct file_writer {
    int descriptor;        /* valid only while open */
    bool open;             /* a zeroed struct may be released */
    bool owned;            /* the descriptor is closed at the end */
    bool reader_gone;      /* writing failed since nobody reads the pipe any more */
    struct buffer place;   /* the file's path; empty when there is nothing to rename */
    struct buffer pending; /* not yet written */
    struct buffer temporary;
};

/* Fails: FILE_NOT_FOUND, PERMISSION_DENIED, IO_FAILED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code file_writer_open(const char *path, struct file_writer *out,
                                            struct dobby_error *err);
/* Over a borrowed descriptor. */
void file_writer_open_descriptor(int descriptor, struct file_writer *out);
/* Fails: DISK_FULL, IO_FAILED (then reader_gone may be true), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code file_writer_write(struct file_writer *writer, const void *bytes, size_t length,
                                             struct dobby_error *err);
DOBBY_NODISCARD dobby_code file_writer_flush(struct file_writer *writer, struct dobby_error *err);
/* Writes the rest, syncs, and puts the file in its place. Fails as file_writer_write. */
DOBBY_NODISCARD dobby_code file_writer_finish(struct file_writer *writer, struct dobby_error *err);
/* Frees; what was not finished is removed. */
void file_writer_release(struct file_writer *writer);

#endif
