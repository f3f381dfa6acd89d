#include "os/memory.h"

#include <stdio.h>
#include <unistd.h>

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
