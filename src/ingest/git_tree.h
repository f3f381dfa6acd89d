/* What of a directory tree git tracks or would track: the only part of Dobby that includes libgit2. */
#ifndef INGEST_GIT_TREE_H
#define INGEST_GIT_TREE_H

#include "base/buffer.h"

struct git_tree; /* one work tree; one thread at a time */

/* *out is NULL when path (absolute, canonical) is in no work tree: in no repository, in a bare one, or
 * among a repository's own files. Appends the work tree's canonical root to *root, no slash at its end.
 * Fails: GIT_FAILED, OUT_OF_MEMORY, and as file_realpath. */
DOBBY_NODISCARD dobby_code git_tree_open(const char *path, struct git_tree **out, struct buffer *root,
                                         struct dobby_error *err);
void git_tree_close(struct git_tree *tree);
/* Whether a file is tracked, or untracked and not ignored; whether a directory may hold such files:
 * submodules and nested repositories do not. relative: below the root. Fails: GIT_FAILED. */
DOBBY_NODISCARD dobby_code git_tree_selects(struct git_tree *tree, const char *relative, bool is_directory,
                                            bool *selected, struct dobby_error *err);

#endif
