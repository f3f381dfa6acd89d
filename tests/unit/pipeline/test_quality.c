/* The gates, one row a summary. Most bad ones are what the embedded model wrote about this repository. */
#include "base/utf8.h"
#include "pipeline/prompt.h"
#include "pipeline/quality.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

static const char ring_source[] = "/* Empties the ring; its memory stays. */\n"
                                  "void ring_clear(struct ring *ring)\n"
                                  "{\n"
                                  "    ring->head = ring->tail = 0;\n"
                                  "    log_write(LOG_DEBUG, \"cleared\\nring_state\");\n"
                                  "}\n";

static const char asks[] =
    "Say in one precise sentence what the following code does: what it acts on, and what it "
    "returns or changes. Do not repeat the code.";

struct row {
    const char *name;
    const char *summary;
    const char *content; /* NULL: ring_source */
    enum quality_verdict want;
};

static enum quality_verdict check(const char *summary, const char *content, enum finish_reason finish,
                                  char reason[QUALITY_REASON_BYTES])
{
    const struct quality_input input = {.summary = summary,
                                        .summary_length = strlen(summary),
                                        .finish = finish,
                                        .tokens_out = 48,
                                        .content = content,
                                        .content_length = strlen(content),
                                        .path = "src/ring_buffer.c",
                                        .language = "c",
                                        .instructions = asks,
                                        .instructions_length = sizeof asks - 1};
    return quality_check(&input, reason);
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char reason[QUALITY_REASON_BYTES];
        const char *content = rows[i].content != NULL ? rows[i].content : ring_source;
        const enum quality_verdict verdict = check(rows[i].summary, content, FINISH_END_TOKEN, reason);
        if (verdict != rows[i].want || (verdict == QUALITY_GOOD) != (reason[0] == '\0'))
            fail_msg("%s: %s, not %s: %s", rows[i].name, quality_verdict_name(verdict),
                     quality_verdict_name(rows[i].want), reason);
    }
}

