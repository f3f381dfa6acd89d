#include "infer/model/forward_parts.h"

enum {
    TASKS_PER_THREAD = 4, /* so that a thread held up by other work does not hold up the rest */
    INLINE_VALUES = 16384 /* row work below this costs less than waking the threads */
};

/* ---- rows ------------------------------------------------------------------------------------------- */

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

void forward_embed_rows(struct forward *f)
{
    struct row_loop loop = {.forward = f, .row = embed_row};
    run_rows(&loop, f->row_count, f->model->config.hidden);
}

void forward_norm_rows(struct forward *f, const float *input, const float *weight, uint32_t rows,
                       float *output)
{
    struct row_loop loop = {
        .forward = f, .row = norm_row, .input = input, .weight = weight, .output = output};
    run_rows(&loop, rows, f->model->config.hidden);
}

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
    kv_sequence_write(f->rows[row].sequence, &f->kv_shape, loop->layer_index, position, key,
                      key + f->kv_width);
}

void forward_position_rows(struct forward *f, uint32_t layer_index)
{
    struct row_loop loop = {.forward = f, .row = position_row, .layer_index = layer_index};
    run_rows(&loop, f->row_count, f->qkv_width);
}

static void silu_row(const struct row_loop *loop, uint32_t row)
{
    const struct forward *f = loop->forward;
    const uint32_t width = f->model->config.feed_forward;
    float *gate = f->gate_up + (size_t)row * 2 * width;
    f->model->kernels->silu_multiply(gate, gate + width, width);
}

void forward_silu_rows(struct forward *f, uint32_t rows)
{
    struct row_loop loop = {.forward = f, .row = silu_row};
    run_rows(&loop, rows, 2 * f->model->config.feed_forward);
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

void forward_matmul(struct forward *f, const struct matmul_job *job)
{
    const uint32_t panels = job->weights->panel_count;
    const uint32_t tasks = f->threads == 1 ? 1 : f->threads * TASKS_PER_THREAD;
    struct matmul_loop loop = {.forward = f, .job = *job, .panels_per_task = (panels + tasks - 1) / tasks};
    thread_pool_run(f->pool, (panels + loop.panels_per_task - 1) / loop.panels_per_task, matmul_task, &loop);
}

struct attention_loop {
    const struct forward *forward;
    uint32_t layer_index;
    bool outputs_only;
};

static void attention_task(void *context, size_t index, uint32_t thread)
{
    const struct attention_loop *loop = context;
    const struct forward *f = loop->forward;
    const struct attention_task *task = &f->tasks[index];
    const struct model_config *config = &f->model->config;
    const bool clip = loop->outputs_only && task->token_first < task->output_first;
    const uint32_t token_first = clip ? task->output_first : task->token_first;
    if (token_first >= task->token_end)
        return;
    const size_t pages = (size_t)loop->layer_index * task->sequence->page_count;
    const struct attention_job job = {
        .query = f->qkv + (size_t)task->row_first * f->qkv_width,
        .query_stride = f->qkv_width,
        .tokens = task->tokens,
        .position_first = task->position_first,
        .heads = config->heads,
        .kv_heads = config->kv_heads,
        .head_dim = config->head_dim,
        .keys = task->sequence->keys + pages,
        .values = task->sequence->values + pages,
        .page_tokens = KV_PAGE_TOKENS,
        .output = f->attended + (size_t)task->row_first * f->q_width,
        .output_stride = f->q_width,
        .token_first = token_first,
        .token_end = task->token_end,
        .kv_head_first = task->kv_head,
        .kv_head_end = task->kv_head + 1,
        .scratch = f->scratch + (size_t)thread * f->scratch_bytes,
    };
    f->model->kernels->attention(&job);
}

void forward_attention(struct forward *f, uint32_t layer_index, bool outputs_only)
{
    struct attention_loop loop = {.forward = f, .layer_index = layer_index, .outputs_only = outputs_only};
    thread_pool_run(f->pool, f->task_count, attention_task, &loop);
}
