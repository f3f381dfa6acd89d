#include "pipeline/quality_parts.h"

#include "base/utf8.h"

/* First and last code points of scripts, ascending. Source: the Unicode Standard's block names; signs within
 * the blocks count as letters, which makes no difference to a share of them. */
static const struct {
    uint32_t first, last;
    enum script script;
} ranges[] = {
    {0x00AA, 0x00AA, SCRIPT_LATIN},      {0x00BA, 0x00BA, SCRIPT_LATIN},
    {0x00C0, 0x00D6, SCRIPT_LATIN},      {0x00D8, 0x00F6, SCRIPT_LATIN},
    {0x00F8, 0x02AF, SCRIPT_LATIN},      {0x0370, 0x03FF, SCRIPT_GREEK},
    {0x0400, 0x052F, SCRIPT_CYRILLIC},   {0x0531, 0x058F, SCRIPT_ARMENIAN},
    {0x0591, 0x05FF, SCRIPT_HEBREW},     {0x0600, 0x06FF, SCRIPT_ARABIC},
    {0x0750, 0x077F, SCRIPT_ARABIC},     {0x08A0, 0x08FF, SCRIPT_ARABIC},
    {0x0900, 0x0DFF, SCRIPT_INDIC},      {0x0E01, 0x0E5B, SCRIPT_THAI},
    {0x10A0, 0x10FF, SCRIPT_GEORGIAN},   {0x1100, 0x11FF, SCRIPT_HANGUL},
    {0x1E00, 0x1EFF, SCRIPT_LATIN},      {0x1F00, 0x1FFF, SCRIPT_GREEK},
    {0x3040, 0x312F, SCRIPT_EAST_ASIAN}, {0x3130, 0x318F, SCRIPT_HANGUL},
    {0x31F0, 0x31FF, SCRIPT_EAST_ASIAN}, {0x3400, 0x4DBF, SCRIPT_EAST_ASIAN},
    {0x4E00, 0x9FFF, SCRIPT_EAST_ASIAN}, {0xAC00, 0xD7FF, SCRIPT_HANGUL},
    {0xF900, 0xFAFF, SCRIPT_EAST_ASIAN}, {0xFB1D, 0xFB4F, SCRIPT_HEBREW},
    {0xFB50, 0xFDFF, SCRIPT_ARABIC},     {0xFE70, 0xFEFC, SCRIPT_ARABIC},
    {0xFF21, 0xFF3A, SCRIPT_LATIN},      {0xFF41, 0xFF5A, SCRIPT_LATIN},
    {0xFF66, 0xFF9F, SCRIPT_EAST_ASIAN}, {0x20000, 0x3FFFF, SCRIPT_EAST_ASIAN},
};
enum { RANGE_COUNT = sizeof ranges / sizeof ranges[0] };

enum script script_of(uint32_t code_point)
{
    if (code_point < 0x80) {
        const uint32_t lower = code_point | 0x20;
        return lower >= 'a' && lower <= 'z' ? SCRIPT_LATIN : SCRIPT_NONE;
    }
    if (code_point == 0xFFFD || code_point == UINT32_MAX)
        return SCRIPT_BROKEN;
    size_t low = 0, high = RANGE_COUNT;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (code_point > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < RANGE_COUNT && code_point >= ranges[low].first)
        return ranges[low].script;
    /* Between the scripts above lie others, and from U+2000 signs, arrows, mathematics and pictures. */
    const bool sign = code_point < 0x0370 || (code_point >= 0x2000 && code_point < 0x2C00) ||
                      (code_point >= 0x3000 && code_point < 0x3040) ||
                      (code_point >= 0xE000 && code_point < 0x10000) ||
                      (code_point >= 0x1D000 && code_point < 0x20000) || code_point >= 0xE0000;
    return sign ? SCRIPT_NONE : SCRIPT_OTHER;
}

