#include "ingest/chunker.h"

#include "base/limits.h"
#include "ingest/chunker_parts.h"
#include "ingest/lines.h"

#include <stdlib.h>
#include <string.h>

void chunk_list_release(struct chunk_list *list)
{
    free(list->chunks);
    *list = (struct chunk_list){0};
}

dobby_code chunk_list_append(struct chunk_list *list, size_t offset, size_t length, struct dobby_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 32 : list->capacity * 2;
        struct chunk *chunks = realloc(list->chunks, capacity * sizeof(*chunks));
        if (chunks == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu chunks of a file", capacity);
        list->chunks = chunks;
        list->capacity = capacity;
    }
    list->chunks[list->count++] = (struct chunk){.offset = offset, .length = length};
    return DOBBY_OK;
}

const struct chunker *chunker_for(const char *language)
{
    (void)language; /* layout reads every language's syntax from its table */
    return &chunker_layout;
}

/* Where to halve a chunk: behind the newline nearest to its middle, else between two characters. */
static size_t halving_cut(const char *text, size_t length)
{
    size_t middle = length / 2;
    const char *after = memchr(text + middle, '\n', length - 1 - middle);
    size_t before = middle;
    while (before > 0 && text[before - 1] != '\n')
        before--;
    size_t right = after != NULL ? (size_t)(after - text) + 1 : length;
    if (before > 0 && (right == length || middle - before <= right - middle))
        return before;
    return right < length ? right : utf8_cut(text, length, middle);
}

/* Appends the chunk to *out, halved until each part keeps the budget. */
static dobby_code append_within_budget(const struct chunker_input *input, const struct chunk *chunk,
                                       struct measure *measure, struct chunk_list *out,
                                       struct dobby_error *err)
{
    /* Ends are a stack, the nearest on top: halving at most doubles nothing but its height. */
    enum { HALVINGS_MAX = 64 };
    size_t ends[HALVINGS_MAX];
    size_t height = 0;
    size_t at = chunk->offset;
    ends[height++] = chunk->offset + chunk->length;
    while (height > 0) {
        size_t end = ends[height - 1];
        uint32_t tokens;
        dobby_code code = measure_tokens(measure, input->text + at, end - at, &tokens, err);
        if (code != DOBBY_OK)
            return code;
        if (tokens > input->tokens_max) {
            if (end - at < 2 || height == HALVINGS_MAX)
                return DOBBY_FAIL(err, DOBBY_INTERNAL, "%zu bytes have %u tokens, the budget is %u", end - at,
                                  tokens, input->tokens_max);
            ends[height++] = at + halving_cut(input->text + at, end - at);
            continue;
        }
        code = chunk_list_append(out, at, end - at, err);
        if (code != DOBBY_OK)
            return code;
        at = end;
        height--;
    }
    return DOBBY_OK;
}

static void number_lines(const char *text, struct chunk_list *list)
{
    uint32_t line = 1;
    for (size_t i = 0; i < list->count; i++) {
        struct chunk *chunk = &list->chunks[i];
        chunk->first_line = line;
        const char *at = text + chunk->offset;
        const char *end = at + chunk->length;
        while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
            line++;
            at++;
        }
        /* A newline ends its line; the next line has not begun within this chunk. */
        chunk->last_line = end[-1] == '\n' ? line - 1 : line;
    }
}

dobby_code chunker_split(const struct chunker *chunker, const struct chunker_input *input,
                         struct chunk_list *out, struct dobby_error *err)
{
    *out = (struct chunk_list){0};
    struct chunk_list rough = {0};
    struct measure measure = {.tokenizer = input->tokenizer};
    dobby_code code = DOBBY_OK;
    if (input->length == 0 || input->length > LIMIT_FILE_BYTES ||
        input->tokens_max < LIMIT_CHUNK_TOKENS_MIN) {
        code = DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED,
                          "%zu bytes into chunks of %u tokens: 1 to %zu bytes and at least %u tokens",
                          input->length, input->tokens_max, LIMIT_FILE_BYTES, LIMIT_CHUNK_TOKENS_MIN);
        goto done;
    }
    code = chunker->split(input, &rough, err);
    if (code != DOBBY_OK)
        goto done;
    size_t at = 0;
    for (size_t i = 0; i < rough.count && code == DOBBY_OK; i++) {
        const struct chunk *chunk = &rough.chunks[i];
        if (chunk->offset != at || chunk->length == 0 || chunk->length > input->length - at)
            code = DOBBY_FAIL(err, DOBBY_INTERNAL, "chunker %s: chunk %zu does not follow the one before",
                              chunker->name, i);
        else
            code = append_within_budget(input, chunk, &measure, out, err);
        at += chunk->length;
    }
    if (code == DOBBY_OK && at != input->length)
        code =
            DOBBY_FAIL(err, DOBBY_INTERNAL, "chunker %s lost %zu bytes", chunker->name, input->length - at);
    if (code == DOBBY_OK)
        number_lines(input->text, out);
done:
    if (code != DOBBY_OK)
        chunk_list_release(out);
    chunk_list_release(&rough);
    measure_release(&measure);
    return code;
}
