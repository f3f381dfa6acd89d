#include "infer/model/forward_parts.h"

#include "os/clock.h"

#include <assert.h>

enum {
    TASKS_PER_THREAD = 4, /* so that a thread held up by other work does not hold up the rest */
    INLINE_VALUES = 16384 /* row work below this costs less than waking the threads */
};

bool forward_given_up(const struct forward *f)
{
    /* The flag orders nothing: what was skipped is not read, whenever it was set. */
    return atomic_load_explicit(f->give_up, memory_order_relaxed);
}

struct phase_loop {
    const struct forward *forward;
    thread_pool_task *task;
    void *context;
};

static void phase_task(void *context, size_t index, uint32_t thread)
{
    const struct phase_loop *loop = context;
    if (!forward_given_up(loop->forward))
        loop->task(loop->context, index, thread);
}

bool forward_run_phase(struct forward *f, enum engine_phase phase, size_t count, thread_pool_task *task,
                       void *context)
{
    const int64_t start_ns = clock_monotonic_ns();
    struct phase_loop loop = {.forward = f, .task = task, .context = context};
    thread_pool_run(f->pool, count, phase_task, &loop);
    f->phase_ns[phase] += clock_monotonic_ns() - start_ns;
    return !forward_given_up(f);
}

const int64_t *forward_phase_ns(const struct forward *forward)
{
    return forward->phase_ns;
}

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
    if (rows > 0)
        forward_run_phase(f, PHASE_ROWS, (rows + loop->rows_per_task - 1) / loop->rows_per_task, row_task,
                          loop);
}

static void embed_row(const struct row_loop *loop, uint32_t row)
{
    const struct forward *f = loop->forward;
    f->model->kernels->dequantize_row(&f->model->embedding, (uint32_t)f->rows[row].token,
                                      f->hidden + (size_t)row * f->hidden_stride);
}

static void norm_row(const struct row_loop *loop, uint32_t row)
{
    const struct model *model = loop->forward->model;
    const size_t at = (size_t)row * loop->forward->hidden_stride;
    model->kernels->rms_norm(loop->input + at, loop->weight, model->config.norm_epsilon, model->config.hidden,
                             loop->output + at);
}

void forward_embed_rows(struct forward *f)
{
    struct row_loop loop = {.forward = f, .row = embed_row};
    run_rows(&loop, f->row_count, f->model->config.hidden);
}

static void norm_rows(struct forward *f, const struct forward_product *product, float *output)
{
    struct row_loop loop = {
        .forward = f, .row = norm_row, .input = product->input, .weight = product->norm, .output = output};
    run_rows(&loop, product->tokens, f->model->config.hidden);
}

static void position_row(const struct row_loop *loop, uint32_t row)
{
    const struct forward *f = loop->forward;
    const struct model *model = f->model;
    const struct model_config *config = &model->config;
    const uint32_t position = f->rows[row].position;
    const size_t angles = (size_t)position * (config->head_dim / 2);
    float *query = f->qkv + (size_t)row * f->qkv_stride;
    float *key = query + f->q_width;
    /* K follows Q, so their heads turn in one call. */
    model->kernels->rope(query, config->heads + config->kv_heads, config->head_dim,
                         model->rope_cosine + angles, model->rope_sine + angles, config->rope_interleaved);
    void *area = kv_sequence_area(f->rows[row].sequence, &f->kv_shape, loop->layer_index, position);
    struct kv_layout layout = f->kv_shape.layout;
    layout.key_factors = model->layers[loop->layer_index].key_balance.keys;
    model->kernels->kv_write(&layout, area, position % KV_PAGE_TOKENS, key, key + f->kv_width);
}

void forward_position_rows(struct forward *f, uint32_t layer_index)
{
    struct row_loop loop = {.forward = f, .row = position_row, .layer_index = layer_index};
    run_rows(&loop, f->row_count, f->qkv_width);
}

/* ---- matrix products and attention ------------------------------------------------------------------ */

struct prepare_loop {
    const struct forward *forward;
    struct prepare_job job;
    const float *norm; /* NULL: none */
    uint32_t tokens_per_task, tokens;
};

