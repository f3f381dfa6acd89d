/* What identifies a result (DESIGN invariant 2), and the seed that follows from it. */
#ifndef PIPELINE_RESULT_KEY_H
#define PIPELINE_RESULT_KEY_H

#include "base/crypto.h"
#include "infer/engine.h"

enum { SAMPLING_TEXT_BYTES = 192 };

/* The sampling settings in one spelling: equal text, equal outputs. Greedy decoding draws nothing, so the
 * settings of drawing and the seed are left out of it. */
void sampling_text(const struct sampling *sampling, uint64_t run_seed, uint32_t tokens_max,
                   char text[SAMPLING_TEXT_BYTES]);

/* SHA-256 over the rendered prompt, the model's fingerprint, the precision and the sampling text, each with
 * its length before it. Bytes in which special tokens are recognised and bytes in which they are not count
 * as different, since the tokens are; how a run of either is cut into spans makes no difference. */
DOBBY_NODISCARD dobby_code result_key(const struct text_span *spans, size_t count,
                                      const struct engine_info *info, const char *sampling,
                                      uint8_t key[SHA256_BYTES], struct dobby_error *err);

/* The seed of one record's sampling. */
DOBBY_NODISCARD dobby_code result_seed(uint64_t run_seed, const uint8_t key[SHA256_BYTES], uint64_t *seed,
                                       struct dobby_error *err);

#endif
