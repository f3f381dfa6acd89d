/* An engine without a model: every request gets the same fixed text. It shows what the pipeline and the store
 * cost by themselves, and lets tests have an engine that is slow or that fails on chosen records.
 *
 * A prompt's tokens are its bytes, three to a token, so that every limit in tokens works as with a model.
 * Time is the only thing that a delay adds: requests run in at most `sessions` places, in the order of their
 * submission, and each holds its place for delay_ms. No thread is started: what is due is found by the clock.
 */
#ifndef INFER_ENGINE_NULL_H
#define INFER_ENGINE_NULL_H

#include "infer/engine.h"

enum { ENGINE_NULL_BYTES_A_TOKEN = 3, ENGINE_NULL_SESSIONS = 128, ENGINE_NULL_CONTEXT_TOKENS = 8192 };

struct engine_null_options {
    uint32_t sessions;       /* 0: ENGINE_NULL_SESSIONS */
    uint32_t context_tokens; /* 0: ENGINE_NULL_CONTEXT_TOKENS */
    uint32_t delay_ms;       /* how long each request takes */
    /* A test aid: a request whose prompt holds these bytes ends with FINISH_ERROR, every time. NULL or "":
     * none. */
    const char *fail_marker;
    bool fail_retryable; /* with OUT_OF_MEMORY, which may pass, instead of NUMERIC_FAILURE, which will not */
    bool fail_submit;    /* engine_submit fails with it, instead of the result */
};
/* Fails: LIMIT_EXCEEDED (sessions, context_tokens, or the marker's length), CRYPTO_FAILED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code engine_null_open(const struct engine_null_options *options, struct engine **out,
                                            struct dobby_error *err);
/* What every request is answered with, as long as it may be that long. */
const char *engine_null_text(void);

#endif
