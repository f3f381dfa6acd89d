#include "unit/pipeline/fake_engine_helper.h"

#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_engine *fake(struct engine *engine)
{
    return (struct fake_engine *)(void *)engine;
}

static const struct engine_info *info_of(const struct engine *engine)
{
    return &((const struct fake_engine *)(const void *)engine)->info;
}

static bool span_has(const struct text_span *span, const char *word)
{
    const size_t length = strlen(word);
    for (size_t i = 0; i + length <= span->length; i++)
        if (memcmp(span->bytes + i, word, length) == 0)
            return true;
    return false;
}

static dobby_code tokenize(struct engine *engine, const struct text_span *spans, size_t count,
                           struct token_list *out, struct dobby_error *err)
{
    (void)engine;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < spans[i].length; k++) {
            if (out->count == out->capacity) {
                size_t capacity = out->capacity * 2 + 64;
                int32_t *ids = realloc(out->ids, capacity * sizeof(*ids));
                if (ids == NULL)
                    return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "tokens");
                out->ids = ids;
                out->capacity = capacity;
            }
            out->ids[out->count++] = (unsigned char)spans[i].bytes[k];
        }
        if (span_has(&spans[i], FAKE_HUGE))
            return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "huge text");
        if (span_has(&spans[i], FAKE_BYTES))
            return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "strange text");
    }
    return DOBBY_OK;
}

/* Whether a call fails that is the number-th of its kind, when they fail from `first` on. */
static bool call_fails(struct fake_engine *self, uint32_t first, uint32_t number)
{
    bool fails = first > 0 && number >= first && (self->failures == 0 || self->failed_calls < self->failures);
    self->failed_calls += fails;
    return fails;
}

static dobby_code submit(struct engine *engine, const struct engine_request *request, struct dobby_error *err)
{
    struct fake_engine *self = fake(engine);
    self->submits++;
    if (call_fails(self, self->submits_before_failure, self->submits))
        return DOBBY_FAIL(err, self->failure, "told to");
    if (self->count == self->queue_max)
        return DOBBY_FAIL(err, DOBBY_QUEUE_FULL, "%zu queued", self->count);
    if (request->token_count + request->tokens_max > self->info.context_tokens)
        return DOBBY_FAIL(err, DOBBY_CONTEXT_EXCEEDED, "%zu tokens", request->token_count);
    struct fake_request *slot = &self->queue[self->count];
    *slot = (struct fake_request){.tag = request->tag,
                                  .seed = request->sampling.seed,
                                  .temperature = request->sampling.temperature,
                                  .token_count = (uint32_t)request->token_count};
    for (size_t i = 0; i < request->token_count; i++)
        slot->prompt[i] = (char)request->tokens[i];
    if (strstr(slot->prompt, FAKE_LOST_KV) != NULL)
        return DOBBY_FAIL(err, DOBBY_KV_EXHAUSTED, "told to");
    if (strstr(slot->prompt, FAKE_LONG) != NULL)
        return DOBBY_FAIL(err, DOBBY_CONTEXT_EXCEEDED, "told to");
    if (strstr(slot->prompt, FAKE_REFUSED) != NULL)
        return DOBBY_FAIL(err, DOBBY_NUMERIC_FAILURE, "refused");
    if (strstr(slot->prompt, FAKE_BUSY) != NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "refused");
    self->submitted++;
    if (++self->count > self->count_max)
        self->count_max = self->count;
    return DOBBY_OK;
}

/* A word of 13 letters that differs between prompts and between seeds (FNV-1a). */
static void write_word(const struct fake_request *request, char word[14])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ request->seed;
    for (uint32_t i = 0; i < request->token_count; i++)
        hash = (hash ^ (uint8_t)request->prompt[i]) * UINT64_C(0x100000001b3);
    for (int i = 0; i < 13; i++, hash /= 26)
        word[i] = (char)('a' + hash % 26);
    word[13] = '\0';
}

static bool asks_for(const struct fake_request *request, const char *word)
{
    return strstr(request->prompt, word) != NULL;
}

