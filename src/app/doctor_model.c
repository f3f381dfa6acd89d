#include "app/doctor.h"
#include "app/models.h"
#include "app/runs.h"
#include "base/arena.h"
#include "base/crypto.h"
#include "os/clock.h"
#include "os/memory.h"

#include <string.h>

static const char group[] = "model";

static bool is_null_engine(const struct config *config)
{
    return strcmp(config_text(config, CONFIG_ENGINE_KIND), "null") == 0;
}

/* ---- the file ------------------------------------------------------------------------------------ */

/* Hashing reads every page, so a disk that fails is found here. */
static void check_fingerprint(const struct config *config, const struct model_file *file,
                              struct findings *findings)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    struct dobby_error err = {0};
    if (model_file_fingerprint(file, digest, &err) != DOBBY_OK) {
        (void)finding_add_error(findings, group, "fingerprint", FINDING_BROKEN, &err);
        return;
    }
    sha256_hex(digest, hex);
    const bool embedded = config_text(config, CONFIG_MODEL_PATH)[0] == '\0';
    if (!embedded || strcmp(hex, models_embedded_fingerprint()) == 0) {
        (void)finding_add(findings, group, "fingerprint", FINDING_OK, "%s%s", hex,
                          embedded ? ", as shipped" : "");
        return;
    }
    struct finding *finding = finding_add(findings, group, "fingerprint", FINDING_BROKEN,
                                          "the embedded model is not the one that was shipped: %s", hex);
    finding_remedy(finding, "install Dobby again, or copy models/dobby-nano from its source");
}

static void check_file(const struct doctor_options *options, struct findings *findings)
{
    struct buffer path = {0};
    struct model_file *file = NULL;
    struct tokenizer *tokenizer = NULL;
    struct dobby_error err = {0};
    dobby_code code = models_path(options->config, &path, &err);
    if (code == DOBBY_OK)
        code = model_file_open(path.bytes, &file, &err);
    if (code == DOBBY_OK)
        code = model_file_tokenizer(file, &tokenizer, &err);
    if (code != DOBBY_OK) {
        (void)finding_add_error(findings, group, "file", FINDING_BROKEN, &err);
    } else {
        (void)finding_add(findings, group, "file", FINDING_OK, "%.300s: %s, %s, %.1f MB, %.1f M parameters",
                          path.bytes, model_file_config(file)->name, model_file_format(file),
                          (double)model_file_bytes(file) / 1e6, (double)model_file_parameters(file) / 1e6);
        if (!options->quick)
            check_fingerprint(options->config, file, findings);
    }
    tokenizer_free(tokenizer);
    model_file_close(file);
    buffer_release(&path);
}

/* ---- the engine ---------------------------------------------------------------------------------- */

static void check_memory(const struct engine_info *info, struct findings *findings)
{
    /* Beside weights and KV cache: what a step computes, the queue, and the store's pages. */
    const double other_mb = 64;
    const double weights_mb = (double)info->weight_bytes / 1e6, kv_mb = (double)info->kv_bytes_max / 1e6;
    const double need_mb = kv_mb + other_mb; /* the weights are in memory now */
    const double available_mb = (double)memory_available_bytes() / 1e6;
    if (available_mb <= 0 || need_mb <= available_mb) {
        (void)finding_add(findings, group, "memory", FINDING_OK,
                          "weights %.0f MB, KV cache up to %.0f MB for %u sessions", weights_mb, kv_mb,
                          (unsigned)info->sessions);
        return;
    }
    struct finding *finding =
        finding_add(findings, group, "memory", FINDING_WARNING,
                    "the KV cache may grow to %.0f MB beside weights of %.0f MB; %.0f MB are available",
                    kv_mb, weights_mb, available_mb);
    finding_remedy(finding,
                   "set engine.kv_cache_mb to %.0f or less, lower --sessions, or choose a smaller model",
                   available_mb > 2 * other_mb ? (available_mb - other_mb) / 1.05 : other_mb);
}

