/* Tokens that are found in text as they are, before it is normalised and split: <|im_start|> and the like. */
#ifndef INFER_TOKENIZER_ADDED_TOKENS_H
#define INFER_TOKENIZER_ADDED_TOKENS_H

#include "base/arena.h"

struct added_token {
    const char *bytes; /* borrowed */
    size_t length;     /* not 0 */
    int32_t id;
    bool late; /* looked for only in what lies between the others ("normalized": true in tokenizer.json) */
};

struct added_tokens {
    struct added_token *tokens; /* sorted by first byte, then the longest first */
    size_t count;
    uint32_t first[257]; /* tokens that begin with byte b: first[b] up to first[b + 1] */
};

struct added_match {
    size_t begin, end;
    int32_t id; /* -1: none found */
};

/* Sorts the tokens and fills `first`. Fails: TOKENIZER_INVALID when two have the same bytes. */
DOBBY_NODISCARD dobby_code added_tokens_finish(struct added_tokens *added, struct dobby_error *err);
/* The leftmost token in text from `begin` on, the longest among those that begin there. */
struct added_match added_tokens_find(const struct added_tokens *added, bool late, const char *text,
                                     size_t begin, size_t end);

#endif
