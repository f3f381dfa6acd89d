/* Splitting text into the pieces within which BPE merges, through PCRE2: splitter.c is the only file that
 * includes it.
 *
 * Stages run one after another, each over the pieces of the one before; a stage's matches and what lies
 * between them are all pieces. */
#ifndef INFER_TOKENIZER_SPLITTER_H
#define INFER_TOKENIZER_SPLITTER_H

#include "base/error.h"

enum { SPLIT_STAGES_MAX = 4 };

/* The patterns that model files name instead of spelling out. */
extern const char split_pattern_gpt2[];
extern const char split_pattern_qwen2[];
extern const char split_pattern_llama3[];
extern const char split_pattern_digit[]; /* each digit by itself */

struct splitter {
    void *stages[SPLIT_STAGES_MAX]; /* compiled patterns */
    size_t stage_count;
    uint64_t patterns; /* a hash of their texts, in order */
};

/* A zeroed struct is a splitter that does not split. Fails: TOKENIZER_UNSUPPORTED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code splitter_add(struct splitter *splitter, const char *pattern, size_t length,
                                        struct dobby_error *err);
void splitter_release(struct splitter *splitter);

/* Called for each piece in order; not for empty ones. A failure ends the run. */
typedef dobby_code split_piece_fn(void *context, const char *piece, size_t length, struct dobby_error *err);
/* text: valid UTF-8. Fails: LIMIT_EXCEEDED (the pattern backtracks too much), OUT_OF_MEMORY, or as the
 * visitor does. */
DOBBY_NODISCARD dobby_code splitter_run(const struct splitter *splitter, const char *text, size_t length,
                                        split_piece_fn *visit, void *context, struct dobby_error *err);

#endif
