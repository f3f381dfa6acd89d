/* Bump allocator for one job or request: everything is freed at once at its end. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/error.h"

struct arena_block;

struct arena {
    struct arena_block *newest;
    size_t used_bytes;  /* handed out since the last reset */
    size_t limit_bytes; /* of used_bytes */
};

/* limit_bytes 0 means LIMIT_ARENA_BYTES. Allocates nothing. A zeroed struct may be released. */
void arena_init(struct arena *arena, size_t limit_bytes);
void arena_release(struct arena *arena);
/* Forgets all allocations but keeps the newest block for the next job. */
void arena_reset(struct arena *arena);

/* Zeroed memory aligned for any type, NULL when out of memory or over the limit. bytes may be 0. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* count * size with overflow checked. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);
/* A NUL-terminated copy; NULL when out of memory. bytes may hold NULs. */
char *arena_copy(struct arena *arena, const void *bytes, size_t length);

#endif
