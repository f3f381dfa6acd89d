#include "base/utf8.h"

#include <string.h>

/* Table 3-7: for each leading byte, how many continuation bytes follow and the range of the first one
 * (the others are 80..BF). */
struct lead {
    uint8_t continuations, low, high;
};

static struct lead lead_of(uint8_t byte)
{
    if (byte >= 0xC2 && byte <= 0xDF)
        return (struct lead){1, 0x80, 0xBF};
    if (byte == 0xE0)
        return (struct lead){2, 0xA0, 0xBF};
    if (byte == 0xED)
        return (struct lead){2, 0x80, 0x9F};
    if (byte >= 0xE1 && byte <= 0xEF)
        return (struct lead){2, 0x80, 0xBF};
    if (byte == 0xF0)
        return (struct lead){3, 0x90, 0xBF};
    if (byte >= 0xF1 && byte <= 0xF3)
        return (struct lead){3, 0x80, 0xBF};
    if (byte == 0xF4)
        return (struct lead){3, 0x80, 0x8F};
    return (struct lead){0, 0, 0};
}

size_t utf8_decode(const char *bytes, size_t length, uint32_t *code_point)
{
    const uint8_t *b = (const uint8_t *)bytes;
    if (b[0] < 0x80) {
        *code_point = b[0];
        return 1;
    }
    struct lead lead = lead_of(b[0]);
    *code_point = UINT32_MAX;
    if (lead.continuations == 0)
        return 1;
    static const uint8_t lead_mask[4] = {0, 0x1F, 0x0F, 0x07};
    uint32_t value = b[0] & lead_mask[lead.continuations];
    for (size_t i = 1; i <= lead.continuations; i++) {
        uint8_t low = i == 1 ? lead.low : 0x80;
        uint8_t high = i == 1 ? lead.high : 0xBF;
        if (i >= length || b[i] < low || b[i] > high)
            return i; /* the maximal invalid part ends before this byte */
        value = value << 6 | (b[i] & 0x3Fu);
    }
    *code_point = value;
    return lead.continuations + 1u;
}

size_t utf8_encode(uint32_t code_point, char *out)
{
    uint8_t *b = (uint8_t *)out;
    if (code_point < 0x80) {
        b[0] = (uint8_t)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        b[0] = (uint8_t)(0xC0 | code_point >> 6);
        b[1] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        b[0] = (uint8_t)(0xE0 | code_point >> 12);
        b[1] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
        b[2] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 3;
    }
    b[0] = (uint8_t)(0xF0 | code_point >> 18);
    b[1] = (uint8_t)(0x80 | (code_point >> 12 & 0x3F));
    b[2] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
    b[3] = (uint8_t)(0x80 | (code_point & 0x3F));
    return 4;
}

size_t utf8_valid_prefix(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        uint64_t eight;
        if (length - at >= sizeof eight) { /* most text is ASCII: skip it eight bytes at a time */
            memcpy(&eight, bytes + at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        uint32_t code_point;
        size_t step = utf8_decode(bytes + at, length - at, &code_point);
        if (code_point == UINT32_MAX)
            break;
        at += step;
    }
    return at;
}

bool utf8_is_valid(const char *bytes, size_t length)
{
    return utf8_valid_prefix(bytes, length) == length;
}

dobby_code utf8_append_repaired(struct buffer *out, const char *bytes, size_t length, struct dobby_error *err)
{
    static const char replacement[3] = {'\xEF', '\xBF', '\xBD'}; /* U+FFFD */
    size_t length_before = out->length;
    dobby_code code = DOBBY_OK;
    size_t at = 0;
    while (code == DOBBY_OK && at < length) {
        size_t valid = utf8_valid_prefix(bytes + at, length - at);
        code = buffer_append(out, bytes + at, valid, err);
        at += valid;
        if (code != DOBBY_OK || at == length)
            break;
        uint32_t code_point;
        at += utf8_decode(bytes + at, length - at, &code_point);
        code = buffer_append(out, replacement, sizeof replacement, err);
    }
    if (code != DOBBY_OK)
        out->length = length_before;
    return code;
}

/* Controls that move the cursor or reorder what follows must not reach a terminal from a file's name. */
static bool is_reordering(uint32_t code_point)
{
    return code_point == 0x061C || (code_point >= 0x200E && code_point <= 0x200F) ||
           (code_point >= 0x2028 && code_point <= 0x202E) || (code_point >= 0x2066 && code_point <= 0x2069);
}

static dobby_code append_displayed(struct buffer *out, const char *bytes, size_t length, uint32_t code_point,
                                   struct dobby_error *err)
{
    if (code_point == '\n')
        return buffer_append_string(out, "\\n", err);
    if (code_point == '\t')
        return buffer_append_string(out, "\\t", err);
    if (code_point < 0x20 || code_point == 0x7F)
        return buffer_append_format(out, err, "\\x%02X", (unsigned)code_point);
    if ((code_point >= 0x80 && code_point < 0xA0) || (code_point != UINT32_MAX && is_reordering(code_point)))
        return buffer_append_format(out, err, "\\u{%X}", (unsigned)code_point);
    if (code_point != UINT32_MAX)
        return buffer_append(out, bytes, length, err);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < length; i++)
        code = buffer_append_format(out, err, "\\x%02X", (unsigned)(uint8_t)bytes[i]);
    return code;
}

dobby_code utf8_append_display(struct buffer *out, const char *bytes, size_t length, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (size_t at = 0; code == DOBBY_OK && at < length;) {
        uint32_t code_point;
        size_t step = utf8_decode(bytes + at, length - at, &code_point);
        code = append_displayed(out, bytes + at, step, code_point, err);
        at += step;
    }
    return code;
}

/* Zero-width and double-width ranges, coarse: enough to keep a table's columns aligned. */
static size_t width_of(uint32_t code_point)
{
    if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0))
        return 0;
    if ((code_point >= 0x0300 && code_point <= 0x036F) || (code_point >= 0x200B && code_point <= 0x200F) ||
        (code_point >= 0xFE00 && code_point <= 0xFE0F) || code_point == 0xFEFF)
        return 0;
    if ((code_point >= 0x1100 && code_point <= 0x115F) || (code_point >= 0x2E80 && code_point <= 0xA4CF) ||
        (code_point >= 0xAC00 && code_point <= 0xD7A3) || (code_point >= 0xF900 && code_point <= 0xFAFF) ||
        (code_point >= 0xFE30 && code_point <= 0xFE6F) || (code_point >= 0xFF00 && code_point <= 0xFF60) ||
        (code_point >= 0x1F300 && code_point <= 0x1FAFF) || (code_point >= 0x20000 && code_point <= 0x3FFFD))
        return 2;
    return 1;
}

size_t utf8_display_width(const char *bytes, size_t length)
{
    size_t width = 0;
    for (size_t at = 0; at < length;) {
        uint32_t code_point;
        at += utf8_decode(bytes + at, length - at, &code_point);
        width += width_of(code_point);
    }
    return width;
}
