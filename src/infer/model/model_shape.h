/* Shapes of well-known models, by name: what is measured with random weights where no file is at hand. */
#ifndef INFER_MODEL_MODEL_SHAPE_H
#define INFER_MODEL_MODEL_SHAPE_H

#include "infer/format/model_file.h"

/* Fails: INVALID_ARGUMENT, listing what there is. */
DOBBY_NODISCARD dobby_code model_shape_find(const char *name, struct model_config *out,
                                            struct dobby_error *err);
/* All weights: norms and biases too, a tied head once. */
uint64_t model_shape_parameters(const struct model_config *config);

#endif
