#include "os/file.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum file_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return FILE_REGULAR;
    if (S_ISDIR(mode))
        return FILE_DIRECTORY;
    if (S_ISLNK(mode))
        return FILE_SYMLINK;
    return FILE_OTHER;
}

dobby_code file_stat(const char *path, bool follow, struct file_info *out, struct dobby_error *err)
{
    struct stat info;
    *out = (struct file_info){.kind = FILE_UNKNOWN};
    if ((follow ? stat(path, &info) : lstat(path, &info)) != 0)
        return DOBBY_FAIL_ERRNO(err, errno, "%s", path);
    *out = (struct file_info){
        .kind = kind_of(info.st_mode),
        .executable = (info.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0,
        .bytes = info.st_size > 0 ? (uint64_t)info.st_size : 0,
        .modified_unix_us = (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000,
        .device = (uint64_t)info.st_dev,
        .inode = (uint64_t)info.st_ino,
    };
    return DOBBY_OK;
}

bool file_is_writable(const char *path)
{
    return access(path, W_OK) == 0;
}

bool file_exists(const char *path)
{
    struct file_info info;
    return file_stat(path, true, &info, NULL) == DOBBY_OK;
}

/* Opens a regular file for reading. O_NONBLOCK keeps a FIFO that nobody writes to from hanging us. */
static dobby_code open_regular(const char *path, bool follow, int *descriptor, size_t *bytes,
                               struct dobby_error *err)
{
    *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
    if (*descriptor < 0)
        return DOBBY_FAIL_ERRNO(err, errno, "opening %s", path);
    struct stat info;
    dobby_code code = DOBBY_OK;
    if (fstat(*descriptor, &info) != 0)
        code = DOBBY_FAIL_ERRNO(err, errno, "looking at %s", path);
    else if (!S_ISREG(info.st_mode))
        code = DOBBY_FAIL(err, DOBBY_WRONG_FILE_TYPE, "%s is not a regular file", path);
    else
        *bytes = (size_t)info.st_size;
    if (code != DOBBY_OK) {
        (void)close(*descriptor);
        *descriptor = -1;
    }
    return code;
}

dobby_code file_map_open(const char *path, struct file_map *out, struct dobby_error *err)
{
    *out = (struct file_map){0};
    int descriptor;
    size_t length = 0;
    dobby_code code = open_regular(path, true, &descriptor, &length, err);
    if (code != DOBBY_OK)
        return code;
    if (length > 0) {
        void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (bytes == MAP_FAILED)
            code = DOBBY_FAIL_ERRNO(err, errno, "mapping %zu bytes of %s", length, path);
        else
            *out = (struct file_map){.bytes = bytes, .length = length};
    }
    (void)close(descriptor);
    return code;
}

void file_map_close(struct file_map *map)
{
    if (map->bytes != NULL)
        (void)munmap((void *)(uintptr_t)map->bytes, map->length);
    *map = (struct file_map){0};
}

void file_map_drop(const struct file_map *map, size_t offset, size_t length)
{
    if (map->bytes == NULL || offset >= map->length)
        return;
    if (length > map->length - offset)
        length = map->length - offset;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t first = (offset + page - 1) / page * page;
    size_t end = offset + length == map->length ? map->length : (offset + length) / page * page;
    if (first < end)
        (void)madvise((void *)(uintptr_t)(map->bytes + first), end - first, MADV_DONTNEED);
}

dobby_code file_read_descriptor(int descriptor, size_t bytes_max, struct buffer *out, struct dobby_error *err)
{
    size_t length_before = out->length;
    for (;;) {
        dobby_code code = buffer_reserve(out, (size_t)64 << 10, err);
        if (code != DOBBY_OK)
            return code;
        ssize_t got = read(descriptor, out->bytes + out->length, out->capacity - out->length - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DOBBY_FAIL_ERRNO(err, errno, "reading");
        if (got == 0)
            return DOBBY_OK;
        out->length += (size_t)got;
        out->bytes[out->length] = '\0';
        if (out->length - length_before > bytes_max) {
            out->length = length_before;
            return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "more than %zu bytes", bytes_max);
        }
    }
}

dobby_code file_read(const char *path, bool follow, size_t bytes_max, struct buffer *out,
                     struct dobby_error *err)
{
    int descriptor;
    size_t bytes = 0;
    dobby_code code = open_regular(path, follow, &descriptor, &bytes, err);
    if (code != DOBBY_OK)
        return code;
    if (bytes > bytes_max)
        code = DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%s has %zu bytes, the limit is %zu", path, bytes,
                          bytes_max);
    if (code == DOBBY_OK)
        code = buffer_reserve(out, bytes, err);
    if (code == DOBBY_OK)
        code = file_read_descriptor(descriptor, bytes_max, out, err);
    (void)close(descriptor);
    return code;
}

static dobby_code write_all(int descriptor, const char *bytes, size_t length, const char *path,
                            struct dobby_error *err)
{
    while (length > 0) {
        ssize_t wrote = write(descriptor, bytes, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return DOBBY_FAIL_ERRNO(err, errno, "writing %s", path);
        bytes += wrote;
        length -= (size_t)wrote;
    }
    return DOBBY_OK;
}

dobby_code file_write_atomic(const char *path, const void *bytes, size_t length, struct dobby_error *err)
{
    struct buffer temporary = {0};
    int descriptor = -1;
    dobby_code code = buffer_append_format(&temporary, err, "%s.XXXXXX", path);
    if (code != DOBBY_OK)
        goto done;
    descriptor = mkstemp(temporary.bytes);
    if (descriptor < 0) {
        code = DOBBY_FAIL_ERRNO(err, errno, "making a temporary file beside %s", path);
        goto done;
    }
    code = write_all(descriptor, bytes, length, path, err);
    if (code == DOBBY_OK && (fchmod(descriptor, 0644) != 0 || fsync(descriptor) != 0))
        code = DOBBY_FAIL_ERRNO(err, errno, "writing %s", path);
    if (close(descriptor) != 0 && code == DOBBY_OK)
        code = DOBBY_FAIL_ERRNO(err, errno, "writing %s", path);
    if (code == DOBBY_OK && rename(temporary.bytes, path) != 0)
        code = DOBBY_FAIL_ERRNO(err, errno, "renaming to %s", path);
    if (code != DOBBY_OK)
        (void)unlink(temporary.bytes);
done:
    buffer_release(&temporary);
    return code;
}

dobby_code file_realpath(const char *path, struct buffer *out, struct dobby_error *err)
{
    char *resolved = realpath(path, NULL);
    if (resolved == NULL)
        return DOBBY_FAIL_ERRNO(err, errno, "%s", path);
    dobby_code code = buffer_append_string(out, resolved, err);
    free(resolved);
    return code;
}

static int compare_entries(const void *left, const void *right)
{
    const struct directory_entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static enum file_kind kind_of_entry(const char *directory, const struct dirent *entry)
{
    switch (entry->d_type) {
    case DT_REG:
        return FILE_REGULAR;
    case DT_DIR:
        return FILE_DIRECTORY;
    case DT_LNK:
        return FILE_SYMLINK;
    case DT_UNKNOWN:
        break; /* some file systems do not say: ask */
    default:
        return FILE_OTHER;
    }
    struct buffer path = {0};
    struct file_info info = {.kind = FILE_UNKNOWN};
    if (buffer_append_format(&path, NULL, "%s/%s", directory, entry->d_name) != DOBBY_OK ||
        file_stat(path.bytes, false, &info, NULL) != DOBBY_OK)
        info.kind = FILE_UNKNOWN;
    buffer_release(&path);
    return info.kind;
}

static dobby_code add_entry(struct directory_list *list, size_t *capacity, const char *directory,
                            const struct dirent *entry, struct dobby_error *err)
{
    if (list->count == *capacity) {
        size_t grown = *capacity == 0 ? 64 : *capacity * 2;
        struct directory_entry *entries = realloc(list->entries, grown * sizeof *entries);
        if (entries == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "listing %s", directory);
        list->entries = entries;
        *capacity = grown;
    }
    char *name = strdup(entry->d_name);
    if (name == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "listing %s", directory);
    list->entries[list->count++] = (struct directory_entry){name, kind_of_entry(directory, entry)};
    return DOBBY_OK;
}

dobby_code directory_list_open(const char *path, struct directory_list *out, struct dobby_error *err)
{
    *out = (struct directory_list){0};
    DIR *directory = opendir(path);
    if (directory == NULL)
        return DOBBY_FAIL_ERRNO(err, errno, "opening directory %s", path);
    size_t capacity = 0;
    dobby_code code = DOBBY_OK;
    while (code == DOBBY_OK) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            if (errno != 0)
                code = DOBBY_FAIL_ERRNO(err, errno, "reading directory %s", path);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            code = add_entry(out, &capacity, path, entry, err);
    }
    (void)closedir(directory);
    if (code != DOBBY_OK)
        directory_list_release(out);
    else if (out->count > 0)
        qsort(out->entries, out->count, sizeof *out->entries, compare_entries);
    return code;
}

void directory_list_release(struct directory_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
    *list = (struct directory_list){0};
}
