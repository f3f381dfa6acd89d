/* Prompt templates: whatever parses also renders within its promised spans, and values come through. */
#include "pipeline/prompt.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_render(const struct prompt_template *prompt, const struct prompt_values *values)
{
    size_t room = prompt_template_span_count(prompt), plain = 0;
    struct text_span *spans = calloc(room, sizeof(*spans));
    assert(spans != NULL);
    size_t count = prompt_render(prompt, values, spans);
    assert(count <= room);
    volatile char last = 0;
    for (size_t i = 0; i < count; i++) {
        assert(spans[i].length > 0);
        last = spans[i].bytes[0];
        last = spans[i].bytes[spans[i].length - 1];
        plain += !spans[i].special;
    }
    (void)last;
    assert(plain > 0 || values->content_length == 0);
    free(spans);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct dobby_error err = {0};
    struct prompt_template *prompt;
    dobby_code code =
        prompt_template_parse("fuzz", (const char *)data + 1, size - 1, (data[0] & 1) != 0, &prompt, &err);
    if (code != DOBBY_OK) {
        assert(prompt == NULL && err.detail[0] != '\0');
        return 0;
    }
    struct prompt_values full = {.path = "a/b.c", .language = "c", .content = "{path}", .content_length = 6};
    struct prompt_values empty = {.path = "", .language = NULL, .content = "", .content_length = 0};
    check_render(prompt, &full);
    check_render(prompt, &empty);
    assert(prompt_template_id(prompt)[0] != '\0');
    prompt_template_free(prompt);
    return 0;
}
