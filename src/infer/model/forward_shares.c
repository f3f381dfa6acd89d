/* A pass that threads compute apart: each has buffers of its own, takes some of the runs through all layers,
 * and leaves its output rows where the whole pass keeps them. */
#include "infer/model/forward_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

dobby_code forward_open_shares(struct forward *f, const struct forward_limits *limits,
                               struct dobby_error *err)
{
    if (!limits->apart || f->threads == 1)
        return DOBBY_OK;
    f->shares = calloc(f->threads, sizeof *f->shares);
    if (f->shares == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%u shares of a pass", f->threads);
    dobby_code code = thread_pool_open(1, &f->serial, err);
    for (uint32_t i = 0; code == DOBBY_OK && i < f->threads; i++)
        code = forward_new(f->model, f->serial, f->give_up, limits, false, &f->shares[i], err);
    return code;
}

void forward_close_shares(struct forward *f)
{
    for (uint32_t i = 0; f->shares != NULL && i < f->threads; i++)
        forward_close(f->shares[i]);
    free(f->shares);
    thread_pool_close(f->serial);
}

struct share_loop {
    struct forward *forward;
    const struct forward_run *runs;
    const size_t *counts;
};

static void share_task(void *context, size_t index, uint32_t thread)
{
    (void)thread;
    const struct share_loop *loop = context;
    const struct forward_run *runs = loop->runs;
    for (size_t i = 0; i < index; i++)
        runs += loop->counts[i];
    if (!forward_pass(loop->forward->shares[index], runs, loop->counts[index]))
        return; /* the caller looks at the flag itself */
}

/* What the shares spent on each phase since they began, a thread. */
static void sum_phases(const struct forward *f, size_t shares, int64_t sums[PHASE_COUNT])
{
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        sums[phase] = 0;
        for (size_t i = 0; i < shares; i++)
            sums[phase] += f->shares[i]->phase_ns[phase] / (int64_t)shares;
    }
}

static void gather_outputs(struct forward *f, size_t shares)
{
    const size_t stride = f->hidden_stride;
    f->output_count = 0;
    for (size_t i = 0; i < shares; i++) {
        const struct forward *share = f->shares[i];
        assert(f->output_count + share->output_count <= f->tokens_max);
        memcpy(f->hidden + f->output_count * stride, share->hidden,
               share->output_count * stride * sizeof(float));
        f->output_count += share->output_count;
    }
}

bool forward_pass_apart(struct forward *forward, const struct forward_run *runs, const size_t *counts,
                        size_t shares)
{
    struct forward *f = forward;
    assert(f->shares != NULL && shares <= f->threads);
    for (size_t i = 0; i < shares; i++)
        assert(counts[i] > 0);
    int64_t before[PHASE_COUNT], after[PHASE_COUNT];
    sum_phases(f, shares, before);
    struct share_loop loop = {.forward = f, .runs = runs, .counts = counts};
    thread_pool_run(f->pool, shares, share_task, &loop);
    sum_phases(f, shares, after);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        f->phase_ns[phase] += after[phase] - before[phase];
    if (forward_given_up(f))
        return false;
    gather_outputs(f, shares);
    return true;
}
