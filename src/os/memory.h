/* How much memory there is. */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stdint.h>

/* Memory this process may use: the machine's, or its container's limit where that is lower. 0 where unknown.
 */
uint64_t memory_total_bytes(void);
/* Of those what is not in use now, or can be taken back from caches at once. 0 where unknown. */
uint64_t memory_available_bytes(void);

#endif
