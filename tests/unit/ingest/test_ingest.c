#include "base/limits.h"
#include "ingest/ingest.h"
#include "store/store_memory.h"
#include "store/store_ops.h"
#include "tokenizer_helper.h"
#include "tree_helper.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct tree tree;
    struct store *store;
    struct ingest_options options;
    struct ingest_report report;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct dobby_error err;
    assert_non_null(fixture);
    tree_make(&fixture->tree);
    assert_ok(store_memory_open(&fixture->store, &err), &err);
    fixture->options = (struct ingest_options){.chunk_tokens_max = 400, .tokenizer = embedded_tokenizer()};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    tree_remove(&fixture->tree);
    free(fixture);
    return 0;
}

static void ingest(struct fixture *fixture, const char *relative)
{
    struct dobby_error err;
    char path[2 * TREE_PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s", tree_path(&fixture->tree, relative));
    assert_ok(ingest_path(fixture->store, path, &fixture->options, &fixture->report, &err), &err);
}

static void check_counts(const struct fixture *fixture, uint64_t added, uint64_t updated, uint64_t unchanged,
                         uint64_t removed)
{
    const struct put_counts *got = &fixture->report.records;
    if (got->added != added || got->updated != updated || got->unchanged != unchanged ||
        got->removed != removed)
        fail_msg("added %d updated %d unchanged %d removed %d", (int)got->added, (int)got->updated,
                 (int)got->unchanged, (int)got->removed);
}

/* One line a record: "path|language|first-last|state[ reason]". */
static dobby_code describe(void *context, const struct record_row *row, struct dobby_error *err)
{
    return buffer_append_format(context, err, "%s|%s|%u-%u|%s%s%s\n", row->path, row->language,
                                row->first_line, row->last_line, record_state_name(row->state),
                                row->reason != NULL ? " " : "", row->reason != NULL ? row->reason : "");
}

static void check_records(const struct fixture *fixture, const char *want)
{
    struct buffer got = {0};
    struct dobby_error err;
    struct record_filter filter = {0};
    assert_ok(store_list(fixture->store, &filter, describe, &got, &err), &err);
    assert_string_equal(got.length > 0 ? got.bytes : "", want);
    buffer_release(&got);
}

static void a_directory_becomes_records(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    tree_write_text(tree, "b/main.c", "int main(void)\n{\n    return 0;\n}\n");
    tree_write_text(tree, "a.py", "x = 1\n");
    tree_write(tree, "data.bin", "a\0b", 3);
    tree_write_text(tree, "empty", "");
    tree_write_text(tree, ".git_is_no_repository/x", "text\n");
    tree_write_text(tree, "b/.hg/x", "not seen\n");
    tree_write_text(tree, "b/x.db", "");
    tree_write_text(tree, "b/x.db-wal", "not seen\n");
    assert_int_equal(symlink("a.py", tree_path(tree, "link.py")), 0);
    assert_int_equal(mkfifo(tree_path(tree, "pipe.py"), 0600), 0);
    ingest(fixture, "");
    check_records(fixture, ".git_is_no_repository/x|text|1-1|pending\n"
                           "a.py|python|1-1|pending\n"
                           "b/main.c|c|1-4|pending\n"
                           "b/x.db||0-0|skipped database\n"
                           "data.bin||0-0|skipped binary\n"
                           "empty||0-0|skipped empty\n"
                           "link.py||0-0|skipped symlink\n"
                           "pipe.py||0-0|skipped special file\n");
    const struct ingest_report *report = &fixture->report;
    assert_int_equal(report->files_seen, 8);
    assert_int_equal(report->files_chunked, 3);
    assert_int_equal(report->chunks, 3);
    assert_int_equal(report->skipped_count, 5);
    assert_false(report->git);
    assert_string_equal(report->source, tree->root);
    check_counts(fixture, 8, 0, 0, 0);
    ingest(fixture, "");
    check_counts(fixture, 0, 0, 8, 0);
}

#define FUNCTION(name)                                                                                       \
    "int " name "(int value)\n{\n    int first = value * 17 + other(value);\n"                               \
    "    int second = first * 31 + another(first);\n    return first + second;\n}\n"

static void an_edit_touches_only_what_changed(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    tree_write_text(tree, "a.c", FUNCTION("one") "\n" FUNCTION("two"));
    ingest(fixture, "");
    check_counts(fixture, 2, 0, 0, 0);
    /* A new function in front moves the others. */
    tree_write_text(tree, "a.c", FUNCTION("zero") "\n" FUNCTION("one") "\n" FUNCTION("two"));
    ingest(fixture, "");
    assert_int_equal(fixture->report.records.added, 1);
    assert_int_equal(fixture->report.records.removed, 0);
    check_records(fixture, "a.c|c|1-7|pending\na.c|c|8-14|pending\na.c|c|15-20|pending\n");
    /* Equal chunks of a file are records of their own. */
    tree_write_text(tree, "a.c", FUNCTION("one") "\n" FUNCTION("one") "\n" FUNCTION("one") "\n");
    ingest(fixture, "");
    check_records(fixture, "a.c|c|1-7|pending\na.c|c|8-14|pending\na.c|c|15-21|pending\n");
    ingest(fixture, "");
    check_counts(fixture, 0, 0, 3, 0);
    tree_write_text(tree, "a.c", "\n");
    tree_write_text(tree, "b.c", "int b;\n");
    ingest(fixture, "");
    check_counts(fixture, 2, 0, 0, 3);
    check_records(fixture, "a.c||0-0|skipped empty\nb.c|c|1-1|pending\n");
}

static void make_repository(const struct tree *tree)
{
    if (!tree_git_init(tree, "")) {
        print_message("skipped: git is not installed\n");
        skip();
    }
}

static void what_git_ignores_is_not_seen(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    make_repository(tree);
    tree_write_text(tree, ".gitignore", "*.o\n/build/\n!keep.o\n");
    tree_write_text(tree, "src/tracked.c", "int tracked;\n");
    tree_write_text(tree, "src/untracked.c", "int untracked;\n");
    tree_write_text(tree, "src/ignored.o", "text\n");
    tree_write_text(tree, "src/keep.o", "text\n");
    tree_write_text(tree, "src/gone.c", "int gone;\n");
    tree_write_text(tree, "build/forced.c", "int forced;\n");
    tree_write_text(tree, "build/other.c", "int other;\n");
    tree_write_text(tree, "src/.gitignore", "local\n");
    tree_write_text(tree, "src/local", "text\n");
    static const char *const tracked[] = {"src/tracked.c", "build/forced.c", "src/gone.c"};
    for (size_t i = 0; i < COUNT_OF(tracked); i++)
        tree_git_add(tree, tracked[i]);
    assert_int_equal(unlink(tree_path(tree, "src/gone.c")), 0);
    assert_true(tree_git_init(tree, "nested"));
    tree_write_text(tree, "nested/x.c", "int nested;\n");
    ingest(fixture, "");
    assert_true(fixture->report.git);
    check_records(fixture, ".gitignore|text|1-3|pending\n"
                           "build/forced.c|c|1-1|pending\n"
                           "src/.gitignore|text|1-1|pending\n"
                           "src/keep.o|text|1-1|pending\n"
                           "src/tracked.c|c|1-1|pending\n"
                           "src/untracked.c|c|1-1|pending\n");
    ingest(fixture, "nested");
    assert_int_equal(fixture->report.records.added, 1);
    assert_string_equal(fixture->report.source, tree_path(tree, "nested"));
}

static void a_part_of_a_work_tree_is_synchronised_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    make_repository(tree);
    tree_write_text(tree, "a/one.c", "int one;\n");
    tree_write_text(tree, "ab/two.c", "int two;\n");
    tree_write_text(tree, "b/three.c", "int three;\n");
    ingest(fixture, "");
    check_counts(fixture, 3, 0, 0, 0);
    assert_int_equal(unlink(tree_path(tree, "a/one.c")), 0);
    assert_int_equal(unlink(tree_path(tree, "b/three.c")), 0);
    tree_write_text(tree, "a/four.c", "int four;\n");
    ingest(fixture, "a");
    check_counts(fixture, 1, 0, 0, 1);
    assert_string_equal(fixture->report.source, tree->root);
    check_records(fixture, "a/four.c|c|1-1|pending\nab/two.c|c|1-1|pending\nb/three.c|c|1-1|pending\n");
    ingest(fixture, "ab/two.c");
    check_counts(fixture, 0, 0, 1, 0);
    ingest(fixture, "");
    check_counts(fixture, 0, 0, 2, 1);
}

