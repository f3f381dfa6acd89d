#include "infer/model/kv_cache.h"

#include "unit/test.h"

#include <string.h>

enum { LAYERS = 3, LAYER_BYTES = 5 * 64, PAGE_BYTES = LAYERS * LAYER_BYTES, PAGE = KV_PAGE_TOKENS };
static const struct kv_shape shape = {
    .layers = LAYERS, .layout = {.kv_heads = 2, .head_dim = 10}, .layer_bytes = LAYER_BYTES};

static void *page_of(const struct kv_sequence *sequence, uint32_t page)
{
    return kv_sequence_area(sequence, &shape, 0, page * KV_PAGE_TOKENS);
}

static void page_sizes(void **state)
{
    (void)state;
    assert_int_equal(kv_page_bytes(&shape), PAGE_BYTES);
    static const struct {
        uint64_t tokens;
        uint32_t want_pages;
    } rows[] = {{0, 0},        {1, 1},        {PAGE - 1, 1},     {PAGE, 1},
                {PAGE + 1, 2}, {2 * PAGE, 2}, {2 * PAGE + 1, 3}, {1u << 20, (1u << 20) / PAGE}};
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
    assert_ok(kv_sequence_open(pool, 2 * PAGE + 1, &a, &err), &err);
    assert_int_equal(a.page_count, 3);
    assert_int_equal(a.length, 0);
    assert_ok(kv_sequence_open(pool, 2 * PAGE, &b, &err), &err);
    assert_int_equal(kv_pool_bytes_used(pool), 5 * PAGE_BYTES);
    assert_int_equal(kv_pool_pages_free(pool), 0);
    assert_code(kv_sequence_open(pool, 1, &c, &err), DOBBY_KV_EXHAUSTED);
    assert_null(c.pages);
    assert_int_equal(kv_pool_bytes_used(pool), 5 * PAGE_BYTES);

    kv_sequence_close(pool, &a);
    assert_int_equal(kv_pool_bytes_used(pool), 2 * PAGE_BYTES);
    assert_int_equal(kv_pool_bytes_peak(pool), 5 * PAGE_BYTES);
    assert_ok(kv_sequence_open(pool, 3 * PAGE, &c, &err), &err);
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
                int *first = page_of(&sequences[i], page);
                assert_int_equal((uintptr_t)first % 64, 0);
                *first = i * 1000 + (int)page;
            }
        }
        for (int i = 0; i < SEQUENCES; i++) {
            for (uint32_t page = 0; page < sequences[i].page_count; page++)
                assert_int_equal(*(int *)page_of(&sequences[i], page), i * 1000 + (int)page);
            kv_sequence_close(pool, &sequences[i]);
        }
    }
    kv_pool_close(pool);
}

/* A page is one area a layer, side by side; the kernels' list of areas and kv_sequence_area agree. */
static void each_layer_has_its_area_in_each_page(void **state)
{
    (void)state;
    enum { PAGES = 3, TOKENS = 2 * PAGE + 6 };
    struct dobby_error err;
    struct kv_pool *pool;
    struct kv_sequence sequence;
    assert_ok(kv_pool_open(&shape, 10 * PAGE_BYTES, &pool, &err), &err);
    assert_ok(kv_sequence_open(pool, TOKENS, &sequence, &err), &err);
    assert_int_equal(sequence.page_count, PAGES);
    for (uint32_t position = 0; position < TOKENS; position++) {
        const uint32_t page = position / KV_PAGE_TOKENS;
        const char *first = page_of(&sequence, page);
        for (uint32_t layer = 0; layer < shape.layers; layer++) {
            const char *area = kv_sequence_area(&sequence, &shape, layer, position);
            assert_ptr_equal(area, first + layer * LAYER_BYTES);
            assert_ptr_equal(area, sequence.areas[(size_t)layer * PAGES + page]);
        }
    }
    kv_sequence_close(pool, &sequence);
    kv_pool_close(pool);
}

/* Kernels may multiply what no token has written yet by 0, so it has to be finite. */
static void areas_begin_zeroed(void **state)
{
    (void)state;
    struct dobby_error err;
    struct kv_pool *pool;
    struct kv_sequence sequence;
    static const char zeros[PAGE_BYTES];
    assert_ok(kv_pool_open(&shape, 10 * PAGE_BYTES, &pool, &err), &err);
    assert_ok(kv_sequence_open(pool, 10 * PAGE, &sequence, &err), &err);
    for (uint32_t page = 0; page < sequence.page_count; page++)
        assert_memory_equal(page_of(&sequence, page), zeros, PAGE_BYTES);
    kv_sequence_close(pool, &sequence);
    kv_pool_close(pool);
}

