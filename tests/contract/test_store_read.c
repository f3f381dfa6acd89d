/* Holds every backend to what store/store.h says of reading. */
#include "contract/suite_helper.h"

static void lists_by_source_path_and_position(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_input("1", "b.c", "x"), make_input("2", "a/b.c", "x"),
                                    make_input("3", "a.c", "x"), make_input("4", "a.c", "x"),
                                    make_input("5", "a.c", "x")};
    inputs[2].position = 1;
    struct record_input other = make_input("6", "z.c", "x");
    (void)sync_source(store, "/src", inputs, 5, "", SECOND);
    (void)sync_source(store, "/other", &other, 1, "", SECOND);
    char *text = dump_filtered(store, &(struct record_filter){0});
    char order[16] = "";
    size_t count = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        order[count++] = *line;
    assert_string_equal(order, "645321");
    free(text);
}

static void filters_apply_together(void **state)
{
    static const struct {
        const char *name;
        struct record_filter filter;
        unsigned want;
    } cases[] = {
        {"all", {0}, 6},
        {"limit", {.limit = 2}, 2},
        {"limit beyond", {.limit = UINT64_MAX}, 6},
        {"state", {.state = RECORD_COMPLETED}, 1},
        {"state and glob", {.state = RECORD_PENDING, .path_glob = "src/*"}, 2},
        {"star crosses slashes", {.path_glob = "src/*.c"}, 3},
        {"one character", {.path_glob = "?.md"}, 1},
        {"set", {.path_glob = "src/[ab].c"}, 2},
        {"not in set", {.path_glob = "src/[^a]*"}, 2},
        {"case matters", {.path_glob = "SRC/*"}, 0},
        {"empty pattern", {.path_glob = ""}, 1},
        {"id prefix", {.id_prefix = "1"}, 2},
        {"empty id prefix", {.id_prefix = ""}, 6},
        {"whole id", {.id_prefix = "1", .id_whole = true}, 1},
        {"longer whole id", {.id_prefix = "12", .id_whole = true}, 1},
        {"empty whole id", {.id_prefix = "", .id_whole = true}, 0},
        {"no id, whole", {.id_whole = true}, 6},
        {"id prefix and glob", {.id_prefix = "1", .path_glob = "*.md"}, 1},
        {"pattern signs in a prefix", {.id_prefix = "?"}, 0},
    };
    struct store *store = *state;
    struct record_input inputs[] = {make_input("1", "src/a.c", "x"),     make_input("12", "\xc3\xa9.md", "x"),
                                    make_input("2", "src/b.c", "x"),     make_input("3", "src/d/e.c", "x"),
                                    make_input("4", "notes/f.txt", "x"), make_input("5", "", "x")};
    (void)sync_source(store, "/src", inputs, 6, "", SECOND);
    assert_claims(store, "w", SECOND, 1, "1:1 ");
    assert_false(settle(store, "1", 1, OUTCOME_COMPLETED, 1, SECOND));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen_row seen = {0};
        ASSERT_OK(store_list(store, &cases[i].filter, see_row, &seen, err));
        if (seen.count != cases[i].want)
            fail_msg("%s: %u rows, not %u", cases[i].name, seen.count, cases[i].want);
    }
}

/* The same patterns and paths on every backend; what is right here is what SQLite's GLOB says. */
static void globs_agree(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool want;
    } cases[] = {
        {"*", "", true},
        {"*", "a/b", true},
        {"**", "a", true},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYb", false},
        {"?", "", false},
        {"?", "ab", false},
        {"?", "\xe2\x82\xac", true},
        {"*?", "", false},
        {"*?", "a", true},
        {"[]]", "]", true},
        {"[]a]", "a", true},
        {"[^]]", "]", false},
        {"[^]]", "x", true},
        {"[a-c]", "b", true},
        {"[a-c]", "d", false},
        {"[c-a]", "b", false},
        {"[a-]", "-", true},
        {"[-a]", "-", true},
        {"[a-c-e]", "d", false},
        {"[a-c-e]", "e", true},
        {"[a", "a", false},
        {"[", "[", false},
        {"*[b]", "aab", true},
        {"*[b]c", "abbc", true},
        {"[*]", "*", true},
        {"[*]", "a", false},
        {"[?]", "?", true},
        {"a", "A", false},
        {"a\\*", "a\\x", true},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true},
        {"[^a]", "", false},
        {"[^a", "b", false},
        {"]", "]", true},
        {"*]", "a]", true},
        {"%", "abc", false},
        {"_", "a", false},
        {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    struct store *store = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record_input input = make_input("id", cases[i].path, "x");
        struct seen_row seen = {0};
        (void)sync_source(store, "/src", &input, 1, "", SECOND);
        ASSERT_OK(
            store_list(store, &(struct record_filter){.path_glob = cases[i].pattern}, see_row, &seen, err));
        if (seen.count != (cases[i].want ? 1U : 0U))
            fail_msg("'%s' and '%s': %s", cases[i].pattern, cases[i].path,
                     seen.count == 0 ? "no match" : "a match");
    }
}

