/* The chunker that reads a text's layout: blank lines, brackets, indentation, headings.
 *
 * 1. Lines are grouped into items: what stands at the outermost depth, with its leading comment, up to
 *    the next such thing. An item that is a definition (it has a block) becomes a chunk of its own,
 *    since a summary should be of one function; small items are merged with their neighbours.
 * 2. An item above the budget is grouped again one depth further in, and again; then at blank lines
 *    whatever the depth; then at any line. Lines are never above the budget (lines.h).
 * 3. Token counts are sums over lines. A chunk's own count is nearly always the smaller one; where it
 *    is not, chunker_split cuts once more. */
#include "base/limits.h"
#include "ingest/chunker.h"
#include "ingest/chunker_parts.h"
#include "ingest/lines.h"

#include <string.h>

enum {
    LEVELS_MAX = 16, /* depths that are tried, so that cost stays linear in the text */
    /* Not depths but the last resorts, above LEXER_DEPTH_MAX. */
    LEVEL_BLANK_LINES = UINT16_MAX - 1,
    LEVEL_ANY_LINE = UINT16_MAX,
};

/* A range of lines. */
struct item {
    size_t first, end;
    uint64_t tokens;
    bool definition; /* has a block, and more than a trifle in it */
    bool blank;      /* nothing but white space */
};

struct layout {
    const struct line *lines;
    const char *text;
    const struct syntax *syntax;
    uint32_t tokens_max;
    uint64_t merge_max; /* neighbours are merged up to this */
    uint64_t small;     /* a definition of at most this many tokens is no chunk of its own */
    uint64_t trivial;   /* so little that it joins whatever follows: an #endif, a lone declaration */
    struct chunk_list *out;
    struct dobby_error *err;
};

static const char *line_text(const struct layout *layout, const struct line *line)
{
    return layout->text + line->offset;
}

/* Whether an item begins at line i of a range that begins before it, cutting at depths up to level. */
static bool item_starts(const struct layout *layout, size_t i, uint32_t level)
{
    const struct line *line = &layout->lines[i];
    const struct line *before = &layout->lines[i - 1];
    if (level == LEVEL_ANY_LINE)
        return true;
    if (level == LEVEL_BLANK_LINES)
        return (line->flags & LINE_BLANK) == 0 && (before->flags & LINE_BLANK) != 0;
    if ((line->flags & (LINE_BLANK | LINE_INSIDE | LINE_CLOSER | LINE_CONTINUES)) != 0 || line->depth > level)
        return false;
    if ((line->flags & LINE_STARTS) != 0 || (before->flags & LINE_BLANK) != 0)
        return true;
    if ((before->flags & LINE_ENDED) == 0)
        return false;
    if (before->depth > level || (before->flags & LINE_CLOSER) != 0)
        return true;
    return (line->flags & LINE_COMMENT) != 0 && (before->flags & LINE_COMMENT) == 0;
}

/* The first line of an item that is code, or its end. */
static size_t first_code_line(const struct layout *layout, const struct item *item)
{
    size_t i = item->first;
    while (i < item->end && (layout->lines[i].flags & (LINE_BLANK | LINE_COMMENT)) != 0)
        i++;
    return i;
}

static bool has_word(const char *text, size_t length, const char *const *words)
{
    for (size_t at = 0; at < length;) {
        size_t end = at;
        while (end < length && ((text[end] | 32) >= 'a' && (text[end] | 32) <= 'z'))
            end++;
        for (size_t i = 0; end > at && words[i] != NULL; i++)
            if (strlen(words[i]) == end - at && memcmp(words[i], text + at, end - at) == 0)
                return true;
        at = end + 1;
    }
    return false;
}

/* Imports in brackets and the like are blocks, but nobody wants a summary of them alone. */
static bool is_import(const char *text, size_t length)
{
    static const char *const words[] = {"import", "use", "from", "package", "require", NULL};
    const char *space = memchr(text, ' ', length);
    return has_word(text, space != NULL ? (size_t)(space - text) : length, words);
}

static bool is_definition(const struct layout *layout, const struct item *item)
{
    size_t code = first_code_line(layout, item);
    if ((layout->syntax->flags & SYNTAX_DEFINITIONS) == 0 || item->tokens <= layout->small ||
        code == item->end || is_import(line_text(layout, &layout->lines[code]), layout->lines[code].length))
        return false;
    for (size_t i = code; i < item->end; i++) {
        const struct line *line = &layout->lines[i];
        bool block =
            layout->syntax->kind == LAYOUT_INDENT
                ? (line->flags & (LINE_BLANK | LINE_INSIDE)) == 0 && line->depth > layout->lines[code].depth
                : (line->flags & LINE_BLOCK_END) != 0;
        if (block)
            return true;
    }
    return false;
}

/* Whether an item's members deserve chunks of their own: a class, not a function. */
static bool is_container(const struct layout *layout, const struct item *item)
{
    static const char *const words[] = {"class",  "interface", "impl",     "trait",    "namespace", "module",
                                        "object", "extension", "protocol", "contract", "mod",       "struct",
                                        "enum",   "union",     "record",   "extern",   NULL};
    size_t code = first_code_line(layout, item);
    for (size_t i = code; i < item->end && i < code + 4; i++) {
        const char *text = line_text(layout, &layout->lines[i]);
        size_t length = layout->lines[i].length;
        /* What stands in parentheses are parameters, except a Python class' bases. */
        const char *parenthesis = memchr(text, '(', length);
        if (has_word(text, parenthesis != NULL ? (size_t)(parenthesis - text) : length, words))
            return true;
        if (memchr(text, '{', length) != NULL || parenthesis != NULL)
            return false;
    }
    return false;
}