static void plausible_summaries_pass(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a sentence", "Empties the ring buffer by resetting its head and tail.", NULL, QUALITY_GOOD},
        {"one word", "Clears.", NULL, QUALITY_GOOD},
        {"the comment itself", "Empties the ring; its memory stays.", NULL, QUALITY_GOOD},
        {"repeats a phrase once", "The forward pass for the forward pass.", NULL, QUALITY_GOOD},
        {"three equal words", "It is very very very fast.", NULL, QUALITY_GOOD},
        {"an aside", "Rounds 5 up (away from 0), as the standard says.", "Rounds 5 up (away from 0)",
         QUALITY_GOOD},
        {"a short text is its own summary", "A pool of threads.", "# A pool of threads.\n", QUALITY_GOOD},
        {"accents", "Vide l'anneau, et la m\303\251moire reste l\303\240.", NULL, QUALITY_GOOD},
        {"signs and pictures", "Moves head \342\206\222 0 \342\200\224 done \360\237\230\200.", NULL,
         QUALITY_GOOD},
        {"the content's own script",
         "\320\237\320\265\321\207\320\260\321\202\320\260\320\265\321\202 "
         "\320\277\321\200\320\270\320\262\320"
         "\265\321\202.",
         "puts(\"\320\277\321\200\320\270\320\262\320\265\321\202\");", QUALITY_GOOD},
        {"Japanese about a comment in kanji", "\343\203\252\343\203\263\343\202\260\343\202\222\347\251\272",
         "/* \347\251\272 */", QUALITY_GOOD},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void nothing_is_empty(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"nothing", "", NULL, QUALITY_EMPTY},
        {"white space", " \n\t ", NULL, QUALITY_EMPTY},
        {"signs", "...", NULL, QUALITY_EMPTY},
        {"underscores", "__", NULL, QUALITY_EMPTY},
        {"a digit is something", "0", NULL, QUALITY_GOOD},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void loops_are_found(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"three words", "SQLITE is a bit of a bit of a bit of a bit of a bit of", NULL, QUALITY_LOOPED},
        {"one word", "A table (kernels, kernels, kernels, kernels).", NULL, QUALITY_LOOPED},
        {"joined by hyphens", "Scratch of the vector-vector-vector-vector-vector", NULL, QUALITY_LOOPED},
        {"thrice at its end", "A block of data that is freed at once at once at once.", NULL, QUALITY_LOOPED},
        {"a sentence twice", "It resets the head of the ring. It resets the head of the ring.", NULL,
         QUALITY_LOOPED},
        {"in circles, without a period",
         "A packed matrix (product of 4 packed tables) is a packed matrix (product of 4 packed tables) with "
         "a gated "
         "matrix (product of 4 packed tables).",
         NULL, QUALITY_LOOPED},
        {"signs", "JSON ------------------------------------: output.", NULL, QUALITY_LOOPED},
        {"signs alone", ")))))))))))))))))))))))))))))))", NULL, QUALITY_LOOPED},
        {"one Chinese character", "\347\232\204\347\232\204\347\232\204\347\232\204", "\347\232\204",
         QUALITY_LOOPED},
        {"another case", "Rms norm: RMS_norm: rms_norm: RMS_NORM: rms_norm: Rms_norm", NULL, QUALITY_LOOPED},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void echoes_are_found(void **state)
{
    (void)state;
    static const char sentence[] = "Seals the vessel before the valve opens; the crew waits outside until "
                                   "the gauge shows less than two bar.";
    static const struct row rows[] = {
        {"code", "void ring_clear(struct ring *ring) { ring->head = ring->tail = 0; }", NULL,
         QUALITY_ECHO_INPUT},
        {"code after a word", "Code: void ring_clear(struct ring *ring) { ring->head", NULL,
         QUALITY_ECHO_INPUT},
        {"a short call may be named", "Calls log_write(LOG_DEBUG, \"cleared\") once.", NULL, QUALITY_GOOD},
        {"the whole content", sentence, sentence, QUALITY_ECHO_INPUT},
        {"the task", "Say in one precise sentence what the following code does.", NULL, QUALITY_ECHO_PROMPT},
        {"the task within more", "Sure, I say: what it acts on, and what it returns or changes.", NULL,
         QUALITY_ECHO_PROMPT},
        {"a mark of the chat format", "<|im_start|>user", NULL, QUALITY_ECHO_PROMPT},
        {"the content is about such marks", "Writes <|im_start|> first.", "puts(\"<|im_start|>\");",
         QUALITY_GOOD},
        {"five words in common", "Shows what the following code does.", NULL, QUALITY_GOOD},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void strange_alphabets_are_found(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"Chinese",
         "\346\270\205\347\251\272\347\216\257\345\275\242\347\274\223\345\206\262\345\214\272\343\200\202",
         NULL, QUALITY_WRONG_ALPHABET},
        {"half Cyrillic", "Resets \320\272\320\276\320\273\321\214\321\206\320\276 state", NULL,
         QUALITY_WRONG_ALPHABET},
        {"a Greek letter may be a name", "Scales the input by the factor \316\261.", NULL, QUALITY_GOOD},
        {"what cannot be decoded", "\357\277\275\357\277\275\357\277\275 ring", NULL, QUALITY_WRONG_ALPHABET},
        {"though the content cannot either", "\357\277\275\357\277\275\357\277\275 ring", "\357\277\275 ring",
         QUALITY_WRONG_ALPHABET},
        {"Thai about Chinese", "\340\270\245\340\271\211\340\270\262\340\270\207", "\346\270\205",
         QUALITY_WRONG_ALPHABET},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void identifiers_must_be_in_the_source(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"snake case", "Calls ring_reset on it.", NULL, QUALITY_UNGROUNDED},
        {"snake case that is there", "Implements ring_clear for a ring.", NULL, QUALITY_GOOD},
        {"a prefix is not the name", "Implements ring_cl.", NULL, QUALITY_UNGROUNDED},
        {"constant", "Logs at LOG_ERROR.", NULL, QUALITY_UNGROUNDED},
        {"constant that is there", "Logs at LOG_DEBUG.", NULL, QUALITY_GOOD},
        {"case does not matter", "Ring_Clear empties it.", NULL, QUALITY_GOOD},
        {"plural", "Handles the ring_clears of all.", NULL, QUALITY_GOOD},
        {"camel case", "A helper of the BenchTable class.", NULL, QUALITY_UNGROUNDED},
        {"a called word", "A wrapper around stat().", NULL, QUALITY_UNGROUNDED},
        {"a called word that is there", "Calls log_write() once.", NULL, QUALITY_GOOD},
        {"parentheses of prose", "Clears the ring(s) and (if any) its state.", NULL, QUALITY_GOOD},
        {"backticks", "Sets `capacity` to zero.", NULL, QUALITY_UNGROUNDED},
        {"backticks that are there", "Sets `head` and `tail` to `0`.", NULL, QUALITY_GOOD},
        {"one backtick quotes nothing", "Sets ` capacity to zero.", NULL, QUALITY_GOOD},
        {"a namespace", "Uses std::vector here.", NULL, QUALITY_UNGROUNDED},
        {"a member", "Resets ring->head only.", NULL, QUALITY_GOOD},
        {"another member", "Resets ring->count only.", NULL, QUALITY_UNGROUNDED},
        {"a name in an escaped text", "Prints ring_state.", NULL, QUALITY_GOOD},
        {"a name of the path", "Part of ring_buffer in C.", NULL, QUALITY_GOOD},
        {"units and abbreviations", "Reads 4 MiB at 8 kHz of IDs over IPv6.", NULL, QUALITY_GOOD},
        {"names of products", "Stores JavaScript in SQLite for GitHub.", NULL, QUALITY_GOOD},
    };
    check_rows(rows, COUNT_OF(rows));
    char reason[QUALITY_REASON_BYTES];
    assert_int_equal(check("Calls ring_reset.", ring_source, FINISH_END_TOKEN, reason), QUALITY_UNGROUNDED);
    assert_string_equal(reason, "ungrounded: 'ring_reset' is not in the source");
}

static void the_limit_of_tokens_counts_after_loops(void **state)
{
    (void)state;
    char reason[QUALITY_REASON_BYTES];
    assert_int_equal(check("Empties the ring and", ring_source, FINISH_LENGTH, reason), QUALITY_CUT_OFF);
    assert_string_equal(reason, "cut off at 48 tokens");
    assert_int_equal(check("a of a of a of a of", ring_source, FINISH_LENGTH, reason), QUALITY_LOOPED);
}

static void missing_texts_are_empty(void **state)
{
    (void)state;
    char reason[QUALITY_REASON_BYTES];
    assert_int_equal(quality_check(&(struct quality_input){0}, reason), QUALITY_EMPTY);
    const struct quality_input alone = {
        .summary = "Calls f_x.", .summary_length = 10, .finish = FINISH_END_TOKEN};
    assert_int_equal(quality_check(&alone, reason), QUALITY_UNGROUNDED);
}

/* A summary beyond every bound, and a reason whose name would be cut within a character. */
static void bounds_hold(void **state)
{
    (void)state;
    char reason[QUALITY_REASON_BYTES];
    const size_t length = 4 * QUALITY_SUMMARY_BYTES;
    char *summary = malloc(length + 1);
    assert_non_null(summary);
    uint32_t random = 1;
    for (size_t i = 0; i < length; i++) {
        random = random * 1664525 + 1013904223;
        summary[i] = (char)(i % 7 == 6 ? ' ' : 'a' + (random >> 16) % 26);
    }
    summary[length] = '\0';
    assert_int_equal(check(summary, ring_source, FINISH_END_TOKEN, reason), QUALITY_GOOD);
    free(summary);

    char name[128] = "a_";
    for (size_t i = 2; i + 2 < sizeof name; i += 2) {
        name[i] = '\303';
        name[i + 1] = (char)(0xA0 + i % 23); /* U+00E0 and on */
    }
    assert_int_equal(check(name, ring_source, FINISH_END_TOKEN, reason), QUALITY_UNGROUNDED);
    assert_true(utf8_is_valid(reason, strlen(reason)));
}

static void every_verdict_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < QUALITY_VERDICT_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(quality_verdict_name((enum quality_verdict)i),
                                    quality_verdict_name((enum quality_verdict)j));
}

static void a_template_gives_its_text(void **state)
{
    (void)state;
    struct dobby_error err;
    struct prompt_template *prompt;
    static const char text[] = "Describe {path}:\n{content}\n";
    assert_ok(prompt_template_parse("t", text, sizeof text - 1, false, &prompt, &err), &err);
    size_t length;
    const char *literals = prompt_template_text(prompt, &length);
    assert_true(length > 9 && memcmp(literals, "Describe ", 9) == 0);
    assert_null(strstr(literals, "{"));
    prompt_template_free(prompt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plausible_summaries_pass),
        cmocka_unit_test(nothing_is_empty),
        cmocka_unit_test(loops_are_found),
        cmocka_unit_test(echoes_are_found),
        cmocka_unit_test(strange_alphabets_are_found),
        cmocka_unit_test(identifiers_must_be_in_the_source),
        cmocka_unit_test(the_limit_of_tokens_counts_after_loops),
        cmocka_unit_test(missing_texts_are_empty),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(every_verdict_has_a_name),
        cmocka_unit_test(a_template_gives_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
