/* The hostile directory: each of its 300 entries is chunked or skipped with a reason, twice the same. */
#include "base/utf8.h"
#include "ingest/ingest.h"
#include "store/store_memory.h"
#include "tokenizer_helper.h"
#include "tree_helper.h"
#include "unit/test.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENTRIES_SEEN = 300 - 2 /* inside .git; below the limit on depth, where the directory is seen */ + 1 };

struct tally {
    uint64_t rows, skipped;
    size_t content_bytes;
};

static dobby_code check_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct tally *tally = context;
    (void)err;
    tally->rows++;
    tally->content_bytes += row->content_length;
    assert_true(utf8_is_valid(row->path, strlen(row->path)));
    assert_int_equal(strlen(row->id), 64);
    if (row->state == RECORD_SKIPPED) {
        tally->skipped++;
        assert_non_null(row->reason);
    } else {
        assert_int_equal(row->state, RECORD_PENDING);
        assert_true(row->content_length > 0);
        assert_true(row->first_line >= 1 && row->first_line <= row->last_line);
    }
    return DOBBY_OK;
}

static uint64_t files_skipped(const struct ingest_report *report, const char *reason)
{
    uint64_t files = 0;
    for (size_t i = 0; i < report->skipped_count; i++)
        if (reason == NULL || strcmp(report->skipped[i].reason, reason) == 0)
            files += report->skipped[i].files;
    return files;
}

static void check_report(const struct ingest_report *report)
{
    static const struct {
        const char *reason;
        uint64_t least;
    } rows[] = {
        {"empty", 8},        {"binary", 20},  {"UTF-16", 4},   {"UTF-32", 2},
        {"oversized", 2},    {"symlink", 12}, {"data", 1},     {"generated", 5},
        {"special file", 6}, {"database", 1}, {"too deep", 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (files_skipped(report, rows[i].reason) < rows[i].least)
            fail_msg("%d files skipped as %s, want at least %d", (int)files_skipped(report, rows[i].reason),
                     rows[i].reason, (int)rows[i].least);
    assert_int_equal(report->files_chunked + files_skipped(report, NULL), report->files_seen);
    for (size_t i = 1; i < report->skipped_count; i++)
        assert_true(report->skipped[i - 1].files >= report->skipped[i].files);
}

static void check_ingest(const struct tree *tree, struct store *store, struct ingest_report *report)
{
    struct dobby_error err;
    struct ingest_options options = {.chunk_tokens_max = 2000, .tokenizer = embedded_tokenizer()};
    assert_ok(ingest_path(store, tree->root, &options, report, &err), &err);
    check_report(report);
}

static void every_entry_is_chunked_or_skipped_and_stays_so(void **state)
{
    (void)state;
    struct tree tree;
    struct store *store = NULL;
    struct dobby_error err;
    tree_make(&tree);
    assert_int_equal(tree_run_script(DOBBY_SOURCE_DIR "/tests/e2e/hostile_directory.sh", tree.root), 0);
    assert_ok(store_memory_open(&store, &err), &err);
    struct ingest_report report;
    check_ingest(&tree, store, &report);
    assert_int_equal(report.files_seen, ENTRIES_SEEN);
    struct tally tally = {0};
    struct record_filter filter = {0};
    assert_ok(store_list(store, &filter, check_row, &tally, &err), &err);
    assert_int_equal(tally.content_bytes, report.bytes);
    assert_int_equal(tally.rows, report.records.added);
    uint64_t added = report.records.added;
    check_ingest(&tree, store, &report);
    assert_int_equal(report.records.added, 0);
    assert_int_equal(report.records.updated, 0);
    assert_int_equal(report.records.removed, 0);
    assert_int_equal(report.records.unchanged, added);
    store_close(store);
    tree_remove(&tree);
}

/* Root reads everything, so a child gives up its rights first. */
static int ingest_unreadable(const struct tree *tree)
{
    struct store *store = NULL;
    struct ingest_report report;
    struct ingest_options options = {.chunk_tokens_max = 400, .tokenizer = embedded_tokenizer()};
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 2;
    if (store_memory_open(&store, NULL) != DOBBY_OK ||
        ingest_path(store, tree->root, &options, &report, NULL) != DOBBY_OK)
        return 3;
    bool right =
        report.files_seen == 3 && report.files_chunked == 1 && files_skipped(&report, "unreadable") == 2;
    /* Named itself, what cannot be read is an error. */
    right = right &&
            ingest_path(store, tree_path(tree, "closed"), &options, &report, NULL) == DOBBY_PERMISSION_DENIED;
    store_close(store);
    return right ? 0 : 1;
}

static void what_cannot_be_read_is_skipped(void **state)
{
    (void)state;
    struct tree tree;
    tree_make(&tree);
    tree_write_text(&tree, "open.c", "int open;\n");
    tree_write_text(&tree, "secret.c", "int secret;\n");
    tree_write_text(&tree, "closed/inside.c", "int inside;\n");
    assert_int_equal(chmod(tree.root, 0755), 0);
    assert_int_equal(chmod(tree_path(&tree, "open.c"), 0644), 0);
    assert_int_equal(chmod(tree_path(&tree, "secret.c"), 0), 0);
    assert_int_equal(chmod(tree_path(&tree, "closed"), 0), 0);
    (void)embedded_tokenizer();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(ingest_unreadable(&tree));
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    tree_remove(&tree);
}

static int close_tokenizer(void **state)
{
    (void)state;
    embedded_tokenizer_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_chunked_or_skipped_and_stays_so),
        cmocka_unit_test(what_cannot_be_read_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, close_tokenizer);
}
