#include "infer/model/kv_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Large enough that allocation is rare, small enough that one short prompt stays cheap. */
enum { SLAB_BYTES_AIM = 8 << 20, SLAB_ALIGNMENT = 64 };

/* A free page's first bytes are the link to the next. */
struct free_page {
    struct free_page *next;
};

struct slab {
    struct slab *next;
    void *pages;
};

struct kv_pool {
    struct kv_shape shape;
    size_t page_bytes; /* a multiple of SLAB_ALIGNMENT, so that every page is aligned */
    uint64_t pages_max, pages_used, pages_peak, pages_allocated;
    uint32_t slab_pages;
    struct slab *slabs;
    struct free_page *free;
};

uint64_t kv_page_bytes(const struct kv_shape *shape)
{
    assert(shape->layer_bytes % SLAB_ALIGNMENT == 0); /* so that every page is aligned */
    return (uint64_t)shape->layers * shape->layer_bytes;
}

uint32_t kv_pages_of(uint64_t tokens)
{
    return (uint32_t)((tokens + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS);
}

dobby_code kv_pool_open(const struct kv_shape *shape, uint64_t bytes_max, struct kv_pool **out,
                        struct dobby_error *err)
{
    *out = NULL;
    const uint64_t page_bytes = kv_page_bytes(shape);
    if (page_bytes == 0 || bytes_max < page_bytes)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                          "a KV cache of %llu bytes holds no page of %d tokens (%llu bytes)",
                          (unsigned long long)bytes_max, KV_PAGE_TOKENS, (unsigned long long)page_bytes);
    struct kv_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the KV pool");
    pool->shape = *shape;
    pool->page_bytes = (size_t)page_bytes;
    pool->pages_max = bytes_max / page_bytes;
    pool->slab_pages = page_bytes < SLAB_BYTES_AIM ? (uint32_t)(SLAB_BYTES_AIM / page_bytes) : 1;
    *out = pool;
    return DOBBY_OK;
}

void kv_pool_close(struct kv_pool *pool)
{
    if (!pool)
        return;
    assert(pool->pages_used == 0);
    while (pool->slabs) {
        struct slab *next = pool->slabs->next;
        free(pool->slabs->pages);
        free(pool->slabs);
        pool->slabs = next;
    }
    free(pool);
}

uint64_t kv_pool_pages_max(const struct kv_pool *pool)
{
    return pool->pages_max;
}

uint64_t kv_pool_pages_free(const struct kv_pool *pool)
{
    return pool->pages_max - pool->pages_used;
}

uint64_t kv_pool_bytes_used(const struct kv_pool *pool)
{
    return pool->pages_used * pool->page_bytes;
}

uint64_t kv_pool_bytes_peak(const struct kv_pool *pool)
{
    return pool->pages_peak * pool->page_bytes;
}

static void push_free(struct kv_pool *pool, void *page)
{
    struct free_page *link = page;
    link->next = pool->free;
    pool->free = link;
}

static dobby_code grow(struct kv_pool *pool, struct dobby_error *err)
{
    uint64_t pages = pool->pages_max - pool->pages_allocated;
    if (pages > pool->slab_pages)
        pages = pool->slab_pages;
    const size_t bytes = (size_t)pages * pool->page_bytes;
    struct slab *slab = calloc(1, sizeof *slab);
    void *memory = slab ? aligned_alloc(SLAB_ALIGNMENT, bytes) : NULL;
    if (!memory) {
        free(slab);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu bytes of KV cache", bytes);
    }
    memset(memory, 0, bytes);
    slab->pages = memory;
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->pages_allocated += pages;
    for (uint64_t i = pages; i-- > 0;)
        push_free(pool, (char *)memory + (size_t)i * pool->page_bytes);
    return DOBBY_OK;
}

static dobby_code take_pages(struct kv_pool *pool, struct kv_sequence *sequence, struct dobby_error *err)
{
    const uint32_t count = sequence->page_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!pool->free) {
            dobby_code code = grow(pool, err);
            if (code != DOBBY_OK)
                return code;
        }
        struct free_page *link = pool->free;
        pool->free = link->next;
        char *page = (void *)link;
        *link = (struct free_page){NULL}; /* a pointer's bytes could read as NaN */
        sequence->pages[i] = page;
        pool->pages_used++;
        for (uint32_t layer = 0; layer < pool->shape.layers; layer++) {
            sequence->areas[(size_t)layer * count + i] = page + layer * pool->shape.layer_bytes;
        }
    }
    return DOBBY_OK;
}

dobby_code kv_sequence_open(struct kv_pool *pool, uint32_t tokens, struct kv_sequence *out,
                            struct dobby_error *err)
{
    *out = (struct kv_sequence){0};
    const uint32_t pages = kv_pages_of(tokens);
    if (pages > kv_pool_pages_free(pool))
        return DOBBY_FAIL(err, DOBBY_KV_EXHAUSTED, "%u pages are needed, %llu of %llu are free", pages,
                          (unsigned long long)kv_pool_pages_free(pool), (unsigned long long)pool->pages_max);
    struct kv_sequence sequence = {.page_count = pages};
    sequence.pages = calloc(pages ? pages : 1, sizeof *sequence.pages);
    sequence.areas = calloc((size_t)pages * pool->shape.layers + 1, sizeof *sequence.areas);
    dobby_code code;
    if (!sequence.pages || !sequence.areas)
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a sequence of %u pages", pages);
    else
        code = take_pages(pool, &sequence, err);
    if (code != DOBBY_OK) {
        kv_sequence_close(pool, &sequence);
        return code;
    }
    if (pool->pages_used > pool->pages_peak)
        pool->pages_peak = pool->pages_used;
    *out = sequence;
    return DOBBY_OK;
}

void kv_sequence_close(struct kv_pool *pool, struct kv_sequence *sequence)
{
    for (uint32_t i = 0; sequence->pages && i < sequence->page_count; i++) {
        if (!sequence->pages[i])
            continue; /* opening failed before this one */
        push_free(pool, sequence->pages[i]);
        pool->pages_used--;
    }
    free(sequence->pages);
    free(sequence->areas);
    *sequence = (struct kv_sequence){0};
}

void *kv_sequence_area(const struct kv_sequence *sequence, const struct kv_shape *shape, uint32_t layer,
                       uint32_t position)
{
    return (char *)sequence->pages[position / KV_PAGE_TOKENS] + layer * shape->layer_bytes;
}
