/* The backends that the contract suite runs on. */
#ifndef CONTRACT_BACKEND_HELPER_H
#define CONTRACT_BACKEND_HELPER_H

#include "store/store.h"

struct backend {
    const char *name;
    /* A new, empty store. Fails the test when it cannot be made. */
    struct store *(*open)(void);
};
enum { BACKEND_COUNT = 2 };
extern const struct backend backends[BACKEND_COUNT];

/* A fresh directory for the test's files, removed by backends_release. */
const char *backends_directory(void);
void backends_release(void);

#endif
