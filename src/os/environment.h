/* The environment's variables, one after the other. */
#ifndef OS_ENVIRONMENT_H
#define OS_ENVIRONMENT_H

#include <stddef.h>

/* "NAME=value" of the index-th variable; NULL: there are no more. Borrowed. */
const char *environment_at(size_t index);

#endif
