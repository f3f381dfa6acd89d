#include "os/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LARGE_PAGE_BYTES = 2 << 20, CACHE_LINE_BYTES = 64 };

/* The container's limit; 0 where there is none. */
static uint64_t cgroup_limit(void)
{
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    if (file == NULL)
        return 0;
    unsigned long long bytes = 0;
    int fields = fscanf(file, "%llu", &bytes); /* "max" reads no field: no limit */
    (void)fclose(file);
    return fields == 1 ? bytes : 0;
}

uint64_t memory_total_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    const uint64_t machine = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    const uint64_t limit = cgroup_limit();
    return limit > 0 && (limit < machine || machine == 0) ? limit : machine;
}

void *memory_large_new(size_t bytes)
{
    const size_t alignment = bytes >= LARGE_PAGE_BYTES ? LARGE_PAGE_BYTES : CACHE_LINE_BYTES;
    if (bytes > SIZE_MAX - CACHE_LINE_BYTES)
        return NULL;
    const size_t whole =
        bytes > 0 ? (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES : CACHE_LINE_BYTES;
    void *memory = aligned_alloc(alignment, whole);
#ifdef MADV_HUGEPAGE
    /* Only whole large pages: the last part of one would take memory that nobody uses. A kernel without them
     * refuses, and nothing is lost. */
    if (memory != NULL && whole >= LARGE_PAGE_BYTES)
        (void)madvise(memory, whole / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES, MADV_HUGEPAGE);
#endif
    return memory;
}
