#include "pipeline/quality.h"

#include "pipeline/quality_parts.h"

#include <stdio.h>
#include <string.h>

const char *quality_verdict_name(enum quality_verdict verdict)
{
    static const char *const names[QUALITY_VERDICT_COUNT] = {
        [QUALITY_UNKNOWN] = "unknown",
        [QUALITY_GOOD] = "good",
        [QUALITY_EMPTY] = "empty",
        [QUALITY_LOOPED] = "looped",
        [QUALITY_ECHO_PROMPT] = "echo_prompt",
        [QUALITY_ECHO_INPUT] = "echo_input",
        [QUALITY_WRONG_ALPHABET] = "wrong_alphabet",
        [QUALITY_CUT_OFF] = "cut_off",
        [QUALITY_UNGROUNDED] = "ungrounded",
    };
    return names[verdict];
}

/* The summary as pieces. */
struct pieces {
    struct piece rows[QUALITY_WORDS_MAX];
    size_t count, words;
    const char *bytes; /* what was looked at */
    size_t length;
};

static void read_pieces(const struct quality_input *input, struct pieces *out)
{
    out->bytes = input->summary;
    out->length =
        input->summary_length < QUALITY_SUMMARY_BYTES ? input->summary_length : QUALITY_SUMMARY_BYTES;
    out->count = out->words = 0;
    struct piece_reader reader = {.bytes = out->bytes, .length = out->length};
    while (out->count < QUALITY_WORDS_MAX && piece_next(&reader, &out->rows[out->count])) {
        out->words += out->rows[out->count].kind == PIECE_WORD;
        out->count++;
    }
}

/* ---- loops --------------------------------------------------------------------------------------- */

enum {
    PERIOD_MAX = 64,        /* words that repeat as one: a sentence */
    PERIOD_SENTENCE = 6,    /* as long as this, saying it twice in a row is a loop; below it, thrice */
    SAME_WORD_REPEATS = 3,  /* "very very very" may be meant, a fourth is not */
    TRIGRAM_WORDS_MIN = 20, /* in fewer words some trigrams repeat by chance */
    TRIGRAM_SLOTS = 2 * QUALITY_WORDS_MAX,
    BYTE_PERIOD_MAX = 4, /* the bytes of one code point */
    BYTE_RUN = 24
};

/* True when some words follow each other again and again. */
static bool words_repeat(const uint64_t *words, size_t count)
{
    for (size_t period = 1; period <= PERIOD_MAX && period < count; period++) {
        const size_t enough = period == 1                ? SAME_WORD_REPEATS
                              : period < PERIOD_SENTENCE ? 2 * period
                                                         : period;
        size_t run = 0;
        for (size_t i = period; i < count && run < enough; i++)
            run = words[i] == words[i - period] ? run + 1 : 0;
        if (run == enough)
            return true;
    }
    return false;
}

/* True when two in five of the word triples were there before: turning in circles without an exact period. */
static bool trigrams_repeat(const uint64_t *words, size_t count)
{
    if (count < TRIGRAM_WORDS_MIN)
        return false;
    uint64_t slots[TRIGRAM_SLOTS] = {0};
    size_t repeated = 0;
    for (size_t i = 0; i + 2 < count; i++) {
        const uint64_t mixed =
            ((words[i] * 0x9E3779B97F4A7C15 ^ words[i + 1]) * 0xC2B2AE3D27D4EB4F) ^ words[i + 2];
        const uint64_t key = mixed != 0 ? mixed : 1; /* 0 marks a free slot */
        size_t slot = (size_t)(key >> 32) % TRIGRAM_SLOTS;
        while (slots[slot] != 0 && slots[slot] != key)
            slot = (slot + 1) % TRIGRAM_SLOTS;
        repeated += slots[slot] == key;
        slots[slot] = key;
    }
    return repeated * 5 >= (count - 2) * 2;
}

/* Signs, or characters of a script without words: the same few bytes over and over. */
static bool bytes_repeat(const char *bytes, size_t length)
{
    for (size_t period = 1; period <= BYTE_PERIOD_MAX; period++) {
        size_t run = 0;
        for (size_t i = period; i < length; i++) {
            run = bytes[i] == bytes[i - period] && bytes[i] != ' ' && bytes[i] != '\n' ? run + 1 : 0;
            if (run + period >= BYTE_RUN)
                return true;
        }
    }
    return false;
}

static bool is_looped(const struct pieces *pieces)
{
    uint64_t words[QUALITY_WORDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < pieces->count; i++)
        if (pieces->rows[i].kind == PIECE_WORD)
            words[count++] = pieces->rows[i].hash;
    return words_repeat(words, count) || trigrams_repeat(words, count) ||
           bytes_repeat(pieces->bytes, pieces->length);
}

