#include "store/glob.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Reads one character and moves past it; 0 at the end, where it stays. */
static uint32_t next(const char **text)
{
    if (**text == '\0')
        return 0;
    uint32_t code_point = 0;
    *text += utf8_decode(*text, strnlen(*text, 4), &code_point);
    return code_point;
}

/* Whether c is in the set whose '[' was just read. Moves *pattern behind the ']', or sets it to NULL when
 * the set is not closed. */
static bool set_has(const char **pattern, uint32_t c)
{
    const char *p = *pattern;
    bool inverted = false;
    bool found = false;
    uint32_t before = 0; /* what a '-' would start its range at; 0 where it cannot */

    uint32_t item = next(&p);
    if (item == '^') {
        inverted = true;
        item = next(&p);
    }
    if (item == ']') {
        found = c == ']';
        item = next(&p);
    }
    while (item != 0 && item != ']') {
        if (item == '-' && before != 0 && *p != ']' && *p != '\0') {
            uint32_t last = next(&p);
            found = found || (before <= c && c <= last);
            before = 0;
        } else {
            found = found || item == c;
            before = item;
        }
        item = next(&p);
    }
    *pattern = item == 0 ? NULL : p;
    return item != 0 && found != inverted;
}

/* Matches one character of the text against one item of the pattern; moves both past them. */
static bool match_one(const char **pattern, const char **text)
{
    const char *p = *pattern;
    uint32_t want = next(&p);
    uint32_t c = next(text);
    bool matched = c != 0 && (want == '?' || want == c);
    if (want == '[')
        matched = set_has(&p, c) && c != 0;
    if (matched)
        *pattern = p;
    return matched;
}

bool glob_match(const char *pattern, const char *text)
{
    /* Only the last star need be tried again: what an earlier one could take, the last one can too. */
    const char *star_pattern = NULL;
    const char *star_text = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star_pattern = ++pattern;
            star_text = text;
        } else if (!match_one(&pattern, &text)) {
            if (star_pattern == NULL)
                return false;
            (void)next(&star_text);
            pattern = star_pattern;
            text = star_text;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
