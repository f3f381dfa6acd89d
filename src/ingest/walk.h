/* Walking a directory, in the byte order of names: never through a symlink, never into what keeps a version
 * control system's own files. */
#ifndef INGEST_WALK_H
#define INGEST_WALK_H

#include "base/buffer.h"
#include "os/file.h"

struct walk_entry {
    const char *absolute;
    const char *relative; /* below the source's root; raw bytes */
    const char *name;     /* the last part of it */
    const char *reason;   /* static: why it cannot be read; NULL: a regular file */
    uint64_t bytes;
};
struct walk {
    /* Returns whether the entry (a directory or not) is part of the source. NULL: all are. */
    dobby_code (*select)(void *context, const char *relative, bool is_directory, bool *selected,
                         struct dobby_error *err);
    dobby_code (*visit)(void *context, const struct walk_entry *entry, struct dobby_error *err);
    void *context;
};

/* Visits what lies at or below relative ("" is the root itself); the root is absolute. What vanishes
 * meanwhile is not visited. Fails: OUT_OF_MEMORY, and as select and visit. */
DOBBY_NODISCARD dobby_code walk_source(const struct walk *walk, const char *root, const char *relative,
                                       struct dobby_error *err);

#endif
