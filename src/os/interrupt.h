/* SIGINT, SIGTERM and SIGHUP as a count that a loop can ask for, and SIGPIPE and SIGXFSZ as an error of
 * write. */
#ifndef OS_INTERRUPT_H
#define OS_INTERRUPT_H

#include <stdint.h>

/* From now on SIGINT, SIGTERM and, unless it is ignored, SIGHUP are counted instead of ending the process.
 * Threads started later inherit nothing: they block all signals. */
void interrupt_catch(void);
/* How many arrived since interrupt_catch. */
uint32_t interrupt_count(void);
/* Writing to a pipe without a reader, or more than a file may have (ulimit -f), fails with an error instead
 * of ending the process. */
void interrupt_ignore_failed_writes(void);

#endif
