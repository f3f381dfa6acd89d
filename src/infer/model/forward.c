#include "infer/model/forward.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    ATTENTION_BLOCK_TOKENS = 32, /* of a prompt's tokens: one task of the attention loop */
    TASKS_PER_THREAD = 4,        /* so that a thread held up by other work does not hold up the rest */
    INLINE_VALUES = 16384        /* row work below this costs less than waking the threads */
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
    uint32_t token_first, token_end, kv_head;   /* this task's part */
};

struct forward {
    const struct model *model;
    struct thread_pool *pool;
    struct kv_shape kv_shape;
    uint32_t threads, tokens_max, runs_max;
    uint32_t q_width, kv_width, qkv_width; /* floats of a row: Q, K or V, and Q, K, V stacked */

    struct forward_row *rows;     /* (tokens_max) */
    struct attention_task *tasks; /* (tasks_max) */
    size_t tasks_max;
    uint32_t row_count, output_count;
    size_t task_count;

    float *hidden;   /* (tokens_max, hidden): the residual stream */
    float *normed;   /* (tokens_max, hidden) */
    float *qkv;      /* (tokens_max, qkv_width) */
    float *attended; /* (tokens_max, q_width) */
    void *activated; /* (tokens_max, feed_forward): silu(gate) * up; F32, or BF16 unless PRODUCT_F32 */
    struct packed_rows packed; /* the input of the next product, unless PRODUCT_F32 */
    float *outputs;            /* (tokens_max, hidden): the output rows, normed */
    float *logits;             /* (FORWARD_LOGIT_ROWS, vocabulary) */
    char *scratch;             /* (threads, scratch_bytes) */
    size_t scratch_bytes;
};

static void *allocate(size_t count, size_t size)
{
    const size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return aligned_alloc(ALIGNMENT, bytes ? bytes : ALIGNMENT);
}

