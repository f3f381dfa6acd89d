#include "infer/model/kv_cache.h"

#include "unit/test.h"

static const struct kv_shape shape = {.layers = 3, .kv_heads = 2, .head_dim = 10};
enum { PAGE_BYTES = 3 * 2 * 2 * KV_PAGE_TOKENS * 10 * 4 };

static void page_sizes(void **state)
{
    (void)state;
    assert_int_equal(kv_page_bytes(&shape), PAGE_BYTES);
    static const struct {
        uint64_t tokens;
        uint32_t want_pages;
    } rows[] = {{0, 0}, {1, 1}, {31, 1}, {32, 1}, {33, 2}, {64, 2}, {65, 3}, {1u << 20, 1u << 15}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(kv_pages_of(rows[i].tokens), rows[i].want_pages);
}

static void a_limit_below_one_page_is_refused(void **state)
{
    (void)state;
    struct kv_pool *pool = (void *)1;
    assert_code(kv_pool_open(&shape, PAGE_BYTES - 1, &pool, NULL), DOBBY_INVALID_ARGUMENT);
    assert_null(pool);
}

static void pages_are_accounted_exactly(void **state)
{
    (void)state;
    struct dobby_error err;
    struct kv_pool *pool;
    assert_ok(kv_pool_open(&shape, 5 * PAGE_BYTES + 17, &pool, &err), &err);
    assert_int_equal(kv_pool_pages_max(pool), 5);
    assert_int_equal(kv_pool_bytes_used(pool), 0);

    struct kv_sequence a, b, c;
    assert_ok(kv_sequence_open(pool, 65, &a, &err), &err);
    assert_int_equal(a.page_count, 3);
    assert_int_equal(a.length, 0);
    assert_ok(kv_sequence_open(pool, 64, &b, &err), &err);
    assert_int_equal(kv_pool_bytes_used(pool), 5 * PAGE_BYTES);
    assert_int_equal(kv_pool_pages_free(pool), 0);
    assert_code(kv_sequence_open(pool, 1, &c, &err), DOBBY_KV_EXHAUSTED);
    assert_null(c.pages);
    assert_int_equal(kv_pool_bytes_used(pool), 5 * PAGE_BYTES);

    kv_sequence_close(pool, &a);
    assert_int_equal(kv_pool_bytes_used(pool), 2 * PAGE_BYTES);
    assert_int_equal(kv_pool_bytes_peak(pool), 5 * PAGE_BYTES);
    assert_ok(kv_sequence_open(pool, 96, &c, &err), &err);
    kv_sequence_close(pool, &b);
    kv_sequence_close(pool, &c);
    kv_sequence_close(pool, &c); /* a zeroed one is fine */
    assert_int_equal(kv_pool_bytes_used(pool), 0);
    kv_pool_close(pool);
}

/* More pages than one slab holds, taken and given back in waves; no two sequences may share one. */
static void pages_are_never_shared(void **state)
{
    (void)state;
    enum { SEQUENCES = 12, TOKENS = 3000 };
    struct dobby_error err;
    struct kv_pool *pool;
    static struct kv_sequence sequences[SEQUENCES];
    assert_ok(kv_pool_open(&shape, (uint64_t)SEQUENCES * kv_pages_of(TOKENS) * PAGE_BYTES, &pool, &err),
              &err);
    for (int wave = 0; wave < 3; wave++) {
        for (int i = 0; i < SEQUENCES; i++) {
            assert_ok(kv_sequence_open(pool, TOKENS, &sequences[i], &err), &err);
            for (uint32_t page = 0; page < sequences[i].page_count; page++) {
                assert_int_equal((uintptr_t)sequences[i].pages[page] % 64, 0);
                sequences[i].pages[page][0] = (float)(i * 1000 + (int)page);
            }
        }
        for (int i = 0; i < SEQUENCES; i++) {
            for (uint32_t page = 0; page < sequences[i].page_count; page++)
                assert_true(sequences[i].pages[page][0] == (float)(i * 1000 + (int)page));
            kv_sequence_close(pool, &sequences[i]);
        }
    }
    kv_pool_close(pool);
}

static float value_at(uint32_t layer, uint32_t position, uint32_t head, uint32_t i, bool value)
{
    return (float)((((layer * 100 + position) * 2 + head) * 10 + i) * 2 + value);
}

/* The layout is what kernels.h says attention reads. */
static void keys_and_values_lie_where_attention_reads_them(void **state)
{
    (void)state;
    enum { TOKENS = 70 };
    struct dobby_error err;
    struct kv_pool *pool;
    struct kv_sequence sequence;
    assert_ok(kv_pool_open(&shape, 10 * PAGE_BYTES, &pool, &err), &err);
    assert_ok(kv_sequence_open(pool, TOKENS, &sequence, &err), &err);
    for (uint32_t layer = 0; layer < shape.layers; layer++) {
        for (uint32_t position = 0; position < TOKENS; position++) {
            float key[20], value[20];
            for (uint32_t i = 0; i < 20; i++) {
                key[i] = value_at(layer, position, i / 10, i % 10, false);
                value[i] = value_at(layer, position, i / 10, i % 10, true);
            }
            kv_sequence_write(&sequence, &shape, layer, position, key, value);
        }
    }
    for (uint32_t layer = 0; layer < shape.layers; layer++) {
        const float *const *keys = sequence.keys + (size_t)layer * sequence.page_count;
        const float *const *values = sequence.values + (size_t)layer * sequence.page_count;
        for (uint32_t position = 0; position < TOKENS; position++) {
            for (uint32_t i = 0; i < 20; i++) {
                const uint32_t head = i / 10;
                const size_t at = (head * KV_PAGE_TOKENS + position % KV_PAGE_TOKENS) * 10 + i % 10;
                assert_true(keys[position / KV_PAGE_TOKENS][at] ==
                            value_at(layer, position, head, i % 10, false));
                assert_true(values[position / KV_PAGE_TOKENS][at] ==
                            value_at(layer, position, head, i % 10, true));
            }
        }
    }
    kv_sequence_close(pool, &sequence);
    kv_pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_sizes),
        cmocka_unit_test(a_limit_below_one_page_is_refused),
        cmocka_unit_test(pages_are_accounted_exactly),
        cmocka_unit_test(pages_are_never_shared),
        cmocka_unit_test(keys_and_values_lie_where_attention_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
