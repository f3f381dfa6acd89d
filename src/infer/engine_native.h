#ifndef INFER_ENGINE_NATIVE_H
#define INFER_ENGINE_NATIVE_H

#include "infer/engine.h"

struct engine_native_options {
    const char *model_path;
    uint32_t threads;        /* 0: one per processor this process may use */
    uint32_t sessions;       /* 0: chosen for the model and machine */
    uint32_t context_tokens; /* 0: the model's */
    uint64_t kv_bytes_max;   /* 0: chosen for sessions and memory */
    const char *kernels;     /* "ref", "avx2", "avx512"; NULL: DOBBY_CPU, else the best there is */
    /* "exact": weights as stored, F32 arithmetic; "bf16"; "int8": weights and activations; NULL or "auto":
     * what is fastest here and stays within 1 % of exact's mean log-probability */
    const char *precision;
};
/* Maps and packs the model and starts the engine's threads.
 * Fails: as model_file_open and model_file_tokenizer, CPU_UNSUPPORTED, LIMIT_EXCEEDED, THREAD_FAILED. */
DOBBY_NODISCARD dobby_code engine_native_open(const struct engine_native_options *options,
                                              struct engine **out, struct dobby_error *err);

#endif
