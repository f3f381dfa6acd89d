#include "app/commands.h"
#include "app/input.h"
#include "app/models.h"
#include "app/output.h"
#include "base/crypto.h"
#include "base/utf8.h"
#include "infer/cpu/kernels.h"
#include "infer/format/model_file.h"

#include <inttypes.h>
#include <string.h>

enum { KERNEL_SETS_MAX = 8 };

/* ---- dobby model info --------------------------------------------------------------------------- */

static const char *architecture_name(enum model_architecture architecture)
{
    return architecture == MODEL_QWEN2 ? "qwen2" : architecture == MODEL_LLAMA ? "llama" : "unknown";
}

static const char *chat_name(enum chat_format chat)
{
    return chat == CHAT_CHATML ? "chatml" : "none";
}

struct integer_row {
    const char *name;
    uint64_t value;
};
enum { INTEGER_ROWS = 10 };

static void integer_rows(const struct model_file *model, struct integer_row rows[INTEGER_ROWS])
{
    const struct model_config *config = model_file_config(model);
    const struct integer_row all[INTEGER_ROWS] = {
        {"parameters", model_file_parameters(model)},
        {"layers", config->layers},
        {"hidden", config->hidden},
        {"heads", config->heads},
        {"kv_heads", config->kv_heads},
        {"head_dim", config->head_dim},
        {"feed_forward", config->feed_forward},
        {"vocabulary", config->vocabulary},
        {"context_tokens", config->context_tokens},
        {"file_bytes", model_file_bytes(model)},
    };
    memcpy(rows, all, sizeof all);
}

struct text_row {
    const char *name;
    const char *value;
};
enum { TEXT_ROWS = 9 };

static void text_rows(const char *path, const struct model_file *model, const char *fingerprint,
                      const struct engine_native_choice *here, struct text_row rows[TEXT_ROWS])
{
    const struct model_config *config = model_file_config(model);
    const struct text_row all[TEXT_ROWS] = {
        {"path", path},
        {"name", config->name},
        {"architecture", architecture_name(config->architecture)},
        {"format", model_file_format(model)},
        {"weight_type", tensor_type_name(model_file_weight_type(model))},
        {"chat_format", chat_name(config->chat)},
        {"fingerprint", fingerprint},
        {"kernels_here", here->kernels},
        {"precision_here", here->precision},
    };
    memcpy(rows, all, sizeof all);
}

