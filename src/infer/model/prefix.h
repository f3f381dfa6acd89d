/* Beginnings of prompts whose keys and values are kept, so that the next prompts that begin alike need not
 * compute them again.
 *
 * 1. Prefixes are found, not declared: what a prompt has in common with others that wait, or with the last
 * one.
 * 2. A kept prefix is a sequence of its own that nobody writes. Running sequences share its full pages, so
 * that it may be dropped at any time.
 * 3. A row's bits depend on its sequence alone, so sharing changes no output.
 *
 * One thread at a time. */
#ifndef INFER_MODEL_PREFIX_H
#define INFER_MODEL_PREFIX_H

#include "infer/model/job.h"

/* Shorter ones are not kept: they save less than they cost to find and copy. */
enum { PREFIX_TOKENS_MIN = 32 };

struct prefix_cache;

/* context_tokens: the longest prompt. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code prefix_cache_open(struct kv_pool *kv, uint32_t context_tokens,
                                             struct prefix_cache **out, struct dobby_error *err);
void prefix_cache_close(struct prefix_cache *cache); /* before its pool; NULL is fine */
/* Forgets all; for what runs nothing changes. */
void prefix_cache_clear(struct prefix_cache *cache);

/* Opens the job's sequence, with as much of its prompt as is kept but at least one token left to run.
 * Prefixes that nobody uses make room when memory is short; with `last_resort` the one that fits the job,
 * too. False: the pages are not there. Otherwise job->result.error says whether it worked (OUT_OF_MEMORY). */
bool prefix_cache_admit(struct prefix_cache *cache, struct job *job, bool last_resort);

/* Decides how much of an admitted job's prompt is worth keeping (job->keep_tokens), from those that wait
 * behind it and the last prompt seen. */
void prefix_cache_plan(struct prefix_cache *cache, struct job *job, const struct job *waiting);
/* Whether the job had better wait for a running one, which is about to compute what both begin with and
 * will keep it. */
bool prefix_cache_worth_waiting(struct prefix_cache *cache, const struct job *job, const struct job *running);
/* Keeps the first keep_tokens of the job's sequence, once it has them. */
void prefix_cache_keep(struct prefix_cache *cache, struct job *job);

#endif
