/* Temporary directories, and the space of the file system below a path. */
#include "os/disk.h"
#include "os/file.h"
#include "os/temporary.h"
#include "unit/test.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_directory_comes_and_goes(void **state)
{
    (void)state;
    struct dobby_error err;
    struct buffer path = {0}, file = {0};
    struct stat found;
    assert_ok(temporary_directory_make("/tmp", &path, &err), &err);
    assert_int_equal(stat(path.bytes, &found), 0);
    assert_true(S_ISDIR(found.st_mode) && (found.st_mode & 077) == 0);
    assert_ok(buffer_append_format(&file, &err, "%s/a", path.bytes), &err);
    assert_ok(file_write_atomic(file.bytes, "x", 1, &err), &err);
    temporary_directory_remove(path.bytes);
    assert_false(file_exists(path.bytes));
    temporary_directory_remove(path.bytes); /* what is not there is no failure */
    buffer_release(&path);
    buffer_release(&file);
}

static void two_are_different(void **state)
{
    (void)state;
    struct dobby_error err;
    struct buffer a = {0}, b = {0};
    assert_ok(temporary_directory_make("/tmp", &a, &err), &err);
    assert_ok(temporary_directory_make("/tmp/", &b, &err), &err);
    assert_string_not_equal(strrchr(a.bytes, '/'), strrchr(b.bytes, '/'));
    temporary_directory_remove(a.bytes);
    temporary_directory_remove(b.bytes);
    buffer_release(&a);
    buffer_release(&b);
}

static void a_parent_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct buffer path = {0};
    assert_code(temporary_directory_make("/nonexistent/place", &path, &err), DOBBY_FILE_NOT_FOUND);
    assert_non_null(strstr(err.detail, "/nonexistent/place"));
    assert_int_equal(path.length, 0);
}

static void space_is_told(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct disk_space space;
    assert_ok(disk_space_of("/tmp", &space, &err), &err);
    assert_true(space.total_bytes > 0 && space.available_bytes <= space.total_bytes);
    assert_code(disk_space_of("/nonexistent", &space, &err), DOBBY_FILE_NOT_FOUND);
    assert_true(space.total_bytes == 0 && strstr(err.detail, "/nonexistent") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_comes_and_goes),
        cmocka_unit_test(two_are_different),
        cmocka_unit_test(a_parent_that_is_not_there_is_named),
        cmocka_unit_test(space_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
