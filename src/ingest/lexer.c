/* What a line is, and how deep it lies. */
#include "ingest/lexer_parts.h"

#include <string.h>

void lexer_init(struct lexer *lexer, const struct syntax *syntax)
{
    *lexer = (struct lexer){.syntax = syntax, .state = LEXER_CODE};
}

static bool begins_with_word(const char *at, const char *end, const char *const *words)
{
    size_t length = 0;
    while (at + length < end && lexer_is_word_byte(at[length]))
        length++;
    for (size_t i = 0; length > 0 && words[i] != NULL; i++)
        if (strlen(words[i]) == length && memcmp(words[i], at, length) == 0)
            return true;
    return false;
}

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
                  (lexer_has(lexer, SYNTAX_BRACKETS_JOIN) && lexer->open_count > 0);
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
    lexer_scan_line(lexer, &scan);

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
