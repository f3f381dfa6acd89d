/* What a parsed template consists of; shared by the parser and the built-in templates. */
#ifndef PIPELINE_PROMPT_PARTS_H
#define PIPELINE_PROMPT_PARTS_H

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/limits.h"

enum prompt_part_kind {
    PROMPT_PART_UNKNOWN,
    PROMPT_PART_TEXT,
    PROMPT_PART_PATH,
    PROMPT_PART_LANGUAGE,
    PROMPT_PART_CONTENT
};

/* TEXT: literals[offset, offset+length). A placeholder: its value, then, where it stands alone on its
 * line, the line's end at that place; both are left out when the value is empty. */
struct prompt_part {
    enum prompt_part_kind kind;
    size_t offset, length;
};

enum { PROMPT_ID_BYTES = 8 + SHA256_HEX_BYTES };

struct prompt_template {
    char id[PROMPT_ID_BYTES];
    struct buffer literals;
    size_t part_count, placeholder_count;
    struct prompt_part parts[2 * LIMIT_PROMPT_PLACEHOLDERS + 1]; /* literal text before, between, after */
};

#endif
