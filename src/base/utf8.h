/* UTF-8: validation, repair, and safe display. Source: The Unicode Standard, tables 3-7 and 3-8. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buffer.h"

/* Bytes of the longest valid prefix. */
size_t utf8_valid_prefix(const char *bytes, size_t length);
bool utf8_is_valid(const char *bytes, size_t length);

/* Appends bytes with each maximal invalid part replaced by one U+FFFD. */
DOBBY_NODISCARD dobby_code utf8_append_repaired(struct buffer *out, const char *bytes, size_t length,
                                                struct dobby_error *err);
/* Appends bytes for a terminal or a log line: C0 controls, DEL and invalid bytes as \xNN,
 * newline as \n, tab as \t, C1 controls and bidirectional marks as \u{...}; the rest as it is. */
DOBBY_NODISCARD dobby_code utf8_append_display(struct buffer *out, const char *bytes, size_t length,
                                               struct dobby_error *err);
/* Decodes one code point at bytes (length > 0). Returns its bytes (1 to 4) and sets *code_point, or
 * returns the bytes of the maximal invalid part (1 to 3) and sets *code_point to UINT32_MAX. */
size_t utf8_decode(const char *bytes, size_t length, uint32_t *code_point);
/* Writes code_point (a scalar value) to out (4 bytes of room); returns the bytes written. */
size_t utf8_encode(uint32_t code_point, char *out);
/* Columns of a terminal that the text takes; controls count 0. */
size_t utf8_display_width(const char *bytes, size_t length);

#endif
