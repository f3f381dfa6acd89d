/* The end of a pass: from its output rows to logits, or to what greedy choice needs of them. */
#include "infer/model/forward_parts.h"

#include <assert.h>

struct best_loop {
    struct forward *forward;
    struct matmul_job job;
};

/* A part of the vocabulary: what its logits come to in each row. */
static void best_task(void *context, size_t index, uint32_t thread)
{
    const struct best_loop *loop = context;
    const struct forward *f = loop->forward;
    struct matmul_job job = loop->job;
    job.output = f->parts + (size_t)thread * FORWARD_BEST_ROWS * f->parts_stride;
    job.scratch = f->scratch + (size_t)thread * f->scratch_bytes;
    kernels_matmul_best_part(f->model->kernels, &job, (uint32_t)index,
                             f->part_best + index * FORWARD_BEST_ROWS);
}

bool forward_best(struct forward *forward, uint32_t row_first, uint32_t rows, struct best_output *best)
{
    const struct model *model = forward->model;
    const struct packed_matrix *head = &model->head;
    const uint32_t parts = kernels_best_parts(head);
    assert(rows <= FORWARD_BEST_ROWS && row_first + rows <= forward->output_count);
    const struct forward_product product = {.phase = PHASE_HEAD,
                                            .weights = head,
                                            .input = forward->hidden + row_first * forward->hidden_stride,
                                            .input_stride = forward->hidden_stride,
                                            .input_type = VALUES_F32,
                                            .norm = model->output_norm,
                                            .tokens = rows,
                                            .output_stride = forward->parts_stride};
    struct best_loop loop = {.forward = forward, .job = forward_matmul_job(forward, &product)};
    if (!forward_run_phase(forward, PHASE_HEAD, parts, best_task, &loop))
        return false;
    for (uint32_t row = 0; row < rows; row++)
        best[row] = sampler_best_join(forward->part_best + row, parts, FORWARD_BEST_ROWS);
    return true;
}

const float *forward_logits(struct forward *forward, uint32_t row_first, uint32_t rows)
{
    assert(rows <= FORWARD_LOGIT_ROWS && row_first + rows <= forward->output_count);
    forward_multiply(forward,
                     &(struct forward_product){.phase = PHASE_HEAD,
                                               .weights = &forward->model->head,
                                               .input = forward->hidden + row_first * forward->hidden_stride,
                                               .input_stride = forward->hidden_stride,
                                               .input_type = VALUES_F32,
                                               .norm = forward->model->output_norm,
                                               .tokens = rows,
                                               .output = forward->logits,
                                               .output_stride = forward->model->config.vocabulary});
    return forward_given_up(forward) ? NULL : forward->logits;
}
