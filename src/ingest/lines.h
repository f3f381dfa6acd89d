/* A text as measured lines: what the layout chunker cuts between. */
#ifndef INGEST_LINES_H
#define INGEST_LINES_H

#include "infer/tokenizer/tokenizer.h"
#include "ingest/lexer.h"

/* Counts tokens; keeps its scratch between calls. A zeroed scratch is ready. */
struct measure {
    const struct tokenizer *tokenizer;
    struct token_list scratch;
};
/* The tokens of these bytes alone. Fails as tokenizer_encode. */
DOBBY_NODISCARD dobby_code measure_tokens(struct measure *measure, const char *bytes, size_t length,
                                          uint32_t *tokens, struct dobby_error *err);
void measure_release(struct measure *measure);

/* A line with its newline, or a piece of a line that alone has more than tokens_max tokens. */
struct line {
    size_t offset;
    uint32_t length;
    uint32_t tokens; /* at most tokens_max */
    uint16_t depth;
    uint16_t flags; /* LINE_*; later pieces of a line are INSIDE */
};
struct line_list {
    struct line *lines;
    size_t count, capacity;
};
void line_list_release(struct line_list *list);

/* Reads all of text. tokens_max is at least LIMIT_CHUNK_TOKENS_MIN. Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code lines_read(const char *text, size_t length, const struct syntax *syntax,
                                      uint32_t tokens_max, struct measure *measure, struct line_list *out,
                                      struct dobby_error *err);

/* The largest offset in (0, at] where text may be cut without splitting a UTF-8 sequence; at < length. */
size_t utf8_cut(const char *text, size_t length, size_t at);

#endif
