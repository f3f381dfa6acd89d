/* Directories to ingest, made for one test and removed after it. */
#ifndef TESTS_UNIT_INGEST_TREE_HELPER_H
#define TESTS_UNIT_INGEST_TREE_HELPER_H

#include <stdbool.h>
#include <stddef.h>

enum { TREE_PATH_BYTES = 4096 };
struct tree {
    char root[TREE_PATH_BYTES]; /* absolute and canonical */
};

void tree_make(struct tree *tree);
void tree_remove(struct tree *tree);
/* relative below the root, as a path that lives until the next call. */
const char *tree_path(const struct tree *tree, const char *relative);
/* Directories on the way are made. */
void tree_write(const struct tree *tree, const char *relative, const void *bytes, size_t length);
void tree_write_text(const struct tree *tree, const char *relative, const char *text);
void tree_mkdir(const struct tree *tree, const char *relative);

/* Makes a git repository in the directory relative ("" is the root). False where git is not installed. */
bool tree_git_init(const struct tree *tree, const char *relative);
/* Tracks a file of the root's repository. */
void tree_git_add(const struct tree *tree, const char *relative);

/* Runs the program with bash; returns its exit status. */
int tree_run_script(const char *script, const char *argument);

#endif
