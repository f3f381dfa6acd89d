/* Which tensor plays which role: the names of both formats, the shapes, and the check that all are there. */
#ifndef INFER_FORMAT_MODEL_WEIGHTS_H
#define INFER_FORMAT_MODEL_WEIGHTS_H

#include "infer/format/tensor_table.h"

struct model_weights {
    struct tensor *tensors; /* (layers, WEIGHT_ROLE_COUNT); roles without layers are in the first row */
    uint32_t layers;
    uint64_t parameters;
    enum tensor_type matrix_type; /* the commonest among the matrices */
};

/* Finds qkv_bias for *config and binds every tensor that such a model needs. The table must be sorted.
 * Fails: MODEL_CORRUPT (a tensor is missing or misshapen), MODEL_UNSUPPORTED (a tensor's type, or a tensor
 * that no role knows and that would therefore be left out of the arithmetic), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code model_weights_bind(struct tensor_table *table, bool huggingface,
                                              struct model_config *config, struct arena *arena,
                                              struct model_weights *out, struct dobby_error *err);

#endif
