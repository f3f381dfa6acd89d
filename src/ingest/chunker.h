/* Splitting one file's text into chunks that a model can read.
 *
 * Any chunker keeps these: chunks are in order, joined they are the file byte for byte, none is empty,
 * each holds at most tokens_max tokens, cuts fall between lines unless one line alone is too long, and never
 * within a UTF-8 sequence. */
#ifndef INGEST_CHUNKER_H
#define INGEST_CHUNKER_H

#include "infer/tokenizer/tokenizer.h"

struct chunk {
    size_t offset, length;          /* in the file's bytes */
    uint32_t first_line, last_line; /* 1-based, inclusive */
};
struct chunk_list {
    struct chunk *chunks;
    size_t count, capacity;
};
void chunk_list_release(struct chunk_list *list);

struct chunker_input {
    const char *text; /* valid UTF-8 or not; no assumption */
    size_t length;    /* > 0 */
    const char *language;
    uint32_t tokens_max;
    const struct tokenizer *tokenizer;
};
/* One way of splitting. chunker_for picks the best for a language: today all get the structure-by-layout
 * chunker (blank lines, braces, indentation). */
struct chunker {
    const char *name; /* with its version: one that cuts any text otherwise is another */
    dobby_code (*split)(const struct chunker_input *input, struct chunk_list *out, struct dobby_error *err);
};
const struct chunker *chunker_for(const char *language);
/* Splits and checks what every chunker promises. Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED, INTERNAL. */
DOBBY_NODISCARD dobby_code chunker_split(const struct chunker *chunker, const struct chunker_input *input,
                                         struct chunk_list *out, struct dobby_error *err);

extern const struct chunker chunker_layout;

#endif
