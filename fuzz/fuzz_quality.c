/* Quality gates: any bytes get a verdict, a reason that is valid UTF-8 exactly when it is not good, and the
 * same one twice. The input is summary, content and instructions, separated by NUL. */
#include "base/utf8.h"
#include "pipeline/quality.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text up to the next NUL or the end. */
static const char *part(const char **at, const char *end, size_t *length)
{
    const char *start = *at, *stop = memchr(start, '\0', (size_t)(end - start));
    if (stop == NULL)
        stop = end;
    *length = (size_t)(stop - start);
    *at = stop < end ? stop + 1 : end;
    return start;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *at = (const char *)data + 1, *const end = (const char *)data + size;
    struct quality_input input = {.path = "src/a_b.c", .language = "c", .tokens_out = 48};
    input.finish = (data[0] & 1) != 0 ? FINISH_LENGTH : FINISH_END_TOKEN;
    input.summary = part(&at, end, &input.summary_length);
    input.content = part(&at, end, &input.content_length);
    input.instructions = part(&at, end, &input.instructions_length);
    char reason[QUALITY_REASON_BYTES], again[QUALITY_REASON_BYTES];
    const enum quality_verdict verdict = quality_check(&input, reason);
    assert(verdict > QUALITY_UNKNOWN && verdict < QUALITY_VERDICT_COUNT);
    assert((verdict == QUALITY_GOOD) == (reason[0] == '\0'));
    assert(utf8_is_valid(reason, strlen(reason)));
    assert(quality_check(&input, again) == verdict && strcmp(reason, again) == 0);
    return 0;
}
