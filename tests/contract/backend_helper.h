/* The backends that the contract suite runs on. */
#ifndef CONTRACT_BACKEND_HELPER_H
#define CONTRACT_BACKEND_HELPER_H

#include "store/store.h"

struct backend {
    const char *name;
    /* A new, empty store; *store is NULL when it cannot be made. */
    dobby_code (*try_open)(struct store **store, struct dobby_error *err);
    /* The same, but fails the test when it cannot be made. */
    struct store *(*open)(void);
};
enum { BACKEND_COUNT = 2 };
extern const struct backend backends[BACKEND_COUNT];

/* A fresh directory for the test's files, removed by backends_release. */
const char *backends_directory(void);
void backends_release(void);

#endif