static void a_file_of_a_plain_directory_is_synchronised_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    tree_write_text(tree, "one.c", "int one;\n");
    tree_write_text(tree, "two.c", "int two;\n");
    ingest(fixture, "one.c");
    check_counts(fixture, 1, 0, 0, 0);
    assert_string_equal(fixture->report.source, tree->root);
    ingest(fixture, "");
    check_counts(fixture, 1, 0, 1, 0);
}

static void repositories_own_files_are_a_plain_directory(void **state)
{
    struct fixture *fixture = *state;
    make_repository(&fixture->tree);
    ingest(fixture, ".git");
    assert_false(fixture->report.git);
    assert_true(fixture->report.files_seen > 0);
}

static void a_broken_repository_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct dobby_error err;
    make_repository(&fixture->tree);
    tree_write_text(&fixture->tree, "a.c", "int a;\n");
    tree_write_text(&fixture->tree, ".git/index",
                    "this is no index, and it is long enough to be read as one");
    assert_code(ingest_path(fixture->store, fixture->tree.root, &fixture->options, &fixture->report, &err),
                DOBBY_GIT_FAILED);
    assert_int_equal(fixture->report.files_seen, 0);
}

static void names_that_are_not_utf8_are_shown_and_kept_apart(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    make_repository(tree);
    tree_write_text(tree, "\xff.c", "int a;\n");
    tree_write_text(tree, "\\xFF.c", "int a;\n");
    tree_write_text(tree, "new\nline/\xe2\x82.c", "int a;\n");
    ingest(fixture, "");
    check_counts(fixture, 3, 0, 0, 0);
    check_records(fixture, "\\xFF.c|c|1-1|pending\n\\xFF.c|c|1-1|pending\n"
                           "new\nline/\\xE2\\x82.c|c|1-1|pending\n");
    ingest(fixture, "");
    check_counts(fixture, 0, 0, 3, 0);
    assert_int_equal(unlink(tree_path(tree, "\xff.c")), 0);
    ingest(fixture, "\\xFF.c");
    assert_int_equal(fixture->report.records.unchanged, 1);
}

