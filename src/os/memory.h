/* How much memory there is, and memory for what is large. */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Memory this process may use: the machine's, or its container's limit where that is lower. 0 where unknown.
 */
uint64_t memory_total_bytes(void);

/* Memory for what loops run over: aligned to 64 bytes, and where it is large on pages of 2 MB if the kernel
 * has them (a page's look-up costs a hundred cycles and more in a virtual machine). Not zeroed. Freed by
 * free(). NULL: there is none. */
void *memory_large_new(size_t bytes);

#endif
