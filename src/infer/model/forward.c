#include "infer/model/forward_parts.h"
#include "os/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE = 64 };

/* The next count values of size bytes of the pass's memory; *at moves on. */
static void *take(char *memory, size_t *at, size_t count, size_t size)
{
    char *part = memory != NULL ? memory + *at : NULL;
    *at += (count * size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return part;
}

size_t forward_stride(size_t width, size_t value_bytes)
{
    return ((width * value_bytes + CACHE_LINE - 1) / CACHE_LINE | 1) * CACHE_LINE / value_bytes;
}

static size_t activated_columns(const struct forward *f)
{
    const uint32_t columns = f->model->config.feed_forward, part = packed_rows_part_columns(columns);
    return forward_feeds_in_parts(f) && part < columns ? part : columns;
}

/* Lays the buffers out in one piece of memory, since that can lie on large pages. Returns the bytes it takes;
 * memory NULL: that only. */
static size_t place_buffers(struct forward *f, char *memory)
{
    const struct model_config *config = &f->model->config;
    const size_t tokens = f->tokens_max, rounded_bytes = value_type_bytes(f->rounded_type);
    size_t at = 0;
    f->hidden = take(memory, &at, tokens * f->hidden_stride, sizeof(float));
    f->normed = take(memory, &at, tokens * f->hidden_stride, sizeof(float));
    f->qkv = take(memory, &at, tokens * f->qkv_stride, sizeof(float));
    f->attended = take(memory, &at, tokens * f->attended_stride, rounded_bytes);
    f->activated = take(memory, &at, tokens * f->activated_stride, rounded_bytes);
    if (f->has_head) {
        f->logits = take(memory, &at, (size_t)FORWARD_LOGIT_ROWS * config->vocabulary, sizeof(float));
        f->parts = take(memory, &at, (size_t)f->threads * FORWARD_BEST_ROWS, f->parts_stride * sizeof(float));
        f->part_best = take(memory, &at, (size_t)kernels_best_parts(&f->model->head) * FORWARD_BEST_ROWS,
                            sizeof *f->part_best);
    }
    f->scratch = take(memory, &at, f->threads, f->scratch_bytes);
    f->rows = take(memory, &at, tokens, sizeof *f->rows);
    f->tasks = take(memory, &at, f->tasks_max, sizeof *f->tasks);
    return at;
}

static size_t scratch_bytes_needed(const struct model *model)
{
    const struct kernels *kernels = model->kernels;
    const struct model_config *config = &model->config;
    size_t bytes = kernels->attention_scratch_bytes(config->head_dim, config->heads / config->kv_heads);
    const size_t normed = FORWARD_NORM_ROWS * config->hidden * sizeof(float);
    bytes = normed > bytes ? normed : bytes;
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
    return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static dobby_code new_packed_rows(struct forward *f, struct dobby_error *err)
{
    const struct model_config *config = &f->model->config;
    const enum product product = f->model->product;
    const bool in_parts = forward_feeds_in_parts(f);
    if (product == PRODUCT_F32)
        return DOBBY_OK;
    uint32_t widest = config->hidden > f->q_width ? config->hidden : f->q_width;
    if (!in_parts && config->feed_forward > widest)
        widest = config->feed_forward;
    dobby_code code = packed_rows_new(product, f->tokens_max, widest, &f->packed, err);
    if (code == DOBBY_OK && in_parts)
        code = packed_rows_new(product, f->tokens_max, config->feed_forward, &f->packed_parts, err);
    return code;
}

dobby_code forward_new(const struct model *model, struct thread_pool *pool, const atomic_bool *give_up,
                       const struct forward_limits *limits, bool has_head, struct forward **out,
                       struct dobby_error *err)
{
    *out = NULL;
    const uint32_t tokens_max = limits->tokens_max;
    assert(tokens_max > 0 && limits->runs_max > 0);
    const struct model_config *config = &model->config;
    struct forward *f = calloc(1, sizeof *f);
    if (f == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the forward pass");
    f->model = model;
    f->pool = pool;
    f->give_up = give_up;
    f->kv_shape = model_kv_shape(model);
    f->threads = thread_pool_threads(pool);
    f->tokens_max = tokens_max;
    f->runs_max = limits->runs_max;
    f->has_head = has_head;
    f->q_width = config->heads * config->head_dim;
    f->kv_width = config->kv_heads * config->head_dim;
    f->qkv_width = f->q_width + 2 * f->kv_width;
    f->hidden_stride = forward_stride(config->hidden, sizeof(float));
    f->qkv_stride = forward_stride(f->qkv_width, sizeof(float));
    f->rounded_type = model->product == PRODUCT_F32 ? VALUES_F32 : VALUES_BF16;
    f->attended_stride = forward_stride(f->q_width, value_type_bytes(f->rounded_type));
    f->activated_stride = forward_stride(activated_columns(f), value_type_bytes(f->rounded_type));
    f->parts_stride = forward_stride(BEST_PART_OUTPUTS, sizeof(float));
    f->tasks_max = ((size_t)limits->runs_max + tokens_max / FORWARD_BLOCK_TOKENS) * config->kv_heads;
    f->scratch_bytes = scratch_bytes_needed(model);

    f->memory = memory_allocate(place_buffers(f, NULL));
    if (f->memory == NULL) {
        forward_close(f);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "buffers for %u tokens at once", tokens_max);
    }
    (void)place_buffers(f, f->memory);
    const dobby_code code = new_packed_rows(f, err);
    if (code != DOBBY_OK) {
        forward_close(f);
        return code;
    }
    *out = f;
    return DOBBY_OK;
}

dobby_code forward_open(const struct model *model, struct thread_pool *pool, const atomic_bool *give_up,
                        const struct forward_limits *limits, struct forward **out, struct dobby_error *err)
{
    dobby_code code = forward_new(model, pool, give_up, limits, true, out, err);
    if (code != DOBBY_OK)
        return code;
    code = forward_open_shares(*out, limits, err);
    if (code != DOBBY_OK) {
        forward_close(*out);
        *out = NULL;
    }
    return code;
}

void forward_close(struct forward *forward)
{
    if (forward == NULL)
        return;
    forward_close_shares(forward);
    free(forward->memory);
    packed_rows_release(&forward->packed);
    packed_rows_release(&forward->packed_parts);
    free(forward);
}

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
        for (uint32_t first = 0; first < run->token_count; first += FORWARD_BLOCK_TOKENS) {
            const uint32_t left = run->token_count - first;
            struct attention_task task = {
                .sequence = run->sequence,
                .row_first = f->row_count,
                .tokens = run->token_count,
                .position_first = position,
                .output_first = run->token_count - run->output_count,
                .token_first = first,
                .token_end = first + (left < FORWARD_BLOCK_TOKENS ? left : FORWARD_BLOCK_TOKENS)};
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

/* Moves the output rows to the front of hidden and attended: after the last layer's attention no other row
 * matters. A row never moves up, so none is overwritten before it moved. */
static void keep_outputs(struct forward *f, const struct forward_run *runs, size_t count)
{
    const size_t value_bytes = value_type_bytes(f->rounded_type);
    const size_t hidden = f->hidden_stride, attended_bytes = f->attended_stride * value_bytes;
    size_t row_end = 0, output = 0;
    for (size_t i = 0; i < count; i++) {
        row_end += runs[i].token_count;
        for (size_t row = row_end - runs[i].output_count; row < row_end; row++, output++) {
            if (row == output)
                continue;
            memcpy(f->hidden + output * hidden, f->hidden + row * hidden,
                   f->model->config.hidden * sizeof(float));
            memcpy((char *)f->attended + output * attended_bytes, (char *)f->attended + row * attended_bytes,
                   f->q_width * value_bytes);
        }
    }
}

/* attended = attention(hidden), for all rows or for what the output rows need. */
static void attend(struct forward *f, uint32_t layer_index, bool outputs_only)
{
    const struct model_layer *layer = &f->model->layers[layer_index];
    forward_multiply(f, &(struct forward_product){.phase = PHASE_QKV,
                                                  .weights = &layer->qkv,
                                                  .input = f->hidden,
                                                  .input_stride = f->hidden_stride,
                                                  .norm = layer->attention_norm,
                                                  .input_type = VALUES_F32,
                                                  .tokens = f->row_count,
                                                  .bias = layer->qkv_bias,
                                                  .output = f->qkv,
                                                  .output_stride = f->qkv_stride});
    forward_position_rows(f, layer_index);
    forward_attention(f, layer_index, outputs_only);
}

/* The rest of a layer, over the first rows of attended and hidden. */
static void transform(struct forward *f, const struct model_layer *layer, uint32_t rows)
{
    forward_multiply(f, &(struct forward_product){.phase = PHASE_OUTPUT,
                                                  .weights = &layer->attention_output,
                                                  .input = f->attended,
                                                  .input_stride = f->attended_stride,
                                                  .input_type = f->rounded_type,
                                                  .tokens = rows,
                                                  .accumulate = true,
                                                  .output = f->hidden,
                                                  .output_stride = f->hidden_stride});
    forward_feed(f, layer, rows);
}

bool forward_pass(struct forward *forward, const struct forward_run *runs, size_t count)
{
    struct forward *f = forward;
    const uint32_t last = f->model->config.layers - 1;
    assert(count <= f->runs_max);
    lay_out(f, runs, count);
    forward_embed_rows(f);
    for (uint32_t layer = 0; layer < last && !forward_given_up(f); layer++) {
        attend(f, layer, false);
        transform(f, &f->model->layers[layer], f->row_count);
    }
    /* Of the last layer all keys and values are needed, but the rest only for the output rows. */
    attend(f, last, true);
    if (f->output_count > 0 && !forward_given_up(f)) {
        keep_outputs(f, runs, count);
        transform(f, &f->model->layers[last], f->output_count);
    }
    return !forward_given_up(f);
}