static size_t scratch_bytes_needed(const struct model *model)
{
    const struct kernels *kernels = model->kernels;
    const struct model_config *config = &model->config;
    size_t bytes = kernels->attention_scratch_bytes(config->head_dim, config->heads / config->kv_heads);
    const size_t head = kernels->scratch_bytes(&model->head);
    bytes = head > bytes ? head : bytes;
    for (uint32_t i = 0; i < config->layers; i++) {
        const struct model_layer *layer = &model->layers[i];
        const struct packed_matrix *matrices[] = {&layer->qkv, &layer->attention_output, &layer->gate_up,
                                                  &layer->down};
        for (size_t j = 0; j < sizeof matrices / sizeof matrices[0]; j++) {
            const size_t needed = kernels->scratch_bytes(matrices[j]);
            bytes = needed > bytes ? needed : bytes;
        }
    }
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

dobby_code forward_open(const struct model *model, struct thread_pool *pool, uint32_t tokens_max,
                        uint32_t runs_max, struct forward **out, struct dobby_error *err)
{
    *out = NULL;
    assert(tokens_max > 0 && runs_max > 0);
    const struct model_config *config = &model->config;
    struct forward *f = calloc(1, sizeof *f);
    if (f == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the forward pass");
    f->model = model;
    f->pool = pool;
    f->kv_shape = model_kv_shape(model);
    f->threads = thread_pool_threads(pool);
    f->tokens_max = tokens_max;
    f->runs_max = runs_max;
    f->q_width = config->heads * config->head_dim;
    f->kv_width = config->kv_heads * config->head_dim;
    f->qkv_width = f->q_width + 2 * f->kv_width;
    f->tasks_max = ((size_t)runs_max + tokens_max / ATTENTION_BLOCK_TOKENS) * config->kv_heads;
    f->scratch_bytes = scratch_bytes_needed(model);

    f->rows = allocate(tokens_max, sizeof *f->rows);
    f->tasks = allocate(f->tasks_max, sizeof *f->tasks);
    f->hidden = allocate((size_t)tokens_max * config->hidden, sizeof(float));
    f->normed = allocate((size_t)tokens_max * config->hidden, sizeof(float));
    f->qkv = allocate((size_t)tokens_max * f->qkv_width, sizeof(float));
    f->attended = allocate((size_t)tokens_max * f->q_width, sizeof(float));
    f->activated = allocate((size_t)tokens_max * config->feed_forward, sizeof(float));
    f->outputs = allocate((size_t)tokens_max * config->hidden, sizeof(float));
    f->logits = allocate((size_t)FORWARD_LOGIT_ROWS * config->vocabulary, sizeof(float));
    f->scratch = allocate(f->threads, f->scratch_bytes);
    if (!f->rows || !f->tasks || !f->hidden || !f->normed || !f->qkv || !f->attended || !f->activated ||
        !f->outputs || !f->logits || !f->scratch) {
        forward_close(f);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "buffers for %u tokens at once", tokens_max);
    }
    if (model->product != PRODUCT_F32) {
        const uint32_t widths[] = {config->hidden, f->q_width, config->feed_forward};
        uint32_t widest = 0;
        for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
            widest = widths[i] > widest ? widths[i] : widest;
        dobby_code code = packed_rows_new(model->product, tokens_max, widest, &f->packed, err);
        if (code != DOBBY_OK) {
            forward_close(f);
            return code;
        }
    }
    *out = f;
    return DOBBY_OK;
}

void forward_close(struct forward *forward)
{
    if (forward == NULL)
        return;
    free(forward->rows);
    free(forward->tasks);
    free(forward->hidden);
    free(forward->normed);
    free(forward->qkv);
    free(forward->attended);
    free(forward->activated);
    packed_rows_release(&forward->packed);
    free(forward->outputs);
    free(forward->logits);
    free(forward->scratch);
    free(forward);
}

/* ---- loops over rows ------------------------------------------------------------------------------ */

struct row_loop {
    struct forward *forward;
    uint32_t layer_index;
    const float *input, *weight; /* of norm_row */
    float *output;
    void (*row)(const struct row_loop *loop, uint32_t row);
    uint32_t rows_per_task;
    uint32_t rows;
};

static void row_task(void *context, size_t index, uint32_t thread)
{
    (void)thread;
    const struct row_loop *loop = context;
    const uint32_t first = (uint32_t)index * loop->rows_per_task;
    const uint32_t end = first + loop->rows_per_task < loop->rows ? first + loop->rows_per_task : loop->rows;
    for (uint32_t row = first; row < end; row++)
        loop->row(loop, row);
}

/* width: values that a row's work touches. */
static void run_rows(struct row_loop *loop, uint32_t rows, uint32_t width)
{
    struct forward *f = loop->forward;
    const uint32_t tasks =
        f->threads == 1 || (uint64_t)rows * width < INLINE_VALUES ? 1 : f->threads * TASKS_PER_THREAD;
    loop->rows = rows;
    loop->rows_per_task = (rows + tasks - 1) / tasks;
    if (tasks == 1)
        row_task(loop, 0, 0);
    else
        thread_pool_run(f->pool, (rows + loop->rows_per_task - 1) / loop->rows_per_task, row_task, loop);
}

static void embed_row(const struct row_loop *loop, uint32_t row)
{
    const struct forward *f = loop->forward;
    f->model->kernels->dequantize_row(&f->model->embedding, (uint32_t)f->rows[row].token,
                                      f->hidden + (size_t)row * f->model->config.hidden);
}

static void norm_row(const struct row_loop *loop, uint32_t row)
{
    const struct model *model = loop->forward->model;
    const size_t at = (size_t)row * model->config.hidden;
    model->kernels->rms_norm(loop->input + at, loop->weight, model->config.norm_epsilon, model->config.hidden,
                             loop->output + at);
}

static void run_norm(struct forward *f, const float *input, const float *weight, uint32_t rows, float *output)
{
    struct row_loop loop = {
        .forward = f, .row = norm_row, .input = input, .weight = weight, .output = output};
    run_rows(&loop, rows, f->model->config.hidden);
}

/* Rotates Q and K to the row's position and stores K and V. */
static void position_row(const struct row_loop *loop, uint32_t row)
{
    const struct forward *f = loop->forward;
    const struct model *model = f->model;
    const struct model_config *config = &model->config;
    const uint32_t position = f->rows[row].position;
    const size_t angles = (size_t)position * (config->head_dim / 2);
    float *query = f->qkv + (size_t)row * f->qkv_width;
    float *key = query + f->q_width;
    /* K follows Q, so their heads turn in one call. */
    model->kernels->rope(query, config->heads + config->kv_heads, config->head_dim,
                         model->rope_cosine + angles, model->rope_sine + angles, config->rope_interleaved);
    void *area = kv_sequence_area(f->rows[row].sequence, &f->kv_shape, loop->layer_index, position);
    model->kernels->kv_write(&f->kv_shape.layout, area, position % KV_PAGE_TOKENS, key, key + f->kv_width);
}

/* ---- matrix products and attention ------------------------------------------------------------------ */

struct matmul_loop {
    const struct forward *forward;
    struct matmul_job job;
    uint32_t panels_per_task;
};

static void matmul_task(void *context, size_t index, uint32_t thread)
{
    const struct matmul_loop *loop = context;
    const struct forward *f = loop->forward;
    struct matmul_job job = loop->job;
    const uint32_t panels = job.weights->panel_count;
    job.panel_first = (uint32_t)index * loop->panels_per_task;
    job.panel_end = job.panel_first + loop->panels_per_task;
    if (job.panel_end > panels)
        job.panel_end = panels;
    job.scratch = f->scratch + (size_t)thread * f->scratch_bytes;
    f->model->kernels->matmul(&job);
}

struct prepare_loop {
    const struct forward *forward;
    struct prepare_job job;
    uint32_t tokens_per_task, tokens;
};

static void prepare_task(void *context, size_t index, uint32_t thread)
{
    (void)thread;
    const struct prepare_loop *loop = context;
    struct prepare_job job = loop->job;
    job.token_first = (uint32_t)index * loop->tokens_per_task;
    job.token_end = job.token_first + loop->tokens_per_task;
    if (job.token_end > loop->tokens)
        job.token_end = loop->tokens;
    loop->forward->model->kernels->prepare(&job);
}

/* Packs the input of the next products, unless they take it as it is. */
static void run_prepare(struct forward *f, const void *input, enum value_type type, uint32_t columns,
                        uint32_t tokens)
{
    if (f->model->product == PRODUCT_F32)
        return;
    const uint32_t tasks =
        f->threads == 1 || (uint64_t)tokens * columns < INLINE_VALUES ? 1 : f->threads * TASKS_PER_THREAD;
    struct prepare_loop loop = {.forward = f,
                                .job = {.input = input,
                                        .input_type = type,
                                        .input_stride = columns,
                                        .columns = columns,
                                        .rows = &f->packed},
                                .tokens_per_task = (tokens + tasks - 1) / tasks,
                                .tokens = tokens};
    thread_pool_run(f->pool, (tokens + loop.tokens_per_task - 1) / loop.tokens_per_task, prepare_task, &loop);
}

static void run_matmul(struct forward *f, const struct matmul_job *job)
{
    const uint32_t panels = job->weights->panel_count;
    const uint32_t tasks = f->threads == 1 ? 1 : f->threads * TASKS_PER_THREAD;
    struct matmul_loop loop = {.forward = f, .job = *job, .panels_per_task = (panels + tasks - 1) / tasks};
    thread_pool_run(f->pool, (panels + loop.panels_per_task - 1) / loop.panels_per_task, matmul_task, &loop);
}

struct attention_loop {
    const struct forward *forward;
    uint32_t layer_index;
};

static void attention_task(void *context, size_t index, uint32_t thread)
{
    const struct attention_loop *loop = context;
    const struct forward *f = loop->forward;
    const struct attention_task *task = &f->tasks[index];
    const struct model_config *config = &f->model->config;
    const size_t pages = (size_t)loop->layer_index * task->sequence->page_count;
    const struct attention_job job = {
        .query = f->qkv + (size_t)task->row_first * f->qkv_width,
        .query_stride = f->qkv_width,
        .tokens = task->tokens,
        .position_first = task->position_first,
        .heads = config->heads,
        .kv_heads = config->kv_heads,
        .head_dim = config->head_dim,
        .pages = task->sequence->areas + pages,
        .output = f->attended + (size_t)task->row_first * f->q_width,
        .output_stride = f->q_width,
        .token_first = task->token_first,
        .token_end = task->token_end,
        .kv_head_first = task->kv_head,
        .kv_head_end = task->kv_head + 1,
        .scratch = f->scratch + (size_t)thread * f->scratch_bytes,
    };
    f->model->kernels->attention(&job);
}

/* ---- the pass ------------------------------------------------------------------------------------- */

static void lay_out(struct forward *f, const struct forward_run *runs, size_t count)
{
    f->row_count = f->output_count = 0;
    f->task_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct forward_run *run = &runs[i];
        const uint32_t position = run->sequence->length;
        assert(run->token_count > 0 && run->output_count <= run->token_count);
        assert(f->row_count + run->token_count <= f->tokens_max);
        assert(position + run->token_count <= f->model->positions);
        assert(kv_pages_of((uint64_t)position + run->token_count) <= run->sequence->page_count);
        for (uint32_t first = 0; first < run->token_count; first += ATTENTION_BLOCK_TOKENS) {
            const uint32_t left = run->token_count - first;
            struct attention_task task = {
                .sequence = run->sequence,
                .row_first = f->row_count,
                .tokens = run->token_count,
                .position_first = position,
                .token_first = first,
                .token_end = first + (left < ATTENTION_BLOCK_TOKENS ? left : ATTENTION_BLOCK_TOKENS)};
            for (task.kv_head = 0; task.kv_head < f->model->config.kv_heads; task.kv_head++)
                f->tasks[f->task_count++] = task;
        }
        for (uint32_t j = 0; j < run->token_count; j++)
            f->rows[f->row_count++] = (struct forward_row){run->sequence, run->tokens[j], position + j};
        f->output_count += run->output_count;
        run->sequence->length += run->token_count;
    }
    assert(f->task_count <= f->tasks_max);
}

