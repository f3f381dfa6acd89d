/* What the gates are made of: a text as words and signs, and the scripts of its letters. */
#ifndef PIPELINE_QUALITY_PARTS_H
#define PIPELINE_QUALITY_PARTS_H

#include "pipeline/quality.h"

/* A word is a run of ASCII letters, digits and _, and of code points beyond ASCII that are letters or
 * unknown; in scripts without spaces each is a word by itself. Everything else but white space is a sign. */
enum piece_kind { PIECE_NONE, PIECE_WORD, PIECE_SIGN, PIECE_CODE_SIGN };

struct piece {
    enum piece_kind kind;
    const char *bytes; /* borrowed from the text */
    size_t length;
    uint64_t hash; /* of the bytes, ASCII letters in lower case */
};

struct piece_reader {
    const char *bytes;
    size_t length, at;
};
/* False at the end. */
bool piece_next(struct piece_reader *reader, struct piece *out);
/* The hash that a word of these bytes has. */
uint64_t piece_hash(const char *bytes, size_t length);

enum script {
    SCRIPT_NONE, /* no letter */
    SCRIPT_LATIN,
    SCRIPT_GREEK,
    SCRIPT_CYRILLIC,
    SCRIPT_ARMENIAN,
    SCRIPT_HEBREW,
    SCRIPT_ARABIC,
    SCRIPT_INDIC,
    SCRIPT_THAI,
    SCRIPT_GEORGIAN,
    SCRIPT_HANGUL,
    SCRIPT_EAST_ASIAN, /* Han, Hiragana, Katakana: Japanese mixes them */
    SCRIPT_OTHER,
    SCRIPT_BROKEN, /* U+FFFD and invalid bytes: no reader can use them */
    SCRIPT_COUNT
};
enum script script_of(uint32_t code_point);
const char *script_name(enum script script);
/* Adds the letters of a text to counts, by script. */
void script_count(const char *bytes, size_t length, uint64_t counts[SCRIPT_COUNT]);

/* True when every identifier in the summary's bytes is in the content, the path, the language's name or the
 * instructions. Else reason names the first that is not. */
bool quality_ground(const struct quality_input *input, const char *summary, size_t length,
                    char reason[QUALITY_REASON_BYTES]);

#endif