static void answer(struct fake_engine *self, const struct fake_request *request, struct engine_result *out)
{
    enum { ROOM = 64 };
    bool greedy = request->temperature <= 0;
    *out = (struct engine_result){.tag = request->tag,
                                  .finish = FINISH_END_TOKEN,
                                  .tokens_in = request->token_count,
                                  .tokens_out = 7,
                                  .confidence = 0.5,
                                  .total_us = 1500};
    if (request->canceled) {
        out->finish = FINISH_CANCELED;
        return;
    }
    if (asks_for(request, FAKE_RETRY) || self->results_to_fail > 0) {
        bool chosen = self->results_to_fail > 0 && self->result_failure != DOBBY_OK;
        self->results_to_fail -= self->results_to_fail > 0;
        out->finish = FINISH_ERROR;
        (void)DOBBY_FAIL(&out->error, chosen ? self->result_failure : DOBBY_OUT_OF_MEMORY, "told to");
        return;
    }
    if (asks_for(request, FAKE_ERROR) || (asks_for(request, FAKE_BROKEN) && !greedy)) {
        out->finish = FINISH_ERROR;
        (void)DOBBY_FAIL(&out->error, DOBBY_NUMERIC_FAILURE, "a logit at step 3");
        return;
    }
    if (asks_for(request, FAKE_TAG))
        out->tag += 1000000;
    if (asks_for(request, FAKE_FINISH))
        out->finish = FINISH_UNKNOWN;
    if (asks_for(request, FAKE_MUTE))
        return;
    out->text = calloc(1, ROOM);
    if (out->text == NULL) {
        out->finish = FINISH_ERROR;
        (void)DOBBY_FAIL(&out->error, DOBBY_OUT_OF_MEMORY, "a text");
        return;
    }
    if (asks_for(request, FAKE_LENGTH))
        out->finish = FINISH_LENGTH;
    if (asks_for(request, FAKE_BLANK) || asks_for(request, FAKE_BROKEN) ||
        (asks_for(request, FAKE_ONCE) && greedy)) {
        snprintf(out->text, ROOM, " \n ");
        out->text_length = 3;
    } else if (asks_for(request, FAKE_NUL)) {
        memcpy(out->text, "a\0b", 3);
        out->text_length = 3;
    } else {
        char word[14];
        write_word(request, word);
        out->text_length = (size_t)snprintf(out->text, ROOM, " \nSays %s.\n\t", word);
    }
}

static dobby_code wait_for(struct engine *engine, struct engine_result *results, size_t capacity,
                           int64_t timeout_ms, size_t *count, struct dobby_error *err)
{
    struct fake_engine *self = fake(engine);
    (void)timeout_ms;
    *count = 0;
    self->waits++;
    if (self->on_wait != NULL)
        self->on_wait(self->context);
    if (call_fails(self, self->waits_before_failure, self->waits))
        return DOBBY_FAIL(err, self->failure, "told to");
    if (self->cancels_by_itself && self->waits == 1)
        engine_cancel_all(engine);
    if (self->wait_ms > 0)
        clock_sleep_ms(self->wait_ms);
    size_t most = self->per_wait > 0 ? self->per_wait : self->count;
    for (size_t i = 0; i < self->count && self->queue[i].canceled; i++)
        most = self->count; /* what is cancelled ends at once */
    while (*count < capacity && *count < most && self->count > 0) {
        size_t chosen = self->newest_first ? self->count - 1 : 0;
        answer(self, &self->queue[chosen], &results[(*count)++]);
        self->count--;
        memmove(&self->queue[chosen], &self->queue[chosen + 1],
                (self->count - chosen) * sizeof(self->queue[0]));
    }
    return DOBBY_OK;
}

/* The first info.sessions requests run, the others are queued. */
static void cancel_queued(struct engine *engine)
{
    struct fake_engine *self = fake(engine);
    self->queued_cancels++;
    for (size_t i = self->info.sessions; i < self->count; i++)
        self->queue[i].canceled = true;
}

static void cancel_all(struct engine *engine)
{
    struct fake_engine *self = fake(engine);
    self->cancels++;
    for (size_t i = 0; i < self->count; i++)
        self->queue[i].canceled = true;
}

static void stats(struct engine *engine, struct engine_stats *out)
{
    const struct fake_engine *self = fake(engine);
    out->submitted = self->submitted;
    out->queued = (uint32_t)self->count;
    out->sessions_now = self->info.sessions;
}

static const struct engine_ops ops = {.info = info_of,
                                      .tokenize = tokenize,
                                      .submit = submit,
                                      .wait = wait_for,
                                      .cancel_queued = cancel_queued,
                                      .cancel_all = cancel_all,
                                      .stats = stats};

void fake_engine_init(struct fake_engine *engine, uint32_t sessions)
{
    *engine = (struct fake_engine){
        .base.ops = &ops,
        .info = {.model = "fake",
                 .fingerprint = "f00d",
                 .architecture = "none",
                 .precision = "bytes",
                 .kernels = "none",
                 .version = "fake/1",
                 .context_tokens = FAKE_CONTEXT_TOKENS,
                 .sessions = sessions,
                 .threads = 1},
        .queue_max = FAKE_QUEUE_MAX,
        .queue = calloc(FAKE_QUEUE_MAX, sizeof(struct fake_request)),
    };
    if (engine->queue == NULL)
        abort();
}

void fake_engine_release(struct fake_engine *engine)
{
    free(engine->queue);
    *engine = (struct fake_engine){.queue = NULL};
}
