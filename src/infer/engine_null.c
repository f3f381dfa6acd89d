/* The null engine. A request is in one of three places, all in one array that is there from the start:
 *
 *   QUEUED  -> RUNNING [advance: a session is free]
 *   RUNNING -> DONE    [advance: its delay is over]
 *   QUEUED  -> DONE    [null_cancel_queued], RUNNING -> DONE [null_cancel_all]
 *   DONE    -> free    [null_wait] */
#include "infer/engine_null.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/limits.h"
#include "infer/model/sampler.h"
#include "infer/null_text.h"
#include "os/clock.h"
#include "os/thread.h"

#include <stdlib.h>
#include <string.h>

static const char identity[] = "dobby null engine 1";

/* What may be in flight, as the native engine: see engine_submit. */
enum { UNTAKEN_PER_SESSION = 3, UNTAKEN_MIN = 64 };

enum place { PLACE_FREE, PLACE_QUEUED, PLACE_RUNNING, PLACE_DONE };

struct null_job {
    enum place place;
    uint64_t order; /* of submission */
    uint64_t tag;
    uint32_t tokens_in, tokens_max;
    bool ignore_end, marked;
    enum finish_reason finish;              /* once DONE */
    int64_t submitted_ns, start_ns, end_ns; /* start and end once RUNNING */
};

struct null_engine {
    struct engine engine; /* first: the caller's handle */
    struct engine_info info;
    char fingerprint[SHA256_HEX_BYTES];
    char *marker; /* owned; NULL: none */
    size_t marker_length;
    bool fail_retryable, fail_submit;
    int64_t delay_ns;

    struct mutex lock;
    struct condition changed; /* something was submitted or cancelled */
    struct null_job *jobs;    /* job_capacity entries; all below is guarded by lock */
    uint32_t job_capacity, untaken;
    uint64_t order;
    struct engine_stats stats;
};

/* ---- time ---------------------------------------------------------------------------------------- */

static void finish(struct null_engine *null, struct null_job *job, enum finish_reason reason)
{
    if (job->place == PLACE_QUEUED)
        null->stats.queued--;
    else
        null->stats.running--;
    job->place = PLACE_DONE;
    job->finish = reason;
    null->stats.finished += reason == FINISH_END_TOKEN || reason == FINISH_LENGTH;
    null->stats.failed += reason == FINISH_ERROR;
    null->stats.canceled += reason == FINISH_CANCELED;
}

static struct null_job *first_queued(struct null_engine *null)
{
    struct null_job *first = NULL;
    for (uint32_t i = 0; i < null->job_capacity && null->stats.queued > 0; i++) {
        struct null_job *job = &null->jobs[i];
        if (job->place == PLACE_QUEUED && (first == NULL || job->order < first->order))
            first = job;
    }
    return first;
}

/* The running job that ends first; of those that end together the one submitted first. NULL: none runs. */
static struct null_job *first_to_end(struct null_engine *null)
{
    struct null_job *first = NULL;
    for (uint32_t i = 0; i < null->job_capacity && null->stats.running > 0; i++) {
        struct null_job *job = &null->jobs[i];
        if (job->place == PLACE_RUNNING && (first == NULL || job->end_ns < first->end_ns ||
                                            (job->end_ns == first->end_ns && job->order < first->order)))
            first = job;
    }
    return first;
}

static void start(struct null_engine *null, struct null_job *job, int64_t now_ns)
{
    null->stats.queued--;
    null->stats.running++;
    null->stats.prefill_tokens += job->tokens_in;
    job->place = PLACE_RUNNING;
    job->start_ns = now_ns > job->submitted_ns ? now_ns : job->submitted_ns;
    job->end_ns = job->start_ns + null->delay_ns;
}

/* The tokens that a request generates, the end token left out. */
static uint32_t tokens_out_of(const struct null_job *job)
{
    return job->ignore_end || job->tokens_max < null_text_tokens() ? job->tokens_max : null_text_tokens();
}

static enum finish_reason reason_of(const struct null_job *job)
{
    if (job->marked)
        return FINISH_ERROR;
    /* The end token is generated too, so a text that fills the limit was cut off. */
    return job->ignore_end || job->tokens_max <= null_text_tokens() ? FINISH_LENGTH : FINISH_END_TOKEN;
}

/* Brings every job to where it is at now_ns: places are filled at the moment that one became free. */
static void advance(struct null_engine *null, int64_t now_ns)
{
    struct null_job *job;
    while (null->stats.running < null->info.sessions && (job = first_queued(null)) != NULL)
        start(null, job, job->submitted_ns);
    while ((job = first_to_end(null)) != NULL && job->end_ns <= now_ns) {
        const int64_t end_ns = job->end_ns;
        finish(null, job, reason_of(job));
        null->stats.decode_tokens += job->finish == FINISH_ERROR ? 0 : tokens_out_of(job);
        if ((job = first_queued(null)) != NULL)
            start(null, job, end_ns);
    }
}

/* ---- the interface ------------------------------------------------------------------------------- */

