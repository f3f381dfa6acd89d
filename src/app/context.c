#include "app/context.h"

#include "app/models.h"
#include "infer/engine_null.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A path of usual length: the template names it, and no record is at hand. */
static const char usual_path[] = "source/module/some_file_name.c";

static dobby_code count_prompt(const struct prompt_template *prompt, const struct tokenizer *tokenizer,
                               uint32_t *tokens, struct dobby_error *err)
{
    const struct prompt_values values = {
        .path = usual_path, .language = "c", .content = "", .content_length = 0};
    struct token_list list = {0};
    struct text_span *spans = calloc(prompt_template_span_count(prompt), sizeof *spans);
    if (spans == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a prompt");
    dobby_code code = tokenizer_encode(tokenizer, spans, prompt_render(prompt, &values, spans), &list, err);
    *tokens = code == DOBBY_OK ? (uint32_t)list.count : 0;
    token_list_release(&list);
    free(spans);
    return code;
}

dobby_code context_measure(const struct config *config, const struct model_file *model,
                           const struct tokenizer *tokenizer, struct context_fit *out,
                           struct dobby_error *err)
{
    const struct model_config *shape = model_file_config(model);
    const bool null = strcmp(config_text(config, CONFIG_ENGINE_KIND), "null") == 0;
    const struct engine_info info = {.model = shape->name, .chatml = shape->chat == CHAT_CHATML};
    const uint32_t context = (uint32_t)config_integer(config, CONFIG_ENGINE_CONTEXT_TOKENS);
    struct prompt_template *prompt = NULL;
    *out = (struct context_fit){
        .context = context > 0 ? context
                   : null      ? (uint32_t)ENGINE_NULL_CONTEXT_TOKENS
                               : shape->context_tokens,
        .chunk = (uint32_t)config_integer(config, CONFIG_INGEST_CHUNK_TOKENS),
        .answer = (uint32_t)config_integer(config, CONFIG_RUN_MAX_TOKENS),
    };
    dobby_code code = models_open_prompt_for(config, &info, &prompt, err);
    if (code == DOBBY_OK)
        code = count_prompt(prompt, tokenizer, &out->prompt, err);
    out->prompt += shape->begin_token >= 0;
    if (code != DOBBY_OK)
        *out = (struct context_fit){0};
    prompt_template_free(prompt);
    return code;
}

uint32_t context_chunk_max(const struct context_fit *fit)
{
    const uint64_t others = (uint64_t)fit->prompt + fit->answer;
    return others < fit->context ? (uint32_t)(fit->context - others) : 0;
}

dobby_code context_check(const struct context_fit *fit, struct dobby_error *err)
{
    const uint32_t most = context_chunk_max(fit);
    if (fit->chunk <= most)
        return DOBBY_OK;
    return DOBBY_FAIL(err, DOBBY_INGEST_CHUNKS_TOO_LONG,
                      "ingest.chunk_tokens is %" PRIu32 ", and beside %" PRIu32
                      " tokens of prompt and %" PRIu32
                      " kept for the summary (run.max_tokens) the context of %" PRIu32
                      " has room for %" PRIu32 ": longer records would be skipped",
                      fit->chunk, fit->prompt, fit->answer, fit->context, most);
}
