/* Results of the last while by their key, in front of the store: least recently used leave first, none stays
 * longer than its time. A key fixes the bytes of a result (result_key.h), so what is found here is what
 * inference would give. Pure: the caller passes the time. */
#ifndef PIPELINE_RESULT_CACHE_H
#define PIPELINE_RESULT_CACHE_H

#include "base/crypto.h"

#include <stddef.h>

/* A result without what belongs to one record. Strings borrowed; of a found one until the next call. */
struct cached_result {
    const char *text;
    const char *engine; /* that computed it: provenance */
    double confidence;
    uint32_t tokens_in, tokens_out;
    int64_t inference_ms;
    const char *reason; /* why it is DEGRADED; NULL: it is not */
};

struct cache_entry;

struct result_cache {
    size_t bytes_max; /* of entries with their texts; 0: keeps nothing */
    int64_t ttl_ns;
    size_t bytes, count;
    uint64_t hits, misses, evictions; /* what ran out of time or room counts as evicted */
    struct cache_entry **buckets;
    size_t bucket_count;                 /* a power of two */
    struct cache_entry *newest, *oldest; /* by use */
};

/* Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code result_cache_init(struct result_cache *cache, size_t bytes_max, int64_t ttl_ns,
                                             struct dobby_error *err);
void result_cache_release(struct result_cache *cache);
/* False when it is not there, or was put longer than ttl_ns ago. */
bool result_cache_find(struct result_cache *cache, const uint8_t key[SHA256_BYTES], int64_t now_ns,
                       struct cached_result *out);
/* Copies it in, over what the key has. A cache is no promise: without memory for it, or when it is larger
 * than the whole cache, nothing is kept. */
void result_cache_put(struct result_cache *cache, const uint8_t key[SHA256_BYTES], int64_t now_ns,
                      const struct cached_result *result);

#endif
