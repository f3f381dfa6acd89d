/* Which tokens go into the next pass, and whether its threads compute them together or apart. */
#include "infer/model/scheduler_parts.h"
#include "os/clock.h"

/* Shares of a pass are worth having when the smallest has this part of step_rows, and of the largest: what
 * one thread waits for the other is lost, and weights that few rows pass by are read for little. */
enum { SHARE_ROWS_PART = 2, SHARE_EVEN_PERCENT = 80 };

/* Tokens of the job that are not in its KV cache yet. */
static uint32_t tokens_left(const struct job *job)
{
    return job->token_count - job->sequence.length;
}

/* Rows of prompts beside so many decoding sequences: what these leave of the rows worth having at once; a
 * quarter of those at least, so that prompts go on. No more than that at a run's start, once a sequence
 * decodes: so its result, the first, comes early. */
static uint32_t prefill_rows(const struct scheduler *s, uint32_t decoding)
{
    const uint32_t least = s->step_rows / 4;
    if (s->step_decode > 0 && s->early_end_ns != 0 && clock_monotonic_ns() < s->early_end_ns)
        return least;
    return decoding + least < s->step_rows ? s->step_rows - decoding : least;
}

static struct step_share *roomiest(struct scheduler *s)
{
    struct step_share *most = &s->shares[0];
    for (uint32_t i = 1; i < s->share_count; i++)
        if (s->shares[i].budget > most->budget)
            most = &s->shares[i];
    return most;
}

/* Deals out one token of each decoding sequence in turn, then prompts to whoever has most room. */
static void deal(struct scheduler *s, uint32_t share_count)
{
    s->share_count = share_count;
    s->step_decode = s->step_prefill = 0;
    for (uint32_t i = 0; i < share_count; i++)
        s->shares[i] = (struct step_share){0};
    for (uint32_t i = 0; i < s->running_count; i++) {
        const bool decodes = s->running[i]->token_count > s->running[i]->prompt_count;
        s->parts[i] = (struct step_part){.share = s->step_decode % share_count, .tokens = decodes};
        s->shares[s->parts[i].share].rows += decodes;
        s->step_decode += decodes;
    }
    for (uint32_t i = 0; i < share_count; i++)
        s->shares[i].budget = prefill_rows(s, s->shares[i].rows);
    for (uint32_t i = 0; i < s->running_count; i++) {
        struct step_share *share = roomiest(s);
        if (share->budget == 0)
            break;
        if (s->parts[i].tokens > 0)
            continue;
        const uint32_t left = tokens_left(s->running[i]);
        const uint32_t tokens = left < share->budget ? left : share->budget;
        s->parts[i] = (struct step_part){.share = (uint32_t)(share - s->shares), .tokens = tokens};
        share->rows += tokens;
        share->budget -= tokens;
        s->step_prefill += tokens;
    }
}

static bool is_even(const struct scheduler *s)
{
    uint32_t least = s->shares[0].rows, most = least;
    for (uint32_t i = 1; i < s->share_count; i++) {
        least = s->shares[i].rows < least ? s->shares[i].rows : least;
        most = s->shares[i].rows > most ? s->shares[i].rows : most;
    }
    return least >= s->step_rows / SHARE_ROWS_PART && least * 100 >= most * SHARE_EVEN_PERCENT;
}

static void add_run(struct scheduler *s, size_t at, struct job *job, uint32_t tokens)
{
    const bool last = tokens == tokens_left(job);
    s->runs[at] = (struct forward_run){.sequence = &job->sequence,
                                       .tokens = job->tokens + job->sequence.length,
                                       .token_count = tokens,
                                       .output_count = last ? 1 : 0};
    if (last)
        s->sampled[s->sampled_count++] = job;
}

void scheduler_plan_step(struct scheduler *s)
{
    const uint32_t threads = thread_pool_threads(s->options.pool);
    deal(s, threads);
    if (threads > 1 && !is_even(s))
        deal(s, 1);
    size_t count = 0;
    s->sampled_count = 0;
    for (uint32_t share = 0; share < s->share_count; share++) {
        const size_t first = count;
        for (uint32_t i = 0; i < s->running_count; i++)
            if (s->parts[i].tokens > 0 && s->parts[i].share == share)
                add_run(s, count++, s->running[i], s->parts[i].tokens);
        s->run_counts[share] = count - first;
    }
}
