#ifndef INFER_ENGINE_NATIVE_H
#define INFER_ENGINE_NATIVE_H

#include "infer/engine.h"
#include "infer/format/model_file.h"

enum { ENGINE_PRECISION_BYTES = 32 };

struct engine_native_options {
    const char *model_path;
    /* Instead of a path: the name of a shape (model_shape.h), whose weights are then random. For measuring:
     * it has no tokenizer, so engine_tokenize fails with INVALID_ARGUMENT and results have no text. */
    const char *shape;
    uint32_t threads;        /* 0: one per processor this process may use */
    uint32_t sessions;       /* 0: chosen for the model and machine, and adapted to what is measured */
    uint32_t context_tokens; /* 0: the model's */
    uint64_t kv_bytes_max;   /* 0: chosen for sessions and memory */
    const char *kernels;     /* "ref", "avx2", "avx512", "amx"; NULL: DOBBY_CPU, else the best there is */
    /* "exact": weights as stored, all in F32, by the set "avx512" in place of "amx"; "bf16"; "int8": weights
     * and activations; "int4": weights of four bits, activations as int8; NULL or "auto": what is fastest
     * here and stays within 1 % of exact's mean log-probability. int4 loses more unless the file's weights
     * have four bits: auto takes it only then. Attention of the set "amx" rounds queries, keys and values to
     * INT8. */
    const char *precision;
};
/* Maps and packs the model and starts the engine's threads.
 * Fails: as model_file_open and model_file_tokenizer, CPU_UNSUPPORTED, LIMIT_EXCEEDED, THREAD_FAILED;
 * INVALID_ARGUMENT for a shape or precision that does not exist. */
DOBBY_NODISCARD dobby_code engine_native_open(const struct engine_native_options *options,
                                              struct engine **out, struct dobby_error *err);

/* What an engine with these options would use here for weights of a type, as engine_info says it. */
struct engine_native_choice {
    const char *kernels;
    char precision[ENGINE_PRECISION_BYTES]; /* "q8_0/f32": the weights as packed, and the arithmetic */
};
/* Fails: CPU_UNSUPPORTED, INVALID_ARGUMENT. */
DOBBY_NODISCARD dobby_code engine_native_choose(const struct engine_native_options *options,
                                                enum tensor_type weights, struct engine_native_choice *out,
                                                struct dobby_error *err);

#endif