static void pass_attention(struct forward *f, uint32_t layer_index)
{
    const struct model_layer *layer = &f->model->layers[layer_index];
    const uint32_t hidden = f->model->config.hidden;
    run_norm(f, f->hidden, layer->attention_norm, f->row_count, f->normed);
    run_prepare(f, f->normed, VALUES_F32, hidden, f->row_count);
    run_matmul(f, &(struct matmul_job){.weights = &layer->qkv,
                                       .input = f->normed,
                                       .input_stride = hidden,
                                       .rows = &f->packed,
                                       .tokens = f->row_count,
                                       .bias = layer->qkv_bias,
                                       .output = f->qkv,
                                       .output_stride = f->qkv_width});
    struct row_loop position = {.forward = f, .row = position_row, .layer_index = layer_index};
    run_rows(&position, f->row_count, f->qkv_width);
    struct attention_loop attention = {.forward = f, .layer_index = layer_index};
    thread_pool_run(f->pool, f->task_count, attention_task, &attention);
    run_prepare(f, f->attended, VALUES_F32, f->q_width, f->row_count);
    run_matmul(f, &(struct matmul_job){.weights = &layer->attention_output,
                                       .input = f->attended,
                                       .input_stride = f->q_width,
                                       .rows = &f->packed,
                                       .tokens = f->row_count,
                                       .accumulate = true,
                                       .output = f->hidden,
                                       .output_stride = hidden});
}

