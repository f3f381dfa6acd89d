/* The null engine's text and tokens: a prompt's tokens are its bytes, three to a token, the first in the
 * lowest bits; the last token is filled up with zeros. Pure. */
#ifndef INFER_NULL_TEXT_H
#define INFER_NULL_TEXT_H

#include "infer/engine.h"
#include "infer/engine_null.h"

enum { NULL_TEXT_VOCABULARY = 1 << (8 * ENGINE_NULL_BYTES_A_TOKEN) };

/* The tokens of engine_null_text. */
uint32_t null_text_tokens(void);
/* Appends the spans' tokens. Fails: LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code null_text_tokenize(const struct text_span *spans, size_t count,
                                              struct token_list *out, struct dobby_error *err);
/* Whether these bytes are in the text of the tokens, each of which is within the vocabulary. */
bool null_text_holds(const int32_t *tokens, size_t count, const char *bytes, size_t length);
/* Fills a zeroed result with the first `count` tokens of the text that is repeated for ever, or with all of
 * the text where it ends with the end token. A failure becomes the result's own: each request gets exactly
 * one. */
void null_text_fill(uint32_t count, enum finish_reason finish, struct engine_result *result);

#endif
