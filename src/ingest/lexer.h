/* A light lexer: enough of a language to know how deep each line is nested and which lines lie inside a
 * string, a comment or a bracket. It never fails: text that it misreads only gets worse cuts. */
#ifndef INGEST_LEXER_H
#define INGEST_LEXER_H

#include "ingest/language.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LINE_BLANK = 1 << 0,
    LINE_INSIDE = 1 << 1,    /* begins inside a string, comment or bracket, or continues the line before */
    LINE_COMMENT = 1 << 2,   /* nothing but a comment */
    LINE_CLOSER = 1 << 3,    /* begins by closing a block: "}", "end", "fi" */
    LINE_CONTINUES = 1 << 4, /* belongs to the line before: "{", "else", ": member(0)" */
    LINE_ENDED = 1 << 5,     /* a statement ends with it */
    LINE_STARTS = 1 << 6,    /* begins something new whatever stands before: a heading */
    LINE_BLOCK_END = 1 << 7, /* begins with "}" */
};
enum { LEXER_DEPTH_MAX = 60000, LEXER_INDENTS_MAX = 64, LEXER_RAW_BYTES = 20 };

enum lexer_state { LEXER_UNKNOWN, LEXER_CODE, LEXER_COMMENT, LEXER_STRING };

struct lexer {
    const struct syntax *syntax;
    enum lexer_state state;
    bool continued;      /* the line before ended with a backslash */
    bool directive;      /* in a preprocessor line */
    bool namespace_next; /* the line before was a namespace without its brace */

    /* of the string that is open */
    char quote[LEXER_RAW_BYTES]; /* what ends it */
    size_t quote_length;
    bool quote_escapes, quote_spans; /* a backslash escapes; it may go over lines */

    uint32_t depth;      /* open brackets that count */
    uint64_t uncounted;  /* bit n: the n-th open bracket is a namespace's and does not count */
    uint32_t open_count; /* all open brackets */

    uint32_t indents[LEXER_INDENTS_MAX]; /* columns of the open indentations */
    size_t indent_count;

    uint32_t heading; /* level that the text is under */
    size_t fence;     /* length of the open code fence; 0: none */
    char fence_byte;
};

void lexer_init(struct lexer *lexer, const struct syntax *syntax);
/* Reads the next line (without its newline): *flags of LINE_*; returns the depth at its start. */
uint32_t lexer_line(struct lexer *lexer, const char *line, size_t length, unsigned *flags);

#endif
