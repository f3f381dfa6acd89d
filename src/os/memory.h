/* How much memory there is, and large pieces of it. */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Memory this process may use: the machine's, or its container's limit where that is lower. 0 where unknown.
 */
uint64_t memory_total_bytes(void);
/* Of those what is not in use now, or can be taken back from caches at once. 0 where unknown. */
uint64_t memory_available_bytes(void);

/* Uninitialised memory at a cache line; free releases it. Whole huge pages of it are asked for as such:
 * weights that stream by otherwise wait for the page table as long as for themselves, twice as long in a
 * virtual machine. A last one that is nearly filled is made whole. NULL: there is not enough. */
void *memory_allocate(size_t bytes);

#endif
