/* The end of a pass: from its output rows to logits, or to what greedy choice needs of them. */
#include "infer/model/forward_parts.h"

#include <assert.h>

uint32_t forward_vocabulary_parts(const struct model *model)
{
    return (model->head.rows + FORWARD_PART_OUTPUTS - 1) / FORWARD_PART_OUTPUTS;
}

struct best_loop {
    struct forward *forward;
    struct matmul_job job;
};

/* A part of the vocabulary: its logits of all rows, and what they come to. */
static void best_task(void *context, size_t index, uint32_t thread)
{
    const struct best_loop *loop = context;
    const struct forward *f = loop->forward;
    const struct kernels *kernels = f->model->kernels;
    struct matmul_job job = loop->job;
    const uint32_t part_panels = FORWARD_PART_OUTPUTS / job.weights->panel_rows;
    const uint32_t left = job.weights->panel_count - (uint32_t)index * part_panels;
    job.panel_first = (uint32_t)index * part_panels;
    job.panel_end = job.panel_first + (left < part_panels ? left : part_panels);
    job.output_first = (uint32_t)index * FORWARD_PART_OUTPUTS;
    job.output = f->parts + (size_t)thread * FORWARD_BEST_ROWS * FORWARD_PART_OUTPUTS;
    job.scratch = f->scratch + (size_t)thread * f->scratch_bytes;
    kernels->matmul(&job);
    const uint32_t outputs = job.weights->rows - job.output_first;
    const uint32_t count = outputs < FORWARD_PART_OUTPUTS ? outputs : FORWARD_PART_OUTPUTS;
    for (uint32_t row = 0; row < job.tokens; row++) {
        const float *logits = (const float *)job.output + (size_t)row * FORWARD_PART_OUTPUTS;
        f->part_best[index * FORWARD_BEST_ROWS + row] =
            sampler_best_of(kernels, logits, count, (int32_t)job.output_first);
    }
}

bool forward_best(struct forward *forward, uint32_t row_first, uint32_t rows, struct sampler_best *best)
{
    const struct model *model = forward->model;
    const struct packed_matrix *head = &model->head;
    const uint32_t hidden = model->config.hidden, parts = forward_vocabulary_parts(model);
    assert(rows <= FORWARD_BEST_ROWS && row_first + rows <= forward->output_count);
    assert(FORWARD_PART_OUTPUTS % head->panel_rows == 0);
    const struct forward_product product = {.phase = PHASE_HEAD,
                                            .weights = head,
                                            .input = forward->hidden + (size_t)row_first * hidden,
                                            .input_type = VALUES_F32,
                                            .norm = model->output_norm,
                                            .tokens = rows};
    struct best_loop loop = {.forward = forward, .job = forward_matmul_job(forward, &product)};
    loop.job.output_stride = FORWARD_PART_OUTPUTS;
    if (!forward_run_phase(forward, PHASE_HEAD, parts, best_task, &loop))
        return false;
    for (uint32_t row = 0; row < rows; row++)
        best[row] = sampler_best_join(forward->part_best + row, parts, FORWARD_BEST_ROWS);
    return true;
}

const float *forward_logits(struct forward *forward, uint32_t row_first, uint32_t rows)
{
    const uint32_t hidden = forward->model->config.hidden;
    assert(rows <= FORWARD_LOGIT_ROWS && row_first + rows <= forward->output_count);
    forward_multiply(forward, &(struct forward_product){.phase = PHASE_HEAD,
                                                        .weights = &forward->model->head,
                                                        .input = forward->hidden + (size_t)row_first * hidden,
                                                        .input_type = VALUES_F32,
                                                        .norm = forward->model->output_norm,
                                                        .tokens = rows,
                                                        .output = forward->logits});
    return forward_given_up(forward) ? NULL : forward->logits;
}
