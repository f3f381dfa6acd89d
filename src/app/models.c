#include "app/models.h"

#include "base/limits.h"
#include "infer/engine_null.h"
#include "os/file.h"
#include "os/process.h"

#include <string.h>

/* Below the program's directory: installed, in build/, and in build/<preset>/. */
static const char *const embedded_models[] = {
    "../share/dobby/models/dobby-nano/dobby-nano-q8_0.gguf",
    "../models/dobby-nano/dobby-nano-q8_0.gguf",
    "../../models/dobby-nano/dobby-nano-q8_0.gguf",
};
enum { EMBEDDED_COUNT = sizeof embedded_models / sizeof embedded_models[0] };

/* tests/unit/app/test_models.c compares it with the file. */
const char *models_embedded_fingerprint(void)
{
    return "4131fc8685b483876dfc858381516b6b15ca9d12fd31d967aee87d480432d21d";
}

dobby_code models_path_from(const struct config *config, const char *directory, struct buffer *out,
                            struct dobby_error *err)
{
    const char *named = config_text(config, CONFIG_MODEL_PATH);
    if (named[0] != '\0')
        return buffer_append_string(out, named, err);
    struct buffer path = {0};
    dobby_code code = DOBBY_OK;
    bool found = false;
    for (size_t i = 0; code == DOBBY_OK && !found && i < EMBEDDED_COUNT; i++) {
        buffer_clear(&path);
        code = buffer_append_format(&path, err, "%s/%s", directory, embedded_models[i]);
        found = code == DOBBY_OK && file_exists(path.bytes);
    }
    if (code == DOBBY_OK && !found)
        code = DOBBY_FAIL(err, DOBBY_MODEL_NOT_FOUND, "the embedded model is not at %s/%s nor %s", directory,
                          embedded_models[0], embedded_models[1]);
    if (code == DOBBY_OK)
        code = file_realpath(path.bytes, out, err);
    buffer_release(&path);
    return code;
}

dobby_code models_path(const struct config *config, struct buffer *out, struct dobby_error *err)
{
    char directory[LIMIT_PATH_BYTES];
    if (!process_executable_directory(directory, sizeof directory))
        directory[0] = '\0';
    return models_path_from(config, directory, out, err);
}

dobby_code models_open_tokenizer(const struct config *config, struct model_file **model,
                                 struct tokenizer **tokenizer, struct dobby_error *err)
{
    struct buffer path = {0};
    *model = NULL;
    *tokenizer = NULL;
    dobby_code code = models_path(config, &path, err);
    if (code != DOBBY_OK)
        goto done;
    code = model_file_open(path.bytes, model, err);
    if (code == DOBBY_OK)
        code = model_file_tokenizer(*model, tokenizer, err);
    if (code != DOBBY_OK) {
        error_attribute(err, "model", "%s", path.bytes);
        model_file_close(*model);
        *model = NULL;
    }
done:
    buffer_release(&path);
    return code;
}

struct engine_native_options models_engine_options(const struct config *config)
{
    return (struct engine_native_options){
        .threads = (uint32_t)config_integer(config, CONFIG_ENGINE_THREADS),
        .sessions = (uint32_t)config_integer(config, CONFIG_ENGINE_SESSIONS),
        .context_tokens = (uint32_t)config_integer(config, CONFIG_ENGINE_CONTEXT_TOKENS),
        .kv_bytes_max = (uint64_t)config_integer(config, CONFIG_ENGINE_KV_CACHE_MB) << 20,
        .precision = config_text(config, CONFIG_ENGINE_PRECISION),
    };
}

static dobby_code open_null_engine(const struct config *config, uint32_t sessions, struct engine **out,
                                   struct dobby_error *err)
{
    const char *kind = config_text(config, CONFIG_ENGINE_NULL_FAIL_KIND);
    const struct engine_null_options options = {
        .sessions = sessions > 0 ? sessions : (uint32_t)config_integer(config, CONFIG_ENGINE_SESSIONS),
        .context_tokens = (uint32_t)config_integer(config, CONFIG_ENGINE_CONTEXT_TOKENS),
        .delay_ms = (uint32_t)config_integer(config, CONFIG_ENGINE_NULL_DELAY_MS),
        .fail_marker = config_text(config, CONFIG_ENGINE_NULL_FAIL_MARKER),
        .fail_retryable = strcmp(kind, "retryable") == 0,
        .fail_submit = strcmp(kind, "refused") == 0,
    };
    return engine_null_open(&options, out, err);
}

dobby_code models_open_engine(const struct config *config, uint32_t sessions, struct engine **out,
                              struct dobby_error *err)
{
    struct buffer path = {0};
    *out = NULL;
    if (strcmp(config_text(config, CONFIG_ENGINE_KIND), "null") == 0)
        return open_null_engine(config, sessions, out, err);
    dobby_code code = models_path(config, &path, err);
    if (code == DOBBY_OK) {
        struct engine_native_options options = models_engine_options(config);
        options.model_path = path.bytes;
        if (sessions > 0)
            options.sessions = sessions;
        code = engine_native_open(&options, out, err);
        if (code != DOBBY_OK)
            error_attribute(err, "model", "%s", path.bytes);
    }
    buffer_release(&path);
    return code;
}

dobby_code models_open_prompt(const struct config *config, const struct engine *engine,
                              struct prompt_template **out, struct dobby_error *err)
{
    return models_open_prompt_for(config, engine_info(engine), out, err);
}

dobby_code models_open_prompt_for(const struct config *config, const struct engine_info *info,
                                  struct prompt_template **out, struct dobby_error *err)
{
    const char *file = config_text(config, CONFIG_RUN_PROMPT_FILE);
    *out = NULL;
    if (file[0] == '\0')
        return prompt_template_builtin(info, out, err);
    struct buffer text = {0};
    dobby_code code = file_read(file, true, LIMIT_PROMPT_TEMPLATE_BYTES, &text, err);
    if (code == DOBBY_OK)
        code = prompt_template_parse(file, text.bytes != NULL ? text.bytes : "", text.length, info->chatml,
                                     out, err);
    else if (code != DOBBY_OUT_OF_MEMORY)
        code = DOBBY_WRAP(err, DOBBY_PROMPT_INVALID, "%s cannot be read", file);
    buffer_release(&text);
    return code;
}

struct sampling models_sampling(const struct config *config)
{
    return (struct sampling){
        .temperature = (float)config_number(config, CONFIG_RUN_TEMPERATURE),
        .top_k = (uint32_t)config_integer(config, CONFIG_RUN_TOP_K),
        .top_p = (float)config_number(config, CONFIG_RUN_TOP_P),
        .repetition_penalty = (float)config_number(config, CONFIG_RUN_REPETITION_PENALTY),
        .seed = (uint64_t)config_integer(config, CONFIG_RUN_SEED),
    };
}
