#include "app/secret.h"

#include <string.h>

static const char mask[] = "***";
static const char password_key[] = "password=";

/* A word ends where a URL in running text would. */
static bool ends_word(char c)
{
    return c == '\0' || c == ' ' || c == '\t' || c == '\n' || c == '"' || c == '\'' || c == '<' || c == '>';
}

static size_t word_length(const char *text)
{
    size_t length = 0;
    while (!ends_word(text[length]))
        length++;
    return length;
}

/* Appends one word. In its authority everything from the first ':' to the last '@' is hidden, since a
 * password that was not percent-encoded may hold '@', '/' and ':' itself. */
static dobby_code append_word(struct buffer *out, const char *word, size_t length, struct dobby_error *err)
{
    size_t begin = 0, hidden_first = length, hidden_end = length, i;
    for (i = 0; i + 3 <= length && begin == 0; i++) {
        if (memcmp(word + i, "://", 3) == 0)
            begin = i + 3;
    }
    for (i = begin; begin > 0 && i < length; i++) {
        if (word[i] == ':' && hidden_first == length)
            hidden_first = i + 1;
        if (word[i] == '@' && hidden_first < length)
            hidden_end = i;
    }
    size_t at = 0;
    dobby_code code = DOBBY_OK;
    if (hidden_end < length) {
        code = buffer_append(out, word, hidden_first, err);
        if (code == DOBBY_OK)
            code = buffer_append_string(out, mask, err);
        at = hidden_end;
    }
    while (code == DOBBY_OK && at < length) {
        const size_t key_length = sizeof password_key - 1;
        const bool is_key = length - at >= key_length && memcmp(word + at, password_key, key_length) == 0;
        if (!is_key) {
            code = buffer_append_byte(out, word[at++], err);
            continue;
        }
        code = buffer_append_string(out, password_key, err);
        if (code == DOBBY_OK)
            code = buffer_append_string(out, mask, err);
        for (at += key_length; at < length && word[at] != '&'; at++)
            continue;
    }
    return code;
}

dobby_code secret_append_masked(struct buffer *out, const char *text, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    while (code == DOBBY_OK && *text != '\0') {
        const size_t length = word_length(text);
        if (length > 0)
            code = append_word(out, text, length, err);
        text += length;
        if (code == DOBBY_OK && *text != '\0')
            code = buffer_append_byte(out, *text++, err);
    }
    return code;
}