static void pass_feed_forward(struct forward *f, uint32_t layer_index)
{
    const struct model_layer *layer = &f->model->layers[layer_index];
    const uint32_t hidden = f->model->config.hidden;
    const uint32_t width = f->model->config.feed_forward;
    const bool exact = f->model->product == PRODUCT_F32;
    run_norm(f, f->hidden, layer->ffn_norm, f->row_count, f->normed);
    run_prepare(f, f->normed, VALUES_F32, hidden, f->row_count);
    run_matmul(f, &(struct matmul_job){.weights = &layer->gate_up,
                                       .input = f->normed,
                                       .input_stride = hidden,
                                       .rows = &f->packed,
                                       .tokens = f->row_count,
                                       .output = f->activated,
                                       .output_stride = width});
    run_prepare(f, f->activated, exact ? VALUES_F32 : VALUES_BF16, width, f->row_count);
    run_matmul(f, &(struct matmul_job){.weights = &layer->down,
                                       .input = f->activated,
                                       .input_stride = width,
                                       .rows = &f->packed,
                                       .tokens = f->row_count,
                                       .accumulate = true,
                                       .output = f->hidden,
                                       .output_stride = hidden});
}

void forward_pass(struct forward *forward, const struct forward_run *runs, size_t count)
{
    struct forward *f = forward;
    const uint32_t hidden = f->model->config.hidden;
    assert(count <= f->runs_max);
    lay_out(f, runs, count);
    struct row_loop embed = {.forward = f, .row = embed_row};
    run_rows(&embed, f->row_count, hidden);
    for (uint32_t layer = 0; layer < f->model->config.layers; layer++) {
        pass_attention(f, layer);
        pass_feed_forward(f, layer);
    }
    /* The output rows side by side, then normed as one. */
    uint32_t row_end = 0, output = 0;
    for (size_t i = 0; i < count; i++) {
        row_end += runs[i].token_count;
        for (uint32_t row = row_end - runs[i].output_count; row < row_end; row++, output++)
            memcpy(f->normed + (size_t)output * hidden, f->hidden + (size_t)row * hidden,
                   hidden * sizeof(float));
    }
    run_norm(f, f->normed, f->model->output_norm, output, f->outputs);
}

const float *forward_logits(struct forward *forward, uint32_t row_first, uint32_t rows)
{
    const uint32_t hidden = forward->model->config.hidden;
    assert(rows <= FORWARD_LOGIT_ROWS && row_first + rows <= forward->output_count);
    const float *input = forward->outputs + (size_t)row_first * hidden;
    run_prepare(forward, input, VALUES_F32, hidden, rows);
    run_matmul(forward, &(struct matmul_job){.weights = &forward->model->head,
                                             .input = input,
                                             .input_stride = hidden,
                                             .rows = &forward->packed,
                                             .tokens = rows,
                                             .output = forward->logits,
                                             .output_stride = forward->model->config.vocabulary});
    return forward->logits;
}
