#include "ingest/lexer.h"

#include <string.h>

/* What one line showed. */
struct line_scan {
    const char *at, *end;
    char first, last; /* significant bytes of code; 0: none */
    bool saw_comment;
    bool is_namespace; /* its first brace opens a scope that is no nesting to a reader */
};

void lexer_init(struct lexer *lexer, const struct syntax *syntax)
{
    *lexer = (struct lexer){.syntax = syntax, .state = LEXER_CODE};
}

static bool has(const struct lexer *lexer, unsigned flag)
{
    return (lexer->syntax->flags & flag) != 0;
}

static bool is_word_byte(char byte)
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

static bool begins_with_word(const char *at, const char *end, const char *const *words)
{
    size_t length = 0;
    while (at + length < end && is_word_byte(at[length]))
        length++;
    for (size_t i = 0; length > 0 && words[i] != NULL; i++)
        if (strlen(words[i]) == length && memcmp(words[i], at, length) == 0)
            return true;
    return false;
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
    if ((byte == '"' || byte == '\'') && has(lexer, SYNTAX_TRIPLE_QUOTES) && left >= 3 && at[1] == byte &&
        at[2] == byte) {
        open_string(lexer, at, 3, true, true);
        scan->at += 3;
        return true;
    }
    if ((byte == '"' && has(lexer, SYNTAX_DOUBLE_QUOTES)) ||
        (byte == '\'' && has(lexer, SYNTAX_SINGLE_QUOTES))) {
        open_string(lexer, at, 1, true, has(lexer, SYNTAX_STRINGS_SPAN));
        scan->at++;
        return true;
    }
    if (byte == '`' && has(lexer, SYNTAX_BACKTICKS)) {
        open_string(lexer, at, 1, true, true);
        scan->at++;
        return true;
    }
    if (byte == '\'' && has(lexer, SYNTAX_CHARACTERS)) {
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
    if ((byte == 'R' || byte == 'r') && has(lexer, SYNTAX_RAW_STRINGS) && scan->last != 'w')
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
        lexer->directive = lexer->directive || (byte == '#' && has(lexer, SYNTAX_DIRECTIVES));
    }
    if (!lexer->directive) {
        if (open_quoted(lexer, scan) ||
            (byte == '/' && has(lexer, SYNTAX_REGULAR_EXPRS) && skip_regular_expr(scan))) {
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
    scan->last = is_word_byte(byte) ? 'w' : byte;
    scan->at++;
}

static void scan_line(struct lexer *lexer, struct line_scan *scan)
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

/* ---- lines ---- */

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (strchr(" \t\r\f\v", line[i]) == NULL || line[i] == '\0')
            return false;
    return true;
}

static unsigned word_flags(const char *at, const char *end)
{
    static const char *const closers[] = {"end",   "End",         "END",      "fi",         "done", "esac",
                                          "endif", "endfunction", "endmacro", "endforeach", NULL};
    static const char *const continuing[] = {"else",    "elif",  "elsif",   "elseif", "except",
                                             "finally", "catch", "rescue",  "ensure", "then",
                                             "do",      "where", "extends", "throws", NULL};
    if (at < end && strchr("})]", *at) != NULL && *at != '\0')
        return LINE_CLOSER | (*at == '}' ? (unsigned)LINE_BLOCK_END : 0);
    if (at < end && strchr("{:?.|&,", *at) != NULL && *at != '\0')
        return LINE_CONTINUES;
    if (begins_with_word(at, end, closers))
        return LINE_CLOSER;
    return begins_with_word(at, end, continuing) ? LINE_CONTINUES : 0;
}

/* Columns of the line's indentation. */
static uint32_t indentation(const char *line, size_t length)
{
    uint32_t column = 0;
    for (size_t i = 0; i < length && column < LEXER_DEPTH_MAX; i++) {
        if (line[i] == '\t')
            column += 8 - column % 8;
        else if (line[i] == ' ')
            column++;
        else
            break;
    }
    return column;
}

static void follow_indentation(struct lexer *lexer, uint32_t column)
{
    while (lexer->indent_count > 0 && lexer->indents[lexer->indent_count - 1] >= column)
        lexer->indent_count--;
    if (column > 0 && lexer->indent_count < LEXER_INDENTS_MAX)
        lexer->indents[lexer->indent_count++] = column;
}

static uint32_t code_line(struct lexer *lexer, const char *line, size_t length, unsigned *flags)
{
    const char *end = line + length;
    const char *first = line;
    while (first < end && strchr(" \t\r\f\v", *first) != NULL && *first != '\0')
        first++;
    bool indented = lexer->syntax->kind == LAYOUT_INDENT;
    bool inside = lexer->state != LEXER_CODE || lexer->continued ||
                  (has(lexer, SYNTAX_BRACKETS_JOIN) && lexer->open_count > 0);
    struct line_scan scan = {.at = line, .end = end};
    static const char *const namespaces[] = {"namespace", "inline", "extern", NULL};
    bool named = begins_with_word(first, end, namespaces) && memchr(line, '(', length) == NULL;
    scan.is_namespace = lexer->namespace_next || (named && end[-1] == '{');
    if (indented && !inside)
        follow_indentation(lexer, indentation(line, length));
    uint32_t depth = indented ? (uint32_t)lexer->indent_count : lexer->depth;
    /* A brace in the first column closes all there is: this heals what #if and #else opened twice. */
    if (!indented && !inside && *line == '}') {
        lexer->depth = 0;
        lexer->open_count = 0;
    }
    scan_line(lexer, &scan);

    *flags |= inside ? LINE_INSIDE : 0;
    if (scan.first == 0 && scan.last == 0 && (scan.saw_comment || inside))
        *flags |= LINE_COMMENT;
    else if (!inside)
        *flags |= word_flags(first, end);
    bool backslash = scan.last == '\\' && scan.at == end && end[-1] == '\\';
    lexer->continued = backslash;
    if (lexer->state == LEXER_STRING && !lexer->quote_spans && end[-1] != '\\')
        lexer->state = LEXER_CODE;
    bool ends =
        indented ? scan.last != 0 : lexer->directive || (scan.last != 0 && strchr(";},", scan.last) != NULL);
    if (ends && !backslash && lexer->state == LEXER_CODE)
        *flags |= LINE_ENDED;
    lexer->directive = lexer->directive && backslash;
    lexer->namespace_next = named && *first == 'n' && scan.last == 'w';
    return depth;
}

static uint32_t heading_line(struct lexer *lexer, const char *line, size_t length, unsigned *flags)
{
    size_t at = 0;
    while (at < length && at < 4 && line[at] == ' ')
        at++;
    size_t run = 0;
    while (at + run < length && line[at + run] == line[at])
        run++;
    bool is_fence = at < length && (line[at] == '`' || line[at] == '~') && run >= 3;
    if (lexer->fence > 0) {
        *flags |= LINE_INSIDE;
        if (is_fence && line[at] == lexer->fence_byte && run >= lexer->fence)
            lexer->fence = 0;
        return lexer->heading;
    }
    if (is_fence) {
        lexer->fence = run;
        lexer->fence_byte = line[at];
    } else if (at < 4 && at < length && line[at] == '#' && run <= 6 &&
               (at + run == length || line[at + run] == ' ' || line[at + run] == '\t')) {
        *flags |= LINE_STARTS;
        lexer->heading = (uint32_t)run;
        return lexer->heading - 1;
    }
    return lexer->heading;
}

uint32_t lexer_line(struct lexer *lexer, const char *line, size_t length, unsigned *flags)
{
    *flags = 0;
    enum layout_kind kind = lexer->syntax->kind;
    if (is_blank(line, length)) {
        *flags = LINE_BLANK | (lexer->state != LEXER_CODE || lexer->fence > 0 ? (unsigned)LINE_INSIDE : 0);
        lexer->continued = false;
        lexer->directive = false;
        if (lexer->state == LEXER_STRING && !lexer->quote_spans)
            lexer->state = LEXER_CODE;
        return kind == LAYOUT_INDENT     ? (uint32_t)lexer->indent_count
               : kind == LAYOUT_HEADINGS ? lexer->heading
                                         : lexer->depth;
    }
    if (kind == LAYOUT_HEADINGS)
        return heading_line(lexer, line, length, flags);
    if (kind == LAYOUT_BRACES || kind == LAYOUT_INDENT)
        return code_line(lexer, line, length, flags);
    return 0;
}
