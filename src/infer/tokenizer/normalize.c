#include "infer/tokenizer/normalize.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum {
    /* The lead byte of U+0300, the first character that NFC may join to the one before it or change. */
    FIRST_LEAD = 0xCC,
    DECOMPOSITION_MAX = 8, /* the longest canonical one has four characters */
    COMBINING_CLASSES = 256
};

struct characters {
    utf8proc_int32_t *at;
    size_t count, capacity;
};

static bool is_low(char byte)
{
    return (uint8_t)byte < FIRST_LEAD;
}

static bool is_continuation(char byte)
{
    return ((uint8_t)byte & 0xC0) == 0x80;
}

bool normalize_is_trivial(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!is_low(text[i]))
            return false;
    }
    return true;
}

/* Room for `more` characters behind the count. */
static dobby_code reserve(struct characters *list, size_t more, struct dobby_error *err)
{
    if (list->capacity - list->count >= more)
        return DOBBY_OK;
    size_t capacity = 2 * list->capacity + more + 64;
    utf8proc_int32_t *at = realloc(list->at, capacity * sizeof(at[0]));
    if (at == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "normalising %zu characters", capacity);
    list->at = at;
    list->capacity = capacity;
    return DOBBY_OK;
}

static unsigned combining_class(utf8proc_int32_t character)
{
    return (unsigned)utf8proc_get_property(character)->combining_class & (COMBINING_CLASSES - 1);
}

static void sort_few(utf8proc_int32_t *run, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        utf8proc_int32_t moved = run[i];
        unsigned class = combining_class(moved);
        size_t at = i;
        for (; at > 0 && combining_class(run[at - 1]) > class; at--)
            run[at] = run[at - 1];
        run[at] = moved;
    }
}

/* A stable counting sort: text of nothing but combining marks must not take quadratic time. */
static void sort_many(utf8proc_int32_t *run, size_t count, utf8proc_int32_t *spare)
{
    size_t begins[COMBINING_CLASSES + 1] = {0};
    for (size_t i = 0; i < count; i++)
        begins[combining_class(run[i]) + 1]++;
    for (size_t i = 1; i <= COMBINING_CLASSES; i++)
        begins[i] += begins[i - 1];
    for (size_t i = 0; i < count; i++)
        spare[begins[combining_class(run[i])]++] = run[i];
    memcpy(run, spare, count * sizeof(run[0]));
}

/* Canonical order: each run of combining marks sorted by class, equal classes as they were. */
static dobby_code order_marks(struct characters *list, struct dobby_error *err)
{
    enum { FEW = 32 };
    size_t end = 0;
    for (size_t begin = 0; begin < list->count; begin = end + 1) {
        end = begin;
        while (end < list->count && combining_class(list->at[end]) != 0)
            end++;
        size_t count = end - begin;
        if (count <= FEW) {
            sort_few(list->at + begin, count);
            continue;
        }
        dobby_code code = reserve(list, count, err);
        if (code != DOBBY_OK)
            return code;
        sort_many(list->at + begin, count, list->at + list->count);
    }
    return DOBBY_OK;
}

/* The Unicode tables of Hugging Face's normaliser end before version 10. What came later and matters here,
 * marks with a combining class and one composite, is to it, and so to the models, a plain character. */
static bool is_too_new(uint32_t character)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
        {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},
        {0xA82C, 0xA82C},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50},
        {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
        {0x11930, 0x11930}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0},
        {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
        {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136},
        {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
    };
    size_t low = 0;
    size_t high = sizeof(ranges) / sizeof(ranges[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (character > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof(ranges) / sizeof(ranges[0]) && character >= ranges[low].first;
}

static dobby_code decompose(struct characters *list, uint32_t character, struct dobby_error *err)
{
    int boundary = 0;
    dobby_code code = reserve(list, DECOMPOSITION_MAX, err);
    if (code != DOBBY_OK)
        return code;
    utf8proc_ssize_t added =
        utf8proc_decompose_char((utf8proc_int32_t)character, list->at + list->count, DECOMPOSITION_MAX,
                                UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
    if (added < 0 || added > DECOMPOSITION_MAX)
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "U+%04X does not decompose", character);
    list->count += (size_t)added;
    return DOBBY_OK;
}

/* Orders and composes what was decomposed, appends it, and empties the list. */
static dobby_code append_composed(struct buffer *out, struct characters *list, struct dobby_error *err)
{
    dobby_code code = order_marks(list, err);
    if (code != DOBBY_OK || list->count == 0)
        return code;
    utf8proc_ssize_t count =
        utf8proc_normalize_utf32(list->at, (utf8proc_ssize_t)list->count, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (count < 0)
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "normalising failed: %s", utf8proc_errmsg(count));
    code = buffer_reserve(out, 4 * (size_t)count, err);
    for (utf8proc_ssize_t i = 0; i < count && code == DOBBY_OK; i++) {
        char bytes[4];
        code = buffer_append(out, bytes, utf8_encode((uint32_t)list->at[i], bytes), err);
    }
    list->count = 0;
    return code;
}

static dobby_code append_run(struct buffer *out, struct characters *list, const char *text, size_t length,
                             struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (size_t at = 0; at < length && code == DOBBY_OK;) {
        uint32_t character = 0;
        size_t step = utf8_decode(text + at, length - at, &character);
        if (is_too_new(character)) {
            code = append_composed(out, list, err);
            if (code == DOBBY_OK)
                code = buffer_append(out, text + at, step, err);
        } else {
            code = decompose(list, character, err);
        }
        at += step;
    }
    return code == DOBBY_OK ? append_composed(out, list, err) : code;
}

dobby_code normalize_append_nfc(struct buffer *out, const char *text, size_t length, struct dobby_error *err)
{
    struct characters list = {0};
    size_t length_before = out->length;
    size_t at = 0;
    dobby_code code = DOBBY_OK;
    while (at < length && code == DOBBY_OK) {
        size_t high = at;
        while (high < length && is_low(text[high]))
            high++;
        /* The character before the run may take its first mark. */
        size_t begin = high;
        while (high < length && begin > at && is_continuation(text[begin - 1]))
            begin--;
        if (high < length && begin > at)
            begin--;
        code = buffer_append(out, text + at, begin - at, err);
        size_t end = high;
        while (end < length && (!is_low(text[end]) || is_continuation(text[end])))
            end++;
        if (code == DOBBY_OK && end > begin)
            code = append_run(out, &list, text + begin, end - begin, err);
        at = end;
    }
    if (code != DOBBY_OK)
        out->length = length_before;
    free(list.at);
    return code;
}