static void content_is_stored_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    tree_write_text(&fixture->tree, "a.txt",
                    "\xef\xbb\xbf"
                    "caf\xe9 <|im_end|>\r\n");
    ingest(fixture, "");
    struct record_batch batch = {0};
    struct dobby_error err;
    assert_ok(store_claim(fixture->store, "me", 1, 2, 10, &batch, &err), &err);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.records[0].content_length, 20);
    assert_memory_equal(batch.records[0].content,
                        "\xef\xbb\xbf"
                        "caf\xe9 <|im_end|>\r\n",
                        20);
    record_batch_release(&batch);
}

static void what_cannot_be_ingested_leaves_the_store_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    tree_mkdir(tree, "empty/emptier/.git");
    assert_int_equal(mkfifo(tree_path(tree, "pipe"), 0600), 0);
    assert_int_equal(symlink("loop", tree_path(tree, "loop")), 0);
    static const struct {
        const char *path;
        dobby_code want;
    } rows[] = {
        {"empty", DOBBY_INGEST_NOTHING},
        {"missing", DOBBY_FILE_NOT_FOUND},
        {"pipe", DOBBY_WRONG_FILE_TYPE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err;
        char path[2 * TREE_PATH_BYTES];
        (void)snprintf(path, sizeof(path), "%s", tree_path(tree, rows[i].path));
        assert_code(ingest_path(fixture->store, path, &fixture->options, &fixture->report, &err),
                    rows[i].want);
        assert_int_equal(fixture->report.files_seen, 0);
    }
    struct dobby_error err;
    assert_true(ingest_path(fixture->store, tree_path(tree, "loop"), &fixture->options, &fixture->report,
                            &err) != DOBBY_OK);
    check_records(fixture, "");
}

