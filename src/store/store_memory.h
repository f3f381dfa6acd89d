#ifndef STORE_STORE_MEMORY_H
#define STORE_STORE_MEMORY_H

#include "store/store.h"

/* The reference implementation: plain arrays, no I/O, every rule written the obvious way. */
DOBBY_NODISCARD dobby_code store_memory_open(struct store **out, struct dobby_error *err);

#endif
