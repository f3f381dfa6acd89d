/* Makes this program's allocations fail on demand: the n-th from now on fails, once. For the programs that
 * CMakeLists.txt links for it; libraries of the system are not affected. Any thread's allocations count. */
#ifndef TESTS_ALLOCATION_H
#define TESTS_ALLOCATION_H

#include <stdbool.h>

/* n from 1. */
void allocation_fail(unsigned n);
/* Lets all succeed again; returns whether the failure has happened. */
bool allocation_succeed(void);

#endif
