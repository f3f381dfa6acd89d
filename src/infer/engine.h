/* The engine: prompts in, generated text out. It knows no store.
 *
 * Callers submit requests and wait for results; how they are batched is the engine's business. A
 * request's output depends on the request and the engine's settings alone, never on what else is in
 * flight, on the number of threads or sessions, or on the order (DESIGN invariant 6).
 *
 * All functions but engine_close may be called from any thread. Implementations (the native engine,
 * later a remote one) fill struct engine_ops; callers use the wrappers here. */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H

#include "infer/tokenizer/tokenizer.h"

struct engine;

struct sampling {
    float temperature;        /* 0: greedy, and the rest is ignored */
    uint32_t top_k;           /* 0: all */
    float top_p;              /* 1: all */
    float repetition_penalty; /* 1: none; applied in greedy mode too */
    uint64_t seed;            /* of this request */
};
#define SAMPLING_GREEDY ((struct sampling){.temperature = 0, .top_p = 1, .repetition_penalty = 1})

enum finish_reason { FINISH_UNKNOWN, FINISH_END_TOKEN, FINISH_LENGTH, FINISH_CANCELED, FINISH_ERROR };

struct engine_request {
    uint64_t tag;          /* the caller's, unique among those in flight; comes back with the result */
    const int32_t *tokens; /* borrowed until engine_submit returns */
    size_t token_count;
    uint32_t tokens_max; /* to generate, 1..LIMIT_GENERATED_TOKENS */
    bool ignore_end;     /* an end token is a token like others: exactly tokens_max are generated */
    struct sampling sampling;
};

struct engine_result {
    uint64_t tag;
    enum finish_reason finish;
    struct dobby_error error; /* FINISH_ERROR: why; else code OK */
    char *text;               /* NUL-terminated valid UTF-8 without the end token; owned by the result */
    size_t text_length;
    int32_t *tokens; /* generated, without the end token; owned by the result */
    float *logprobs; /* natural log; tokens_out entries, one more when finish is END_TOKEN */
    uint32_t tokens_in, tokens_out;
    double confidence; /* mean probability of the generated tokens, the end token included; 0 for none */
    int64_t first_token_us, total_us; /* from admission into the batch */
};
void engine_result_release(struct engine_result *result);

/* Constant once open. Strings live as long as the engine. */
struct engine_info {
    const char *model;        /* "dobby-nano" */
    const char *fingerprint;  /* SHA-256 hex */
    const char *architecture; /* "qwen2" */
    const char *precision;    /* "q8_0" */
    const char *kernels;      /* "avx2" */
    const char *version;      /* engine and kernel version: provenance */
    bool chatml;
    uint32_t vocabulary;     /* tokens of a prompt are below it */
    uint32_t context_tokens; /* prompt and output together */
    uint32_t sessions;       /* sequences that may run at once, at most */
    uint32_t threads;
    uint64_t parameters;
    uint64_t weight_bytes; /* resident, packed */
    uint64_t kv_bytes_max;
};

/* Where the native engine's time goes: between passes, over rows one by one (embedding, norms, positions),
 * and the products, their rounding of rows aside. */
enum engine_phase {
    PHASE_BETWEEN,
    PHASE_ROWS,
    PHASE_PREPARE,
    PHASE_QKV,
    PHASE_ATTENTION,
    PHASE_OUTPUT,
    PHASE_GATE_UP,
    PHASE_DOWN,
    PHASE_HEAD,
    PHASE_SAMPLE,
    PHASE_COUNT
};
const char *engine_phase_name(enum engine_phase phase); /* "gate_up" */

struct engine_stats {
    uint64_t submitted, finished, canceled, failed;
    uint64_t shared;                        /* of finished: answered with an equal request's result */
    uint64_t prefill_tokens, decode_tokens; /* that were computed */
    uint64_t prefix_tokens;                 /* of prompts, not computed: taken from a kept prefix */
    uint64_t kv_bytes_used, kv_bytes_peak;  /* kept prefixes included: they stay when nothing runs */
    uint32_t queued, running;               /* queued includes those that wait for an equal one */
    uint32_t sessions_now;                  /* how many may run at once at present */
    uint64_t passes;
    uint64_t passes_apart;         /* of these, whose threads each took some of the sequences */
    int64_t phase_ns[PHASE_COUNT]; /* while something ran; 0 where the engine has no such phases */
};

struct engine_ops {
    void (*close)(struct engine *);
    const struct engine_info *(*info)(const struct engine *);
    dobby_code (*tokenize)(struct engine *, const struct text_span *, size_t, struct token_list *,
                           struct dobby_error *);
    dobby_code (*submit)(struct engine *, const struct engine_request *, struct dobby_error *);
    dobby_code (*wait)(struct engine *, struct engine_result *, size_t capacity, int64_t timeout_ms,
                       size_t *count, struct dobby_error *);
    void (*cancel_queued)(struct engine *);
    void (*cancel_all)(struct engine *);
    void (*stats)(struct engine *, struct engine_stats *);
};
struct engine { /* an implementation's engine begins with this */
    const struct engine_ops *ops;
};

/* Cancels what is in flight, frees everything. No other call may be in progress. NULL is fine. */
void engine_close(struct engine *engine);
const struct engine_info *engine_info(const struct engine *engine);
/* As tokenizer_encode, with the model's begin token first where it wants one. Appends. */
DOBBY_NODISCARD dobby_code engine_tokenize(struct engine *engine, const struct text_span *spans, size_t count,
                                           struct token_list *out, struct dobby_error *err);
/* Queues a request. Fails: QUEUE_FULL (3 * sessions + 64 requests are in flight or have results that nobody
 * took; the limit bounds memory: take a result and try again), CONTEXT_EXCEEDED (with both numbers),
 * KV_EXHAUSTED (could never fit), INVALID_ARGUMENT, OUT_OF_MEMORY. After a failure nothing is queued. */
DOBBY_NODISCARD dobby_code engine_submit(struct engine *engine, const struct engine_request *request,
                                         struct dobby_error *err);
/* Blocks until at least one result is there, or timeout_ms passed (0: never blocks), or nothing is in
 * flight; moves up to capacity results out. Each request gets exactly one result, cancelled ones too. */
DOBBY_NODISCARD dobby_code engine_wait(struct engine *engine, struct engine_result *results, size_t capacity,
                                       int64_t timeout_ms, size_t *count, struct dobby_error *err);
/* Ends what is queued but does not run yet; their results say CANCELED. A request that waits for an equal
 * one's result is as that is. */
void engine_cancel_queued(struct engine *engine);
/* Ends all that is queued or running, within a fraction of a second: what is being computed is given up.
 * Their results say CANCELED. */
void engine_cancel_all(struct engine *engine);
void engine_stats(struct engine *engine, struct engine_stats *out);

#endif