static void fill(const struct kv_sequence *sequence, uint32_t page, char value)
{
    memset(page_of(sequence, page), value, PAGE_BYTES);
}

static void assert_filled(const struct kv_sequence *sequence, uint32_t page, char value)
{
    const char *bytes = sequence->areas[page];
    for (size_t i = 0; i < PAGE_BYTES; i++)
        assert_int_equal(bytes[i], value);
}

/* Whole pages are shared and counted once, the rest is copied; a page lives as long as its last holder. */
static void sequences_share_what_they_have_in_common(void **state)
{
    (void)state;
    static const struct {
        uint32_t shared, want_pages; /* want_pages: that the second sequence adds to the first */
    } rows[] = {{0, 4},        {1, 4},        {PAGE - 1, 4},     {PAGE, 3},
                {PAGE + 1, 3}, {2 * PAGE, 2}, {2 * PAGE + 6, 2}, {3 * PAGE, 1}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err;
        struct kv_pool *pool;
        struct kv_sequence a, b;
        const uint32_t whole = rows[i].shared / KV_PAGE_TOKENS;
        const bool rest = rows[i].shared % KV_PAGE_TOKENS != 0;
        assert_ok(kv_pool_open(&shape, 8 * PAGE_BYTES, &pool, &err), &err);
        assert_ok(kv_sequence_open(pool, 3 * PAGE + 4, &a, &err), &err);
        a.length = 3 * PAGE + 4;
        for (uint32_t page = 0; page < 4; page++)
            fill(&a, page, (char)(page + 1));
        assert_ok(kv_sequence_open_shared(pool, 4 * PAGE, &a, rows[i].shared, &b, &err), &err);
        assert_int_equal(b.length, rows[i].shared);
        assert_int_equal(kv_pool_bytes_used(pool), (4 + rows[i].want_pages) * PAGE_BYTES);
        assert_int_equal(kv_sequence_pages_own(&b), rows[i].want_pages);
        for (uint32_t page = 0; page < whole + rest; page++) {
            assert_filled(&b, page, (char)(page + 1));
            assert_int_equal(a.areas[page] == b.areas[page], page < whole);
        }
        for (uint32_t page = whole; page < 4; page++)
            fill(&b, page, 99);
        for (uint32_t page = 0; page < 4; page++)
            assert_filled(&a, page, (char)(page + 1));
        kv_sequence_close(pool, &a);
        assert_int_equal(kv_pool_bytes_used(pool), 4 * PAGE_BYTES);
        for (uint32_t page = 0; page < whole; page++)
            assert_filled(&b, page, (char)(page + 1));
        kv_sequence_close(pool, &b);
        assert_int_equal(kv_pool_bytes_used(pool), 0);
        assert_int_equal(kv_pool_bytes_peak(pool), (4 + rows[i].want_pages) * PAGE_BYTES);
        kv_pool_close(pool);
    }
}

static void tainted_pages_are_cleaned_when_the_last_holder_goes(void **state)
{
    (void)state;
    enum { PAGES = 4 };
    struct dobby_error err;
    struct kv_pool *pool;
    struct kv_sequence a, b;
    assert_ok(kv_pool_open(&shape, PAGES * PAGE_BYTES, &pool, &err), &err);
    assert_ok(kv_sequence_open(pool, 2 * PAGE, &a, &err), &err);
    a.length = 2 * PAGE;
    fill(&a, 0, 5);
    fill(&a, 1, 5);
    assert_ok(kv_sequence_open_shared(pool, 3 * PAGE, &a, PAGE, &b, &err), &err);
    kv_sequence_taint(&a);
    kv_sequence_close(pool, &a);
    assert_filled(&b, 0, 5);
    kv_sequence_close(pool, &b);
    assert_ok(kv_sequence_open(pool, PAGES * KV_PAGE_TOKENS, &a, &err), &err);
    for (uint32_t page = 0; page < PAGES; page++)
        assert_filled(&a, page, 0);
    kv_sequence_close(pool, &a);
    kv_pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_sizes),
        cmocka_unit_test(a_limit_below_one_page_is_refused),
        cmocka_unit_test(pages_are_accounted_exactly),
        cmocka_unit_test(pages_are_never_shared),
        cmocka_unit_test(each_layer_has_its_area_in_each_page),
        cmocka_unit_test(areas_begin_zeroed),
        cmocka_unit_test(sequences_share_what_they_have_in_common),
        cmocka_unit_test(tainted_pages_are_cleaned_when_the_last_holder_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
