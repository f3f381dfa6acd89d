/* "Did you mean ...?" */
#ifndef APP_SUGGEST_H
#define APP_SUGGEST_H

#include <stddef.h>

enum { SUGGEST_WORD_BYTES_MAX = 63 };

/* Edits (insert, delete, replace, swap of neighbours) between two words; SIZE_MAX when one is longer than
 * SUGGEST_WORD_BYTES_MAX. */
size_t suggest_distance(const char *a, const char *b);
/* The candidate that word was probably meant to be: the nearest within a third of its length, the first
 * of equals, or one that word is the beginning of. NULL when none is near. */
const char *suggest_nearest(const char *word, const char *const candidates[], size_t count);

#endif
