/* What the lexer's two files share: lexer_scan.c reads the bytes of a line, lexer.c says what the line is. */
#ifndef INGEST_LEXER_PARTS_H
#define INGEST_LEXER_PARTS_H

#include "ingest/lexer.h"

/* What one line showed. */
struct line_scan {
    const char *at, *end;
    char first, last; /* significant bytes of code; 0: none */
    bool saw_comment;
    bool is_namespace; /* its first brace opens a scope that is no nesting to a reader */
};

/* Reads from scan->at to scan->end: brackets, strings and comments move the lexer's state. */
void lexer_scan_line(struct lexer *lexer, struct line_scan *scan);

bool lexer_has(const struct lexer *lexer, unsigned flag); /* of SYNTAX_* */
bool lexer_is_word_byte(char byte);

#endif
