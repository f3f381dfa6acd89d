/* A model on disk, whatever its format: one view over GGUF files and Hugging Face directories.
 *
 * The files stay mapped until model_file_close; tensors point into the mapping. Every offset, length,
 * shape and type was checked: a tensor's bytes are all readable. */
#ifndef INFER_FORMAT_MODEL_FILE_H
#define INFER_FORMAT_MODEL_FILE_H

#include "infer/tokenizer/tokenizer.h"

enum tensor_type { TENSOR_UNKNOWN, TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0 };
const char *tensor_type_name(enum tensor_type type); /* "Q8_0" */

/* A matrix (rows, columns) with columns contiguous, or a vector (1, columns). Q8_0: blocks of 32 columns,
 * each an F16 scale and 32 int8. */
struct tensor {
    enum tensor_type type;
    uint32_t rows, columns;
    const void *data; /* not necessarily aligned */
    size_t bytes;
};

enum model_architecture { MODEL_ARCHITECTURE_UNKNOWN, MODEL_QWEN2, MODEL_LLAMA };
enum chat_format { CHAT_UNKNOWN, CHAT_NONE, CHAT_CHATML };
enum { MODEL_END_TOKENS_MAX = 8 };

struct model_config {
    enum model_architecture architecture;
    char name[96];
    uint32_t layers, hidden, heads, kv_heads, head_dim, feed_forward, vocabulary;
    uint32_t context_tokens;
    float norm_epsilon;
    float rope_base;
    bool tied_head;        /* the output head is the token embedding */
    bool rope_interleaved; /* Q and K rows are stored for pairs (2i, 2i+1): GGUF files of Llama models */
    bool qkv_bias;
    int32_t end_tokens[MODEL_END_TOKENS_MAX];
    size_t end_token_count;
    int32_t begin_token;   /* prepended to a prompt; -1: none */
    enum chat_format chat; /* CHATML when the chat template uses <|im_start|> */
};

enum weight_role {
    WEIGHT_UNKNOWN,
    WEIGHT_TOKEN_EMBEDDING, /* (vocabulary, hidden) */
    WEIGHT_OUTPUT_NORM,     /* (1, hidden) */
    WEIGHT_OUTPUT_HEAD,     /* (vocabulary, hidden); the embedding when tied */
    WEIGHT_ATTENTION_NORM,  /* (1, hidden); this and all below: one per layer */
    WEIGHT_Q,               /* (heads * head_dim, hidden) */
    WEIGHT_K,               /* (kv_heads * head_dim, hidden) */
    WEIGHT_V,
    WEIGHT_Q_BIAS, /* (1, heads * head_dim); only when qkv_bias */
    WEIGHT_K_BIAS,
    WEIGHT_V_BIAS,
    WEIGHT_ATTENTION_OUTPUT, /* (hidden, heads * head_dim) */
    WEIGHT_FFN_NORM,
    WEIGHT_FFN_GATE, /* (feed_forward, hidden) */
    WEIGHT_FFN_UP,
    WEIGHT_FFN_DOWN, /* (hidden, feed_forward) */
    WEIGHT_ROLE_COUNT
};

struct model_file;

/* path: a .gguf file, or a directory with config.json and *.safetensors.
 * Fails: MODEL_NOT_FOUND, MODEL_FORMAT_UNKNOWN, MODEL_CORRUPT (naming the field), MODEL_UNSUPPORTED,
 * PERMISSION_DENIED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code model_file_open(const char *path, struct model_file **out,
                                           struct dobby_error *err);
void model_file_close(struct model_file *file);

const struct model_config *model_file_config(const struct model_file *file);
/* The tensor of a role, its shape checked against the config. layer is 0 for roles without layers.
 * Fails: MODEL_CORRUPT (missing or wrong shape), MODEL_UNSUPPORTED (its type). */
DOBBY_NODISCARD dobby_code model_file_weight(const struct model_file *file, enum weight_role role,
                                             uint32_t layer, struct tensor *out, struct dobby_error *err);
/* The model's tokenizer; the caller frees it. Fails as tokenizer_from_json. */
DOBBY_NODISCARD dobby_code model_file_tokenizer(const struct model_file *file, struct tokenizer **out,
                                                struct dobby_error *err);
/* SHA-256 over all that decides the output: weights, configuration, tokenizer. Reads every page. */
DOBBY_NODISCARD dobby_code model_file_fingerprint(const struct model_file *file, uint8_t digest[32],
                                                  struct dobby_error *err);
/* The commonest type among the matrices, and the bytes on disk. */
enum tensor_type model_file_weight_type(const struct model_file *file);
uint64_t model_file_bytes(const struct model_file *file);
const char *model_file_format(const struct model_file *file); /* "gguf" or "huggingface" */
uint64_t model_file_parameters(const struct model_file *file);
/* Tells the kernel that the weights' pages are no longer needed (they were packed). */
void model_file_drop_pages(const struct model_file *file);

#endif