static dobby_code append_json(struct buffer *out, const struct text_row *texts,
                              const struct integer_row *integers, struct dobby_error *err)
{
    const struct kernels *sets[KERNEL_SETS_MAX];
    const size_t set_count = kernels_available(sets, KERNEL_SETS_MAX);
    struct json_writer json;
    json_writer_init(&json, out, true);
    json_begin_object(&json);
    for (size_t i = 0; i < TEXT_ROWS; i++) {
        json_key(&json, texts[i].name);
        json_put_text(&json, texts[i].value);
    }
    for (size_t i = 0; i < INTEGER_ROWS; i++) {
        json_key(&json, integers[i].name);
        json_put_integer(&json, (int64_t)integers[i].value);
    }
    json_key(&json, "kernels");
    json_begin_array(&json);
    for (size_t i = 0; i < set_count; i++)
        json_put_text(&json, sets[i]->name);
    json_end_array(&json);
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code append_text(struct buffer *out, const struct text_row *texts,
                              const struct integer_row *integers, struct dobby_error *err)
{
    const struct kernels *sets[KERNEL_SETS_MAX];
    const size_t set_count = kernels_available(sets, KERNEL_SETS_MAX);
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < TEXT_ROWS; i++) {
        code = buffer_append_format(out, err, "%-16s", texts[i].name);
        if (code == DOBBY_OK)
            code = utf8_append_display(out, texts[i].value, strlen(texts[i].value), err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    for (size_t i = 0; code == DOBBY_OK && i < INTEGER_ROWS; i++)
        code = buffer_append_format(out, err, "%-16s%" PRIu64 "\n", integers[i].name, integers[i].value);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%-16s", "kernels");
    for (size_t i = 0; code == DOBBY_OK && i < set_count; i++)
        code = buffer_append_format(out, err, "%s%s", i == 0 ? "" : ", ", sets[i]->name);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code run_info(struct app *app, struct dobby_error *err)
{
    const char *path = app->options.arguments[0];
    struct model_file *model = NULL;
    struct buffer text = {0};
    uint8_t digest[SHA256_BYTES];
    char fingerprint[SHA256_HEX_BYTES];
    struct text_row texts[TEXT_ROWS];
    struct integer_row integers[INTEGER_ROWS];
    dobby_code code = model_file_open(path, &model, err);
    if (code == DOBBY_OK)
        code = model_file_fingerprint(model, digest, err);
    if (code != DOBBY_OK) {
        error_attribute(err, "model", "%s", path);
        goto done;
    }
    const struct engine_native_options engine = {.precision =
                                                     config_text(&app->config, CONFIG_ENGINE_PRECISION)};
    struct engine_native_choice here;
    code = engine_native_choose(&engine, model_file_weight_type(model), &here, err);
    if (code != DOBBY_OK)
        goto done;
    sha256_hex(digest, fingerprint);
    text_rows(path, model, fingerprint, &here, texts);
    integer_rows(model, integers);
    code = options_switch(&app->options, "json") ? append_json(&text, texts, integers, err)
                                                 : append_text(&text, texts, integers, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
done:
    buffer_release(&text);
    model_file_close(model);
    return code;
}

static const struct option_spec info_options[] = {OPTION_PRECISION, OPTION_JSON};

const struct command command_model_info = {
    .name = "model info",
    .arguments = "PATH",
    .summary = "Show what a model file holds, and the kernels that can run it here",
    .details =
        "PATH is a .gguf file or a Hugging Face directory (config.json, tokenizer.json, *.safetensors). "
        "The fingerprint is the SHA-256 of all that decides the model's output. kernels_here and "
        "precision_here are what dobby run would use on this machine: the weights as packed, and the "
        "arithmetic.",
    .options = OPTION_LIST(info_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_info,
};

/* ---- dobby tokenize ----------------------------------------------------------------------------- */

static dobby_code append_ids(struct buffer *out, const struct token_list *tokens, bool object,
                             struct dobby_error *err)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    if (object) {
        json_begin_object(&json);
        json_key(&json, "count");
        json_put_integer(&json, (int64_t)tokens->count);
        json_key(&json, "ids");
    }
    json_begin_array(&json);
    for (size_t i = 0; i < tokens->count; i++)
        json_put_integer(&json, tokens->ids[i]);
    json_end_array(&json);
    if (object)
        json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code run_tokenize(struct app *app, struct dobby_error *err)
{
    const char *file = app->options.argument_count > 0 ? app->options.arguments[0] : "-";
    struct model_file *model = NULL;
    struct tokenizer *tokenizer = NULL;
    struct buffer content = {0}, text = {0};
    struct token_list tokens = {0};
    dobby_code code = input_read(file, &content, err);
    if (code == DOBBY_OK)
        code = models_open_tokenizer(&app->config, &model, &tokenizer, err);
    if (code == DOBBY_OK && content.length > 0) {
        const struct text_span span = {.bytes = content.bytes,
                                       .length = content.length,
                                       .special = options_switch(&app->options, "special")};
        code = tokenizer_encode(tokenizer, &span, 1, &tokens, err);
    }
    if (code == DOBBY_OK)
        code = append_ids(&text, &tokens, options_switch(&app->options, "json"), err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    token_list_release(&tokens);
    tokenizer_free(tokenizer);
    model_file_close(model);
    buffer_release(&content);
    buffer_release(&text);
    return code;
}

static const struct option_spec tokenize_options[] = {
    OPTION_MODEL,
    {.name = "special",
     .type = OPTION_SWITCH,
     .help = "take text such as <|im_end|> for the special token; else it is plain text"},
    {.name = "json", .type = OPTION_SWITCH, .help = "print {\"count\": N, \"ids\": [...]}"},
};

const struct command command_tokenize = {
    .name = "tokenize",
    .arguments = "[FILE|-]",
    .summary = "Print the token ids of a text as a JSON array",
    .options = OPTION_LIST(tokenize_options),
    .arguments_max = 1,
    .run = run_tokenize,
};
