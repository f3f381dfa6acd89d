#include "app/commands.h"
#include "app/input.h"
#include "app/models.h"
#include "app/output.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "os/terminal.h"

#include <string.h>

/* The rendered prompt as tokens. */
static dobby_code make_prompt(const struct app *app, struct engine *engine, const struct buffer *content,
                              const char *path, struct token_list *tokens, struct dobby_error *err)
{
    struct prompt_template *prompt = NULL;
    struct arena arena;
    arena_init(&arena, 0);
    const struct prompt_values values = {
        .path = path, .language = "", .content = content->bytes, .content_length = content->length};
    dobby_code code = models_open_prompt(&app->config, engine, &prompt, err);
    if (code == DOBBY_OK) {
        const size_t room = prompt_template_span_count(prompt);
        struct text_span *spans = arena_alloc_array(&arena, room, sizeof *spans);
        code = spans == NULL
                   ? DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu prompt spans", room)
                   : engine_tokenize(engine, spans, prompt_render(prompt, &values, spans), tokens, err);
    }
    prompt_template_free(prompt);
    arena_release(&arena);
    return code;
}

static dobby_code infer(const struct app *app, struct engine *engine, const struct token_list *tokens,
                        struct engine_result *result, struct dobby_error *err)
{
    const struct engine_request request = {
        .tokens = tokens->ids,
        .token_count = tokens->count,
        .tokens_max = (uint32_t)config_integer(&app->config, CONFIG_RUN_MAX_TOKENS),
        .sampling = models_sampling(&app->config),
    };
    size_t count = 0;
    dobby_code code = engine_submit(engine, &request, err);
    while (code == DOBBY_OK && count == 0)
        code = engine_wait(engine, result, 1, 1000, &count, err);
    if (code == DOBBY_OK && result->finish == FINISH_ERROR) {
        code = result->error.code;
        if (err != NULL)
            *err = result->error;
    }
    return code;
}

static dobby_code append_json(struct buffer *out, const char *path, const struct engine *engine,
                              const struct engine_result *result, const char *text, size_t length,
                              struct dobby_error *err)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    json_begin_object(&json);
    json_key(&json, "path");
    json_put_text(&json, path);
    json_key(&json, "summary");
    json_put_string(&json, text, length);
    json_key(&json, "confidence");
    json_put_number(&json, result->confidence);
    json_key(&json, "model");
    json_put_text(&json, engine_info(engine)->model);
    json_key(&json, "tokens_in");
    json_put_integer(&json, result->tokens_in);
    json_key(&json, "tokens_out");
    json_put_integer(&json, result->tokens_out);
    json_key(&json, "inference_ms");
    json_put_integer(&json, result->total_us / 1000);
    json_key(&json, "finish");
    json_put_text(&json, result->finish == FINISH_END_TOKEN ? "end" : "length");
    json_end_object(&json);
    return json_writer_end(&json, err);
}

static dobby_code print_result(const struct app *app, const char *path, const struct engine *engine,
                               const struct engine_result *result, struct dobby_error *err)
{
    const char *text = result->text != NULL ? result->text : "";
    struct buffer out = {0};
    dobby_code code;
    while (*text == ' ' || *text == '\n' || *text == '\t')
        text++;
    size_t length = strlen(text);
    while (length > 0 && strchr(" \n\t", text[length - 1]) != NULL)
        length--;
    if (options_switch(&app->options, "json"))
        code = append_json(&out, path, engine, result, text, length, err);
    else if (terminal_is_terminal(STREAM_OUTPUT))
        code = utf8_append_display(&out, text, length, err);
    else
        code = buffer_append(&out, text, length, err);
    if (code == DOBBY_OK)
        code = buffer_append_byte(&out, '\n', err);
    if (code == DOBBY_OK)
        code = output_print(&out, err);
    buffer_release(&out);
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct engine *engine = NULL;
    struct buffer content = {0};
    struct token_list tokens = {0};
    struct engine_result result = {0};
    const char *file = app->options.argument_count > 0 ? app->options.arguments[0] : "-";
    const char *named = options_text(&app->options, "path");
    const char *path = named != NULL ? named : strcmp(file, "-") == 0 ? "" : file;
    dobby_code code = input_read(file, &content, err);
    if (code == DOBBY_OK && content.length == 0)
        code = DOBBY_FAIL(err, DOBBY_INGEST_NOTHING, "%s is empty",
                          strcmp(file, "-") == 0 ? "standard input" : file);
    if (code == DOBBY_OK)
        code = models_open_engine(&app->config, 1, &engine, err);
    if (code == DOBBY_OK)
        code = make_prompt(app, engine, &content, path, &tokens, err);
    if (code == DOBBY_OK)
        code = infer(app, engine, &tokens, &result, err);
    if (code == DOBBY_OK)
        code = print_result(app, path, engine, &result, err);
    engine_result_release(&result);
    token_list_release(&tokens);
    engine_close(engine);
    buffer_release(&content);
    return code;
}

static const struct option_spec option_specs[] = {
    {.name = "path",
     .type = OPTION_TEXT,
     .argument = "NAME",
     .help = "the path that the model is told; default FILE, none for standard input"},
    OPTION_MODEL,
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
    OPTION_PRECISION,
    {.name = "max-tokens-out", .type = OPTION_KEY, .argument = "N", .key = CONFIG_RUN_MAX_TOKENS},
    {.name = "prompt", .type = OPTION_KEY, .argument = "FILE", .key = CONFIG_RUN_PROMPT_FILE},
    OPTION_JSON,
};

const struct command command_summarize = {
    .name = "summarize",
    .arguments = "[FILE|-]",
    .summary = "Summarise one text and print the summary",
    .details =
        "Nothing is stored. The text is read from standard input when FILE is missing or \"-\"; it must "
        "fit the model's context.",
    .options = OPTION_LIST(option_specs),
    .arguments_max = 1,
    .run = run,
};