/* A few rows at a time, so that they are prepared where norming left them: in L1. */
static void norm_and_prepare(const struct prepare_loop *loop, const struct prepare_job *part, float *rows)
{
    const struct model *model = loop->forward->model;
    const float *input = part->input;
    struct prepare_job job = *part;
    job.input = rows;
    job.input_stride = part->columns;
    for (uint32_t token = part->token_first; token < part->token_end; token = job.token_end) {
        job.input_first = job.token_first = token;
        job.token_end =
            part->token_end - token < FORWARD_NORM_ROWS ? part->token_end : token + FORWARD_NORM_ROWS;
        for (uint32_t i = token; i < job.token_end; i++)
            model->kernels->rms_norm(input + i * part->input_stride, loop->norm, model->config.norm_epsilon,
                                     part->columns, rows + (size_t)(i - token) * part->columns);
        model->kernels->prepare(&job);
    }
}

static void prepare_task(void *context, size_t index, uint32_t thread)
{
    const struct prepare_loop *loop = context;
    const struct forward *f = loop->forward;
    struct prepare_job job = loop->job;
    job.token_first = (uint32_t)index * loop->tokens_per_task;
    job.token_end = job.token_first + loop->tokens_per_task;
    if (job.token_end > loop->tokens)
        job.token_end = loop->tokens;
    if (loop->norm != NULL && f->model->kernels->prepare_normed != NULL)
        f->model->kernels->prepare_normed(&job, loop->norm, f->model->config.norm_epsilon);
    else if (loop->norm != NULL)
        norm_and_prepare(loop, &job, (float *)(void *)(f->scratch + (size_t)thread * f->scratch_bytes));
    else
        f->model->kernels->prepare(&job);
}

static void prepare(struct forward *f, const struct forward_product *product)
{
    const uint32_t tokens = product->tokens, columns = product->weights->columns;
    const uint32_t tasks =
        f->threads == 1 || (uint64_t)tokens * columns < INLINE_VALUES ? 1 : f->threads * TASKS_PER_THREAD;
    struct prepare_loop loop = {.forward = f,
                                .job = {.input = product->input,
                                        .input_type = product->input_type,
                                        .input_stride = product->input_stride,
                                        .columns = columns,
                                        .column_end = columns,
                                        .rows = &f->packed},
                                .norm = product->norm,
                                .tokens_per_task = (tokens + tasks - 1) / tasks,
                                .tokens = tokens};
    forward_run_phase(f, PHASE_PREPARE, (tokens + loop.tokens_per_task - 1) / loop.tokens_per_task,
                      prepare_task, &loop);
}

struct matmul_loop {
    const struct forward *forward;
    struct matmul_job job;
    uint32_t panel_first, panel_end, panels_per_task;
};

static void matmul_task(void *context, size_t index, uint32_t thread)
{
    const struct matmul_loop *loop = context;
    const struct forward *f = loop->forward;
    struct matmul_job job = loop->job;
    job.panel_first = loop->panel_first + (uint32_t)index * loop->panels_per_task;
    job.panel_end = job.panel_first + loop->panels_per_task;
    if (job.panel_end > loop->panel_end)
        job.panel_end = loop->panel_end;
    job.scratch = f->scratch + (size_t)thread * f->scratch_bytes;
    f->model->kernels->matmul(&job);
}

static struct matmul_job matmul_job_of(const struct forward_product *product, const struct packed_rows *rows)
{
    return (struct matmul_job){.weights = product->weights,
                               .input_stride = product->input_stride,
                               .rows = rows,
                               .tokens = product->tokens,
                               .bias = product->bias,
                               .accumulate = product->accumulate,
                               .output = product->output,
                               .output_stride = product->output_stride};
}

struct matmul_job forward_matmul_job(struct forward *f, const struct forward_product *product)
{
    const struct packed_matrix *weights = product->weights;
    const bool exact = weights->product == PRODUCT_F32;
    const float *input = exact ? product->input : NULL;
    assert(!exact || product->input_type == VALUES_F32);
    if (!exact) {
        prepare(f, product);
    } else if (product->norm != NULL) {
        norm_rows(f, product, f->normed);
        input = f->normed;
    }
    struct matmul_job job = matmul_job_of(product, exact ? NULL : &f->packed);
    job.input = input;
    return job;
}

static uint32_t panels_per_task(const struct forward *f, const struct packed_matrix *weights, uint32_t panels)
{
    const uint32_t tasks = f->threads == 1 ? 1 : f->threads * TASKS_PER_THREAD;
    const uint32_t even = (panels + tasks - 1) / tasks;
    const uint64_t panel_weights = (uint64_t)weights->panel_rows * weights->columns;
    const uint64_t most = f->model->kernels->task_weights / panel_weights;
    return most >= even ? even : most > 0 ? (uint32_t)most : 1;
}

