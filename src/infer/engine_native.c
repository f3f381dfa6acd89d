/* The engine of our own: a model, a thread pool and a scheduler behind struct engine_ops. */
#include "infer/engine_native.h"

#include "base/crypto.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "infer/model/kv_cache.h"
#include "infer/model/model_shape.h"
#include "infer/model/scheduler.h"
#include "os/memory.h"
#include "os/thread.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SESSIONS_DEFAULT = 128,        /* at most, unless told: what is best up to it, the scheduler finds out */
    SESSION_TOKENS_DEFAULT = 1024, /* what a sequence's share of the default KV cache holds */
    MEMORY_PARTS = 4,              /* the default KV cache takes at most one of them */
    VERSION_BYTES = 32
};

struct native {
    struct engine engine;        /* first: the caller's handle */
    struct model_file *file;     /* NULL: random weights */
    struct tokenizer *tokenizer; /* NULL likewise */
    struct thread_pool *pool;
    struct model model;
    struct scheduler *scheduler;
    struct engine_info info;
    char fingerprint[SHA256_HEX_BYTES];
    char precision[ENGINE_PRECISION_BYTES];
    char version[VERSION_BYTES];
};

static void native_close(struct engine *engine)
{
    struct native *native = (struct native *)engine;
    scheduler_close(native->scheduler);
    model_release(&native->model);
    thread_pool_close(native->pool);
    tokenizer_free(native->tokenizer);
    if (native->file != NULL)
        model_file_close(native->file);
    free(native);
}

static const struct engine_info *native_info(const struct engine *engine)
{
    return &((const struct native *)engine)->info;
}

static dobby_code append_token(struct token_list *list, int32_t id, struct dobby_error *err)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        int32_t *ids = realloc(list->ids, capacity * sizeof *ids);
        if (ids == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu tokens", capacity);
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return DOBBY_OK;
}

static dobby_code native_tokenize(struct engine *engine, const struct text_span *spans, size_t count,
                                  struct token_list *out, struct dobby_error *err)
{
    const struct native *native = (const struct native *)engine;
    const int32_t begin = native->model.config.begin_token;
    if (native->tokenizer == NULL)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "%s has random weights and no tokenizer",
                          native->model.config.name);
    dobby_code code = DOBBY_OK;
    if (begin >= 0)
        code = append_token(out, begin, err);
    if (code == DOBBY_OK)
        code = tokenizer_encode(native->tokenizer, spans, count, out, err);
    return code;
}

static dobby_code native_submit(struct engine *engine, const struct engine_request *request,
                                struct dobby_error *err)
{
    return scheduler_submit(((struct native *)engine)->scheduler, request, err);
}

/* Decodes a result's tokens. Done on the waiting thread, so that it does not hold up the batch. A failure
 * becomes the result's own: one result must not be lost for another's. */
static void add_text(const struct native *native, struct engine_result *result)
{
    struct buffer bytes = {0}, text = {0};
    dobby_code code = DOBBY_OK;
    if (native->tokenizer != NULL)
        code = tokenizer_decode(native->tokenizer, result->tokens, result->tokens_out, false, &bytes,
                                &result->error);
    if (code == DOBBY_OK)
        code = utf8_append_repaired(&text, bytes.bytes, bytes.length, &result->error);
    if (code == DOBBY_OK) {
        result->text = buffer_take(&text, &result->text_length);
        if (result->text == NULL)
            code = DOBBY_FAIL(&result->error, DOBBY_OUT_OF_MEMORY, "a result's text");
    }
    if (code != DOBBY_OK)
        result->finish = FINISH_ERROR;
    buffer_release(&bytes);
    buffer_release(&text);
}

static dobby_code native_wait(struct engine *engine, struct engine_result *results, size_t capacity,
                              int64_t timeout_ms, size_t *count, struct dobby_error *err)
{
    (void)err;
    struct native *native = (struct native *)engine;
    *count = scheduler_wait(native->scheduler, results, capacity, timeout_ms);
    for (size_t i = 0; i < *count; i++)
        add_text(native, &results[i]);
    return DOBBY_OK;
}

static void native_cancel_queued(struct engine *engine)
{
    scheduler_cancel_queued(((struct native *)engine)->scheduler);
}

static void native_cancel_all(struct engine *engine)
{
    scheduler_cancel_all(((struct native *)engine)->scheduler);
}

