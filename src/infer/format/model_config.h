/* Reading a model's configuration out of its metadata: pure functions over parsed or raw bytes. */
#ifndef INFER_FORMAT_MODEL_CONFIG_H
#define INFER_FORMAT_MODEL_CONFIG_H

#include "infer/format/gguf.h"

/* The texts of a Hugging Face directory; only config is required, the others may be NULL. tokenizer is
 * tokenizer.json, asked only which token begins a prompt, and only for Llama models. */
struct huggingface_texts {
    const char *config, *generation_config, *tokenizer_config, *chat_template, *tokenizer;
    size_t config_length, generation_config_length, tokenizer_config_length, chat_template_length,
        tokenizer_length;
};

/* All of the configuration but qkv_bias, which the tensors tell. The vocabulary, and for GGUF tied_head, come
 * from the tensors. Sizes are within the limits and fit each other; tokens are within the vocabulary.
 * name stays empty where the source has none. Fails: MODEL_CORRUPT, MODEL_UNSUPPORTED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code model_config_from_gguf(const struct gguf *gguf, struct model_config *out,
                                                  struct dobby_error *err);
DOBBY_NODISCARD dobby_code model_config_from_json(const struct huggingface_texts *texts,
                                                  struct model_config *out, struct dobby_error *err);

/* Shared by both readers. */
DOBBY_NODISCARD dobby_code model_config_check(const struct model_config *config, struct dobby_error *err);
/* Adds a token that ends generation, once. Fails: MODEL_UNSUPPORTED beyond MODEL_END_TOKENS_MAX,
 * MODEL_CORRUPT outside the vocabulary. */
DOBBY_NODISCARD dobby_code model_config_add_end(struct model_config *config, int64_t token,
                                                struct dobby_error *err);
/* Keeps as much of a name as fits, as displayable UTF-8. */
DOBBY_NODISCARD dobby_code model_config_set_name(struct model_config *config, const char *name, size_t length,
                                                 struct dobby_error *err);
/* NULL: no template. */
enum chat_format model_config_chat_of(const char *chat_template, size_t length);

#endif
