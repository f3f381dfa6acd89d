/* The thin wrappers of the engine's interface: they check arguments and zero what a failed call must leave
 * zeroed; the implementation does the work. */
#include "infer/engine.h"

#include "base/error.h"

#include <assert.h>
#include <stdlib.h>

void engine_result_release(struct engine_result *result)
{
    free(result->text);
    free(result->tokens);
    free(result->logprobs);
    *result = (struct engine_result){0};
}

const char *engine_phase_name(enum engine_phase phase)
{
    static const char *const names[PHASE_COUNT] = {"between", "rows",    "prepare", "qkv",  "attention",
                                                   "output",  "gate_up", "down",    "head", "sample"};
    return (unsigned)phase < PHASE_COUNT ? names[phase] : "unknown";
}

void engine_close(struct engine *engine)
{
    if (engine != NULL)
        engine->ops->close(engine);
}

const struct engine_info *engine_info(const struct engine *engine)
{
    return engine->ops->info(engine);
}

dobby_code engine_tokenize(struct engine *engine, const struct text_span *spans, size_t count,
                           struct token_list *out, struct dobby_error *err)
{
    assert(count == 0 || spans != NULL);
    const size_t before = out->count;
    const dobby_code code = engine->ops->tokenize(engine, spans, count, out, err);
    if (code != DOBBY_OK)
        out->count = before;
    return code;
}

dobby_code engine_submit(struct engine *engine, const struct engine_request *request, struct dobby_error *err)
{
    if (request->token_count == 0 || request->tokens == NULL)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "the prompt is empty");
    return engine->ops->submit(engine, request, err);
}

dobby_code engine_wait(struct engine *engine, struct engine_result *results, size_t capacity,
                       int64_t timeout_ms, size_t *count, struct dobby_error *err)
{
    *count = 0;
    if (capacity == 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "there is no room for a result");
    if (timeout_ms < 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a time of %lld ms", (long long)timeout_ms);
    return engine->ops->wait(engine, results, capacity, timeout_ms, count, err);
}

void engine_cancel_queued(struct engine *engine)
{
    engine->ops->cancel_queued(engine);
}

void engine_cancel_all(struct engine *engine)
{
    engine->ops->cancel_all(engine);
}

void engine_stats(struct engine *engine, struct engine_stats *out)
{
    *out = (struct engine_stats){0};
    engine->ops->stats(engine, out);
}