static void native_stats(struct engine *engine, struct engine_stats *out)
{
    scheduler_stats(((struct native *)engine)->scheduler, out);
}

static const struct engine_ops native_ops = {.close = native_close,
                                             .info = native_info,
                                             .tokenize = native_tokenize,
                                             .submit = native_submit,
                                             .wait = native_wait,
                                             .cancel_queued = native_cancel_queued,
                                             .cancel_all = native_cancel_all,
                                             .stats = native_stats};

/* What the options leave open, from the model's shape and the machine's memory. */
static dobby_code settle(const struct engine_native_options *options, const struct model_config *config,
                         const struct kv_shape *shape, struct scheduler_options *out, struct dobby_error *err)
{
    if (options->sessions > LIMIT_SESSIONS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%u sessions, the limit is %d", options->sessions,
                          LIMIT_SESSIONS);
    if (options->context_tokens > config->context_tokens)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "a context of %u tokens, the model has %u",
                          options->context_tokens, config->context_tokens);
    const uint64_t page_bytes = kv_page_bytes(shape);
    const uint32_t context = options->context_tokens ? options->context_tokens : config->context_tokens;
    const uint32_t share = context < SESSION_TOKENS_DEFAULT ? context : SESSION_TOKENS_DEFAULT;
    const uint64_t session_bytes = kv_pages_of(share) * page_bytes;
    const uint64_t context_bytes = kv_pages_of(context) * page_bytes;
    const uint64_t memory = memory_total_bytes();

    uint64_t kv_bytes = options->kv_bytes_max;
    if (kv_bytes == 0) {
        kv_bytes = (options->sessions ? options->sessions : SESSIONS_DEFAULT) * session_bytes;
        if (kv_bytes < context_bytes)
            kv_bytes = context_bytes;
        if (memory > 0 && kv_bytes > memory / MEMORY_PARTS)
            kv_bytes = memory / MEMORY_PARTS;
        kv_bytes = kv_bytes / page_bytes * page_bytes;
    }
    uint64_t sessions = options->sessions;
    if (sessions == 0) {
        sessions = kv_bytes / session_bytes;
        sessions = sessions > SESSIONS_DEFAULT ? SESSIONS_DEFAULT : sessions > 0 ? sessions : 1;
    }
    out->sessions = (uint32_t)sessions;
    out->adaptive = options->sessions == 0;
    out->context_tokens = context;
    out->kv_bytes_max = kv_bytes;
    return DOBBY_OK;
}

static void format_precision(enum tensor_type weights, enum product product, char out[ENGINE_PRECISION_BYTES])
{
    /* Weights of four bits are multiplied as INT8. */
    const enum product arithmetic = product == PRODUCT_INT4 ? PRODUCT_INT8 : product;
    (void)snprintf(out, ENGINE_PRECISION_BYTES, "%s/%s",
                   product == PRODUCT_F32 ? tensor_type_name(weights) : product_name(product),
                   product_name(arithmetic));
    for (char *at = out; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
}

static dobby_code fill_info(struct native *native, const struct scheduler_options *settled,
                            struct dobby_error *err)
{
    const struct model_config *config = &native->model.config;
    const bool random = native->file == NULL;
    format_precision(random ? native->model.embedding.type : model_file_weight_type(native->file),
                     native->model.product, native->precision);
    (void)snprintf(native->version, sizeof native->version, "native-1/%s", native->model.kernels->name);
    uint8_t digest[SHA256_BYTES];
    /* Random weights are the same for the same shape. */
    const dobby_code code = random ? sha256_of(config->name, strlen(config->name), digest, err)
                                   : model_file_fingerprint(native->file, digest, err);
    if (code != DOBBY_OK)
        return code;
    sha256_hex(digest, native->fingerprint);
    native->info = (struct engine_info){
        .model = config->name,
        .fingerprint = native->fingerprint,
        .architecture = config->architecture == MODEL_QWEN2 ? "qwen2" : "llama",
        .precision = native->precision,
        .kernels = native->model.kernels->name,
        .version = native->version,
        .chatml = config->chat == CHAT_CHATML,
        .vocabulary = config->vocabulary,
        .context_tokens = settled->context_tokens,
        .sessions = settled->sessions,
        .threads = thread_pool_threads(native->pool),
        .parameters = random ? model_shape_parameters(config) : model_file_parameters(native->file),
        .weight_bytes = model_weight_bytes(&native->model),
        .kv_bytes_max = settled->kv_bytes_max};
    return DOBBY_OK;
}

/* The set and the product; PRODUCT_UNKNOWN stays what the weights' type decides. What is to be exact is for a
 * set whose attention is, too. */
static dobby_code choose_kernels(const struct engine_native_options *options, const struct kernels **kernels,
                                 enum product *out, struct dobby_error *err)
{
    const char *name = options->precision;
    static const struct {
        const char *name;
        enum product product;
    } names[] = {
        {"auto", PRODUCT_UNKNOWN}, {"exact", PRODUCT_F32}, {"bf16", PRODUCT_BF16},
        {"int8", PRODUCT_INT8},    {"int4", PRODUCT_INT4},
    };
    dobby_code code = kernels_choose(options->kernels, kernels, err);
    if (code != DOBBY_OK)
        return code;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name != NULL ? name : "auto", names[i].name) == 0) {
            *out = names[i].product;
            if (*out == PRODUCT_F32 && (*kernels)->exact != NULL)
                *kernels = (*kernels)->exact;
            return DOBBY_OK;
        }
    }
    return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                      "there is no precision %.32s: auto, exact, bf16, int8 or int4", name);
}

