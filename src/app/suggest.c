#include "app/suggest.h"

#include <stdint.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the edit matrix are enough. */
size_t suggest_distance(const char *a, const char *b)
{
    const size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > SUGGEST_WORD_BYTES_MAX || b_length > SUGGEST_WORD_BYTES_MAX)
        return SIZE_MAX;
    size_t rows[3][SUGGEST_WORD_BYTES_MAX + 1] = {{0}};
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            const size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = smaller(above[j - 1] + cost, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_length];
}

const char *suggest_nearest(const char *word, const char *const candidates[], size_t count)
{
    const size_t length = strlen(word);
    size_t best = length / 3 + 2; /* One more than is accepted. */
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t distance = suggest_distance(word, candidates[i]);
        /* Nothing in common is no likeness: "ls" is not "db". */
        if (distance < best && distance < length && distance < strlen(candidates[i])) {
            best = distance;
            nearest = candidates[i];
        }
    }
    for (size_t i = 0; nearest == NULL && length >= 2 && i < count; i++) {
        if (strncmp(word, candidates[i], length) == 0)
            nearest = candidates[i];
    }
    return nearest;
}
