/* What a tokenizer is made of, for the readers that fill one. */
#ifndef INFER_TOKENIZER_TOKENIZER_PARTS_H
#define INFER_TOKENIZER_TOKENIZER_PARTS_H

#include "infer/tokenizer/added_tokens.h"
#include "infer/tokenizer/bpe.h"
#include "infer/tokenizer/splitter.h"

struct tokenizer {
    struct arena arena; /* of bpe and added */
    struct bpe bpe;
    struct added_tokens added;
    struct splitter splitter;
    bool nfc;
};

/* An empty tokenizer, or NULL when out of memory. */
struct tokenizer *tokenizer_new(void);
/* Adds a pattern by its NUL-terminated text. Fails as splitter_add. */
DOBBY_NODISCARD dobby_code tokenizer_add_split(struct tokenizer *tokenizer, const char *pattern,
                                               struct dobby_error *err);

#endif