dobby_code engine_native_choose(const struct engine_native_options *options, enum tensor_type weights,
                                struct engine_native_choice *out, struct dobby_error *err)
{
    const struct kernels *kernels;
    enum product product = PRODUCT_UNKNOWN;
    *out = (struct engine_native_choice){0};
    dobby_code code = choose_kernels(options, &kernels, &product, err);
    if (code != DOBBY_OK)
        return code;
    if (product == PRODUCT_UNKNOWN)
        product = kernels->choose_product(weights);
    out->kernels = kernels->name;
    format_precision(weights, product, out->precision);
    return DOBBY_OK;
}

/* Fills native->model, and file and tokenizer unless its weights are random. */
static dobby_code make_model(struct native *native, const struct engine_native_options *options,
                             struct dobby_error *err)
{
    const struct kernels *kernels;
    struct model_config shape;
    const struct model_config *config = &shape;
    enum product product = PRODUCT_UNKNOWN;
    dobby_code code = choose_kernels(options, &kernels, &product, err);
    if (code == DOBBY_OK && options->shape != NULL) {
        code = model_shape_find(options->shape, &shape, err);
    } else if (code == DOBBY_OK) {
        code = model_file_open(options->model_path, &native->file, err);
        if (code == DOBBY_OK)
            code = model_file_tokenizer(native->file, &native->tokenizer, err);
        if (code == DOBBY_OK)
            config = model_file_config(native->file);
    }
    if (code != DOBBY_OK)
        return code;
    const uint32_t context = options->context_tokens && options->context_tokens < config->context_tokens
                                 ? options->context_tokens
                                 : config->context_tokens;
    return options->shape != NULL ? model_make_random(config, kernels, product, context, &native->model, err)
                                  : model_load(native->file, kernels, product, context, &native->model, err);
}

dobby_code engine_native_open(const struct engine_native_options *options, struct engine **out,
                              struct dobby_error *err)
{
    *out = NULL;
    const uint32_t threads = options->threads ? options->threads : thread_cpu_count();
    if (threads > LIMIT_THREADS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%u threads, the limit is %d", threads, LIMIT_THREADS);
    struct native *native = calloc(1, sizeof *native);
    if (native == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the engine");
    native->engine.ops = &native_ops;

    struct scheduler_options settled = {.model = &native->model};
    dobby_code code = make_model(native, options, err);
    if (code != DOBBY_OK)
        goto done;
    code = thread_pool_open(threads, &native->pool, err);
    if (code != DOBBY_OK)
        goto done;
    settled.pool = native->pool;
    const struct kv_shape shape = model_kv_shape(&native->model);
    code = settle(options, &native->model.config, &shape, &settled, err);
    if (code != DOBBY_OK)
        goto done;
    code = fill_info(native, &settled, err);
    if (code != DOBBY_OK)
        goto done;
    code = scheduler_open(&settled, &native->scheduler, err);
    if (code != DOBBY_OK)
        goto done;
    if (native->file != NULL)
        model_file_drop_pages(native->file); /* the fingerprint read them all */
    *out = &native->engine;
    native = NULL;

done:
    if (native != NULL)
        native_close(&native->engine);
    return code;
}