static dobby_code infer(const struct config *config, struct engine *engine,
                        const struct prompt_template *prompt, struct engine_result *result,
                        struct dobby_error *err)
{
    static const char content[] = "int add(int a, int b)\n{\n    return a + b;\n}\n";
    const struct prompt_values values = {
        .path = "add.c", .language = "c", .content = content, .content_length = sizeof content - 1};
    struct token_list tokens = {0};
    struct arena arena;
    arena_init(&arena, 0);
    const size_t room = prompt_template_span_count(prompt);
    struct text_span *spans = arena_alloc_array(&arena, room, sizeof *spans);
    size_t count = 0;
    dobby_code code =
        spans == NULL ? DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu prompt spans", room)
                      : engine_tokenize(engine, spans, prompt_render(prompt, &values, spans), &tokens, err);
    if (code == DOBBY_OK) {
        const struct engine_request request = {.tokens = tokens.ids,
                                               .token_count = tokens.count,
                                               .tokens_max =
                                                   (uint32_t)config_integer(config, CONFIG_RUN_MAX_TOKENS),
                                               .sampling = models_sampling(config)};
        code = engine_submit(engine, &request, err);
    }
    while (code == DOBBY_OK && count == 0)
        code = engine_wait(engine, result, 1, 1000, &count, err);
    if (code == DOBBY_OK && result->finish == FINISH_ERROR) {
        code = result->error.code;
        *err = result->error;
    }
    token_list_release(&tokens);
    arena_release(&arena);
    return code;
}

static void check_answer(const struct config *config, struct engine *engine,
                         const struct prompt_template *prompt, struct findings *findings)
{
    struct engine_result result = {0};
    struct dobby_error err = {0};
    const int64_t since_ns = clock_monotonic_ns();
    const dobby_code code = infer(config, engine, prompt, &result, &err);
    const double ms = (double)(clock_monotonic_ns() - since_ns) / 1e6;
    if (code != DOBBY_OK) {
        (void)finding_add_error(findings, group, "answer", FINDING_BROKEN, &err);
    } else if (result.tokens_out == 0) {
        struct finding *finding = finding_add(findings, group, "answer", FINDING_WARNING,
                                              "the model says nothing about a function of one line");
        finding_remedy(finding, "check the prompt template (run.prompt_file), or use another model");
    } else {
        (void)finding_add(findings, group, "answer", FINDING_OK, "%u tokens in, %u out in %.0f ms",
                          (unsigned)result.tokens_in, (unsigned)result.tokens_out, ms);
    }
    engine_result_release(&result);
}

static void check_engine(const struct doctor_options *options, struct findings *findings)
{
    struct engine *engine = NULL;
    struct prompt_template *prompt = NULL;
    struct dobby_error err = {0};
    const int64_t since_ns = clock_monotonic_ns();
    dobby_code code = runs_open_engine(options->config, &engine, &err);
    if (code != DOBBY_OK) {
        (void)finding_add_error(findings, group, "engine", FINDING_BROKEN, &err);
        return;
    }
    const struct engine_info *info = engine_info(engine);
    (void)finding_add(findings, group, "engine", FINDING_OK,
                      "%s in %s on %s, context of %u tokens, loaded in %.2f s", info->model, info->precision,
                      info->kernels, (unsigned)info->context_tokens,
                      (double)(clock_monotonic_ns() - since_ns) / 1e9);
    check_memory(info, findings);
    code = models_open_prompt(options->config, engine, &prompt, &err);
    if (code != DOBBY_OK) {
        (void)finding_add_error(findings, group, "prompt", FINDING_BROKEN, &err);
    } else {
        (void)finding_add(findings, group, "prompt", FINDING_OK, "%s", prompt_template_id(prompt));
        check_answer(options->config, engine, prompt, findings);
    }
    prompt_template_free(prompt);
    engine_close(engine);
}

void doctor_model(const struct doctor_options *options, struct findings *findings)
{
    if (is_null_engine(options->config))
        (void)finding_add(findings, group, "file", FINDING_NOTE, "not looked at: the null engine has none");
    else
        check_file(options, findings);
    const struct finding *file = finding_find(findings, group, "file");
    if (!options->quick && file->state != FINDING_BROKEN)
        check_engine(options, findings);
}