static void gets_by_id_or_prefix(void **state)
{
    struct store *store = *state;
    struct record_input inputs[] = {make_input("abc", "1", "x"), make_input("abcd", "2", "x"),
                                    make_input("abd", "3", "x"), make_input("\xf4\x8f\xbf\xbf", "4", "x"),
                                    make_input("q%", "5", "x")};
    (void)sync_source(store, "/src", inputs, 5, "", SECOND);
    assert_string_equal(get_row(store, "abc").path, "1"); /* exact, though it is a prefix of another */
    assert_string_equal(get_row(store, "abd").path, "3");
    assert_string_equal(get_row(store, "abcd").path, "2");
    assert_string_equal(get_row(store, "q").path, "5");
    assert_string_equal(get_row(store, "\xf4\x8f\xbf\xbf").path, "4");
    struct seen_row seen = {0};
    ASSERT_FAILS(store_get(store, "ab", see_row, &seen, err), DOBBY_STORE_AMBIGUOUS_ID);
    ASSERT_FAILS(store_get(store, "x", see_row, &seen, err), DOBBY_STORE_NOT_FOUND);
    ASSERT_FAILS(store_get(store, "abcde", see_row, &seen, err), DOBBY_STORE_NOT_FOUND);
    ASSERT_FAILS(store_get(store, "%", see_row, &seen, err), DOBBY_STORE_NOT_FOUND);
    assert_int_equal(seen.count, 0);
}

static void content_is_read_only_when_asked_for(void **state)
{
    struct store *store = *state;
    struct record_input input = make_input("a", "a.c", "text");
    (void)sync_source(store, "/src", &input, 1, "", SECOND);
    struct seen_row seen = {0};
    ASSERT_OK(store_list(store, &(struct record_filter){0}, see_row, &seen, err));
    assert_string_equal(seen.content, "");
    ASSERT_OK(store_list(store, &(struct record_filter){.with_content = true}, see_row, &seen, err));
    assert_string_equal(seen.content, "text");
}

struct stopping {
    struct store *store;
    unsigned count;
    dobby_code inner;
};

static dobby_code stop_at_second(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct stopping *stopping = context;
    struct store_counts counts;
    (void)row;
    stopping->inner = store_count(stopping->store, &counts, NULL);
    if (++stopping->count == 2)
        return DOBBY_FAIL(err, DOBBY_CANCELED, "enough");
    return DOBBY_OK;
}

static void visitors_stop_the_listing_and_keep_off_the_handle(void **state)
{
    struct store *store = *state;
    struct stopping stopping = {.store = store};
    put_many(store, 3);
    ASSERT_FAILS(store_list(store, &(struct record_filter){0}, stop_at_second, &stopping, err),
                 DOBBY_CANCELED);
    assert_int_equal(stopping.count, 2);
    assert_int_equal(stopping.inner, DOBBY_INVALID_ARGUMENT);
    struct store_counts counts;
    ASSERT_OK(store_count(store, &counts, err));
    assert_int_equal(counts.total, 3);
}

/* By kind, what stands before the colon, with one example. */
static void reasons_come_most_frequent_first(void **state)
{
    struct store *store = *state;
    static const char *const reasons[] = {"b", "a", "b: y: 2", "c", "c", "b: x: 1", ": odd", "b", "c:"};
    enum { COUNT = sizeof reasons / sizeof reasons[0] };
    struct record_input inputs[COUNT];
    char ids[COUNT][2];
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%zu", i % 10);
        inputs[i] = make_input(ids[i], "x", "x");
        inputs[i].skip_reason = reasons[i];
    }
    (void)sync_source(store, "/src", inputs, COUNT, "", SECOND);
    /* Another state's are apart. */
    struct record_input work = make_input("w", "w", "x");
    (void)sync_source(store, "/other", &work, 1, "", SECOND);
    assert_claims(store, "w", SECOND, 1, "w:1 ");
    struct outcome outcome = make_outcome("w", 1, OUTCOME_SKIPPED, NULL);
    outcome.kind = OUTCOME_FAILED;
    outcome.error_id = "INFER-0005";
    outcome.reason = "b: of another state";
    ASSERT_OK(store_settle(store, &outcome, 1, SECOND, err));
    struct reason_counts counts;
    ASSERT_OK(store_reasons(store, &counts, err));
    char text[256] = "";
    for (size_t i = 0; i < counts.count; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s %d %s '%s'|", counts.rows[i].kind,
                       (int)counts.rows[i].count, record_state_name(counts.rows[i].state),
                       counts.rows[i].example);
    assert_string_equal(text, "b 4 skipped 'b'|c 3 skipped 'c'| 1 skipped ': odd'|a 1 skipped 'a'|"
                              "b 1 failed 'b: of another state'|");
    reason_counts_release(&counts);
    reason_counts_release(&counts);
}

int main(void)
{
    static const struct suite_test tests[] = {
        SUITE_TEST(lists_by_source_path_and_position),
        SUITE_TEST(filters_apply_together),
        SUITE_TEST(globs_agree),
        SUITE_TEST(gets_by_id_or_prefix),
        SUITE_TEST(content_is_read_only_when_asked_for),
        SUITE_TEST(visitors_stop_the_listing_and_keep_off_the_handle),
        SUITE_TEST(reasons_come_most_frequent_first),
    };
    return suite_run("store, reading", tests, sizeof tests / sizeof tests[0]);
}
