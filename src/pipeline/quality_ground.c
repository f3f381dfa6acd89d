/* Identifiers in a summary, and whether its source has them.
 *
 * A word is taken for an identifier when it is written as code is: inner_underscore, camelCase, called(),
 * before or after :: or ->, or between backticks. It must be a word of the source. */
#include "base/utf8.h"
#include "pipeline/quality_parts.h"

#include <stdio.h>
#include <string.h>

enum {
    CAMEL_BYTES_MIN = 5, /* shorter ones are units and abbreviations: kHz, MiB, IDs */
    FILTER_BITS = 1024,
    SHOWN_BYTES_MAX = 64
};

/* Names that people write in mixed case and that are no identifiers, as piece_hash spells them. */
static const char *const proper_names[] = {
    "javascript", "typescript", "github",  "gitlab", "postgresql", "mysql",      "sqlite", "openssl",
    "websocket",  "websockets", "graphql", "numpy",  "pytorch",    "tensorflow", "latex",  "macos",
};
enum { PROPER_NAME_COUNT = sizeof proper_names / sizeof proper_names[0] };

struct identifier {
    const char *bytes;
    size_t length;
    uint64_t hash, singular; /* singular: without a final s; equal to hash where there is none */
    bool found;
};

struct identifiers {
    struct identifier rows[QUALITY_IDENTIFIERS_MAX];
    size_t count, missing;
    uint64_t filter[FILTER_BITS / 64]; /* of the hashes: most words of a source are none of them */
};

static bool is_lower(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool is_upper(char byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static bool has_letter(const struct piece *word)
{
    for (size_t i = 0; i < word->length; i++)
        if (is_lower(word->bytes[i]) || is_upper(word->bytes[i]) || (word->bytes[i] & 0x80) != 0)
            return true;
    return false;
}

static bool is_proper_name(const struct piece *word)
{
    for (size_t i = 0; i < PROPER_NAME_COUNT; i++)
        if (word->hash == piece_hash(proper_names[i], strlen(proper_names[i])))
            return true;
    return false;
}

static bool is_camel(const struct piece *word)
{
    bool turns = false;
    for (size_t i = 1; i < word->length; i++)
        turns = turns || (is_lower(word->bytes[i - 1]) && is_upper(word->bytes[i]));
    return turns && word->length >= CAMEL_BYTES_MIN && !is_proper_name(word);
}

static bool has_inner_underscore(const struct piece *word)
{
    for (size_t i = 1; i + 1 < word->length; i++)
        if (word->bytes[i] == '_' && word->bytes[i - 1] != '_')
            return true;
    return false;
}

static bool two_at(const char *text, size_t length, size_t at, const char *two)
{
    return at + 2 <= length && memcmp(text + at, two, 2) == 0;
}

/* Whether the word is written as code is; quoted: it stands between backticks. */
static bool is_identifier(const struct piece *word, const char *text, size_t length, bool quoted)
{
    const size_t start = (size_t)(word->bytes - text), end = start + word->length;
    if (word->length < 2 || !has_letter(word))
        return false;
    const bool after =
        start >= 2 && (two_at(text, length, start - 2, "::") || two_at(text, length, start - 2, "->"));
    const bool before =
        end + 2 < length && (two_at(text, length, end, "::") || two_at(text, length, end, "->"));
    return quoted || after || before || two_at(text, length, end, "()") || has_inner_underscore(word) ||
           is_camel(word);
}

static bool filter_has(const struct identifiers *list, uint64_t hash)
{
    const size_t bit = hash % FILTER_BITS;
    return (list->filter[bit / 64] >> (bit % 64) & 1) != 0;
}

static void filter_add(struct identifiers *list, uint64_t hash)
{
    const size_t bit = hash % FILTER_BITS;
    list->filter[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static void add(struct identifiers *list, const struct piece *word)
{
    struct identifier *row = &list->rows[list->count];
    const bool plural = word->length > 3 && word->bytes[word->length - 1] == 's';
    *row = (struct identifier){.bytes = word->bytes, .length = word->length, .hash = word->hash};
    row->singular = plural ? piece_hash(word->bytes, word->length - 1) : word->hash;
    filter_add(list, row->hash);
    filter_add(list, row->singular);
    list->count++;
    list->missing++;
}

static void collect(const char *text, size_t length, struct identifiers *out)
{
    struct piece_reader reader = {.bytes = text, .length = length};
    struct piece piece;
    bool quoted = false;
    while (out->count < QUALITY_IDENTIFIERS_MAX && piece_next(&reader, &piece)) {
        if (piece.bytes[0] == '`')
            quoted = !quoted && memchr(text + reader.at, '`', length - reader.at) != NULL;
        else if (piece.kind == PIECE_WORD && is_identifier(&piece, text, length, quoted))
            add(out, &piece);
    }
}

static void mark(struct identifiers *list, uint64_t hash)
{
    if (!filter_has(list, hash))
        return;
    for (size_t i = 0; i < list->count; i++) {
        struct identifier *row = &list->rows[i];
        if (!row->found && (row->hash == hash || row->singular == hash)) {
            row->found = true;
            list->missing--;
        }
    }
}

static void look_in(struct identifiers *list, const char *text, size_t length)
{
    struct piece_reader reader = {.bytes = text, .length = length};
    struct piece piece;
    while (list->missing > 0 && piece_next(&reader, &piece)) {
        if (piece.kind != PIECE_WORD)
            continue;
        mark(list, piece.hash);
        /* In "\nname" the escape's letter is no part of the name. */
        if (piece.bytes > text && piece.bytes[-1] == '\\' && piece.length > 1)
            mark(list, piece_hash(piece.bytes + 1, piece.length - 1));
    }
}

bool quality_ground(const struct quality_input *input, const char *summary, size_t length,
                    char reason[QUALITY_REASON_BYTES])
{
    struct identifiers list = {.count = 0};
    collect(summary, length, &list);
    look_in(&list, input->content, input->content_length);
    if (input->path != NULL)
        look_in(&list, input->path, strlen(input->path));
    if (input->language != NULL)
        look_in(&list, input->language, strlen(input->language));
    look_in(&list, input->instructions, input->instructions_length);
    size_t i = 0;
    while (i < list.count && list.rows[i].found)
        i++;
    if (i == list.count)
        return true;
    size_t shown = list.rows[i].length;
    if (shown > SHOWN_BYTES_MAX)
        shown = utf8_valid_prefix(list.rows[i].bytes, SHOWN_BYTES_MAX);
    snprintf(reason, QUALITY_REASON_BYTES, "ungrounded: '%.*s' is not in the source", (int)shown,
             list.rows[i].bytes);
    return false;
}
