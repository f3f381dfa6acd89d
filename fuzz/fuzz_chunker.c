/* The chunker: any text in any language falls into chunks that keep every promise of ingest/chunker.h.
 * The first byte chooses the language, the second the budget, the rest is the text. */
#include "ingest/chunker.h"
#include "ingest/classify.h"
#include "ingest/language.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A byte-level tokenizer with a token for each byte and two merges, so that counts are not additive. */
static struct tokenizer *make_tokenizer(void)
{
    struct buffer json = {0};
    struct tokenizer *tokenizer = NULL;
    dobby_code code = buffer_append_string(
        &json,
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
        "\"model\":{\"type\":\"BPE\",\"merges\":[\"a a\",\"aa aa\"],\"vocab\":{\"aa\":256,\"aaaa\":257",
        NULL);
    /* GPT-2's alphabet: printable bytes stand for themselves, the others for U+0100 and up. */
    unsigned other = 256;
    for (unsigned byte = 0; byte < 256 && code == DOBBY_OK; byte++) {
        bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
        code = buffer_append_format(&json, NULL, ",\"\\u%04x\":%u", printable ? byte : other++, byte);
    }
    if (code == DOBBY_OK)
        code = buffer_append_string(&json, "}}}", NULL);
    struct dobby_error err = {0};
    if (code != DOBBY_OK || tokenizer_from_json(json.bytes, json.length, &tokenizer, &err) != DOBBY_OK) {
        (void)fprintf(stderr, "no tokenizer: %s\n", err.detail);
        abort();
    }
    buffer_release(&json);
    return tokenizer;
}

static void check(const struct chunker_input *input, const struct chunk_list *list)
{
    size_t at = 0;
    uint32_t line = 1;
    for (size_t i = 0; i < list->count; i++) {
        const struct chunk *chunk = &list->chunks[i];
        if (chunk->offset != at || chunk->length == 0 || chunk->length > input->length - at ||
            chunk->first_line != line)
            abort();
        for (size_t j = 0; j < chunk->length; j++)
            line += input->text[at + j] == '\n';
        struct token_list tokens = {0};
        struct text_span span = {.bytes = input->text + at, .length = chunk->length};
        if (tokenizer_encode(input->tokenizer, &span, 1, &tokens, NULL) != DOBBY_OK ||
            tokens.count > input->tokens_max)
            abort();
        token_list_release(&tokens);
        at += chunk->length;
        if (chunk->last_line != line - (input->text[at - 1] == '\n'))
            abort();
    }
    if (at != input->length)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct tokenizer *tokenizer;
    static const char *const names[] = {"a.c",  "a.cpp", "a.rs", "a.go",   "a.py",   "a.js", "a.java", "a.md",
                                        "a.sh", "a.yml", "a.ml", "a.json", "a.html", "a.h",  "a.php",  "a"};
    if (tokenizer == NULL)
        tokenizer = make_tokenizer();
    if (length < 3)
        return 0;
    const char *name = names[bytes[0] % (sizeof(names) / sizeof(names[0]))];
    const char *text = (const char *)bytes + 2;
    struct chunker_input input = {
        .text = text,
        .length = length - 2,
        .language = language_of(name, text, length - 2),
        .tokens_max = 16 + bytes[1] % 200u,
        .tokenizer = tokenizer,
    };
    (void)classify_content(name, input.text, input.length);
    struct chunk_list list;
    if (chunker_split(chunker_for(input.language), &input, &list, NULL) != DOBBY_OK)
        abort();
    check(&input, &list);
    chunk_list_release(&list);
    return 0;
}
