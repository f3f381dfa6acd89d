/* Is a generated summary good enough to be kept as one? Pure: a verdict from the texts alone.
 *
 * Gates, in the order in which they are asked; the first that does not pass is the verdict:
 *
 *   EMPTY          no letter and no digit in it
 *   LOOPED         words, or signs, that repeat again and again
 *   ECHO_PROMPT    what the instructions say, or a chat format's marks, instead of an answer to them
 *   ECHO_INPUT     code copied out of the content, the content as a whole, or a long passage of it
 *   WRONG_ALPHABET a quarter or more of the letters is neither Latin nor of a script in the content
 *   CUT_OFF        the limit of tokens was reached before the end token
 *   UNGROUNDED     an identifier that neither content, path nor instructions hold, in any case of letters
 *
 * A comment's sentence may be the best summary of what it documents, so copied prose is an echo only when it
 * is long. Words are compared without regard to the case of ASCII letters.
 *
 * Time grows with the sum of the lengths; memory is a fixed 160 KiB of stack. Of a summary the first
 * QUALITY_SUMMARY_BYTES are looked at, of those QUALITY_WORDS_MAX words and signs, and as many identifiers as
 * QUALITY_IDENTIFIERS_MAX: one that never ends is found out within them. */
#ifndef PIPELINE_QUALITY_H
#define PIPELINE_QUALITY_H

#include "infer/engine.h"

enum quality_verdict {
    QUALITY_UNKNOWN,
    QUALITY_GOOD,
    QUALITY_EMPTY,
    QUALITY_LOOPED,
    QUALITY_ECHO_PROMPT,
    QUALITY_ECHO_INPUT,
    QUALITY_WRONG_ALPHABET,
    QUALITY_CUT_OFF,
    QUALITY_UNGROUNDED,
    QUALITY_VERDICT_COUNT
};
const char *quality_verdict_name(enum quality_verdict verdict); /* "good", "echo_input": for metrics */

enum {
    QUALITY_SUMMARY_BYTES = 16 << 10,
    QUALITY_WORDS_MAX = 2048,
    QUALITY_IDENTIFIERS_MAX = 32,
    QUALITY_REASON_BYTES = 160
};

/* Texts may hold any bytes; a pointer may be NULL where its length is 0. All borrowed. */
struct quality_input {
    const char *summary;
    size_t summary_length;
    enum finish_reason finish;
    uint32_t tokens_out;
    const char *content; /* the record's */
    size_t content_length;
    const char *path, *language; /* the record's; NULL or "": none */
    const char *instructions;    /* the prompt but for what came from the record: prompt_template_text */
    size_t instructions_length;
};

/* reason: a sentence for people about what was found, "" with GOOD. */
enum quality_verdict quality_check(const struct quality_input *input, char reason[QUALITY_REASON_BYTES]);

#endif
