#include "infer/model/prefix.h"

#include <stdlib.h>
#include <string.h>

enum {
    PREFIXES_MAX = 4,   /* a run has one prompt template; a few more runs may share the engine */
    WAITING_LOOKED = 64 /* waiting prompts compared: they are alike, or a glance does not help */
};

struct kept_prefix {
    int32_t *tokens; /* (sequence.length); NULL: the place is free */
    struct kv_sequence sequence;
    uint64_t used; /* when last, counted in uses */
};

struct prefix_cache {
    struct kv_pool *kv;
    uint64_t uses;
    struct kept_prefix prefixes[PREFIXES_MAX];
    uint32_t last_count;
    int32_t last[]; /* (context_tokens): the last prompt that was admitted */
};

struct match {
    struct kept_prefix *prefix; /* NULL: none */
    uint32_t tokens;
};

dobby_code prefix_cache_open(struct kv_pool *kv, uint32_t context_tokens, struct prefix_cache **out,
                             struct dobby_error *err)
{
    *out = NULL;
    struct prefix_cache *cache = calloc(1, sizeof *cache + context_tokens * sizeof cache->last[0]);
    if (cache == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a prompt of %u tokens", context_tokens);
    cache->kv = kv;
    *out = cache;
    return DOBBY_OK;
}

/* Whether the numbers of a prefix are sound, nobody knows here: its pages are cleaned. */
static void drop(struct prefix_cache *cache, struct kept_prefix *prefix)
{
    kv_sequence_taint(&prefix->sequence);
    kv_sequence_close(cache->kv, &prefix->sequence);
    free(prefix->tokens);
    *prefix = (struct kept_prefix){.tokens = NULL};
}

void prefix_cache_clear(struct prefix_cache *cache)
{
    for (size_t i = 0; i < PREFIXES_MAX; i++)
        drop(cache, &cache->prefixes[i]);
    cache->last_count = 0;
}

void prefix_cache_close(struct prefix_cache *cache)
{
    if (cache == NULL)
        return;
    prefix_cache_clear(cache);
    free(cache);
}

static uint64_t pages_own(const struct prefix_cache *cache)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < PREFIXES_MAX; i++)
        pages += kv_sequence_pages_own(&cache->prefixes[i].sequence);
    return pages;
}

/* ---- comparing prompts ------------------------------------------------------------------------------- */

static uint32_t common(const int32_t *a, uint32_t a_count, const int32_t *b, uint32_t b_count)
{
    const uint32_t most = a_count < b_count ? a_count : b_count;
    uint32_t count = 0;
    while (count < most && a[count] == b[count])
        count++;
    return count;
}

/* The kept prefix that covers most of a prompt, leaving one token: its logits are wanted. */
static struct match find(struct prefix_cache *cache, const struct job *job)
{
    struct match match = {.prefix = NULL};
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        struct kept_prefix *prefix = &cache->prefixes[i];
        if (prefix->tokens == NULL)
            continue;
        const uint32_t tokens =
            common(prefix->tokens, prefix->sequence.length, job->tokens, job->prompt_count - 1);
        if (tokens >= PREFIX_TOKENS_MIN && tokens > match.tokens)
            match = (struct match){prefix, tokens};
    }
    return match;
}

/* ---- using what is kept ------------------------------------------------------------------------------ */

static struct kept_prefix *least_used(struct prefix_cache *cache, const struct kept_prefix *but)
{
    struct kept_prefix *least = NULL;
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        struct kept_prefix *prefix = &cache->prefixes[i];
        if (prefix->tokens != NULL && prefix != but && (least == NULL || prefix->used < least->used))
            least = prefix;
    }
    return least;
}

/* Drops prefixes until so many pages are free, if that is enough. */
static bool make_room(struct prefix_cache *cache, uint32_t pages, const struct kept_prefix *but)
{
    const uint64_t others = pages_own(cache) - (but != NULL ? kv_sequence_pages_own(&but->sequence) : 0);
    if (pages > kv_pool_pages_free(cache->kv) + others)
        return false;
    while (pages > kv_pool_pages_free(cache->kv))
        drop(cache, least_used(cache, but));
    return true;
}

