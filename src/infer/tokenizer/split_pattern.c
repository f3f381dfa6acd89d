#include "infer/tokenizer/split_pattern.h"

#include <string.h>

/* The White_Space property of Unicode, which is Oniguruma's \s. */
#define SPACES                                                                                               \
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"     \
    "\\x{3000}"

struct translator {
    const char *pattern;
    size_t length;
    size_t at;
    bool in_class;
    struct buffer *out;
    struct dobby_error *err;
};

static dobby_code refuse(const struct translator *t, const char *what)
{
    return DOBBY_FAIL(t->err, DOBBY_TOKENIZER_UNSUPPORTED, "split pattern, offset %zu: %s", t->at, what);
}

static char peek(const struct translator *t, size_t ahead)
{
    return t->length - t->at > ahead ? t->pattern[t->at + ahead] : '\0';
}

static dobby_code copy(struct translator *t, size_t count)
{
    dobby_code code = buffer_append(t->out, t->pattern + t->at, count, t->err);
    t->at += count;
    return code;
}

static dobby_code replace(struct translator *t, size_t count, const char *text)
{
    t->at += count;
    return buffer_append_string(t->out, text, t->err);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* \p{Name} and \P{Name} */
static dobby_code translate_property(struct translator *t)
{
    size_t count = 3;
    while (is_letter(peek(t, count)) || peek(t, count) == '_')
        count++;
    if (peek(t, 2) != '{' || count == 3 || peek(t, count) != '}')
        return refuse(t, "\\p without {Name}");
    return copy(t, count + 1);
}

static dobby_code translate_escape(struct translator *t)
{
    char escaped = peek(t, 1);
    switch (escaped) {
    case 's':
        if (t->in_class && peek(t, 2) == '-' && peek(t, 3) != ']')
            return refuse(t, "a range from \\s");
        return replace(t, 2, t->in_class ? SPACES : "[" SPACES "]");
    case 'S':
        return t->in_class ? refuse(t, "\\S in a class") : replace(t, 2, "[^" SPACES "]");
    case 'p':
    case 'P':
        return translate_property(t);
    case 'd':
    case 'D':
    case 'r':
    case 'n':
    case 't':
    case 'f':
        return copy(t, 2);
    default:
        if (escaped <= ' ' || escaped > '~' || is_letter(escaped) || is_digit(escaped))
            return refuse(t, "an escape that is not known");
        return copy(t, 2);
    }
}

/* ( (?: (?= (?! (?> (?<= (?<! (?i: */
static dobby_code translate_group(struct translator *t)
{
    static const char *const known[] = {"?:", "?=", "?!", "?>", "?<=", "?<!", "?i:"};
    if (peek(t, 1) == '*')
        return refuse(t, "a verb");
    if (peek(t, 1) != '?')
        return copy(t, 1);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t count = strlen(known[i]);
        if (t->length - t->at - 1 >= count && memcmp(t->pattern + t->at + 1, known[i], count) == 0)
            return copy(t, count + 1);
    }
    return refuse(t, "a group that is not known");
}

/* {2} {2,} {2,3}. What may follow means different things: {2}+ is possessive only in PCRE2. */
static dobby_code translate_repeat(struct translator *t)
{
    size_t count = 1;
    while (is_digit(peek(t, count)))
        count++;
    if (count == 1)
        return refuse(t, "a brace that is no repetition");
    if (peek(t, count) == ',')
        count++;
    while (is_digit(peek(t, count)))
        count++;
    if (peek(t, count) != '}' || peek(t, count + 1) == '+' || peek(t, count + 1) == '?')
        return refuse(t, "a repetition that is not known");
    return copy(t, count + 1);
}

static dobby_code translate_in_class(struct translator *t)
{
    char c = peek(t, 0);
    if (c == '\\')
        return translate_escape(t);
    if (c == '[' || (c == '&' && peek(t, 1) == '&'))
        return refuse(t, "a class within a class");
    t->in_class = c != ']';
    return copy(t, 1);
}

static dobby_code translate_outside(struct translator *t)
{
    switch (peek(t, 0)) {
    case '\\':
        return translate_escape(t);
    case '(':
        return translate_group(t);
    case '{':
        return translate_repeat(t);
    case '.':
    case '^':
    case '$':
        return refuse(t, "., ^ and $ depend on the meaning of lines");
    case '[': {
        size_t count = peek(t, 1) == '^' ? 2 : 1;
        if (peek(t, count) == ']')
            return refuse(t, "a class that begins with ]");
        t->in_class = true;
        return copy(t, count);
    }
    default:
        return copy(t, 1);
    }
}

dobby_code split_pattern_translate(const char *pattern, size_t length, struct buffer *out,
                                   struct dobby_error *err)
{
    struct translator t = {.pattern = pattern, .length = length, .out = out, .err = err};
    dobby_code code = DOBBY_OK;
    while (t.at < length && code == DOBBY_OK)
        code = t.in_class ? translate_in_class(&t) : translate_outside(&t);
    if (code == DOBBY_OK && t.in_class)
        code = refuse(&t, "a class without its end");
    return code;
}
