/* What forward.c and forward_loops.c share: the pass's memory, and its loops over rows, panels and sequences.
 * Each loop is spread over the pool's threads and returns when all of it is done. */
#ifndef INFER_MODEL_FORWARD_PARTS_H
#define INFER_MODEL_FORWARD_PARTS_H

#include "infer/model/forward.h"

enum {
    FORWARD_BLOCK_TOKENS = 32, /* of a prompt's tokens: one task of the attention loop */
    FORWARD_NORM_ROWS = 4      /* normed and prepared at once: 14 KB for a 0.5B model, so they stay in L1 */
};

/* One token of the pass. */
struct forward_row {
    const struct kv_sequence *sequence;
    int32_t token;
    uint32_t position;
};

struct attention_task {
    const struct kv_sequence *sequence;
    uint32_t row_first, tokens, position_first; /* the run */
    uint32_t output_first;                      /* the run's first output row, counted from row_first */
    uint32_t token_first, token_end, kv_head;   /* this task's part */
};

struct forward {
    const struct model *model;
    struct thread_pool *pool;
    const atomic_bool *give_up;
    struct kv_shape kv_shape;
    bool has_head;              /* false: a share, whose output rows go to the whole pass */
    struct thread_pool *serial; /* owned: of one thread, for the shares; NULL: there are none */
    struct forward **shares;    /* (threads); owned; NULL: there are none */
    uint32_t threads, tokens_max, runs_max;
    uint32_t q_width, kv_width, qkv_width; /* floats of a row: Q, K or V, and Q, K, V stacked */
    /* Of attended and activated, inputs of a product and nothing else: F32 where that is exact, else BF16,
     * the least that they will be rounded by. */
    enum value_type rounded_type;
    /* Values from row to row: forward_stride. */
    size_t hidden_stride, qkv_stride, attended_stride, activated_stride, parts_stride;

    struct forward_row *rows;     /* (tokens_max) */
    struct attention_task *tasks; /* (tasks_max) */
    size_t tasks_max;
    uint32_t row_count, output_count;
    size_t task_count;

    char *memory; /* owned: what the pointers below point into, and rows and tasks; rows are a stride apart */
    float *hidden;  /* (tokens_max, hidden): the residual stream */
    float *normed;  /* (tokens_max, hidden) */
    float *qkv;     /* (tokens_max, qkv_width) */
    void *attended; /* (tokens_max, q_width) of rounded_type */
    /* silu(gate) * up: (tokens_max, feed_forward) of rounded_type; of one thread's rounded
     * products only a part of the columns at once, which stays in L2 until it is prepared. */
    void *activated;
    struct packed_rows packed;       /* the input of a product that wants it so */
    struct packed_rows packed_parts; /* likewise, filled part by part, where activated holds a part */
    float *logits;                   /* (FORWARD_LOGIT_ROWS, vocabulary) */
    float *parts;                    /* (threads, FORWARD_BEST_ROWS, parts_stride): for kernels_matmul_best */
    struct best_output *part_best;   /* (parts of the vocabulary, FORWARD_BEST_ROWS) */
    char *scratch;                   /* (threads, scratch_bytes) */
    size_t scratch_bytes;
    int64_t phase_ns[PHASE_COUNT];
};

/* Values from row to row where a row has `width` of them: an odd number of cache lines, so that a column of
 * many rows spreads over all sets of a cache. Rows of a power of two would all fall into a few. */
size_t forward_stride(size_t width, size_t value_bytes);
/* A pass of its own, without shares. has_head: false where nobody asks it for logits. */
DOBBY_NODISCARD dobby_code forward_new(const struct model *model, struct thread_pool *pool,
                                       const atomic_bool *give_up, const struct forward_limits *limits,
                                       bool has_head, struct forward **out, struct dobby_error *err);
/* What threads compute apart in: one for each where there are several. Fails: OUT_OF_MEMORY; then
 * forward_close_shares is still due. */
DOBBY_NODISCARD dobby_code forward_open_shares(struct forward *f, const struct forward_limits *limits,
                                               struct dobby_error *err);
void forward_close_shares(struct forward *f);

/* Whether what was computed since the flag was last clear may have gaps. */
bool forward_given_up(const struct forward *f);
void forward_embed_rows(struct forward *f);
/* Rotates Q and K to each row's position and stores K and V. */
void forward_position_rows(struct forward *f, uint32_t layer_index);
struct forward_product {
    enum engine_phase phase;
    const struct packed_matrix *weights;
    const void *input; /* (tokens, columns) of input_type */
    size_t input_stride;
    const float *norm; /* (columns): the input, F32, is normed by it first; NULL: not */
    enum value_type input_type;
    uint32_t tokens;
    const float *bias;
    bool accumulate;
    void *output;
    size_t output_stride;
};
/* Whether the feed-forward's middle is computed part by part: one thread need not wait between the parts. */
bool forward_feeds_in_parts(const struct forward *f);
/* hidden += down(silu(gate x) * up x) of the first rows, x being hidden, normed. */
void forward_feed(struct forward *f, const struct model_layer *layer, uint32_t rows);
/* Norms the input if told to, prepares it if the weights' product wants that, and multiplies. */
void forward_multiply(struct forward *f, const struct forward_product *product);
/* Norms and prepares the input; returns the job without its parts. */
struct matmul_job forward_matmul_job(struct forward *f, const struct forward_product *product);
/* outputs_only: leaves out what no output row needs. */
void forward_attention(struct forward *f, uint32_t layer_index, bool outputs_only);

#endif