bool prefix_cache_admit(struct prefix_cache *cache, struct job *job, bool last_resort)
{
    const uint32_t tokens = job->prompt_count + job->tokens_max;
    struct match match = find(cache, job);
    if (!make_room(cache, kv_pages_of(tokens) - match.tokens / KV_PAGE_TOKENS, match.prefix)) {
        if (!last_resort)
            return false;
        prefix_cache_clear(cache);
        match = (struct match){.prefix = NULL};
    }
    if (kv_pages_of(tokens) - match.tokens / KV_PAGE_TOKENS > kv_pool_pages_free(cache->kv))
        return false;
    if (match.prefix != NULL)
        match.prefix->used = ++cache->uses;
    const dobby_code code =
        kv_sequence_open_shared(cache->kv, tokens, match.prefix != NULL ? &match.prefix->sequence : NULL,
                                match.tokens, &job->sequence, &job->result.error);
    if (code == DOBBY_OK)
        job->prefix_count = match.tokens;
    return true;
}

/* ---- finding what to keep ---------------------------------------------------------------------------- */

/* One prefix serves all that begin with it: of the lengths that the job has in common with others, the one
 * that saves most tokens. */
static uint32_t best_length(const uint32_t *lengths, size_t count)
{
    uint64_t best_saved = 0;
    uint32_t best = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t saved = 0;
        for (size_t j = 0; j < count; j++)
            saved += lengths[j] >= lengths[i] ? lengths[i] : 0;
        if (saved > best_saved) {
            best_saved = saved;
            best = lengths[i];
        }
    }
    return best;
}

void prefix_cache_plan(struct prefix_cache *cache, struct job *job, const struct job *waiting)
{
    uint32_t lengths[WAITING_LOOKED + 1];
    size_t count = 0;
    /* A little more than what is kept already is not worth another prefix. */
    const uint32_t least = job->prefix_count + PREFIX_TOKENS_MIN;
    lengths[count++] = common(cache->last, cache->last_count, job->tokens, job->prompt_count);
    for (const struct job *other = waiting; other != NULL && count <= WAITING_LOOKED; other = other->next)
        lengths[count++] = common(other->tokens, other->prompt_count, job->tokens, job->prompt_count);
    size_t worthy = 0;
    for (size_t i = 0; i < count; i++)
        if (lengths[i] >= least)
            lengths[worthy++] = lengths[i];
    job->keep_tokens = best_length(lengths, worthy);
    memcpy(cache->last, job->tokens, job->prompt_count * sizeof job->tokens[0]);
    cache->last_count = job->prompt_count;
}

bool prefix_cache_worth_waiting(struct prefix_cache *cache, const struct job *job, const struct job *running)
{
    if (running->keep_tokens == 0)
        return false;
    uint32_t tokens = common(job->tokens, job->prompt_count - 1, running->tokens, running->keep_tokens);
    return tokens >= find(cache, job).tokens + PREFIX_TOKENS_MIN;
}

/* Where a new prefix goes: in the place of one that it continues, a free one, or that of the least used. */
static struct kept_prefix *place_for(struct prefix_cache *cache, const struct job *job)
{
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        struct kept_prefix *prefix = &cache->prefixes[i];
        const uint32_t length = prefix->sequence.length;
        if (prefix->tokens == NULL ||
            (length <= job->keep_tokens && common(prefix->tokens, length, job->tokens, length) == length))
            return prefix;
    }
    return least_used(cache, NULL);
}

void prefix_cache_keep(struct prefix_cache *cache, struct job *job)
{
    if (job->keep_tokens == 0 || job->sequence.length < job->keep_tokens)
        return;
    struct kept_prefix *place = place_for(cache, job);
    uint32_t tokens = job->keep_tokens;
    job->keep_tokens = 0;
    if (kv_pool_pages_free(cache->kv) + kv_sequence_pages_own(&place->sequence) == 0)
        tokens -= tokens % KV_PAGE_TOKENS; /* whole pages cost nothing */
    if (tokens < PREFIX_TOKENS_MIN)
        return;
    drop(cache, place);
    struct kept_prefix prefix = {.tokens = malloc(tokens * sizeof(int32_t)), .used = ++cache->uses};
    /* Without memory for it there is no prefix, and nothing else is lost. */
    if (prefix.tokens == NULL || kv_sequence_open_shared(cache->kv, tokens, &job->sequence, tokens,
                                                         &prefix.sequence, NULL) != DOBBY_OK) {
        free(prefix.tokens);
        return;
    }
    memcpy(prefix.tokens, job->tokens, tokens * sizeof(int32_t));
    *place = prefix;
}