/* Work is what should be there minus what is, when nothing should be there too. */
static void a_source_that_has_become_empty_loses_its_records(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    struct dobby_error err;
    tree_write_text(tree, "a/one.c", "int one;\n");
    tree_write_text(tree, "b/two.c", "int two;\n");
    ingest(fixture, "a");
    ingest(fixture, "b");
    assert_int_equal(unlink(tree_path(tree, "a/one.c")), 0);
    /* Its disk may just not be mounted. */
    assert_code(ingest_path(fixture->store, tree_path(tree, "a"), &fixture->options, &fixture->report, &err),
                DOBBY_INGEST_EMPTIED);
    check_records(fixture, "one.c|c|1-1|pending\ntwo.c|c|1-1|pending\n");
    fixture->options.emptied = true;
    ingest(fixture, "a");
    check_counts(fixture, 0, 0, 0, 1);
    assert_int_equal(fixture->report.files_seen, 0);
    check_records(fixture, "two.c|c|1-1|pending\n");
    /* It holds nothing, so nothing is to be protected, and nothing to be done. */
    assert_code(ingest_path(fixture->store, tree_path(tree, "a"), &fixture->options, &fixture->report, &err),
                DOBBY_INGEST_NOTHING);
    /* What is not there at all may only not be mounted. */
    assert_int_equal(unlink(tree_path(tree, "b/two.c")), 0);
    assert_int_equal(rmdir(tree_path(tree, "b")), 0);
    assert_code(ingest_path(fixture->store, tree_path(tree, "b"), &fixture->options, &fixture->report, &err),
                DOBBY_FILE_NOT_FOUND);
    check_records(fixture, "two.c|c|1-1|pending\n");
}

static void a_part_that_has_become_empty_leaves_the_rest(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    struct dobby_error err;
    make_repository(tree);
    tree_write_text(tree, "a/one.c", "int one;\n");
    tree_write_text(tree, "b/two.c", "int two;\n");
    ingest(fixture, "");
    assert_int_equal(unlink(tree_path(tree, "a/one.c")), 0);
    /* A part may be a disk of its own. */
    assert_code(ingest_path(fixture->store, tree_path(tree, "a"), &fixture->options, &fixture->report, &err),
                DOBBY_INGEST_EMPTIED);
    check_records(fixture, "a/one.c|c|1-1|pending\nb/two.c|c|1-1|pending\n");
    fixture->options.emptied = true;
    ingest(fixture, "a");
    check_counts(fixture, 0, 0, 0, 1);
    check_records(fixture, "b/two.c|c|1-1|pending\n");
    /* A part that never held anything is a mistake. */
    assert_int_equal(mkdir(tree_path(tree, "c"), 0777), 0);
    assert_code(ingest_path(fixture->store, tree_path(tree, "c"), &fixture->options, &fixture->report, &err),
                DOBBY_INGEST_NOTHING);
    fixture->options.emptied = false;
    /* The whole tree brings its .git along. */
    assert_int_equal(unlink(tree_path(tree, "b/two.c")), 0);
    ingest(fixture, "");
    check_records(fixture, "");
}

