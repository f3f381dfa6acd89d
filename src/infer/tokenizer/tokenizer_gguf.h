/* A tokenizer from the metadata of a GGUF file. */
#ifndef INFER_TOKENIZER_TOKENIZER_GGUF_H
#define INFER_TOKENIZER_TOKENIZER_GGUF_H

#include "infer/format/gguf.h"

/* The caller frees *out. Fails: TOKENIZER_INVALID, TOKENIZER_UNSUPPORTED, LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code tokenizer_from_gguf(const struct gguf *gguf, struct tokenizer **out,
                                               struct dobby_error *err);

#endif
