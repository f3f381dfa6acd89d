#include "tokenizer_helper.h"

#include "infer/format/model_file.h"
#include "unit/test.h"

static struct tokenizer *opened;

const struct tokenizer *embedded_tokenizer(void)
{
    if (opened != NULL)
        return opened;
    struct dobby_error err;
    struct model_file *model = NULL;
    assert_ok(model_file_open(DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf", &model, &err),
              &err);
    dobby_code code = model_file_tokenizer(model, &opened, &err);
    model_file_close(model);
    assert_ok(code, &err);
    return opened;
}

void embedded_tokenizer_close(void)
{
    tokenizer_free(opened);
    opened = NULL;
}

size_t token_count(const char *bytes, size_t length)
{
    struct token_list list = {0};
    struct text_span span = {.bytes = bytes, .length = length};
    struct dobby_error err;
    assert_ok(tokenizer_encode(embedded_tokenizer(), &span, 1, &list, &err), &err);
    size_t count = list.count;
    token_list_release(&list);
    return count;
}
