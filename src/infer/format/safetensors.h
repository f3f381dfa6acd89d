/* safetensors: a pure parser over bytes. Source: the format's specification by Hugging Face. */
#ifndef INFER_FORMAT_SAFETENSORS_H
#define INFER_FORMAT_SAFETENSORS_H

#include "infer/format/tensor_table.h"

/* The table lives in the arena, its tensors point into bytes; it is not sorted, since the shards of a model
 * are joined first. Fails: MODEL_CORRUPT (naming the field), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code safetensors_parse(const uint8_t *bytes, size_t length, struct arena *arena,
                                             struct tensor_table *out, struct dobby_error *err);

#endif
