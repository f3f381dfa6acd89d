#include "os/file.h"
#include "unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each test runs in a fresh directory that is the working directory. */
static int enter_directory(void **state)
{
    char *path = strdup("/tmp/dobby-test-file.XXXXXX");
    *state = path;
    return path == NULL || mkdtemp(path) == NULL || chdir(path) != 0;
}

static int leave_directory(void **state)
{
    static const char *const names[] = {"a", "b", "fifo", "link", "loop", "empty", "directory/inner"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unlink(names[i]);
    (void)rmdir("directory");
    int failed = chdir("/") != 0 || rmdir(*state) != 0;
    free(*state);
    return failed;
}

static void write_file(const char *path, const char *text)
{
    struct dobby_error err;
    assert_ok(file_write_atomic(path, text, strlen(text), &err), &err);
}

static void atomic_write_replaces_and_leaves_nothing_beside(void **state)
{
    (void)state;
    write_file("a", "first version, the longer one");
    write_file("a", "second");
    struct buffer out = {0};
    struct dobby_error err;
    assert_ok(file_read("a", false, 100, &out, &err), &err);
    assert_string_equal(out.bytes, "second");
    buffer_release(&out);
    struct directory_list list;
    assert_ok(directory_list_open(".", &list, &err), &err);
    assert_int_equal(list.count, 1);
    directory_list_release(&list);
    assert_code(file_write_atomic("missing/a", "x", 1, &err), DOBBY_FILE_NOT_FOUND);
}

static void reading_what_is_not_a_file_fails_at_once(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct dobby_error err;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    write_file("b", "target");
    assert_int_equal(symlink("b", "link"), 0);
    assert_code(file_read("fifo", true, 100, &out, &err), DOBBY_WRONG_FILE_TYPE);
    assert_code(file_read(".", true, 100, &out, &err), DOBBY_WRONG_FILE_TYPE);
    assert_code(file_read("/dev/zero", true, 100, &out, &err), DOBBY_WRONG_FILE_TYPE);
    assert_code(file_read("loop", true, 100, &out, &err), DOBBY_WRONG_FILE_TYPE);
    assert_code(file_read("link", false, 100, &out, &err), DOBBY_WRONG_FILE_TYPE);
    assert_code(file_read("nothing", true, 100, &out, &err), DOBBY_FILE_NOT_FOUND);
    assert_code(file_read("b", true, 3, &out, &err), DOBBY_LIMIT_EXCEEDED);
    assert_int_equal(out.length, 0);
    assert_ok(file_read("link", true, 100, &out, &err), &err);
    assert_string_equal(out.bytes, "target");
    buffer_release(&out);
}

static void a_map_shows_the_file_and_an_empty_one_is_empty(void **state)
{
    (void)state;
    struct dobby_error err;
    struct file_map map;
    write_file("a", "mapped");
    write_file("empty", "");
    assert_ok(file_map_open("a", &map, &err), &err);
    assert_int_equal(map.length, 6);
    assert_memory_equal(map.bytes, "mapped", 6);
    file_map_drop(&map, 0, 100);
    assert_memory_equal(map.bytes, "mapped", 6); /* dropped pages come back from the file */
    file_map_close(&map);
    assert_null(map.bytes);
    assert_ok(file_map_open("empty", &map, &err), &err);
    assert_int_equal(map.length, 0);
    file_map_drop(&map, 0, 100);
    file_map_close(&map);
    assert_code(file_map_open("nothing", &map, &err), DOBBY_FILE_NOT_FOUND);
}

static void a_listing_is_sorted_and_knows_kinds(void **state)
{
    (void)state;
    struct dobby_error err;
    write_file("b", "");
    write_file("a", "");
    assert_int_equal(mkdir("directory", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("directory", "link"), 0);
    static const struct {
        const char *name;
        enum file_kind kind;
    } want[] = {{"a", FILE_REGULAR},
                {"b", FILE_REGULAR},
                {"directory", FILE_DIRECTORY},
                {"fifo", FILE_OTHER},
                {"link", FILE_SYMLINK}};
    struct directory_list list;
    assert_ok(directory_list_open(".", &list, &err), &err);
    assert_int_equal(list.count, COUNT_OF(want));
    for (size_t i = 0; i < list.count; i++) {
        assert_string_equal(list.entries[i].name, want[i].name);
        assert_int_equal(list.entries[i].kind, want[i].kind);
    }
    directory_list_release(&list);
    assert_code(directory_list_open("a", &list, &err), DOBBY_FILE_NOT_FOUND);

    struct file_info info;
    assert_ok(file_stat("link", true, &info, &err), &err);
    assert_int_equal(info.kind, FILE_DIRECTORY);
    assert_true(file_exists("a"));
    assert_false(file_exists("nothing"));
}

static void a_descriptor_is_read_to_its_end_or_limit(void **state)
{
    (void)state;
    int ends[2];
    struct buffer out = {0};
    struct dobby_error err;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "hello", 5), 5);
    assert_int_equal(close(ends[1]), 0);
    assert_ok(file_read_descriptor(ends[0], 5, &out, &err), &err);
    assert_string_equal(out.bytes, "hello");
    assert_int_equal(close(ends[0]), 0);
    assert_code(file_read_descriptor(ends[0], 5, &out, &err), DOBBY_IO_FAILED);

    int zero = open("/dev/zero", O_RDONLY);
    assert_code(file_read_descriptor(zero, 1000, &out, &err), DOBBY_LIMIT_EXCEEDED);
    assert_int_equal(out.length, 5);
    assert_int_equal(close(zero), 0);
    buffer_release(&out);
}

static void realpath_resolves_links(void **state)
{
    struct buffer out = {0};
    struct dobby_error err;
    assert_int_equal(symlink(".", "link"), 0);
    assert_ok(file_realpath("link/./link", &out, &err), &err);
    assert_string_equal(out.bytes, (const char *)*state);
    assert_code(file_realpath("nothing", &out, &err), DOBBY_FILE_NOT_FOUND);
    buffer_release(&out);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_DIRECTORY(atomic_write_replaces_and_leaves_nothing_beside),
        IN_DIRECTORY(reading_what_is_not_a_file_fails_at_once),
        IN_DIRECTORY(a_map_shows_the_file_and_an_empty_one_is_empty),
        IN_DIRECTORY(a_listing_is_sorted_and_knows_kinds),
        IN_DIRECTORY(a_descriptor_is_read_to_its_end_or_limit),
        IN_DIRECTORY(realpath_resolves_links),
    };
    return cmocka_run_group_tests_name("os/file", tests, NULL, NULL);
}
