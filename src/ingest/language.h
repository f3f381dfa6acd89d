/* Which language a file is in, and how that language looks to the layout chunker. */
#ifndef INGEST_LANGUAGE_H
#define INGEST_LANGUAGE_H

#include <stddef.h>

/* What shows the structure of a text. */
enum layout_kind {
    LAYOUT_UNKNOWN,
    LAYOUT_BRACES,    /* nesting of brackets */
    LAYOUT_INDENT,    /* indentation */
    LAYOUT_HEADINGS,  /* Markdown */
    LAYOUT_PARAGRAPHS /* blank lines alone */
};
enum {
    SYNTAX_DEFINITIONS = 1 << 0,    /* blocks are definitions: each deserves a summary of its own */
    SYNTAX_CHARACTERS = 1 << 1,     /* 'x' is one character, and a lone ' means something else */
    SYNTAX_SINGLE_QUOTES = 1 << 2,  /* 'text' */
    SYNTAX_DOUBLE_QUOTES = 1 << 3,  /* "text" */
    SYNTAX_BACKTICKS = 1 << 4,      /* `text` over any lines */
    SYNTAX_TRIPLE_QUOTES = 1 << 5,  /* three double (or single) quotes, over any lines */
    SYNTAX_STRINGS_SPAN = 1 << 6,   /* "text" may go over lines */
    SYNTAX_RAW_STRINGS = 1 << 7,    /* R"x(text)x" and r#"text"# */
    SYNTAX_DIRECTIVES = 1 << 8,     /* lines that begin with # have a syntax of their own */
    SYNTAX_REGULAR_EXPRS = 1 << 9,  /* /text/ where a value may stand */
    SYNTAX_BRACKETS_JOIN = 1 << 10, /* an open bracket joins lines (Python) */
};
struct syntax {
    enum layout_kind kind;
    unsigned flags;
    const char *line_comments[2]; /* NULL: none */
    const char *block_open, *block_close;
};

/* path's file name, extension, or the text's "#!" line decide; "text" where none is known. Static. */
const char *language_of(const char *path, const char *text, size_t length);
/* Never NULL: an unknown language reads as paragraphs. */
const struct syntax *language_syntax(const char *language);

#endif
