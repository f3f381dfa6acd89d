/* Path patterns, by SQLite's GLOB rules, for stores that have no GLOB of their own.
 *
 *   *      any characters, none too, '/' included
 *   ?      one character (a code point)
 *   [abc]  one of them; [a-z] a range; [^abc] none of them; ']' stands first to be meant itself
 *
 * Case matters. A set that is not closed matches nothing. */
#ifndef STORE_GLOB_H
#define STORE_GLOB_H

#include <stdbool.h>

/* Both are valid UTF-8. Time is at most their lengths' product. */
bool glob_match(const char *pattern, const char *text);

#endif
