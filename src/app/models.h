/* From the configuration to a model, an engine and a prompt template. */
#ifndef APP_MODELS_H
#define APP_MODELS_H

#include "app/config.h"
#include "infer/engine_native.h"
#include "infer/format/model_file.h"
#include "pipeline/prompt.h"

/* Appends the path of the configured model, or of the embedded one, which lies beside the program: below
 * ../models in a build tree, below ../share/dobby/models where it is installed. Fails: MODEL_NOT_FOUND. */
DOBBY_NODISCARD dobby_code models_path(const struct config *config, struct buffer *out,
                                       struct dobby_error *err);
/* The fingerprint of the model that comes with this program. */
const char *models_embedded_fingerprint(void);
/* As models_path, looking from the given directory instead of the program's. */
DOBBY_NODISCARD dobby_code models_path_from(const struct config *config, const char *directory,
                                            struct buffer *out, struct dobby_error *err);

/* Opens the configured model's tokenizer; the caller closes both. Fails: MODEL_NOT_FOUND, and as
 * model_file_open and model_file_tokenizer, with the model as an attribute. */
DOBBY_NODISCARD dobby_code models_open_tokenizer(const struct config *config, struct model_file **model,
                                                 struct tokenizer **tokenizer, struct dobby_error *err);
/* The configured engine, but for its model. Its texts are borrowed from the configuration. */
struct engine_native_options models_engine_options(const struct config *config);
/* Opens the configured kind of engine. sessions 0: as configured. Fails: as engine_null_open, and for the
 * native engine MODEL_NOT_FOUND, and as engine_native_open. */
DOBBY_NODISCARD dobby_code models_open_engine(const struct config *config, uint32_t sessions,
                                              struct engine **out, struct dobby_error *err);
/* The configured prompt file, or the built-in template that suits the engine's model.
 * Fails: PROMPT_INVALID (a file that cannot be read is its cause). */
DOBBY_NODISCARD dobby_code models_open_prompt(const struct config *config, const struct engine *engine,
                                              struct prompt_template **out, struct dobby_error *err);
/* The same for an engine with such an info, of which the model and its chat format count. */
DOBBY_NODISCARD dobby_code models_open_prompt_for(const struct config *config, const struct engine_info *info,
                                                  struct prompt_template **out, struct dobby_error *err);
/* The configured sampling. */
struct sampling models_sampling(const struct config *config);

#endif