/* ---- echoes -------------------------------------------------------------------------------------- */

enum {
    SHINGLE_PIECES = 6, /* in a row: prose about a text shares five words with it by chance, hardly six */
    SHINGLE_SLOTS = 2 * QUALITY_WORDS_MAX,
    CODE_ECHO_MIN = 10,  /* pieces copied: a call and its arguments */
    WHOLE_ECHO_MIN = 12, /* a text of one short sentence is its own best summary */
    LONG_ECHO = 64,      /* longer than one sentence, with its signs */
    MARK_BYTES_MAX = 32
};
#define SHINGLE_BASE 0x9E3779B97F4A7C15u

/* Every run of SHINGLE_PIECES pieces of the summary, found by its hash. */
struct shingles {
    uint64_t hashes[QUALITY_WORDS_MAX];
    uint16_t next[QUALITY_WORDS_MAX]; /* of those with the same hash: index + 1 */
    uint16_t slots[SHINGLE_SLOTS];    /* index + 1 */
    bool hit[QUALITY_WORDS_MAX];      /* it is in the text too */
    size_t count;
};

struct rolling {
    uint64_t window[SHINGLE_PIECES], hash;
    size_t seen;
};

/* Moves the window by one piece; true when it is full. */
static bool roll(struct rolling *rolling, uint64_t piece)
{
    uint64_t top = 1;
    for (size_t i = 1; i < SHINGLE_PIECES; i++)
        top *= SHINGLE_BASE;
    uint64_t *place = &rolling->window[rolling->seen % SHINGLE_PIECES];
    rolling->hash = (rolling->hash - *place * top) * SHINGLE_BASE + piece;
    *place = piece;
    return ++rolling->seen >= SHINGLE_PIECES;
}

/* The slot that holds this hash, or a free one. */
static size_t find_slot(const struct shingles *shingles, uint64_t hash)
{
    size_t slot = (size_t)(hash >> 32) % SHINGLE_SLOTS;
    while (shingles->slots[slot] != 0 && shingles->hashes[shingles->slots[slot] - 1] != hash)
        slot = (slot + 1) % SHINGLE_SLOTS;
    return slot;
}

static void make_shingles(const struct pieces *pieces, struct shingles *out)
{
    struct rolling rolling = {0};
    memset(out->slots, 0, sizeof out->slots);
    out->count = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        if (!roll(&rolling, pieces->rows[i].hash))
            continue;
        const size_t at = out->count++;
        out->hashes[at] = rolling.hash;
        const size_t slot = find_slot(out, rolling.hash);
        out->next[at] = out->slots[slot];
        out->slots[slot] = (uint16_t)(at + 1);
    }
}

struct overlap {
    size_t copied, copied_code_signs; /* pieces of the summary that lie in a shared shingle */
    size_t longest;                   /* pieces in a row */
    size_t text, text_copied;         /* pieces of the text, and of those the shared ones */
};

static void measure_summary(const struct pieces *pieces, const struct shingles *shingles, struct overlap *out)
{
    size_t until = 0, run = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        if (i < shingles->count && shingles->hit[i])
            until = i + SHINGLE_PIECES;
        run = i < until ? run + 1 : 0;
        out->copied += i < until;
        out->copied_code_signs += i < until && pieces->rows[i].kind == PIECE_CODE_SIGN;
        out->longest = run > out->longest ? run : out->longest;
    }
}

static struct overlap find_overlap(const struct pieces *pieces, struct shingles *shingles, const char *text,
                                   size_t length)
{
    struct overlap overlap = {0};
    struct rolling rolling = {0};
    struct piece_reader reader = {.bytes = text, .length = length};
    struct piece piece;
    size_t copied_until = 0;
    memset(shingles->hit, 0, sizeof shingles->hit);
    while (piece_next(&reader, &piece)) {
        overlap.text++;
        if (!roll(&rolling, piece.hash))
            continue;
        uint16_t at = shingles->slots[find_slot(shingles, rolling.hash)];
        if (at == 0)
            continue;
        const size_t start = overlap.text - SHINGLE_PIECES;
        overlap.text_copied += overlap.text - (start > copied_until ? start : copied_until);
        copied_until = overlap.text;
        for (; at != 0 && !shingles->hit[at - 1]; at = shingles->next[at - 1])
            shingles->hit[at - 1] = true;
    }
    measure_summary(pieces, shingles, &overlap);
    return overlap;
}

static bool contains(const char *text, size_t length, const char *part, size_t part_length)
{
    for (size_t at = 0; at + part_length <= length; at++) {
        const char *found = memchr(text + at, part[0], length - part_length + 1 - at);
        if (found == NULL)
            return false;
        if (memcmp(found, part, part_length) == 0)
            return true;
        at = (size_t)(found - text);
    }
    return false;
}