/* Multiplies with panels [first, end) of the job's weights. */
static void multiply_panels(struct forward *f, enum engine_phase phase, const struct matmul_job *job,
                            uint32_t first, uint32_t end)
{
    struct matmul_loop loop = {.forward = f,
                               .job = *job,
                               .panel_first = first,
                               .panel_end = end,
                               .panels_per_task = panels_per_task(f, job->weights, end - first)};
    forward_run_phase(f, phase, (end - first + loop.panels_per_task - 1) / loop.panels_per_task, matmul_task,
                      &loop);
}

void forward_multiply(struct forward *f, const struct forward_product *product)
{
    const struct matmul_job job = forward_matmul_job(f, product);
    multiply_panels(f, product->phase, &job, 0, job.weights->panel_count);
}

bool forward_feeds_in_parts(const struct forward *f)
{
    return f->threads == 1 && f->model->product != PRODUCT_F32;
}

struct part_loop {
    const struct kernels *kernels;
    struct prepare_job job;
};

static void prepare_part(void *context, size_t index, uint32_t thread)
{
    (void)index;
    (void)thread;
    const struct part_loop *loop = context;
    loop->kernels->prepare(&loop->job);
}

/* A part of the middle columns at a time: what was just activated is prepared while it is in L2. */
static void feed_in_parts(struct forward *f, const struct forward_product *gate_up,
                          const struct forward_product *down)
{
    const uint32_t columns = down->weights->columns, part_columns = packed_rows_part_columns(columns);
    const uint32_t panel_outputs = gate_up->weights->panel_rows / 2;
    assert(part_columns % panel_outputs == 0);
    struct matmul_job job = forward_matmul_job(f, gate_up);
    for (uint32_t first = 0, end; first < columns; first = end) {
        end = columns - first < part_columns ? columns : first + part_columns;
        job.output_first = first;
        multiply_panels(f, PHASE_GATE_UP, &job, first / panel_outputs,
                        (end + panel_outputs - 1) / panel_outputs);
        struct part_loop loop = {.kernels = f->model->kernels,
                                 .job = {.input = f->activated,
                                         .input_type = VALUES_BF16,
                                         .input_stride = f->activated_stride,
                                         .columns = columns,
                                         .column_first = first,
                                         .column_end = end,
                                         .token_end = gate_up->tokens,
                                         .rows = &f->packed_parts}};
        forward_run_phase(f, PHASE_PREPARE, 1, prepare_part, &loop);
    }
    job = matmul_job_of(down, &f->packed_parts);
    multiply_panels(f, PHASE_DOWN, &job, 0, down->weights->panel_count);
}

void forward_feed(struct forward *f, const struct model_layer *layer, uint32_t rows)
{
    const struct forward_product gate_up = {.phase = PHASE_GATE_UP,
                                            .weights = &layer->gate_up,
                                            .input = f->hidden,
                                            .input_stride = f->hidden_stride,
                                            .norm = layer->ffn_norm,
                                            .input_type = VALUES_F32,
                                            .tokens = rows,
                                            .output = f->activated,
                                            .output_stride = f->activated_stride};
    const struct forward_product down = {.phase = PHASE_DOWN,
                                         .weights = &layer->down,
                                         .input = f->activated,
                                         .input_stride = f->activated_stride,
                                         .input_type = f->rounded_type,
                                         .tokens = rows,
                                         .accumulate = true,
                                         .output = f->hidden,
                                         .output_stride = f->hidden_stride};
    if (forward_feeds_in_parts(f)) {
        feed_in_parts(f, &gate_up, &down);
        return;
    }
    forward_multiply(f, &gate_up);
    forward_multiply(f, &down);
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
        .query = f->qkv + (size_t)task->row_first * f->qkv_stride,
        .query_stride = f->qkv_stride,
        .query_factors = f->model->layers[loop->layer_index].key_balance.queries,
        .tokens = task->tokens,
        .position_first = task->position_first,
        .heads = config->heads,
        .kv_heads = config->kv_heads,
        .head_dim = config->head_dim,
        .pages = task->sequence->areas + pages,
        .output =
            (char *)f->attended + task->row_first * f->attended_stride * value_type_bytes(f->rounded_type),
        .output_type = f->rounded_type,
        .output_stride = f->attended_stride,
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
    forward_run_phase(f, PHASE_ATTENTION, f->task_count, attention_task, &loop);
}
