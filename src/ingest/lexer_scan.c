/* The bytes of a line: brackets, strings and comments. */
#include "ingest/lexer_parts.h"

#include <string.h>

bool lexer_has(const struct lexer *lexer, unsigned flag)
{
    return (lexer->syntax->flags & flag) != 0;
}

bool lexer_is_word_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || (unsigned char)byte >= 0x80;
}

static bool starts_with(const char *at, const char *end, const char *text)
{
    if (text == NULL)
        return false;
    size_t length = strlen(text);
    return (size_t)(end - at) >= length && memcmp(at, text, length) == 0;
}

/* ---- brackets ---- */

static void open_bracket(struct lexer *lexer, bool counts)
{
    if (lexer->open_count < 64) {
        uint64_t bit = (uint64_t)1 << lexer->open_count;
        lexer->uncounted = counts ? lexer->uncounted & ~bit : lexer->uncounted | bit;
    } else {
        counts = true;
    }
    if (lexer->open_count < LEXER_DEPTH_MAX)
        lexer->open_count++;
    if (counts && lexer->depth < LEXER_DEPTH_MAX)
        lexer->depth++;
}

static void close_bracket(struct lexer *lexer)
{
    if (lexer->open_count == 0)
        return;
    lexer->open_count--;
    bool counts = lexer->open_count >= 64 || (lexer->uncounted >> lexer->open_count & 1) == 0;
    if (counts && lexer->depth > 0)
        lexer->depth--;
}

/* ---- strings ---- */

static void open_string(struct lexer *lexer, const char *quote, size_t length, bool escapes, bool spans)
{
    lexer->state = LEXER_STRING;
    memcpy(lexer->quote, quote, length);
    lexer->quote_length = length;
    lexer->quote_escapes = escapes;
    lexer->quote_spans = spans;
}

/* R"x(...)x" of C++ and r#"..."# of Rust; scan->at is at the R. Returns false when it is neither. */
static bool open_raw_string(struct lexer *lexer, struct line_scan *scan)
{
    const char *at = scan->at + 1;
    char quote[LEXER_RAW_BYTES];
    size_t length = 0;
    if (*scan->at == 'R' && at < scan->end && *at == '"') {
        quote[length++] = ')';
        for (at++; at < scan->end && *at != '('; at++) {
            if (length + 1 >= sizeof(quote))
                return false;
            quote[length++] = *at;
        }
        quote[length++] = '"';
    } else if (*scan->at == 'r') {
        quote[length++] = '"';
        for (; at < scan->end && *at == '#'; at++) {
            if (length >= sizeof(quote))
                return false;
            quote[length++] = '#';
        }
        if (length == 1 && at < scan->end && *at != '"')
            return false;
    }
    if (length == 0 || at >= scan->end || (*at != '(' && *at != '"'))
        return false;
    scan->at = at + 1;
    open_string(lexer, quote, length, false, true);
    return true;
}

/* Opens the string that begins at scan->at, or steps over a character literal. Returns false when
 * nothing of the kind begins there. */
static bool open_quoted(struct lexer *lexer, struct line_scan *scan)
{
    const char *at = scan->at;
    char byte = *at;
    size_t left = (size_t)(scan->end - at);
    if ((byte == '"' || byte == '\'') && lexer_has(lexer, SYNTAX_TRIPLE_QUOTES) && left >= 3 &&
        at[1] == byte && at[2] == byte) {
        open_string(lexer, at, 3, true, true);
        scan->at += 3;
        return true;
    }
    if ((byte == '"' && lexer_has(lexer, SYNTAX_DOUBLE_QUOTES)) ||
        (byte == '\'' && lexer_has(lexer, SYNTAX_SINGLE_QUOTES))) {
        open_string(lexer, at, 1, true, lexer_has(lexer, SYNTAX_STRINGS_SPAN));
        scan->at++;
        return true;
    }
    if (byte == '`' && lexer_has(lexer, SYNTAX_BACKTICKS)) {
        open_string(lexer, at, 1, true, true);
        scan->at++;
        return true;
    }
    if (byte == '\'' && lexer_has(lexer, SYNTAX_CHARACTERS)) {
        /* 'x' or '\u{1F600}'; anything else is a lifetime, a digit separator or a label. */
        bool escaped = left > 2 && at[1] == '\\';
        size_t limit = escaped ? 12 : 6;
        for (size_t i = escaped ? 3 : 2; i < left && i < limit; i++) {
            if (at[i] == '\'') {
                scan->at += i + 1;
                return true;
            }
            if (!escaped && ((unsigned char)at[i] & 0xC0) != 0x80)
                break;
        }
        return false;
    }
    if ((byte == 'R' || byte == 'r') && lexer_has(lexer, SYNTAX_RAW_STRINGS) && scan->last != 'w')
        return open_raw_string(lexer, scan);
    return false;
}