static void null_close(struct engine *engine)
{
    struct null_engine *null = (struct null_engine *)engine;
    condition_release(&null->changed);
    mutex_release(&null->lock);
    free(null->marker);
    free(null->jobs);
    free(null);
}

static const struct engine_info *null_info(const struct engine *engine)
{
    return &((const struct null_engine *)engine)->info;
}

static dobby_code null_tokenize(struct engine *engine, const struct text_span *spans, size_t count,
                                struct token_list *out, struct dobby_error *err)
{
    (void)engine;
    return null_text_tokenize(spans, count, out, err);
}

static dobby_code check(const struct null_engine *null, const struct engine_request *request,
                        struct dobby_error *err)
{
    if (request->tokens_max == 0 || request->tokens_max > LIMIT_GENERATED_TOKENS)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "%u tokens to generate are not between 1 and %d",
                          (unsigned)request->tokens_max, LIMIT_GENERATED_TOKENS);
    if ((uint64_t)request->token_count + request->tokens_max > null->info.context_tokens)
        return DOBBY_FAIL(err, DOBBY_CONTEXT_EXCEEDED,
                          "%zu tokens of prompt and %u to generate, the context has %u", request->token_count,
                          (unsigned)request->tokens_max, (unsigned)null->info.context_tokens);
    for (size_t i = 0; i < request->token_count; i++)
        if (request->tokens[i] < 0 || request->tokens[i] >= NULL_TEXT_VOCABULARY)
            return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                              "token %zu of the prompt is %d, the vocabulary has %d", i, request->tokens[i],
                              NULL_TEXT_VOCABULARY);
    return sampling_check(&request->sampling, err);
}

static dobby_code fail_marked(const struct null_engine *null, struct dobby_error *err)
{
    return DOBBY_FAIL(err, null->fail_retryable ? DOBBY_OUT_OF_MEMORY : DOBBY_NUMERIC_FAILURE,
                      "the prompt holds the null engine's fail marker");
}

static dobby_code null_submit(struct engine *engine, const struct engine_request *request,
                              struct dobby_error *err)
{
    struct null_engine *null = (struct null_engine *)engine;
    dobby_code code = check(null, request, err);
    if (code != DOBBY_OK)
        return code;
    const bool marked = null->marker != NULL && null_text_holds(request->tokens, request->token_count,
                                                                null->marker, null->marker_length);
    if (marked && null->fail_submit)
        return fail_marked(null, err);
    mutex_lock(&null->lock);
    if (null->untaken < null->job_capacity) {
        uint32_t i = 0;
        while (null->jobs[i].place != PLACE_FREE)
            i++;
        null->jobs[i] = (struct null_job){.place = PLACE_QUEUED,
                                          .order = null->order++,
                                          .tag = request->tag,
                                          .tokens_in = (uint32_t)request->token_count,
                                          .tokens_max = request->tokens_max,
                                          .ignore_end = request->ignore_end,
                                          .marked = marked,
                                          .submitted_ns = clock_monotonic_ns()};
        null->untaken++;
        null->stats.submitted++;
        null->stats.queued++;
        advance(null, null->jobs[i].submitted_ns);
        condition_broadcast(&null->changed);
    } else {
        code = DOBBY_FAIL(err, DOBBY_QUEUE_FULL,
                          "%u requests are in flight or their results not taken, the limit",
                          (unsigned)null->untaken);
    }
    mutex_unlock(&null->lock);
    return code;
}

static void make_result(const struct null_engine *null, const struct null_job *job,
                        struct engine_result *result)
{
    *result = (struct engine_result){0};
    if (job->finish == FINISH_END_TOKEN || job->finish == FINISH_LENGTH) {
        null_text_fill(tokens_out_of(job), job->finish, result);
    } else {
        result->finish = job->finish;
        result->text = calloc(1, 1);
    }
    if (job->finish == FINISH_ERROR)
        (void)fail_marked(null, &result->error);
    result->tag = job->tag;
    result->tokens_in = job->tokens_in;
    result->total_us = job->finish == FINISH_CANCELED ? 0 : (job->end_ns - job->start_ns) / 1000;
    result->first_token_us = result->total_us;
}

static bool has_result(const struct null_engine *null)
{
    return null->untaken > null->stats.queued + null->stats.running;
}

/* Waits until there is a result, nothing is in flight, or the deadline has passed. */
static void wait_for_result(struct null_engine *null, int64_t deadline_ns)
{
    int64_t now_ns = clock_monotonic_ns();
    advance(null, now_ns);
    while (!has_result(null) && null->stats.running > 0 && now_ns < deadline_ns) {
        const int64_t due_ns = first_to_end(null)->end_ns;
        (void)condition_wait_until(&null->changed, &null->lock, due_ns < deadline_ns ? due_ns : deadline_ns);
        now_ns = clock_monotonic_ns();
        advance(null, now_ns);
    }
}

