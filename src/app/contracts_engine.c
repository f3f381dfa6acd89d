/* Row 2.13: the model that is configured, which is the embedded one unless somebody says otherwise.
 *
 * Prompts are synthetic source code of a length of each class, all different. Times are amortised: the wall
 * time of a batch divided by its records. */
#include "app/bench_records.h"
#include "app/contracts.h"
#include "app/models.h"
#include "base/arena.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "os/process.h"

#include <stdio.h>

enum {
    SHORT_BYTES = 150,  /* some 60 tokens */
    MIDDLE_BYTES = 750, /* some 300 */
    LONG_BYTES = 2000,  /* some 800 */
    SHORT_RECORDS = 100,
    MIDDLE_RECORDS = 100,
    LONG_RECORDS = 40,
    FEW_RECORDS = 10,
    WAIT_MS = 200,
    RESULTS = 32
};

struct bench {
    const struct contract_options *options;
    struct contract_list *list;
    struct engine *engine;
    struct prompt_template *prompt;
    uint64_t next_record; /* so that no two are equal */
    uint64_t records, failed;
    struct dobby_error first_failure;
};

struct batch {
    double seconds;
    size_t tokens_min, tokens_max;
};

static dobby_code tokenize(struct bench *bench, size_t bytes, struct token_list *tokens, struct batch *batch,
                           struct dobby_error *err)
{
    struct buffer content = {0};
    struct arena arena;
    arena_init(&arena, 0);
    const size_t room = prompt_template_span_count(bench->prompt);
    struct text_span *spans = arena_alloc_array(&arena, room, sizeof *spans);
    dobby_code code = spans == NULL ? DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu prompt spans", room)
                                    : bench_record_content(bench->next_record++, bytes, &content, err);
    if (code == DOBBY_OK) {
        const struct prompt_values values = {
            .path = "part.c", .language = "c", .content = content.bytes, .content_length = content.length};
        tokens->count = 0;
        code =
            engine_tokenize(bench->engine, spans, prompt_render(bench->prompt, &values, spans), tokens, err);
    }
    if (code == DOBBY_OK) {
        if (batch->tokens_min == 0 || tokens->count < batch->tokens_min)
            batch->tokens_min = tokens->count;
        if (tokens->count > batch->tokens_max)
            batch->tokens_max = tokens->count;
    }
    buffer_release(&content);
    arena_release(&arena);
    return code;
}

/* Takes what is ready, waiting for it up to WAIT_MS. */
static dobby_code take_results(struct bench *bench, uint64_t *left, struct dobby_error *err)
{
    struct engine_result results[RESULTS];
    size_t count;
    const dobby_code code = engine_wait(bench->engine, results, RESULTS, WAIT_MS, &count, err);
    for (size_t i = 0; i < count; i++) {
        const bool good = results[i].finish == FINISH_END_TOKEN || results[i].finish == FINISH_LENGTH;
        if (!good && bench->failed++ == 0)
            bench->first_failure = results[i].error;
        engine_result_release(&results[i]);
        (*left)--;
    }
    if (code == DOBBY_OK && interrupt_count() > 0)
        return DOBBY_FAIL(err, DOBBY_CANCELED, "while measuring the engine");
    return code;
}

static dobby_code infer(struct bench *bench, uint64_t count, size_t bytes, struct batch *out,
                        struct dobby_error *err)
{
    const struct config *config = bench->options->config;
    struct token_list tokens = {0};
    uint64_t in_flight = 0;
    const int64_t since_ns = clock_monotonic_ns();
    dobby_code code = DOBBY_OK;
    *out = (struct batch){0};
    for (uint64_t i = 0; code == DOBBY_OK && i < count; i++) {
        code = tokenize(bench, bytes, &tokens, out, err);
        while (code == DOBBY_OK) {
            const struct engine_request request = {
                .tag = bench->next_record,
                .tokens = tokens.ids,
                .token_count = tokens.count,
                .tokens_max = (uint32_t)config_integer(config, CONFIG_RUN_MAX_TOKENS),
                .sampling = models_sampling(config)};
            code = engine_submit(bench->engine, &request, err);
            if (code != DOBBY_QUEUE_FULL)
                break;
            code = take_results(bench, &in_flight, err);
        }
        in_flight += code == DOBBY_OK;
    }
    while (code == DOBBY_OK && in_flight > 0)
        code = take_results(bench, &in_flight, err);
    out->seconds = (double)(clock_monotonic_ns() - since_ns) / 1e9;
    bench->records += count;
    token_list_release(&tokens);
    return code;
}

/* ---- loading ------------------------------------------------------------------------------------- */

/* The model's size: that of its file, or of the weights where it is a directory of several. */
static double model_mb(const struct bench *bench)
{
    struct buffer path = {0};
    struct file_info file = {0};
    const bool one_file = models_path(bench->options->config, &path, NULL) == DOBBY_OK &&
                          file_stat(path.bytes, true, &file, NULL) == DOBBY_OK && file.kind == FILE_REGULAR;
    buffer_release(&path);
    return (double)(one_file ? file.bytes : engine_info(bench->engine)->weight_bytes) / 1e6;
}

