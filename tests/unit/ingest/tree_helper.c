#include "tree_helper.h"

#include "os/file.h"
#include "unit/test.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int run(char *const arguments[])
{
    pid_t pid;
    int status = -1;
    assert_int_equal(posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int tree_run_script(const char *script, const char *argument)
{
    char *arguments[] = {"bash", (char *)(uintptr_t)script, (char *)(uintptr_t)argument, NULL};
    return run(arguments);
}

void tree_make(struct tree *tree)
{
    char path[] = "/tmp/dobby-test-ingest.XXXXXX";
    assert_non_null(mkdtemp(path));
    struct buffer canonical = {0};
    struct dobby_error err;
    assert_ok(file_realpath(path, &canonical, &err), &err);
    assert_true(canonical.length < sizeof(tree->root));
    memcpy(tree->root, canonical.bytes, canonical.length + 1);
    buffer_release(&canonical);
}

void tree_remove(struct tree *tree)
{
    char *open_up[] = {"chmod", "-R", "u+rwX", tree->root, NULL};
    char *delete[] = {"rm", "-rf", tree->root, NULL};
    (void)run(open_up);
    assert_int_equal(run(delete), 0);
}

const char *tree_path(const struct tree *tree, const char *relative)
{
    static char path[2 * TREE_PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s%s%s", tree->root, relative[0] == '\0' ? "" : "/", relative);
    return path;
}

void tree_mkdir(const struct tree *tree, const char *relative)
{
    char path[2 * TREE_PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/%s", tree->root, relative);
    for (char *at = path + strlen(tree->root) + 1; at != NULL;) {
        at = strchr(at, '/');
        if (at != NULL)
            *at = '\0';
        (void)mkdir(path, 0755);
        if (at != NULL)
            *at++ = '/';
    }
}

void tree_write(const struct tree *tree, const char *relative, const void *bytes, size_t length)
{
    const char *slash = strrchr(relative, '/');
    if (slash != NULL) {
        char directory[TREE_PATH_BYTES];
        (void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - relative), relative);
        tree_mkdir(tree, directory);
    }
    struct dobby_error err;
    assert_ok(file_write_atomic(tree_path(tree, relative), bytes, length, &err), &err);
}

void tree_write_text(const struct tree *tree, const char *relative, const char *text)
{
    tree_write(tree, relative, text, strlen(text));
}

bool tree_git_init(const struct tree *tree, const char *relative)
{
    char path[2 * TREE_PATH_BYTES];
    tree_mkdir(tree, relative);
    (void)snprintf(path, sizeof(path), "%s", tree_path(tree, relative));
    char *version[] = {"bash", "-c", "git --version >/dev/null 2>&1", NULL};
    if (run(version) != 0)
        return false;
    /* A hook that runs the tests points these at the repository it runs in. */
    char *init[] = {"env",  "-u", "GIT_DIR", "-u", "GIT_INDEX_FILE", "-u", "GIT_WORK_TREE", "git",
                    "init", "-q", path,      NULL};
    assert_int_equal(run(init), 0);
    return true;
}

void tree_git_add(const struct tree *tree, const char *relative)
{
    char root[2 * TREE_PATH_BYTES], path[2 * TREE_PATH_BYTES];
    (void)snprintf(root, sizeof(root), "%s", tree->root);
    (void)snprintf(path, sizeof(path), "%s", relative);
    char *add[] = {
        "env", "-u", "GIT_DIR", "-u", "GIT_INDEX_FILE", "-u", "GIT_WORK_TREE", "git", "-C", root, "add",
        "-f",  "--", path,      NULL};
    assert_int_equal(run(add), 0);
}