/* Steps over "/pattern/" where an expression may begin; scan->at is at the slash. */
static bool skip_regular_expr(struct line_scan *scan)
{
    if (scan->last != 0 && strchr("(,=:[!&|?{};+", scan->last) == NULL)
        return false;
    bool in_class = false;
    for (const char *at = scan->at + 1; at < scan->end; at++) {
        if (*at == '\\')
            at++;
        else if (*at == '[')
            in_class = true;
        else if (*at == ']')
            in_class = false;
        else if (*at == '/' && !in_class) {
            scan->at = at + 1;
            return true;
        }
    }
    return false;
}

static void scan_string(struct lexer *lexer, struct line_scan *scan)
{
    while (scan->at < scan->end) {
        if (lexer->quote_escapes && *scan->at == '\\') {
            scan->at++;
            if (scan->at < scan->end)
                scan->at++;
            continue;
        }
        if ((size_t)(scan->end - scan->at) >= lexer->quote_length &&
            memcmp(scan->at, lexer->quote, lexer->quote_length) == 0) {
            scan->at += lexer->quote_length;
            scan->last = '"';
            lexer->state = LEXER_CODE;
            return;
        }
        scan->at++;
    }
}

static void scan_comment(struct lexer *lexer, struct line_scan *scan)
{
    scan->saw_comment = true;
    for (; scan->at < scan->end; scan->at++) {
        if (starts_with(scan->at, scan->end, lexer->syntax->block_close)) {
            scan->at += strlen(lexer->syntax->block_close);
            lexer->state = LEXER_CODE;
            return;
        }
    }
}

/* One byte or token of code. */
static void scan_code(struct lexer *lexer, struct line_scan *scan)
{
    const struct syntax *syntax = lexer->syntax;
    char byte = *scan->at;
    if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\f' || byte == '\v') {
        scan->at++;
        return;
    }
    if (starts_with(scan->at, scan->end, syntax->line_comments[0]) ||
        starts_with(scan->at, scan->end, syntax->line_comments[1])) {
        scan->saw_comment = true;
        scan->at = scan->end;
        return;
    }
    if (starts_with(scan->at, scan->end, syntax->block_open)) {
        scan->at += strlen(syntax->block_open);
        lexer->state = LEXER_COMMENT;
        scan->saw_comment = true;
        return;
    }
    if (scan->first == 0) {
        scan->first = byte;
        lexer->directive = lexer->directive || (byte == '#' && lexer_has(lexer, SYNTAX_DIRECTIVES));
    }
    if (!lexer->directive) {
        if (open_quoted(lexer, scan) ||
            (byte == '/' && lexer_has(lexer, SYNTAX_REGULAR_EXPRS) && skip_regular_expr(scan))) {
            scan->last = '"';
            return;
        }
        if (byte == '{' || byte == '(' || byte == '[') {
            open_bracket(lexer, !(scan->is_namespace && byte == '{'));
            scan->is_namespace = scan->is_namespace && byte != '{';
        } else if (byte == '}' || byte == ')' || byte == ']') {
            close_bracket(lexer);
        }
    }
    /* 'w' stands for any word byte: only that it was one matters. */
    scan->last = lexer_is_word_byte(byte) ? 'w' : byte;
    scan->at++;
}

void lexer_scan_line(struct lexer *lexer, struct line_scan *scan)
{
    while (scan->at < scan->end) {
        if (lexer->state == LEXER_STRING)
            scan_string(lexer, scan);
        else if (lexer->state == LEXER_COMMENT)
            scan_comment(lexer, scan);
        else
            scan_code(lexer, scan);
    }
}
