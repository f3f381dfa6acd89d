/* Unicode normalisation, through utf8proc: normalize.c is the only file that includes it. */
#ifndef INFER_TOKENIZER_NORMALIZE_H
#define INFER_TOKENIZER_NORMALIZE_H

#include "base/buffer.h"

/* Whether the text (valid UTF-8) is in NFC for sure: no character from U+0300 on. */
bool normalize_is_trivial(const char *text, size_t length);
/* Appends the NFC form of text (valid UTF-8). Linear in its length, whatever it holds.
 * Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code normalize_append_nfc(struct buffer *out, const char *text, size_t length,
                                                struct dobby_error *err);

#endif
