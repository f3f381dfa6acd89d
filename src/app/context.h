/* Whether what is cut and asked fits the model's context. */
#ifndef APP_CONTEXT_H
#define APP_CONTEXT_H

#include "app/config.h"
#include "infer/format/model_file.h"

/* All in tokens. */
struct context_fit {
    uint32_t context; /* of the engine: the configured one, or the model's */
    uint32_t chunk;   /* the longest that ingest cuts */
    uint32_t prompt;  /* its fixed part, with a path of usual length */
    uint32_t answer;  /* kept for the summary */
};
/* What the configuration asks of this model. Fails: as models_open_prompt and tokenizer_encode. */
DOBBY_NODISCARD dobby_code context_measure(const struct config *config, const struct model_file *model,
                                           const struct tokenizer *tokenizer, struct context_fit *out,
                                           struct dobby_error *err);
/* The longest chunk that fits, 0 where none does; below fit->chunk the longest ones will be skipped. */
uint32_t context_chunk_max(const struct context_fit *fit);
/* Fills *err with INGEST_CHUNKS_TOO_LONG and says so, where the longest chunks do not fit; else OK. */
DOBBY_NODISCARD dobby_code context_check(const struct context_fit *fit, struct dobby_error *err);

#endif
