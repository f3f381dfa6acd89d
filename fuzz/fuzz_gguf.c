/* A GGUF file of any bytes: parsed, its configuration read, its weights bound, its tokenizer built. */
#include "base/arena.h"
#include "infer/format/gguf.h"
#include "infer/format/model_config.h"
#include "infer/format/model_weights.h"
#include "infer/tokenizer/tokenizer_gguf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct gguf gguf;
    struct model_config config;
    struct model_weights weights;
    struct tokenizer *tokenizer = NULL;
    struct dobby_error err = {0};
    arena_init(&arena, 0);
    if (gguf_parse(data, size, &arena, &gguf, &err) == DOBBY_OK) {
        volatile uint8_t last = 0;
        for (size_t i = 0; i < gguf.tensors.count; i++)
            last = gguf.tensors.entries[i].data[gguf.tensors.entries[i].bytes - 1];
        (void)last;
        if (model_config_from_gguf(&gguf, &config, &err) == DOBBY_OK &&
            model_weights_bind(&gguf.tensors, false, &config, &arena, &weights, &err) != DOBBY_OK &&
            weights.tensors != NULL)
            abort();
        if (tokenizer_from_gguf(&gguf, &tokenizer, &err) == DOBBY_OK) {
            const struct text_span span = {
                .bytes = (const char *)data, .length = size < 256 ? size : 256, .special = true};
            struct token_list ids = {0};
            if (tokenizer_encode(tokenizer, &span, 1, &ids, &err) != DOBBY_OK && ids.count != 0)
                abort();
            token_list_release(&ids);
        }
        tokenizer_free(tokenizer);
    }
    arena_release(&arena);
    return 0;
}
