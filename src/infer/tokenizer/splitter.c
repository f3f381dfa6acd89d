#include "infer/tokenizer/splitter.h"

#include "base/mix.h"
#include "infer/tokenizer/split_pattern.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

const char split_pattern_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const char split_pattern_qwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char split_pattern_llama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char split_pattern_digit[] = "\\p{N}";

/* Backtracking steps that one match may take: the known patterns go back over a run of spaces once. */
enum { MATCH_STEPS_BASE = 1000000, MATCH_STEPS_A_BYTE = 4 };

struct run {
    const struct splitter *splitter;
    pcre2_match_data *matches[SPLIT_STAGES_MAX];
    pcre2_match_context *limits;
    split_piece_fn *visit;
    void *context;
    struct dobby_error *err;
};

dobby_code splitter_add(struct splitter *splitter, const char *pattern, size_t length,
                        struct dobby_error *err)
{
    struct buffer translated = {0};
    int number = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *compiled = NULL;
    if (splitter->stage_count == SPLIT_STAGES_MAX)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_UNSUPPORTED, "more than %d split stages", SPLIT_STAGES_MAX);
    dobby_code code = split_pattern_translate(pattern, length, &translated, err);
    if (code != DOBBY_OK)
        goto done;
    compiled =
        pcre2_compile((PCRE2_SPTR)(translated.bytes != NULL ? translated.bytes : ""), translated.length,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &number, &offset, NULL);
    if (compiled == NULL) {
        PCRE2_UCHAR text[128] = "";
        (void)pcre2_get_error_message(number, text, sizeof(text));
        code = number == PCRE2_ERROR_NOMEMORY
                   ? DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "compiling the split pattern")
                   : DOBBY_FAIL(err, DOBBY_TOKENIZER_UNSUPPORTED, "split pattern: %s", (const char *)text);
        goto done;
    }
    /* Where compiling to machine code is not possible or not allowed, matching interprets: same result. */
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    splitter->stages[splitter->stage_count++] = compiled;
    splitter->patterns = mix64(splitter->patterns ^ length);
    for (size_t i = 0; i < length; i++)
        splitter->patterns = mix64(splitter->patterns ^ (uint8_t)pattern[i]);
done:
    buffer_release(&translated);
    return code;
}

void splitter_release(struct splitter *splitter)
{
    for (size_t i = 0; i < splitter->stage_count; i++)
        pcre2_code_free(splitter->stages[i]);
    *splitter = (struct splitter){0};
}

/* Finds the next match from `at` on; *found is false when there is none. */
static dobby_code find_match(const struct run *run, size_t stage, const char *text, size_t length, size_t at,
                             bool *found)
{
    const pcre2_code *compiled = run->splitter->stages[stage];
    pcre2_match_data *match = run->matches[stage];
    int result = pcre2_match(compiled, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK, match, run->limits);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
        result = pcre2_match(compiled, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match,
                             run->limits);
    *found = result >= 0;
    if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
        return DOBBY_OK;
    if (result == PCRE2_ERROR_NOMEMORY)
        return DOBBY_FAIL(run->err, DOBBY_OUT_OF_MEMORY, "splitting %zu bytes", length);
    if (result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_DEPTHLIMIT ||
        result == PCRE2_ERROR_HEAPLIMIT)
        return DOBBY_FAIL(run->err, DOBBY_LIMIT_EXCEEDED,
                          "the split pattern takes more than %d + %d a byte steps at offset %zu of %zu",
                          MATCH_STEPS_BASE, MATCH_STEPS_A_BYTE, at, length);
    return DOBBY_FAIL(run->err, DOBBY_INTERNAL, "matching the split pattern gave %d", result);
}

static dobby_code run_stage(const struct run *run, size_t stage, const char *text, size_t length)
{
    if (length == 0)
        return DOBBY_OK;
    if (stage == run->splitter->stage_count)
        return run->visit(run->context, text, length, run->err);
    size_t done = 0; /* up to here the pieces were passed on */
    size_t at = 0;   /* the search goes on here; beyond done only after an empty match */
    dobby_code code = DOBBY_OK;
    while (at < length && code == DOBBY_OK) {
        bool found = false;
        code = find_match(run, stage, text, length, at, &found);
        if (code != DOBBY_OK || !found)
            break;
        const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(run->matches[stage]);
        size_t begin = offsets[0];
        size_t end = offsets[1];
        if (end <= begin) { /* an empty match splits nothing: look further behind the next character */
            at = begin + 1;
            while (at < length && ((uint8_t)text[at] & 0xC0) == 0x80)
                at++;
            continue;
        }
        code = run_stage(run, stage + 1, text + done, begin - done);
        if (code == DOBBY_OK)
            code = run_stage(run, stage + 1, text + begin, end - begin);
        done = end;
        at = end;
    }
    if (code == DOBBY_OK)
        code = run_stage(run, stage + 1, text + done, length - done);
    return code;
}

dobby_code splitter_run(const struct splitter *splitter, const char *text, size_t length,
                        split_piece_fn *visit, void *context, struct dobby_error *err)
{
    struct run run = {.splitter = splitter, .visit = visit, .context = context, .err = err};
    dobby_code code = DOBBY_OK;
    size_t steps = MATCH_STEPS_BASE + length * MATCH_STEPS_A_BYTE;
    run.limits = pcre2_match_context_create(NULL);
    if (run.limits == NULL)
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "splitting %zu bytes", length);
    else
        (void)pcre2_set_match_limit(run.limits, steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX);
    for (size_t i = 0; i < splitter->stage_count && code == DOBBY_OK; i++) {
        run.matches[i] = pcre2_match_data_create(1, NULL);
        if (run.matches[i] == NULL)
            code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "splitting %zu bytes", length);
    }
    if (code == DOBBY_OK)
        code = run_stage(&run, 0, text, length);
    for (size_t i = 0; i < splitter->stage_count; i++)
        pcre2_match_data_free(run.matches[i]);
    pcre2_match_context_free(run.limits);
    return code;
}
