/* Text of any bytes, in two spans, through a byte-level tokenizer with NFC and the Qwen2 pattern. Every byte
 * has a token, so that decoding must give back the text when it is valid and in NFC. */
#include "base/utf8.h"
#include "infer/tokenizer/normalize.h"
#include "infer/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All 256 bytes in the byte-level spelling, a few merges, one special token. */
static struct tokenizer *make_tokenizer(void)
{
    static const char head[] =
        "{\"normalizer\":{\"type\":\"NFC\"},\"added_tokens\":[{\"id\":260,\"content\":\"<|x|>\",\"special\":"
        "true}],"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"behavior\":"
        "\"Isolated\","
        "\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{"
        "N}|"
        " ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},\"model\":{\"vocab\":{";
    static const char tail[] = "\"aa\":256,\"aaaa\":257,\"ab\":258,\"\xC3\x83\xC2\xA9\":259},"
                               "\"merges\":[\"a a\",\"aa aa\",\"a b\",\"\xC3\x83 \xC2\xA9\"]}}";
    struct buffer json = {0};
    struct tokenizer *tokenizer = NULL;
    struct dobby_error err = {0};
    if (buffer_append_string(&json, head, &err) != DOBBY_OK)
        abort();
    for (uint32_t byte = 0, next = 256; byte < 256; byte++) {
        bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
        char text[5] = {0};
        (void)utf8_encode(itself ? byte : next++, text);
        if (buffer_append_format(&json, &err, "\"%s%s\":%u,", byte == '"' || byte == '\\' ? "\\" : "", text,
                                 byte) != DOBBY_OK)
            abort();
    }
    if (buffer_append_string(&json, tail, &err) != DOBBY_OK ||
        tokenizer_from_json(json.bytes, json.length, &tokenizer, &err) != DOBBY_OK)
        abort();
    buffer_release(&json);
    return tokenizer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *tokenizer;
    struct token_list ids = {0};
    struct buffer repaired = {0};
    struct buffer want = {0};
    struct buffer have = {0};
    struct dobby_error err = {0};
    if (tokenizer == NULL)
        tokenizer = make_tokenizer();
    size_t cut = size > 0 ? data[0] % size : 0;
    const char *text = (const char *)data;
    const struct text_span spans[] = {{.bytes = text, .length = cut},
                                      {.bytes = text + cut, .length = size - cut}};
    if (tokenizer_encode(tokenizer, spans, 2, &ids, &err) != DOBBY_OK ||
        tokenizer_decode(tokenizer, ids.ids, ids.count, true, &have, &err) != DOBBY_OK ||
        utf8_append_repaired(&repaired, text, cut, &err) != DOBBY_OK ||
        utf8_append_repaired(&repaired, text + cut, size - cut, &err) != DOBBY_OK ||
        normalize_append_nfc(&want, repaired.bytes, repaired.length, &err) != DOBBY_OK)
        abort();
    if (have.length != want.length || (have.length > 0 && memcmp(have.bytes, want.bytes, have.length) != 0))
        abort();
    for (size_t i = 0; i < ids.count; i++) {
        if (ids.ids[i] == 260) /* neither span may hold special tokens */
            abort();
    }
    token_list_release(&ids);
    buffer_release(&repaired);
    buffer_release(&want);
    buffer_release(&have);
    return 0;
}