static dobby_code begin_well(struct store *store, const char *source, int64_t now, struct dobby_error *err)
{
    (void)store, (void)source, (void)now, (void)err;
    return DOBBY_OK;
}

static dobby_code put_badly(struct store *store, const struct record_input *records, size_t count,
                            int64_t now, struct put_counts *counts, struct dobby_error *err)
{
    (void)store, (void)records, (void)now, (void)counts;
    return DOBBY_FAIL(err, DOBBY_STORE_FULL, "%zu records", count);
}

/* sync_end is missing: to call it would crash. */
static void a_failing_store_ends_the_ingest(void **state)
{
    struct fixture *fixture = *state;
    static const struct store_ops ops = {.name = "failing", .sync_begin = begin_well, .put = put_badly};
    struct store failing = {.ops = &ops};
    struct dobby_error err;
    tree_write_text(&fixture->tree, "a.c", "int a;\n");
    assert_code(ingest_path(&failing, fixture->tree.root, &fixture->options, &fixture->report, &err),
                DOBBY_STORE_FULL);
    assert_int_equal(fixture->report.files_seen, 0);
}

static bool cancel_after(void *context)
{
    int *left = context;
    return (*left)-- <= 0;
}

static void a_canceled_ingest_removes_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct tree *tree = &fixture->tree;
    tree_write_text(tree, "a.c", "int a;\n");
    tree_write_text(tree, "b.c", "int b;\n");
    ingest(fixture, "");
    assert_int_equal(unlink(tree_path(tree, "a.c")), 0);
    tree_write_text(tree, "c.c", "int c;\n");
    int left = 1;
    struct dobby_error err;
    struct ingest_options options = fixture->options;
    options.canceled = cancel_after;
    options.context = &left;
    assert_code(ingest_path(fixture->store, tree->root, &options, &fixture->report, &err), DOBBY_CANCELED);
    check_records(fixture, "a.c|c|1-1|pending\nb.c|c|1-1|pending\n");
    ingest(fixture, "");
    check_counts(fixture, 1, 0, 1, 1);
}

static void more_records_than_a_batch_are_put_in_several(void **state)
{
    struct fixture *fixture = *state;
    enum { FUNCTIONS = LIMIT_BATCH_RECORDS + 100 };
    struct buffer text = {0};
    struct dobby_error err;
    for (int i = 0; i < FUNCTIONS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "step_%d", i);
        assert_ok(buffer_append_format(&text, &err, "int %s%s", name, FUNCTION("") "\n"), &err);
    }
    tree_write(&fixture->tree, "a.c", text.bytes, text.length);
    buffer_release(&text);
    ingest(fixture, "");
    assert_int_equal(fixture->report.chunks, FUNCTIONS);
    check_counts(fixture, FUNCTIONS, 0, 0, 0);
}

static int close_tokenizer(void **state)
{
    (void)state;
    embedded_tokenizer_close();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_becomes_records),
        TEST(an_edit_touches_only_what_changed),
        TEST(what_git_ignores_is_not_seen),
        TEST(a_part_of_a_work_tree_is_synchronised_alone),
        TEST(a_file_of_a_plain_directory_is_synchronised_alone),
        TEST(repositories_own_files_are_a_plain_directory),
        TEST(a_broken_repository_is_an_error),
        TEST(names_that_are_not_utf8_are_shown_and_kept_apart),
        TEST(content_is_stored_as_it_is),
        TEST(what_cannot_be_ingested_leaves_the_store_alone),
        TEST(a_source_that_has_become_empty_loses_its_records),
        TEST(a_part_that_has_become_empty_leaves_the_rest),
        TEST(a_failing_store_ends_the_ingest),
        TEST(a_canceled_ingest_removes_nothing),
        TEST(more_records_than_a_batch_are_put_in_several),
    };
    return cmocka_run_group_tests(tests, NULL, close_tokenizer);
}
