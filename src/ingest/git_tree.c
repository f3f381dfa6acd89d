#include "ingest/git_tree.h"

#include "os/file.h"

#include <git2.h>
#include <stdlib.h>
#include <string.h>

struct git_tree {
    git_repository *repository;
    git_index *index;
    struct buffer root;
    struct buffer scratch;
};

static dobby_code git_failure(const char *what, const char *path, struct dobby_error *err)
{
    const git_error *last = git_error_last();
    return DOBBY_FAIL(err, DOBBY_GIT_FAILED, "%s %s: %s", what, path,
                      last != NULL && last->message != NULL ? last->message : "no reason given");
}

/* Whether path is directory or lies below it; neither ends with a slash. */
static bool is_within(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

void git_tree_close(struct git_tree *tree)
{
    if (tree == NULL)
        return;
    git_index_free(tree->index);
    git_repository_free(tree->repository);
    buffer_release(&tree->root);
    buffer_release(&tree->scratch);
    free(tree);
    (void)git_libgit2_shutdown();
}

/* Whether path lies in the work tree rather than among the repository's own files. */
static dobby_code is_in_work_tree(struct git_tree *tree, const char *path, bool *inside,
                                  struct dobby_error *err)
{
    *inside = false;
    if (git_repository_is_bare(tree->repository) || git_repository_workdir(tree->repository) == NULL)
        return DOBBY_OK;
    dobby_code code = file_realpath(git_repository_workdir(tree->repository), &tree->root, err);
    if (code == DOBBY_OK)
        code = file_realpath(git_repository_path(tree->repository), &tree->scratch, err);
    if (code == DOBBY_OK)
        *inside = is_within(path, tree->root.bytes) && !is_within(path, tree->scratch.bytes);
    return code;
}

dobby_code git_tree_open(const char *path, struct git_tree **out, struct buffer *root,
                         struct dobby_error *err)
{
    *out = NULL;
    struct git_tree *tree = calloc(1, sizeof(*tree));
    if (tree == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a git work tree");
    if (git_libgit2_init() < 0) {
        free(tree);
        return git_failure("starting libgit2 for", path, err);
    }
    dobby_code code = DOBBY_OK;
    bool inside = false;
    /* The user named the tree to be read: whose it is does not matter, and nothing in it is run. */
    (void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    int opened = git_repository_open_ext(&tree->repository, path, 0, NULL);
    if (opened == GIT_ENOTFOUND)
        goto done;
    if (opened < 0) {
        code = git_failure("opening the repository of", path, err);
        goto done;
    }
    code = is_in_work_tree(tree, path, &inside, err);
    if (code != DOBBY_OK || !inside)
        goto done;
    if (git_repository_index(&tree->index, tree->repository) < 0) {
        code = git_failure("reading the index of", path, err);
        goto done;
    }
    code = buffer_append(root, tree->root.bytes, tree->root.length, err);
    if (code == DOBBY_OK) {
        *out = tree;
        tree = NULL;
    }
done:
    git_tree_close(tree);
    return code;
}

static dobby_code is_ignored(struct git_tree *tree, const char *relative, bool *ignored,
                             struct dobby_error *err)
{
    int answer = 0;
    if (git_ignore_path_is_ignored(&answer, tree->repository, relative) < 0)
        return git_failure("asking what is ignored of", relative, err);
    *ignored = answer != 0;
    return DOBBY_OK;
}

static dobby_code selects_directory(struct git_tree *tree, const char *relative, bool *selected,
                                    struct dobby_error *err)
{
    struct buffer *path = &tree->scratch;
    buffer_clear(path);
    dobby_code code = buffer_append_format(path, err, "%s/", relative);
    if (code != DOBBY_OK)
        return code;
    size_t position;
    if (git_index_find_prefix(&position, tree->index, path->bytes) == 0) {
        *selected = true;
        return DOBBY_OK;
    }
    bool ignored = false;
    code = is_ignored(tree, path->bytes, &ignored, err);
    if (code != DOBBY_OK || ignored)
        return code;
    buffer_clear(path);
    code = buffer_append_format(path, err, "%s/%s/.git", tree->root.bytes, relative);
    *selected = code == DOBBY_OK && !file_exists(path->bytes);
    return code;
}

dobby_code git_tree_selects(struct git_tree *tree, const char *relative, bool is_directory, bool *selected,
                            struct dobby_error *err)
{
    *selected = false;
    if (is_directory)
        return selects_directory(tree, relative, selected, err);
    size_t position;
    if (git_index_find(&position, tree->index, relative) == 0) {
        *selected = true;
        return DOBBY_OK;
    }
    bool ignored = false;
    dobby_code code = is_ignored(tree, relative, &ignored, err);
    *selected = code == DOBBY_OK && !ignored;
    return code;
}
