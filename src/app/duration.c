#include "app/duration.h"

#include <stdlib.h>
#include <string.h>

#define YEAR_MS (INT64_C(366) * 24 * 3600 * 1000)

static const struct {
    const char *name;
    double ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
enum { UNITS = sizeof(units) / sizeof(units[0]) };

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Digits, perhaps with a point among them: what strtod takes more than that is not wanted. */
static bool take_number(const char **at, double *value)
{
    const char *start = *at, *end = start;
    while (is_digit(*end))
        end++;
    if (*end == '.' && end > start && is_digit(end[1]))
        for (end++; is_digit(*end);)
            end++;
    *at = end;
    *value = end > start ? strtod(start, NULL) : 0;
    return end > start;
}

/* The unit at *at, which must come behind `after` in the table; UNITS when there is none. */
static size_t take_unit(const char **at, size_t after)
{
    size_t letters = 0;
    while ((*at)[letters] >= 'a' && (*at)[letters] <= 'z')
        letters++;
    for (size_t i = after; i < UNITS; i++) {
        if (strlen(units[i].name) == letters && strncmp(units[i].name, *at, letters) == 0) {
            *at += letters;
            return i;
        }
    }
    return UNITS;
}

dobby_code duration_parse(const char *name, const char *text, int64_t *ms, struct dobby_error *err)
{
    const char *at = text;
    double total_ms = 0, value;
    size_t next = 0;
    bool good = text[0] != '\0';
    *ms = 0;
    while (good && *at != '\0') {
        good = take_number(&at, &value);
        if (good && *at == '\0' && next == 0) { /* a bare number */
            total_ms = value * 1000;
            break;
        }
        size_t unit = good ? take_unit(&at, next) : UNITS;
        good = unit < UNITS;
        if (good)
            total_ms += value * units[unit].ms;
        next = unit + 1;
    }
    if (!good || total_ms < 1 || total_ms > (double)YEAR_MS)
        return DOBBY_FAIL(err, DOBBY_USAGE,
                          "--%s '%s': give a time such as 90s, 45m, 8h or 1h30m, at most a year", name, text);
    *ms = (int64_t)(total_ms + 0.5);
    return DOBBY_OK;
}
