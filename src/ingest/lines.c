#include "ingest/lines.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Source text has 3 to 4 bytes a token, so a line with 32 for each token allowed is data, and is cut
     * without asking for its exact count. */
    LINE_BYTES_PER_TOKEN = 32,
    /* Bytes of a piece: small against a chunk, so that chunks of pieces fill up well; large enough that
     * the token lost at each border is little. */
    PIECE_BYTES = 256,
};

dobby_code measure_tokens(struct measure *measure, const char *bytes, size_t length, uint32_t *tokens,
                          struct dobby_error *err)
{
    *tokens = 0;
    measure->scratch.count = 0;
    struct text_span span = {.bytes = bytes, .length = length};
    dobby_code code = tokenizer_encode(measure->tokenizer, &span, 1, &measure->scratch, err);
    if (code != DOBBY_OK)
        return code;
    size_t count = measure->scratch.count;
    *tokens = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    return DOBBY_OK;
}

void measure_release(struct measure *measure)
{
    token_list_release(&measure->scratch);
    *measure = (struct measure){0};
}

void line_list_release(struct line_list *list)
{
    free(list->lines);
    *list = (struct line_list){0};
}

static dobby_code append_line(struct line_list *list, struct line line, struct dobby_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : list->capacity * 2;
        struct line *lines = realloc(list->lines, capacity * sizeof(*lines));
        if (lines == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu lines of a file", capacity);
        list->lines = lines;
        list->capacity = capacity;
    }
    list->lines[list->count++] = line;
    return DOBBY_OK;
}

size_t utf8_cut(const char *text, size_t length, size_t at)
{
    /* A valid sequence across the cut has its lead at most 3 bytes before it. */
    for (size_t back = 1; back <= 3 && back < at; back++) {
        uint32_t code_point;
        size_t lead = at - back;
        if (((unsigned char)text[lead] & 0xC0) == 0x80)
            continue;
        size_t bytes = utf8_decode(text + lead, length - lead, &code_point);
        return code_point != UINT32_MAX && bytes > back ? lead : at;
    }
    return at;
}

/* Where to cut the next piece off text: behind a space or a separator if one is near the end of what
 * fits, else anywhere between two characters. */
static size_t piece_length(const char *text, size_t length, size_t bytes_max)
{
    if (length <= bytes_max)
        return length;
    for (size_t at = bytes_max; at > bytes_max - bytes_max / 4; at--)
        if (text[at - 1] != '\0' && strchr(" \t\r,;{}()[]<>", text[at - 1]) != NULL)
            return at;
    return utf8_cut(text, length, bytes_max);
}

static dobby_code append_pieces(struct line_list *list, struct line line, const char *text,
                                uint32_t tokens_max, struct measure *measure, struct dobby_error *err)
{
    size_t left = line.length;
    while (left > 0) {
        const char *at = text + line.offset;
        size_t bytes_max = PIECE_BYTES;
        size_t length;
        for (;; bytes_max /= 2) {
            length = piece_length(at, left, bytes_max);
            dobby_code code = measure_tokens(measure, at, length, &line.tokens, err);
            if (code != DOBBY_OK)
                return code;
            if (line.tokens <= tokens_max)
                break;
            /* 4 bytes are at most 12 tokens: each invalid one becomes U+FFFD. */
            if (bytes_max <= 4)
                return DOBBY_FAIL(err, DOBBY_INTERNAL, "%zu bytes have %u tokens", length, line.tokens);
        }
        line.length = (uint32_t)length;
        dobby_code code = append_line(list, line, err);
        if (code != DOBBY_OK)
            return code;
        line.offset += length;
        line.flags = LINE_INSIDE;
        left -= length;
    }
    return DOBBY_OK;
}

dobby_code lines_read(const char *text, size_t length, const struct syntax *syntax, uint32_t tokens_max,
                      struct measure *measure, struct line_list *out, struct dobby_error *err)
{
    *out = (struct line_list){0};
    struct lexer lexer;
    lexer_init(&lexer, syntax);
    dobby_code code = DOBBY_OK;
    for (size_t at = 0; at < length && code == DOBBY_OK;) {
        const char *newline = memchr(text + at, '\n', length - at);
        size_t bytes = newline != NULL ? (size_t)(newline - text) - at : length - at;
        unsigned flags;
        uint32_t depth = lexer_line(&lexer, text + at, bytes, &flags);
        bytes += newline != NULL;
        struct line line = {
            .offset = at, .length = (uint32_t)bytes, .depth = (uint16_t)depth, .flags = (uint16_t)flags};
        bool whole = bytes <= (size_t)LINE_BYTES_PER_TOKEN * tokens_max;
        if (whole)
            code = measure_tokens(measure, text + at, bytes, &line.tokens, err);
        if (code == DOBBY_OK && whole && line.tokens <= tokens_max)
            code = append_line(out, line, err);
        else if (code == DOBBY_OK)
            code = append_pieces(out, line, text, tokens_max, measure, err);
        at += bytes;
    }
    if (code != DOBBY_OK)
        line_list_release(out);
    return code;
}
