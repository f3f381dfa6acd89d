/* Text to tokens and back: byte-level BPE exactly as Hugging Face's tokenizers.
 *
 * Steps: invalid UTF-8 becomes U+FFFD; special tokens are split off where the span allows it; NFC
 * where the file asks for it; the split pattern; byte-level BPE by merge rank.
 * A tokenizer is immutable once open: any number of threads may use it, each with its own scratch. */
#ifndef INFER_TOKENIZER_TOKENIZER_H
#define INFER_TOKENIZER_TOKENIZER_H

#include "base/buffer.h"

struct tokenizer;

/* Text to encode comes as spans that are encoded as if concatenated, so that merges cross their borders,
 * but special tokens ("<|im_end|>") are recognised only where they lie within one special span. */
struct text_span {
    const char *bytes; /* any bytes */
    size_t length;
    bool special; /* recognise special tokens: a prompt template's text. Never a record's content. */
};

struct token_list {
    int32_t *ids;
    size_t count;
    size_t capacity;
};
void token_list_release(struct token_list *list);

/* From the bytes of a tokenizer.json, or from a GGUF file's metadata through model_file_tokenizer().
 * Fails: TOKENIZER_INVALID, TOKENIZER_UNSUPPORTED, JSON_INVALID, LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code tokenizer_from_json(const char *bytes, size_t length, struct tokenizer **out,
                                               struct dobby_error *err);
void tokenizer_free(struct tokenizer *tokenizer);

/* Appends to *out. Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code tokenizer_encode(const struct tokenizer *tokenizer, const struct text_span *spans,
                                            size_t span_count, struct token_list *out,
                                            struct dobby_error *err);
/* Appends the tokens' bytes, special tokens left out unless with_special. The result may end or begin
 * within a UTF-8 sequence when the ids do. Unknown ids are INVALID_ARGUMENT. */
DOBBY_NODISCARD dobby_code tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids,
                                            size_t count, bool with_special, struct buffer *out,
                                            struct dobby_error *err);
/* The id of a special token's text, or -1. */
int32_t tokenizer_special_id(const struct tokenizer *tokenizer, const char *text);
/* Equal for tokenizers that make the same tokens of any text without special tokens, whatever file they are
 * from. */
uint64_t tokenizer_fingerprint(const struct tokenizer *tokenizer);
uint32_t tokenizer_vocabulary(const struct tokenizer *tokenizer); /* largest id + 1 */

#endif
