#include "os/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t CACHE_LINE_BYTES = 64;
static const size_t HUGE_PAGE_BYTES = (size_t)2 << 20; /* of x86-64, and of most that have others */

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

/* A container's memory in use counts its caches, so the machine's figure is cut at the limit's rest only
 * where that is lower. */
uint64_t memory_available_bytes(void)
{
    enum { LINE_BYTES = 128 };
    char line[LINE_BYTES];
    unsigned long long kib = 0, used = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL)
        return 0;
    while (kib == 0 && fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "MemAvailable: %llu kB", &kib);
    (void)fclose(file);
    const uint64_t machine = (uint64_t)kib * 1024, limit = cgroup_limit();
    file = limit > 0 ? fopen("/sys/fs/cgroup/memory.current", "re") : NULL;
    if (file == NULL)
        return machine;
    const int fields = fscanf(file, "%llu", &used);
    (void)fclose(file);
    const uint64_t rest = fields == 1 && used < limit ? limit - used : limit;
    return rest < machine ? rest : machine;
}

void *memory_allocate(size_t bytes)
{
    /* A last page that is nearly filled is a large one too. */
    const size_t rest = bytes % HUGE_PAGE_BYTES, filling = rest > 0 ? HUGE_PAGE_BYTES - rest : 0;
    if (filling <= HUGE_PAGE_BYTES / 16 && bytes <= SIZE_MAX - filling)
        bytes += filling;
    const size_t huge_bytes = bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    const size_t alignment = huge_bytes > 0 ? HUGE_PAGE_BYTES : CACHE_LINE_BYTES;
    void *memory = NULL;
    if (bytes > SIZE_MAX - HUGE_PAGE_BYTES || posix_memalign(&memory, alignment, bytes > 0 ? bytes : 1) != 0)
        return NULL;
#if defined(MADV_HUGEPAGE)
    if (huge_bytes > 0)
        (void)madvise(memory, huge_bytes, MADV_HUGEPAGE); /* an advice: without it all works as well */
#endif
    return memory;
}
