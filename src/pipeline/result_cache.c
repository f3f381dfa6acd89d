#include "pipeline/result_cache.h"

#include <stdlib.h>
#include <string.h>

/* Some 100 bytes of text and this struct: what a bucket is made for. */
enum { ENTRY_BYTES_USUAL = 256, BUCKETS_MIN = 16 };

struct cache_entry {
    struct cache_entry *chain;         /* the next of its bucket */
    struct cache_entry *newer, *older; /* by use */
    uint8_t key[SHA256_BYTES];
    int64_t put_ns;
    size_t bytes; /* with its texts, which stand behind it */
    struct cached_result result;
    char texts[];
};

dobby_code result_cache_init(struct result_cache *cache, size_t bytes_max, int64_t ttl_ns,
                             struct dobby_error *err)
{
    *cache = (struct result_cache){.bytes_max = bytes_max, .ttl_ns = ttl_ns, .bucket_count = BUCKETS_MIN};
    while (cache->bucket_count < bytes_max / ENTRY_BYTES_USUAL)
        cache->bucket_count *= 2;
    cache->buckets = calloc(cache->bucket_count, sizeof(cache->buckets[0]));
    if (cache->buckets == NULL) {
        size_t count = cache->bucket_count;
        *cache = (struct result_cache){0};
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a cache of %zu buckets", count);
    }
    return DOBBY_OK;
}

void result_cache_release(struct result_cache *cache)
{
    for (struct cache_entry *entry = cache->newest, *older; entry != NULL; entry = older) {
        older = entry->older;
        free(entry);
    }
    free(cache->buckets);
    *cache = (struct result_cache){0};
}

/* A key is a hash already: any part of it will do. */
static struct cache_entry **bucket_of(const struct result_cache *cache, const uint8_t key[SHA256_BYTES])
{
    size_t hash;
    memcpy(&hash, key, sizeof(hash));
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static struct cache_entry *find(const struct result_cache *cache, const uint8_t key[SHA256_BYTES])
{
    struct cache_entry *entry = *bucket_of(cache, key);
    while (entry != NULL && memcmp(entry->key, key, SHA256_BYTES) != 0)
        entry = entry->chain;
    return entry;
}

static void unlink_use(struct result_cache *cache, struct cache_entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct result_cache *cache, struct cache_entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void drop(struct result_cache *cache, struct cache_entry *entry)
{
    struct cache_entry **link = bucket_of(cache, entry->key);
    while (*link != entry)
        link = &(*link)->chain;
    *link = entry->chain;
    unlink_use(cache, entry);
    cache->bytes -= entry->bytes;
    cache->count--;
    free(entry);
}

bool result_cache_find(struct result_cache *cache, const uint8_t key[SHA256_BYTES], int64_t now_ns,
                       struct cached_result *out)
{
    struct cache_entry *entry = find(cache, key);
    *out = (struct cached_result){0};
    if (entry != NULL && now_ns - entry->put_ns > cache->ttl_ns) {
        drop(cache, entry);
        cache->evictions++;
        entry = NULL;
    }
    if (entry == NULL) {
        cache->misses++;
        return false;
    }
    cache->hits++;
    unlink_use(cache, entry);
    link_newest(cache, entry);
    *out = entry->result;
    return true;
}

/* Copies a text behind the entry and returns where it stands. */
static const char *keep_text(char **room, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *kept = *room;
    memcpy(kept, text, bytes);
    *room += bytes;
    return kept;
}

static size_t text_bytes(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

void result_cache_put(struct result_cache *cache, const uint8_t key[SHA256_BYTES], int64_t now_ns,
                      const struct cached_result *result)
{
    size_t bytes = sizeof(struct cache_entry) + text_bytes(result->text) + text_bytes(result->engine) +
                   text_bytes(result->reason);
    if (bytes > cache->bytes_max)
        return;
    struct cache_entry *entry = malloc(bytes);
    if (entry == NULL)
        return;
    *entry = (struct cache_entry){.put_ns = now_ns, .bytes = bytes, .result = *result};
    memcpy(entry->key, key, SHA256_BYTES);
    char *room = entry->texts;
    entry->result.text = keep_text(&room, result->text);
    entry->result.engine = keep_text(&room, result->engine);
    entry->result.reason = keep_text(&room, result->reason);

    struct cache_entry *before = find(cache, key);
    if (before != NULL)
        drop(cache, before);
    while (cache->bytes + bytes > cache->bytes_max) {
        drop(cache, cache->oldest);
        cache->evictions++;
    }
    struct cache_entry **bucket = bucket_of(cache, key);
    entry->chain = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->bytes += bytes;
    cache->count++;
}
