/* From the regular expressions that tokenizer files hold to equivalent ones for PCRE2: a pure function.
 *
 * The files are written for Oniguruma. What both read alike passes; \s and \S are spelled out, since PCRE2
 * counts U+180E among the spaces; everything that they read differently, or that is unknown, is refused. */
#ifndef INFER_TOKENIZER_SPLIT_PATTERN_H
#define INFER_TOKENIZER_SPLIT_PATTERN_H

#include "base/buffer.h"

/* Appends the translation. Fails: TOKENIZER_UNSUPPORTED (naming the offset), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code split_pattern_translate(const char *pattern, size_t length, struct buffer *out,
                                                   struct dobby_error *err);

#endif
