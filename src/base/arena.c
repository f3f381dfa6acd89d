#include "base/arena.h"

#include "base/limits.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *older;
    size_t capacity;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

/* Large enough that a job of a few hundred records takes a handful of blocks. */
static const size_t block_bytes_min = (size_t)64 << 10;

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){.limit_bytes = limit_bytes == 0 ? LIMIT_ARENA_BYTES : limit_bytes};
}

static void free_older(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_release(struct arena *arena)
{
    free_older(arena->newest);
    *arena = (struct arena){.limit_bytes = arena->limit_bytes};
}

void arena_reset(struct arena *arena)
{
    arena->used_bytes = 0;
    if (arena->newest == NULL)
        return;
    free_older(arena->newest->older);
    arena->newest->older = NULL;
    arena->newest->used = 0;
}

static struct arena_block *add_block(struct arena *arena, size_t bytes)
{
    size_t capacity = bytes > block_bytes_min ? bytes : block_bytes_min;
    struct arena_block *block = malloc(sizeof *block + capacity);
    if (block == NULL)
        return NULL;
    *block = (struct arena_block){.older = arena->newest, .capacity = capacity};
    arena->newest = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t alignment = alignof(max_align_t);
    size_t limit = arena->limit_bytes == 0 ? LIMIT_ARENA_BYTES : arena->limit_bytes;
    if (bytes > limit)
        return NULL;
    size_t padded = bytes == 0 ? alignment : (bytes + alignment - 1) / alignment * alignment;
    if (padded > limit || arena->used_bytes > limit - padded)
        return NULL;
    struct arena_block *block = arena->newest;
    if (block == NULL || block->capacity - block->used < padded) {
        block = add_block(arena, padded);
        if (block == NULL)
            return NULL;
    }
    void *memory = block->bytes + block->used;
    block->used += padded;
    arena->used_bytes += padded;
    return memset(memory, 0, padded);
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return arena_alloc(arena, count * size);
}

char *arena_copy(struct arena *arena, const void *bytes, size_t length)
{
    if (length == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(arena, length + 1);
    if (copy != NULL && length > 0)
        memcpy(copy, bytes, length);
    return copy;
}
