#include "ingest/walk.h"

#include "base/limits.h"

#include <string.h>

/* One walk under way. Both paths grow and shrink with the depth. */
struct walker {
    const struct walk *walk;
    struct buffer absolute, relative;
    struct dobby_error *err;
};

static bool is_version_control(const char *name)
{
    static const char *const names[] = {".git", ".hg", ".svn", ".bzr", "CVS", "_darcs", ".jj"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static dobby_code push_name(struct buffer *path, const char *name, struct dobby_error *err)
{
    bool needs_slash = path->length > 0 && path->bytes[path->length - 1] != '/';
    dobby_code code = needs_slash ? buffer_append_byte(path, '/', err) : DOBBY_OK;
    return code == DOBBY_OK ? buffer_append_string(path, name, err) : code;
}

static void pop_to(struct buffer *path, size_t length)
{
    path->length = length;
    if (path->bytes != NULL)
        path->bytes[length] = '\0';
}

static const char *current(const struct buffer *path)
{
    return path->bytes != NULL ? path->bytes : "";
}

static dobby_code visit(struct walker *walker, const char *reason, uint64_t bytes)
{
    const char *relative = current(&walker->relative);
    const char *slash = strrchr(relative, '/');
    struct walk_entry entry = {.absolute = current(&walker->absolute),
                               .relative = relative,
                               .name = slash != NULL ? slash + 1 : relative,
                               .reason = reason,
                               .bytes = bytes};
    return walker->walk->visit(walker->walk->context, &entry, walker->err);
}

static dobby_code walk_entry_at(struct walker *walker, unsigned depth);

static dobby_code walk_directory(struct walker *walker, unsigned depth)
{
    struct directory_list list = {0};
    if (depth > LIMIT_DIRECTORY_DEPTH)
        return visit(walker, "too deep", 0);
    struct dobby_error why;
    error_clear(&why);
    dobby_code code = directory_list_open(current(&walker->absolute), &list, &why);
    if (code == DOBBY_FILE_NOT_FOUND)
        return DOBBY_OK;
    if (code == DOBBY_OUT_OF_MEMORY || code == DOBBY_TOO_MANY_FILES) {
        if (walker->err != NULL)
            *walker->err = why;
        return code;
    }
    if (code != DOBBY_OK)
        return visit(walker, "unreadable", 0);
    size_t absolute_length = walker->absolute.length;
    size_t relative_length = walker->relative.length;
    for (size_t i = 0; i < list.count && code == DOBBY_OK; i++) {
        if (is_version_control(list.entries[i].name))
            continue;
        code = push_name(&walker->absolute, list.entries[i].name, walker->err);
        if (code == DOBBY_OK)
            code = push_name(&walker->relative, list.entries[i].name, walker->err);
        if (code == DOBBY_OK)
            code = walk_entry_at(walker, depth + 1);
        pop_to(&walker->absolute, absolute_length);
        pop_to(&walker->relative, relative_length);
    }
    directory_list_release(&list);
    return code;
}

/* The entry that both paths name. */
static dobby_code walk_entry_at(struct walker *walker, unsigned depth)
{
    struct file_info info = {0};
    const char *reason = NULL;
    if (walker->absolute.length >= LIMIT_PATH_BYTES)
        reason = "path too long";
    else {
        dobby_code code = file_stat(current(&walker->absolute), false, &info, NULL);
        if (code == DOBBY_FILE_NOT_FOUND)
            return DOBBY_OK;
        if (code != DOBBY_OK)
            reason = "unreadable";
        else if (info.kind == FILE_SYMLINK)
            reason = "symlink";
        else if (info.kind == FILE_OTHER)
            reason = "special file";
    }
    bool is_directory = info.kind == FILE_DIRECTORY;
    bool selected = true;
    const struct walk *walk = walker->walk;
    if (walk->select != NULL && walker->relative.length > 0) {
        dobby_code code =
            walk->select(walk->context, current(&walker->relative), is_directory, &selected, walker->err);
        if (code != DOBBY_OK)
            return code;
    }
    if (!selected)
        return DOBBY_OK;
    return is_directory ? walk_directory(walker, depth) : visit(walker, reason, info.bytes);
}

dobby_code walk_source(const struct walk *walk, const char *root, const char *relative,
                       struct dobby_error *err)
{
    struct walker walker = {.walk = walk, .err = err};
    dobby_code code = buffer_append_string(&walker.absolute, root, err);
    if (code == DOBBY_OK && relative[0] != '\0') {
        code = push_name(&walker.absolute, relative, err);
        if (code == DOBBY_OK)
            code = buffer_append_string(&walker.relative, relative, err);
    }
    if (code == DOBBY_OK)
        code = walk_entry_at(&walker, 0);
    buffer_release(&walker.absolute);
    buffer_release(&walker.relative);
    return code;
}
