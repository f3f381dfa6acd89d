/* A tokenizer.json of any bytes; one that opens must encode and decode. */
#include "infer/tokenizer/tokenizer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer *tokenizer = NULL;
    struct token_list ids = {0};
    struct buffer text = {0};
    struct dobby_error err = {0};
    if (tokenizer_from_json((const char *)data, size, &tokenizer, &err) != DOBBY_OK) {
        if (tokenizer != NULL)
            abort();
        return 0;
    }
    /* The file's own begin is a text that its tokens occur in; short, since its pattern may be slow. */
    const struct text_span span = {
        .bytes = (const char *)data, .length = size < 256 ? size : 256, .special = true};
    if (tokenizer_encode(tokenizer, &span, 1, &ids, &err) == DOBBY_OK &&
        tokenizer_decode(tokenizer, ids.ids, ids.count, true, &text, &err) != DOBBY_OK)
        abort();
    token_list_release(&ids);
    buffer_release(&text);
    tokenizer_free(tokenizer);
    return 0;
}
