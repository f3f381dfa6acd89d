#include "infer/model/kv_cache.h"

#include "os/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Large enough that allocation is rare, small enough that one short prompt stays cheap. */
enum { SLAB_BYTES_AIM = 8 << 20, SLAB_ALIGNMENT = 64 };

struct kv_page {
    char *memory;
    struct kv_page *next; /* while free */
    uint32_t holders;     /* sequences */
    bool tainted;
};

struct slab {
    struct slab *next;
    void *memory;
    struct kv_page pages[];
};

struct kv_pool {
    struct kv_shape shape;
    size_t page_bytes; /* a multiple of SLAB_ALIGNMENT, so that every page is aligned */
    uint64_t pages_max, pages_used, pages_peak, pages_allocated;
    uint32_t slab_pages;
    struct slab *slabs;
    struct kv_page *free;
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
        free(pool->slabs->memory);
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

static void push_free(struct kv_pool *pool, struct kv_page *page)
{
    page->next = pool->free;
    pool->free = page;
}

static dobby_code grow(struct kv_pool *pool, struct dobby_error *err)
{
    uint64_t pages = pool->pages_max - pool->pages_allocated;
    if (pages > pool->slab_pages)
        pages = pool->slab_pages;
    const size_t bytes = (size_t)pages * pool->page_bytes;
    struct slab *slab = calloc(1, sizeof *slab + (size_t)pages * sizeof slab->pages[0]);
    char *memory = slab ? memory_allocate(bytes) : NULL;
    if (!memory) {
        free(slab);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu bytes of KV cache", bytes);
    }
    memset(memory, 0, bytes);
    slab->memory = memory;
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->pages_allocated += pages;
    for (uint64_t i = pages; i-- > 0;) {
        slab->pages[i].memory = memory + (size_t)i * pool->page_bytes;
        push_free(pool, &slab->pages[i]);
    }
    return DOBBY_OK;
}

static void hold(struct kv_pool *pool, struct kv_sequence *sequence, uint32_t index, struct kv_page *page)
{
    page->holders++;
    sequence->pages[index] = page;
    for (uint32_t layer = 0; layer < pool->shape.layers; layer++)
        sequence->areas[(size_t)layer * sequence->page_count + index] =
            page->memory + layer * pool->shape.layer_bytes;
}

static dobby_code take_pages(struct kv_pool *pool, uint32_t first, struct kv_sequence *sequence,
                             struct dobby_error *err)
{
    for (uint32_t i = first; i < sequence->page_count; i++) {
        if (!pool->free) {
            dobby_code code = grow(pool, err);
            if (code != DOBBY_OK)
                return code;
        }
        struct kv_page *page = pool->free;
        pool->free = page->next;
        pool->pages_used++;
        hold(pool, sequence, i, page);
    }
    return DOBBY_OK;
}

dobby_code kv_sequence_open(struct kv_pool *pool, uint32_t tokens, struct kv_sequence *out,
                            struct dobby_error *err)
{
    return kv_sequence_open_shared(pool, tokens, NULL, 0, out, err);
}

dobby_code kv_sequence_open_shared(struct kv_pool *pool, uint32_t tokens, const struct kv_sequence *other,
                                   uint32_t shared, struct kv_sequence *out, struct dobby_error *err)
{
    *out = (struct kv_sequence){0};
    assert(shared == 0 || (shared <= other->length && shared <= tokens));
    const uint32_t pages = kv_pages_of(tokens);
    const uint32_t pages_shared = shared / KV_PAGE_TOKENS;
    if (pages - pages_shared > kv_pool_pages_free(pool))
        return DOBBY_FAIL(err, DOBBY_KV_EXHAUSTED, "%u pages are needed, %llu of %llu are free",
                          pages - pages_shared, (unsigned long long)kv_pool_pages_free(pool),
                          (unsigned long long)pool->pages_max);
    struct kv_sequence sequence = {.page_count = pages, .length = shared};
    sequence.pages = calloc(pages ? pages : 1, sizeof *sequence.pages);
    sequence.areas = calloc((size_t)pages * pool->shape.layers + 1, sizeof *sequence.areas);
    dobby_code code = DOBBY_OK;
    if (!sequence.pages || !sequence.areas) {
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a sequence of %u pages", pages);
    } else {
        for (uint32_t i = 0; i < pages_shared; i++)
            hold(pool, &sequence, i, other->pages[i]);
        code = take_pages(pool, pages_shared, &sequence, err);
    }
    if (code != DOBBY_OK) {
        kv_sequence_close(pool, &sequence);
        return code;
    }
    if (shared % KV_PAGE_TOKENS != 0)
        memcpy(sequence.pages[pages_shared]->memory, other->pages[pages_shared]->memory, pool->page_bytes);
    if (pool->pages_used > pool->pages_peak)
        pool->pages_peak = pool->pages_used;
    *out = sequence;
    return DOBBY_OK;
}

uint32_t kv_sequence_pages_own(const struct kv_sequence *sequence)
{
    uint32_t own = 0;
    for (uint32_t i = 0; i < sequence->page_count; i++)
        own += sequence->pages[i]->holders == 1;
    return own;
}

void kv_sequence_taint(struct kv_sequence *sequence)
{
    for (uint32_t i = 0; i < sequence->page_count; i++)
        sequence->pages[i]->tainted = true;
}

void kv_sequence_close(struct kv_pool *pool, struct kv_sequence *sequence)
{
    for (uint32_t i = 0; sequence->pages && i < sequence->page_count; i++) {
        struct kv_page *page = sequence->pages[i];
        if (!page)
            continue; /* opening failed before this one */
        if (--page->holders > 0)
            continue;
        if (page->tainted)
            memset(page->memory, 0, pool->page_bytes);
        page->tainted = false;
        push_free(pool, page);
        pool->pages_used--;
    }
    free(sequence->pages);
    free(sequence->areas);
    *sequence = (struct kv_sequence){0};
}

void *kv_sequence_area(const struct kv_sequence *sequence, const struct kv_shape *shape, uint32_t layer,
                       uint32_t position)
{
    const struct kv_page *page = sequence->pages[position / KV_PAGE_TOKENS];
    assert(page->holders == 1);
    return page->memory + layer * shape->layer_bytes;
}