const char *script_name(enum script script)
{
    static const char *const names[SCRIPT_COUNT] = {
        [SCRIPT_NONE] = "no",           [SCRIPT_LATIN] = "Latin",        [SCRIPT_GREEK] = "Greek",
        [SCRIPT_CYRILLIC] = "Cyrillic", [SCRIPT_ARMENIAN] = "Armenian",  [SCRIPT_HEBREW] = "Hebrew",
        [SCRIPT_ARABIC] = "Arabic",     [SCRIPT_INDIC] = "Indic",        [SCRIPT_THAI] = "Thai",
        [SCRIPT_GEORGIAN] = "Georgian", [SCRIPT_HANGUL] = "Hangul",      [SCRIPT_EAST_ASIAN] = "East Asian",
        [SCRIPT_OTHER] = "unfamiliar",  [SCRIPT_BROKEN] = "undecodable",
    };
    return names[script];
}

void script_count(const char *bytes, size_t length, uint64_t counts[SCRIPT_COUNT])
{
    for (size_t at = 0; at < length;) {
        uint32_t code_point = (unsigned char)bytes[at];
        at += code_point < 0x80 ? 1 : utf8_decode(bytes + at, length - at, &code_point);
        counts[script_of(code_point)]++;
    }
}

/* ---- words and signs ----------------------------------------------------------------------------- */

static bool is_word_byte(unsigned char byte)
{
    const unsigned char lower = byte | 0x20;
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
}

static bool is_white(unsigned char byte)
{
    return byte <= ' ' || byte == 0x7F;
}

/* The signs that prose hardly has and code is full of. Of parentheses it is the opening one right behind a
 * word, as of a call: prose puts a space before (its own). */
static bool is_code_sign(unsigned char byte, unsigned char before)
{
    switch (byte) {
    case '(':
        return is_word_byte(before);
    case '{':
    case '}':
    case '[':
    case ']':
    case ';':
    case '=':
    case '<':
    case '>':
    case '*':
    case '&':
    case '|':
    case '#':
    case '$':
    case '\\':
        return true;
    default:
        return false;
    }
}

/* FNV-1a, with a last mixing so that all bits depend on all bytes. */
uint64_t piece_hash(const char *bytes, size_t length)
{
    uint64_t hash = 0xCBF29CE484222325;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte >= 'A' && byte <= 'Z')
            byte |= 0x20;
        hash = (hash ^ byte) * 0x100000001B3;
    }
    hash ^= hash >> 32;
    hash *= 0xD6E8FEB86659FD93;
    return hash ^ hash >> 32;
}

/* What the code point at a place is to a word: NONE ends it. *length is its bytes. */
static enum piece_kind kind_beyond_ascii(const struct piece_reader *reader, size_t at, size_t *length,
                                         bool *alone)
{
    uint32_t code_point;
    *length = utf8_decode(reader->bytes + at, reader->length - at, &code_point);
    const enum script script = script_of(code_point);
    *alone = script == SCRIPT_EAST_ASIAN || script == SCRIPT_THAI;
    return script == SCRIPT_NONE || script == SCRIPT_BROKEN ? PIECE_SIGN : PIECE_WORD;
}

static size_t word_end(const struct piece_reader *reader, size_t at)
{
    while (at < reader->length) {
        const unsigned char byte = (unsigned char)reader->bytes[at];
        size_t length = 1;
        bool alone = false;
        if (byte < 0x80 ? !is_word_byte(byte)
                        : kind_beyond_ascii(reader, at, &length, &alone) != PIECE_WORD || alone)
            break;
        at += length;
    }
    return at;
}

bool piece_next(struct piece_reader *reader, struct piece *out)
{
    while (reader->at < reader->length && is_white((unsigned char)reader->bytes[reader->at]))
        reader->at++;
    if (reader->at >= reader->length)
        return false;
    const size_t start = reader->at;
    const unsigned char first = (unsigned char)reader->bytes[start];
    size_t length = 1;
    bool alone = true;
    if (first >= 0x80) {
        out->kind = kind_beyond_ascii(reader, start, &length, &alone);
        alone = alone || out->kind == PIECE_SIGN;
    } else if (is_word_byte(first)) {
        out->kind = PIECE_WORD;
        alone = false;
    } else {
        out->kind = is_code_sign(first, start > 0 ? (unsigned char)reader->bytes[start - 1] : ' ')
                        ? PIECE_CODE_SIGN
                        : PIECE_SIGN;
    }
    reader->at = alone ? start + length : word_end(reader, start + length);
    out->bytes = reader->bytes + start;
    out->length = reader->at - start;
    out->hash = piece_hash(out->bytes, out->length);
    return true;
}
