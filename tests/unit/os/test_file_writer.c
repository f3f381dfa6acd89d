#include "os/file.h"
#include "os/file_writer.h"
#include "os/interrupt.h"
#include "unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each test runs in a fresh directory that is the working directory. */
static int enter_directory(void **state)
{
    char *path = strdup("/tmp/dobby-test-writer.XXXXXX");
    *state = path;
    return path == NULL || mkdtemp(path) == NULL || chdir(path) != 0;
}

static int leave_directory(void **state)
{
    static const char *const names[] = {"a", "link", "fifo"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unlink(names[i]);
    const int failed = chdir("/") != 0 || rmdir(*state) != 0; /* A file left behind fails here. */
    free(*state);
    return failed;
}

static void expect_content(const char *path, const char *want)
{
    struct buffer out = {0};
    struct dobby_error err;
    assert_ok(file_read(path, true, 1 << 20, &out, &err), &err);
    assert_string_equal(out.bytes != NULL ? out.bytes : "", want);
    buffer_release(&out);
}

static void write_whole(const char *path, const char *text)
{
    struct file_writer writer;
    struct dobby_error err;
    assert_ok(file_writer_open(path, &writer, &err), &err);
    assert_ok(file_writer_write(&writer, text, strlen(text), &err), &err);
    assert_ok(file_writer_finish(&writer, &err), &err);
    file_writer_release(&writer);
}

static void the_old_file_stays_until_the_end(void **state)
{
    (void)state;
    struct file_writer writer;
    struct dobby_error err;
    write_whole("a", "old");
    assert_ok(file_writer_open("a", &writer, &err), &err);
    assert_ok(file_writer_write(&writer, "new", 3, &err), &err);
    assert_ok(file_writer_flush(&writer, &err), &err);
    expect_content("a", "old");
    assert_ok(file_writer_finish(&writer, &err), &err);
    expect_content("a", "new");
    file_writer_release(&writer);
    expect_content("a", "new");
}

static void what_is_not_finished_leaves_nothing(void **state)
{
    (void)state;
    struct file_writer writer;
    struct dobby_error err;
    assert_ok(file_writer_open("a", &writer, &err), &err);
    assert_ok(file_writer_write(&writer, "new", 3, &err), &err);
    file_writer_release(&writer);
    assert_false(file_exists("a"));
    assert_code(file_writer_open("missing/a", &writer, &err), DOBBY_FILE_NOT_FOUND);
    assert_code(file_writer_open(".", &writer, &err), DOBBY_WRONG_FILE_TYPE);
    file_writer_release(&writer);
}

static void links_and_permissions_stay(void **state)
{
    (void)state;
    struct stat info;
    write_whole("a", "old");
    assert_int_equal(chmod("a", 0640), 0);
    assert_int_equal(symlink("a", "link"), 0);
    write_whole("link", "new");
    expect_content("a", "new");
    assert_int_equal(lstat("link", &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat("a", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void a_device_is_written_in_place(void **state)
{
    (void)state;
    struct stat info;
    write_whole("/dev/null", "gone");
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    struct file_writer writer;
    struct dobby_error err;
    assert_ok(file_writer_open("/dev/full", &writer, &err), &err);
    assert_ok(file_writer_write(&writer, "x", 1, &err), &err);
    assert_code(file_writer_finish(&writer, &err), DOBBY_DISK_FULL);
    file_writer_release(&writer);
}

static void large_writes_arrive_in_order(void **state)
{
    (void)state;
    enum { BLOCK = FILE_WRITER_BLOCK_BYTES };
    static const size_t lengths[] = {1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 7};
    char *block = malloc(3 * BLOCK);
    assert_non_null(block);
    struct file_writer writer;
    struct dobby_error err;
    struct buffer want = {0}, got = {0};
    assert_ok(file_writer_open("a", &writer, &err), &err);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        memset(block, 'a' + (int)i, lengths[i]);
        assert_ok(buffer_append(&want, block, lengths[i], &err), &err);
        assert_ok(file_writer_write(&writer, block, lengths[i], &err), &err);
        assert_true(writer.pending.length <= BLOCK);
    }
    assert_ok(file_writer_finish(&writer, &err), &err);
    file_writer_release(&writer);
    assert_ok(file_read("a", false, 1 << 20, &got, &err), &err);
    assert_int_equal(got.length, want.length);
    assert_memory_equal(got.bytes, want.bytes, want.length);
    buffer_release(&want);
    buffer_release(&got);
    free(block);
}

static void a_pipe_without_reader_is_told(void **state)
{
    (void)state;
    int ends[2];
    struct file_writer writer;
    struct dobby_error err;
    interrupt_ignore_failed_writes();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    file_writer_open_descriptor(ends[1], &writer);
    assert_ok(file_writer_write(&writer, "x", 1, &err), &err);
    assert_code(file_writer_finish(&writer, &err), DOBBY_IO_FAILED);
    assert_true(writer.reader_gone);
    file_writer_release(&writer);
    assert_int_equal(close(ends[1]), 0); /* It was borrowed: still open. */
}

/* In a process of its own, which no signal may end. */
static void a_file_that_may_not_grow_is_told(void **state)
{
    (void)state;
    const pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        static char block[65536];
        struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
        struct dobby_error err;
        FILE *file = tmpfile();
        interrupt_ignore_failed_writes();
        struct file_writer writer;
        if (file == NULL || setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(2);
        file_writer_open_descriptor(fileno(file), &writer);
        dobby_code code = file_writer_write(&writer, block, sizeof block, &err);
        if (code == DOBBY_OK)
            code = file_writer_finish(&writer, &err);
        _exit(code == DOBBY_DISK_FULL ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void interrupts_are_counted(void **state)
{
    (void)state;
    interrupt_catch();
    assert_int_equal(interrupt_count(), 0);
    assert_int_equal(raise(SIGINT), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(interrupt_count(), 2);
    interrupt_catch();
    assert_int_equal(interrupt_count(), 0);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_DIRECTORY(the_old_file_stays_until_the_end),     IN_DIRECTORY(what_is_not_finished_leaves_nothing),
        IN_DIRECTORY(links_and_permissions_stay),           IN_DIRECTORY(a_device_is_written_in_place),
        IN_DIRECTORY(large_writes_arrive_in_order),         cmocka_unit_test(a_pipe_without_reader_is_told),
        cmocka_unit_test(a_file_that_may_not_grow_is_told), cmocka_unit_test(interrupts_are_counted),
    };
    return cmocka_run_group_tests_name("os/file_writer", tests, NULL, NULL);
}
