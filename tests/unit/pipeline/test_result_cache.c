/* The cache of results: what is found, what leaves, and in which order. */
#include "pipeline/result_cache.h"
#include "unit/test.h"

#include <string.h>

enum { ENTRY_BYTES = 200, TTL_NS = 1000 }; /* an entry of these tests is between half of it and it */

static void make_key(uint32_t number, uint8_t key[SHA256_BYTES])
{
    memset(key, 0, SHA256_BYTES);
    memcpy(key + 16, &number, sizeof(number)); /* all in one bucket: chains are tested too */
}

static void put(struct result_cache *cache, uint32_t number, int64_t now_ns, const char *text)
{
    uint8_t key[SHA256_BYTES];
    make_key(number, key);
    result_cache_put(cache, key, now_ns,
                     &(struct cached_result){.text = text, .engine = "e", .tokens_out = number});
}

static bool has(struct result_cache *cache, uint32_t number, int64_t now_ns)
{
    uint8_t key[SHA256_BYTES];
    struct cached_result result;
    make_key(number, key);
    bool found = result_cache_find(cache, key, now_ns, &result);
    if (found)
        assert_int_equal(result.tokens_out, number);
    else
        assert_null(result.text);
    return found;
}

static void finds_what_was_put(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct result_cache cache;
    struct cached_result result;
    uint8_t key[SHA256_BYTES];
    assert_ok(result_cache_init(&cache, 100000, TTL_NS, &err), &err);
    char text[] = "a text", reason[] = "cut off", engine[] = "engine";
    make_key(1, key);
    assert_false(result_cache_find(&cache, key, 0, &result));
    result_cache_put(&cache, key, 0,
                     &(struct cached_result){.text = text,
                                             .engine = engine,
                                             .reason = reason,
                                             .confidence = 0.25,
                                             .tokens_in = 3,
                                             .tokens_out = 4,
                                             .inference_ms = 5});
    memset(text, 'x', 6); /* it holds copies */
    memset(reason, 'x', 7);
    memset(engine, 'x', 6);
    assert_true(result_cache_find(&cache, key, 1, &result));
    assert_string_equal(result.text, "a text");
    assert_string_equal(result.reason, "cut off");
    assert_string_equal(result.engine, "engine");
    assert_true(result.confidence == 0.25 && result.tokens_in == 3 && result.tokens_out == 4);
    assert_int_equal(result.inference_ms, 5);
    put(&cache, 1, 2, "another");
    assert_true(result_cache_find(&cache, key, 3, &result));
    assert_string_equal(result.text, "another");
    assert_null(result.reason);
    assert_int_equal(cache.count, 1);
    assert_int_equal(cache.hits, 2);
    assert_int_equal(cache.misses, 1);
    assert_int_equal(cache.evictions, 0);
    result_cache_release(&cache);
    assert_int_equal(cache.bytes, 0);
    result_cache_release(&cache);
}

static void least_recently_used_leaves(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct result_cache cache;
    assert_ok(result_cache_init(&cache, (size_t)4 * ENTRY_BYTES, TTL_NS, &err), &err);
    uint32_t fit = 0;
    while (cache.evictions == 0)
        put(&cache, fit++, 0, "text");
    fit--; /* so many fit: the last one took the place of 0 */
    assert_true(fit >= 3);
    assert_false(has(&cache, 0, 0));
    assert_true(has(&cache, 1, 0)); /* used: now 2 is the oldest */
    put(&cache, 100, 0, "text");
    assert_false(has(&cache, 2, 0));
    assert_true(has(&cache, 1, 0));
    put(&cache, 3, 0, "text"); /* put again: used too */
    put(&cache, 101, 0, "text");
    assert_true(has(&cache, 3, 0));
    assert_int_equal(cache.count, fit);
    assert_true(cache.bytes <= cache.bytes_max);
    result_cache_release(&cache);
}

static void time_runs_out(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct result_cache cache;
    assert_ok(result_cache_init(&cache, 100000, TTL_NS, &err), &err);
    put(&cache, 1, 10, "text");
    assert_true(has(&cache, 1, 10 + TTL_NS));
    assert_false(has(&cache, 1, 11 + TTL_NS)); /* use does not lengthen it */
    assert_int_equal(cache.count, 0);
    assert_int_equal(cache.evictions, 1);
    assert_false(has(&cache, 1, 11));
    result_cache_release(&cache);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    static char large[2000];
    struct dobby_error err = {0};
    struct result_cache cache;
    memset(large, 'l', sizeof(large) - 1);
    static const size_t bounds[] = {0, 1, ENTRY_BYTES, 1000, 50000};
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        assert_ok(result_cache_init(&cache, bounds[i], TTL_NS, &err), &err);
        for (uint32_t k = 0; k < 2000; k++) {
            uint8_t key[SHA256_BYTES];
            assert_ok(sha256_of(&k, sizeof(k), key, &err), &err);
            large[k] = '\0';
            result_cache_put(&cache, key, 0, &(struct cached_result){.text = large});
            large[k] = 'l';
            assert_true(cache.bytes <= bounds[i]);
        }
        assert_int_equal(cache.count == 0, bounds[i] < 100);
        result_cache_release(&cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_put),
        cmocka_unit_test(least_recently_used_leaves),
        cmocka_unit_test(time_runs_out),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests_name("result cache", tests, NULL, NULL);
}
