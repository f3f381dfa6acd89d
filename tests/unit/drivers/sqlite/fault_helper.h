/* Makes SQLite's memory and files fail on demand: the n-th call from now on fails, once. */
#ifndef UNIT_DRIVERS_SQLITE_FAULT_HELPER_H
#define UNIT_DRIVERS_SQLITE_FAULT_HELPER_H

#include <stdbool.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_MEMORY,
    FAULT_DISK_FULL,  /* a write writes half and reports that there is no room */
    FAULT_WRITE,      /* a write fails */
    FAULT_SYNC,       /* an fsync fails */
    FAULT_READ,       /* a read fails */
    FAULT_SHARED_MAP, /* shared memory cannot be had */
};

/* Puts itself between SQLite and the system. Before the first use of SQLite. */
void fault_install(void);
void fault_arm(enum fault_kind kind, unsigned calls);
/* Returns whether the armed fault has happened. */
bool fault_disarm(void);

#endif
