/* Holds every backend to what is said of cuts and of sources. */
#include "contract/suite_helper.h"

static void assert_cuts(struct store *store, const char *want, const char *text)
{
    struct buffer out = {0};
    ASSERT_OK(buffer_append_string(&out, "", err));
    ASSERT_OK(store_cuts(store, want, dump_cut, &out, err));
    assert_string_equal(out.bytes, text);
    buffer_release(&out);
}

static struct record_input make_cut(const char *id, const char *content, const char *cut)
{
    struct record_input input = make_input(id, "a.c", content);
    input.cut = cut;
    return input;
}

static void what_is_cut_otherwise_is_counted(void **state)
{
    struct store *store = *state;
    struct record_input whole = make_input("whole", "b.c", "text");
    struct record_input inputs[] = {make_cut("a", "one", "by 8"), make_cut("b", "two", "by 8"),
                                    make_cut("c", "three", "by 9"), whole};
    struct record_input other = make_cut("d", "four", "by 8");
    assert_cuts(store, NULL, "");
    (void)sync_source(store, "/src", inputs, 4, "", SECOND);
    (void)sync_source(store, "/lib", &other, 1, "", SECOND);
    complete(store, "b", 2, SECOND);
    assert_cuts(store, NULL, "cut /lib|by 8|1 0\ncut /src|by 8|2 1\ncut /src|by 9|1 0\n");
    assert_cuts(store, "by 8", "cut /src|by 9|1 0\n");
    assert_cuts(store, "by 9", "cut /lib|by 8|1 0\ncut /src|by 8|2 1\n");
    assert_cuts(store, "by 7", "cut /lib|by 8|1 0\ncut /src|by 8|2 1\ncut /src|by 9|1 0\n");
    assert_claims(store, "w", SECOND, 1, "a:2 ");
    assert_false(settle(store, "a", 2, OUTCOME_DEGRADED, 4, SECOND));
    assert_cuts(store, "by 9", "cut /lib|by 8|1 0\ncut /src|by 8|2 2\n");
}

/* A chunk that other settings cut just so keeps its summary, and is cut by the new ones from then on. */
static void a_cut_follows_the_input_and_is_no_update(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_cut("a", "one", "by 8"), make_cut("b", "two", NULL)};
    struct record_input again[] = {make_cut("a", "one", "by 9"), make_cut("b", "two", "by 9")};
    struct record_input whole[] = {make_cut("a", "one", NULL), make_cut("b", "two", "by 9")};
    assert_put(store, inputs, 2, "", (struct put_counts){.added = 2});
    complete(store, "a", 2, SECOND);
    assert_cuts(store, NULL, "cut /src|by 8|1 1\n");
    assert_put(store, again, 2, "", (struct put_counts){.unchanged = 2});
    assert_cuts(store, NULL, "cut /src|by 9|2 1\n");
    assert_string_equal(get_row(store, "a").summary, "a summary");
    assert_put(store, whole, 2, "", (struct put_counts){.unchanged = 2});
    assert_cuts(store, NULL, "cut /src|by 9|1 0\n");
    assert_put(store, NULL, 0, "", (struct put_counts){.removed = 2});
    assert_cuts(store, NULL, "");
}

/* What is put below one path alone leaves the rest cut as it was. */
static void a_part_of_a_source_is_cut_anew_alone(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_cut("a", "one", "by 8"), make_cut("b", "two", "by 8")};
    inputs[1].path = "lib/b.c";
    struct record_input part = inputs[1];
    part.cut = "by 9";
    assert_put(store, inputs, 2, "", (struct put_counts){.added = 2});
    assert_put(store, &part, 1, "lib", (struct put_counts){.unchanged = 1});
    assert_cuts(store, "by 9", "cut /src|by 8|1 0\n");
}

static dobby_code refuse(void *context, const struct cut_row *row, struct dobby_error *err)
{
    struct store_counts counts;
    (void)row;
    assert_int_equal(store_count(context, &counts, NULL), DOBBY_INVALID_ARGUMENT);
    return DOBBY_FAIL(err, DOBBY_CANCELED, "enough");
}

static void visitors_stop_and_keep_off_the_handle(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_cut("a", "one", "by 8"), make_cut("b", "two", "by 9")};
    assert_put(store, inputs, 2, "", (struct put_counts){.added = 2});
    ASSERT_FAILS(store_cuts(store, NULL, refuse, store, err), DOBBY_CANCELED);
    assert_cuts(store, NULL, "cut /src|by 8|1 0\ncut /src|by 9|1 0\n");
}

static void bad_cuts_are_refused(void **state)
{
    struct store *store = *state;
    struct put_counts counts = {0};
    struct record_input empty = make_cut("a", "one", ""), invalid = make_cut("a", "one", "\xff");
    ASSERT_OK(store_sync_begin(store, "/src", SECOND, err));
    ASSERT_FAILS(store_put(store, &empty, 1, SECOND, &counts, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_put(store, &invalid, 1, SECOND, &counts, err), DOBBY_INVALID_ARGUMENT);
    ASSERT_FAILS(store_cuts(store, "", dump_cut, NULL, err), DOBBY_INVALID_ARGUMENT);
}

static void sources_are_listed(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("a", "a.c", "one");
    struct buffer out = {0};
    ASSERT_OK(store_sources(store, dump_source, &out, err));
    assert_int_equal(out.length, 0);
    (void)sync_source(store, "/src", &input, 1, "", SECOND);
    ASSERT_OK(store_sync_begin(store, "/lib", SECOND, err));
    (void)sync_source(store, "/src", &input, 1, "", SECOND);
    ASSERT_OK(store_sources(store, dump_source, &out, err));
    assert_string_equal(out.bytes, "source /lib empty\nsource /src\n");
    buffer_release(&out);
}

int main(void)
{
    static const struct suite_test tests[] = {
        SUITE_TEST(what_is_cut_otherwise_is_counted),
        SUITE_TEST(a_cut_follows_the_input_and_is_no_update),
        SUITE_TEST(a_part_of_a_source_is_cut_anew_alone),
        SUITE_TEST(visitors_stop_and_keep_off_the_handle),
        SUITE_TEST(bad_cuts_are_refused),
        SUITE_TEST(sources_are_listed),
    };
    return suite_run("store, cuts", tests, sizeof tests / sizeof tests[0]);
}
