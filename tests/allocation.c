#include "allocation.h"

#include <stdatomic.h>
#include <stddef.h>

/* The linker's --wrap: calls of malloc come here, and __real_malloc is the library's. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);

/* Allocations until the one that fails; 0 and less: none will. */
static atomic_int left;
static atomic_bool happened;

void allocation_fail(unsigned n)
{
    atomic_store(&happened, false);
    atomic_store(&left, (int)n);
}

bool allocation_succeed(void)
{
    atomic_store(&left, 0);
    return atomic_load(&happened);
}

static bool fails(void)
{
    if (atomic_load(&left) <= 0 || atomic_fetch_sub(&left, 1) != 1)
        return false;
    atomic_store(&happened, true);
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}
