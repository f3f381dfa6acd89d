/* The paged KV cache: keys and values of all sequences, from one pool with a hard byte limit.
 *
 * 1. A page holds KV_PAGE_TOKENS positions of one sequence for all layers: an area for each layer, laid out
 * by the kernel set. Pages begin zeroed; later they hold what an earlier sequence left, which is finite.
 * 2. A sequence takes all the pages it can ever need when it is opened, so it never runs out half-way.
 * 3. Sequences that begin alike may share the pages that are full of what they have in common. A shared page
 * is only read: what a sequence writes lies behind what it shares.
 * 4. Memory comes in slabs as it is first needed and is kept: an idle pool that never worked is empty.
 * 5. bytes_used counts pages held by open sequences, each once, exactly; it never passes the limit.
 *
 * One thread at a time. */
#ifndef INFER_MODEL_KV_CACHE_H
#define INFER_MODEL_KV_CACHE_H

#include "infer/cpu/kernels.h"

struct kv_pool;

struct kv_shape {
    uint32_t layers;
    struct kv_layout layout;
    size_t layer_bytes; /* kernels.kv_bytes(layout) */
};

uint64_t kv_page_bytes(const struct kv_shape *shape);
uint32_t kv_pages_of(uint64_t tokens);

/* Fails: INVALID_ARGUMENT (the limit holds no page), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code kv_pool_open(const struct kv_shape *shape, uint64_t bytes_max,
                                        struct kv_pool **out, struct dobby_error *err);
/* All its sequences must be closed. NULL is fine. */
void kv_pool_close(struct kv_pool *pool);
uint64_t kv_pool_pages_max(const struct kv_pool *pool);
uint64_t kv_pool_pages_free(const struct kv_pool *pool); /* what the limit still allows */
uint64_t kv_pool_bytes_used(const struct kv_pool *pool);
uint64_t kv_pool_bytes_peak(const struct kv_pool *pool);

struct kv_page;

/* One sequence's timeline. */
struct kv_sequence {
    uint32_t length; /* positions written */
    uint32_t page_count;
    struct kv_page **pages; /* (page_count) */
    const void **areas;     /* (layers, page_count): each page's area of a layer, as the kernels take them */
};
/* Room for `tokens` positions. Fails: KV_EXHAUSTED (with both numbers), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code kv_sequence_open(struct kv_pool *pool, uint32_t tokens, struct kv_sequence *out,
                                            struct dobby_error *err);
/* The same, beginning with the first `shared` positions of another sequence, which has them written: whole
 * pages of them are shared, the rest is copied. length is then `shared`. */
DOBBY_NODISCARD dobby_code kv_sequence_open_shared(struct kv_pool *pool, uint32_t tokens,
                                                   const struct kv_sequence *other, uint32_t shared,
                                                   struct kv_sequence *out, struct dobby_error *err);
/* Pages that only this sequence holds: what closing it would free. */
uint32_t kv_sequence_pages_own(const struct kv_sequence *sequence);
void kv_sequence_close(struct kv_pool *pool, struct kv_sequence *sequence);
/* For a sequence that may hold infinities or what is no number: its pages are zeroed before others get them.
 */
void kv_sequence_taint(struct kv_sequence *sequence);
/* The area of a layer that holds a position, to write it: no other sequence may share its page. */
void *kv_sequence_area(const struct kv_sequence *sequence, const struct kv_shape *shape, uint32_t layer,
                       uint32_t position);

#endif