/* "<|im_start|>" and its like, unless the content speaks of them. */
static bool has_chat_mark(const struct quality_input *input, const struct pieces *pieces)
{
    const char *const bytes = pieces->bytes;
    for (size_t at = 0; at + 1 < pieces->length; at++) {
        if (bytes[at] != '<' || bytes[at + 1] != '|')
            continue;
        for (size_t end = at + 3; end < pieces->length && end < at + MARK_BYTES_MAX; end++)
            if (bytes[end - 1] == '|' && bytes[end] == '>')
                return !contains(input->content, input->content_length, bytes + at, end + 1 - at);
    }
    return false;
}

static enum quality_verdict find_echo(const struct quality_input *input, const struct pieces *pieces)
{
    struct shingles shingles;
    if (has_chat_mark(input, pieces))
        return QUALITY_ECHO_PROMPT;
    if (pieces->count < SHINGLE_PIECES)
        return QUALITY_GOOD;
    make_shingles(pieces, &shingles);
    struct overlap overlap = find_overlap(pieces, &shingles, input->instructions, input->instructions_length);
    if (overlap.copied * 2 >= pieces->count)
        return QUALITY_ECHO_PROMPT;
    overlap = find_overlap(pieces, &shingles, input->content, input->content_length);
    const bool code = overlap.copied >= CODE_ECHO_MIN && overlap.copied * 5 >= pieces->count * 3 &&
                      overlap.copied_code_signs * 6 >= overlap.copied;
    const bool whole = overlap.copied >= WHOLE_ECHO_MIN && overlap.copied * 5 >= pieces->count * 4 &&
                       overlap.text_copied * 5 >= overlap.text * 4;
    return code || whole || overlap.longest >= LONG_ECHO ? QUALITY_ECHO_INPUT : QUALITY_GOOD;
}

/* ---- the alphabet -------------------------------------------------------------------------------- */

static bool is_wrong_alphabet(const struct quality_input *input, const struct pieces *pieces,
                              enum script *which)
{
    uint64_t ours[SCRIPT_COUNT] = {0}, source[SCRIPT_COUNT] = {0}, letters = 0, strange = 0;
    script_count(pieces->bytes, pieces->length, ours);
    script_count(input->content, input->content_length, source);
    *which = SCRIPT_NONE;
    for (int i = SCRIPT_LATIN; i < SCRIPT_COUNT; i++) {
        letters += ours[i];
        if (ours[i] == 0 || i == SCRIPT_LATIN || (source[i] > 0 && i != SCRIPT_BROKEN))
            continue;
        strange += ours[i];
        if (*which == SCRIPT_NONE || ours[i] > ours[*which])
            *which = (enum script)i;
    }
    return strange > 0 && strange * 4 >= letters;
}

/* ---- the verdict --------------------------------------------------------------------------------- */

static bool has_word(const struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        const struct piece *piece = &pieces->rows[i];
        for (size_t j = 0; piece->kind == PIECE_WORD && j < piece->length; j++)
            if (piece->bytes[j] != '_')
                return true;
    }
    return false;
}

enum quality_verdict quality_check(const struct quality_input *input, char reason[QUALITY_REASON_BYTES])
{
    struct pieces pieces;
    enum script script;
    reason[0] = '\0';
    read_pieces(input, &pieces);
    if (!has_word(&pieces) && !is_looped(&pieces)) {
        snprintf(reason, QUALITY_REASON_BYTES, "empty summary");
        return QUALITY_EMPTY;
    }
    if (is_looped(&pieces)) {
        snprintf(reason, QUALITY_REASON_BYTES, "looped: it repeats itself");
        return QUALITY_LOOPED;
    }
    const enum quality_verdict echo = find_echo(input, &pieces);
    if (echo != QUALITY_GOOD) {
        snprintf(reason, QUALITY_REASON_BYTES,
                 echo == QUALITY_ECHO_PROMPT ? "echo of the prompt" : "echo of the input");
        return echo;
    }
    if (is_wrong_alphabet(input, &pieces, &script)) {
        snprintf(reason, QUALITY_REASON_BYTES, "wrong alphabet: %s letters", script_name(script));
        return QUALITY_WRONG_ALPHABET;
    }
    if (input->finish == FINISH_LENGTH) {
        snprintf(reason, QUALITY_REASON_BYTES, "cut off at %u tokens", (unsigned)input->tokens_out);
        return QUALITY_CUT_OFF;
    }
    return quality_ground(input, pieces.bytes, pieces.length, reason) ? QUALITY_GOOD : QUALITY_UNGROUNDED;
}