static dobby_code null_wait(struct engine *engine, struct engine_result *results, size_t capacity,
                            int64_t timeout_ms, size_t *count, struct dobby_error *err)
{
    (void)err;
    struct null_engine *null = (struct null_engine *)engine;
    mutex_lock(&null->lock);
    const int64_t now_ns = clock_monotonic_ns(), ms_max = (INT64_MAX - now_ns) / 1000000;
    wait_for_result(null, now_ns + (timeout_ms < ms_max ? timeout_ms : ms_max) * 1000000);
    for (uint32_t i = 0; i < null->job_capacity && *count < capacity && has_result(null); i++) {
        struct null_job *job = &null->jobs[i];
        if (job->place != PLACE_DONE)
            continue;
        make_result(null, job, &results[(*count)++]);
        job->place = PLACE_FREE;
        null->untaken--;
    }
    mutex_unlock(&null->lock);
    return DOBBY_OK;
}

static void cancel(struct engine *engine, bool running_too)
{
    struct null_engine *null = (struct null_engine *)engine;
    mutex_lock(&null->lock);
    advance(null, clock_monotonic_ns());
    for (uint32_t i = 0; i < null->job_capacity; i++) {
        struct null_job *job = &null->jobs[i];
        if (job->place == PLACE_QUEUED || (running_too && job->place == PLACE_RUNNING))
            finish(null, job, FINISH_CANCELED);
    }
    condition_broadcast(&null->changed);
    mutex_unlock(&null->lock);
}

static void null_cancel_queued(struct engine *engine)
{
    cancel(engine, false);
}

static void null_cancel_all(struct engine *engine)
{
    cancel(engine, true);
}

static void null_stats(struct engine *engine, struct engine_stats *out)
{
    struct null_engine *null = (struct null_engine *)engine;
    mutex_lock(&null->lock);
    advance(null, clock_monotonic_ns());
    *out = null->stats;
    mutex_unlock(&null->lock);
}

static const struct engine_ops null_ops = {.close = null_close,
                                           .info = null_info,
                                           .tokenize = null_tokenize,
                                           .submit = null_submit,
                                           .wait = null_wait,
                                           .cancel_queued = null_cancel_queued,
                                           .cancel_all = null_cancel_all,
                                           .stats = null_stats};

/* ---- opening ------------------------------------------------------------------------------------- */

static dobby_code check_options(const struct engine_null_options *options, struct dobby_error *err)
{
    if (options->sessions > LIMIT_SESSIONS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%u sessions, the limit is %d",
                          (unsigned)options->sessions, LIMIT_SESSIONS);
    if (options->context_tokens > LIMIT_CONTEXT_TOKENS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "a context of %u tokens, the limit is %u",
                          (unsigned)options->context_tokens, LIMIT_CONTEXT_TOKENS);
    if (options->fail_marker != NULL && strlen(options->fail_marker) > LIMIT_LABEL_BYTES)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "a fail marker of %zu bytes, the limit is %d",
                          strlen(options->fail_marker), LIMIT_LABEL_BYTES);
    return DOBBY_OK;
}

static dobby_code fill(struct null_engine *null, const struct engine_null_options *options,
                       struct dobby_error *err)
{
    uint8_t digest[SHA256_BYTES];
    const uint32_t sessions = options->sessions > 0 ? options->sessions : ENGINE_NULL_SESSIONS;
    const dobby_code code = sha256_of(identity, sizeof identity - 1, digest, err);
    if (code != DOBBY_OK)
        return code;
    sha256_hex(digest, null->fingerprint);
    null->info = (struct engine_info){
        .model = "null",
        .fingerprint = null->fingerprint,
        .architecture = "null",
        .precision = "none",
        .kernels = "none",
        .version = "null-1",
        .vocabulary = NULL_TEXT_VOCABULARY,
        .context_tokens = options->context_tokens > 0 ? options->context_tokens : ENGINE_NULL_CONTEXT_TOKENS,
        .sessions = sessions};
    null->stats.sessions_now = sessions;
    null->fail_retryable = options->fail_retryable;
    null->fail_submit = options->fail_submit;
    null->delay_ns = options->delay_ms * (int64_t)1000000;
    null->job_capacity = UNTAKEN_PER_SESSION * sessions + UNTAKEN_MIN;
    null->jobs = calloc(null->job_capacity, sizeof *null->jobs);
    if (null->jobs == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u sessions", (unsigned)sessions);
    if (options->fail_marker != NULL && options->fail_marker[0] != '\0') {
        null->marker = strdup(options->fail_marker);
        if (null->marker == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the fail marker");
        null->marker_length = strlen(null->marker);
    }
    return DOBBY_OK;
}

dobby_code engine_null_open(const struct engine_null_options *options, struct engine **out,
                            struct dobby_error *err)
{
    *out = NULL;
    dobby_code code = check_options(options, err);
    if (code != DOBBY_OK)
        return code;
    struct null_engine *null = calloc(1, sizeof *null);
    if (null == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the engine");
    null->engine.ops = &null_ops;
    mutex_init(&null->lock);
    condition_init(&null->changed);
    code = fill(null, options, err);
    if (code == DOBBY_OK)
        *out = &null->engine;
    else
        null_close(&null->engine);
    return code;
}