/* The item that begins at line first of a range that ends at end. */
static struct item next_item(const struct layout *layout, size_t first, size_t end, uint32_t level)
{
    struct item item = {.first = first, .end = first, .blank = true};
    do {
        item.tokens += layout->lines[item.end].tokens;
        item.blank = item.blank && (layout->lines[item.end].flags & LINE_BLANK) != 0;
        item.end++;
        /* Blank lines at the top belong to what follows them. */
    } while (item.end < end &&
             (!item_starts(layout, item.end, level) ||
              (item.blank && item.tokens + layout->lines[item.end].tokens <= layout->tokens_max)));
    item.definition = level < LEVEL_BLANK_LINES && is_definition(layout, &item);
    return item;
}

/* The next depth further in than level that lines of the range have. */
static uint32_t next_level(const struct layout *layout, const struct item *range, uint32_t level)
{
    if (level >= LEVEL_BLANK_LINES)
        return LEVEL_ANY_LINE;
    uint32_t next = LEVEL_BLANK_LINES;
    for (size_t i = range->first; i < range->end; i++) {
        const struct line *line = &layout->lines[i];
        if ((line->flags & (LINE_BLANK | LINE_INSIDE)) == 0 && line->depth > level && line->depth < next)
            next = line->depth;
    }
    return next;
}

static dobby_code emit(const struct layout *layout, const struct item *item)
{
    const struct line *last = &layout->lines[item->end - 1];
    size_t offset = layout->lines[item->first].offset;
    return chunk_list_append(layout->out, offset, last->offset + last->length - offset, layout->err);
}

/* Whether b joins a, which stands right before it. */
static bool merges(const struct layout *layout, const struct item *a, const struct item *b, uint64_t even,
                   bool b_is_last)
{
    uint64_t both = a->tokens + b->tokens;
    if (both > layout->tokens_max)
        return false;
    if (a->blank || b->blank || (b_is_last && b->tokens <= layout->trivial))
        return true;
    /* Parts of one thing: as few and as even as they can be. */
    if (even > 0)
        return a->tokens + b->tokens / 2 <= even;
    if (a->tokens <= layout->trivial)
        return true;
    return !a->definition && !b->definition && both <= layout->merge_max;
}

/* Cuts a range of lines into chunks. even: 0 gives each definition a chunk, else the tokens that each
 * chunk should have. */
static dobby_code split_range(const struct layout *layout, const struct item *range, uint32_t level,
                              unsigned levels, uint64_t even)
{
    dobby_code code = DOBBY_OK;
    struct item pending = {.first = range->first, .end = range->first};
    for (size_t at = range->first; at < range->end && code == DOBBY_OK;) {
        struct item item = next_item(layout, at, range->end, level);
        at = item.end;
        bool is_pending = pending.end > pending.first;
        if (is_pending && merges(layout, &pending, &item, even, at == range->end)) {
            pending.end = item.end;
            pending.tokens += item.tokens;
            pending.definition = pending.definition || item.definition;
            pending.blank = pending.blank && item.blank;
            continue;
        }
        if (is_pending)
            code = emit(layout, &pending);
        pending = item;
        if (code == DOBBY_OK && item.tokens > layout->tokens_max) {
            uint32_t further = levels < LEVELS_MAX || level >= LEVEL_BLANK_LINES
                                   ? next_level(layout, &item, level)
                                   : (uint32_t)LEVEL_BLANK_LINES;
            uint64_t parts = (item.tokens + layout->tokens_max - 1) / layout->tokens_max;
            bool members = level < LEVEL_BLANK_LINES && is_container(layout, &item);
            code = split_range(layout, &item, further, levels + 1,
                               members ? 0 : (item.tokens + parts - 1) / parts);
            pending = (struct item){.first = at, .end = at};
        }
    }
    if (code == DOBBY_OK && pending.end > pending.first)
        code = emit(layout, &pending);
    return code;
}

static dobby_code layout_split(const struct chunker_input *input, struct chunk_list *out,
                               struct dobby_error *err)
{
    struct measure measure = {.tokenizer = input->tokenizer};
    struct line_list lines = {0};
    const struct syntax *syntax = language_syntax(input->language);
    dobby_code code =
        lines_read(input->text, input->length, syntax, input->tokens_max, &measure, &lines, err);
    if (code != DOBBY_OK)
        goto done;
    bool definitions = (syntax->flags & SYNTAX_DEFINITIONS) != 0;
    uint32_t most = input->tokens_max;
    struct layout layout = {
        .lines = lines.lines,
        .text = input->text,
        .syntax = syntax,
        .tokens_max = most,
        /* Prose and data have no definitions: a larger part of them reads better than many small ones. */
        .merge_max = definitions ? most / 4 : most * 3 / 4,
        .small = most / 16,
        .trivial = most / 32,
        .out = out,
        .err = err,
    };
    struct item all = {.end = lines.count};
    code = split_range(&layout, &all, 0, 0, 0);
done:
    line_list_release(&lines);
    measure_release(&measure);
    return code;
}

const struct chunker chunker_layout = {.name = "layout@1", .split = layout_split};
