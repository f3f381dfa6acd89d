/* Records a minute of a model over sessions and threads: synthetic prompts, a fixed number of generated
 * tokens (the model's end tokens are ignored, so that every record costs the same). Usage: bench_engine
 * [MODEL [PROMPT_TOKENS [GENERATED_TOKENS]]] */
#include "infer/format/model_file.h"
#include "infer/model/kv_cache.h"
#include "infer/model/scheduler.h"
#include "os/clock.h"
#include "os/process.h"

#include <stdio.h>
#include <stdlib.h>

enum { RECORDS_PER_SESSION = 2, RECORDS_MIN = 6, WAIT_MS = 600000, TOKENS_LIMIT = 4096 };

struct bench {
    struct model model;
    uint32_t prompt_tokens, generated_tokens;
};

static void submit(const struct bench *bench, struct scheduler *scheduler, uint32_t number)
{
    static int32_t tokens[TOKENS_LIMIT];
    uint32_t state = number + 1;
    for (uint32_t i = 0; i < bench->prompt_tokens; i++) {
        state = state * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((state >> 8) % bench->model.config.vocabulary);
    }
    struct dobby_error err;
    const struct engine_request request = {.tag = number,
                                           .tokens = tokens,
                                           .token_count = bench->prompt_tokens,
                                           .tokens_max = bench->generated_tokens,
                                           .sampling = SAMPLING_GREEDY};
    if (scheduler_submit(scheduler, &request, &err) != DOBBY_OK)
        (void)fprintf(stderr, "submit: %s\n", err.detail);
}

static dobby_code measure(const struct bench *bench, uint32_t sessions, uint32_t threads,
                          struct dobby_error *err)
{
    const struct model_config *config = &bench->model.config;
    const struct kv_shape shape = {config->layers, config->kv_heads, config->head_dim};
    const uint32_t tokens = bench->prompt_tokens + bench->generated_tokens;
    struct scheduler *scheduler = NULL;
    struct thread_pool *pool = NULL;
    struct scheduler_options options = {.model = &bench->model,
                                        .sessions = sessions,
                                        .context_tokens = tokens,
                                        .kv_bytes_max =
                                            (uint64_t)sessions * kv_pages_of(tokens) * kv_page_bytes(&shape)};
    dobby_code code = thread_pool_open(threads, &pool, err);
    if (code != DOBBY_OK)
        goto done;
    options.pool = pool;
    code = scheduler_open(&options, &scheduler, err);
    if (code != DOBBY_OK)
        goto done;
    const uint32_t wanted = RECORDS_PER_SESSION * sessions;
    const uint32_t records = wanted > RECORDS_MIN ? wanted : RECORDS_MIN;
    const int64_t start_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < records; i++)
        submit(bench, scheduler, i);
    int64_t latency_us = 0;
    for (uint32_t done = 0; done < records; done++) {
        struct engine_result result;
        if (scheduler_wait(scheduler, &result, 1, WAIT_MS) != 1)
            break;
        latency_us += result.total_us / records;
        engine_result_release(&result);
    }
    const double seconds = (double)(clock_monotonic_ns() - start_ns) / 1e9;
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    printf("%8u %8u %14.1f %14.0f %14.1f %10.1f\n", threads, sessions, records * 60 / seconds,
           (double)(stats.prefill_tokens + stats.decode_tokens) / seconds, (double)latency_us / 1e3,
           (double)stats.kv_bytes_peak / 1e6);

done:
    scheduler_close(scheduler);
    thread_pool_close(pool);
    return code;
}

static uint32_t number_of(const char *text, uint32_t otherwise)
{
    const long number = text != NULL ? strtol(text, NULL, 10) : 0;
    return number > 0 && number < TOKENS_LIMIT / 2 ? (uint32_t)number : otherwise;
}

int main(int argc, char **argv)
{
    static const uint32_t all_sessions[] = {1, 8, 32};
    const char *path = argc > 1 ? argv[1] : "models/dobby-nano/dobby-nano-q8_0.gguf";
    struct bench bench = {.prompt_tokens = number_of(argc > 2 ? argv[2] : NULL, 300)};
    bench.generated_tokens = number_of(argc > 3 ? argv[3] : NULL, 30);
    struct dobby_error err;
    struct model_file *file = NULL;
    const struct kernels *kernels;
    dobby_code code = model_file_open(path, &file, &err);
    if (code != DOBBY_OK)
        goto done;
    code = kernels_choose(NULL, &kernels, &err);
    if (code != DOBBY_OK)
        goto done;
    const int64_t start_ns = clock_monotonic_ns();
    code = model_load(file, kernels, bench.prompt_tokens + bench.generated_tokens, &bench.model, &err);
    if (code != DOBBY_OK)
        goto done;
    bench.model.config.end_token_count = 0;
    printf("%s, %s kernels, %u tokens in, %u out; packed %.1f MB in %.2f s\n", bench.model.config.name,
           kernels->name, bench.prompt_tokens, bench.generated_tokens,
           (double)model_weight_bytes(&bench.model) / 1e6, (double)(clock_monotonic_ns() - start_ns) / 1e9);
    printf("%8s %8s %14s %14s %14s %10s\n", "threads", "sessions", "records/min", "tokens/s",
           "mean ms/record", "KV MB");
    for (uint32_t threads = 1; threads <= 2; threads++)
        for (size_t i = 0; code == DOBBY_OK && i < sizeof all_sessions / sizeof all_sessions[0]; i++)
            code = measure(&bench, all_sessions[i], threads, &err);
    printf("peak memory %.1f MB\n", (double)process_peak_rss_bytes() / 1e6);

done:
    if (code != DOBBY_OK)
        (void)fprintf(stderr, "bench_engine: %s: %s\n", dobby_code_message(code), err.detail);
    model_release(&bench.model);
    if (file != NULL)
        model_file_close(file);
    return code == DOBBY_OK ? 0 : 1;
}