static dobby_code measure_load(struct bench *bench, struct dobby_error *err)
{
    const bool resets = process_reset_peak_rss();
    const double before_mb = (double)process_peak_rss_bytes() / 1e6;
    const int64_t since_ns = clock_monotonic_ns();
    dobby_code code = models_open_engine(bench->options->config, 0, &bench->engine, err);
    const double seconds = (double)(clock_monotonic_ns() - since_ns) / 1e9;
    if (code == DOBBY_OK)
        code = models_open_prompt(bench->options->config, bench->engine, &bench->prompt, err);
    if (code != DOBBY_OK)
        return code;
    const double size_mb = model_mb(bench);
    struct contract load = {.row = "2.13",
                            .what = "load the model (10 s for each 500 MB)",
                            .engine = "embedded",
                            .unit = "s",
                            .limit = 10 * size_mb / 500,
                            .measured = seconds};
    struct contract memory = {.row = "2.13",
                              .what = "memory of the loaded model (its size and 20 %)",
                              .engine = "embedded",
                              .unit = "MB",
                              .limit = 1.2 * size_mb};
    snprintf(load.note, sizeof load.note, "%.1f MB", size_mb);
    contract_add(bench->list, &load);
    if (!resets || !process_reset_peak_rss()) {
        contract_add_missing(bench->list, &memory, "this system does not tell memory in use (clear_refs)");
        return DOBBY_OK;
    }
    memory.measured = (double)process_peak_rss_bytes() / 1e6 - before_mb;
    contract_add(bench->list, &memory);
    return DOBBY_OK;
}

/* ---- inferring ----------------------------------------------------------------------------------- */

static void add_amortised(struct bench *bench, const char *what, double limit_ms, const struct batch *batch,
                          uint64_t count)
{
    struct contract contract = {.row = "2.13",
                                .what = what,
                                .engine = "embedded",
                                .unit = "ms",
                                .limit = limit_ms,
                                .measured = batch->seconds * 1000 / (double)count};
    snprintf(contract.note, sizeof contract.note, "%llu records of %zu to %zu tokens",
             (unsigned long long)count, batch->tokens_min, batch->tokens_max);
    contract_add(bench->list, &contract);
}

static void add_wall(struct bench *bench, const char *what, double limit_s, const struct batch *batch)
{
    const struct contract contract = {.row = "2.13",
                                      .what = what,
                                      .engine = "embedded",
                                      .unit = "s",
                                      .limit = limit_s,
                                      .measured = batch->seconds};
    contract_add(bench->list, &contract);
}

static dobby_code measure_inference(struct bench *bench, struct dobby_error *err)
{
    struct batch warm, little, few, many, large;
    dobby_code code = infer(bench, 1, SHORT_BYTES, &warm, err); /* touches weights and memory once */
    if (code == DOBBY_OK)
        code = infer(bench, SHORT_RECORDS, SHORT_BYTES, &little, err);
    if (code == DOBBY_OK)
        code = infer(bench, FEW_RECORDS, MIDDLE_BYTES, &few, err);
    if (code == DOBBY_OK)
        code = infer(bench, MIDDLE_RECORDS, MIDDLE_BYTES, &many, err);
    if (code == DOBBY_OK)
        code = infer(bench, LONG_RECORDS, LONG_BYTES, &large, err);
    if (code != DOBBY_OK)
        return code;
    add_amortised(bench, "a record of less than 100 tokens", 100, &little, SHORT_RECORDS);
    add_amortised(bench, "a record of 100 to 500 tokens", 300, &many, MIDDLE_RECORDS);
    add_amortised(bench, "a record of more than 500 tokens", 1000, &large, LONG_RECORDS);
    add_wall(bench, "10 records", 2, &few);
    add_wall(bench, "100 records", 15, &many);
    add_amortised(bench, "average a record", 50, &many, MIDDLE_RECORDS);
    struct contract success = {.row = "2.13",
                               .what = "records that the engine answers",
                               .engine = "embedded",
                               .unit = "%",
                               .at_least = true,
                               .limit = 99,
                               .measured =
                                   (double)(bench->records - bench->failed) * 100 / (double)bench->records};
    if (bench->failed > 0)
        snprintf(success.note, sizeof success.note, "%s: %.80s", dobby_code_id(bench->first_failure.code),
                 bench->first_failure.detail);
    contract_add(bench->list, &success);
    return DOBBY_OK;
}

dobby_code contracts_engine(const struct contract_options *options, struct contract_list *list,
                            struct dobby_error *err)
{
    struct bench bench = {.options = options, .list = list};
    dobby_code code = measure_load(&bench, err);
    if (code == DOBBY_OK)
        code = measure_inference(&bench, err);
    prompt_template_free(bench.prompt);
    engine_close(bench.engine);
    return code;
}
