#include "ingest/ingest.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "ingest/classify.h"
#include "ingest/cut.h"
#include "ingest/git_tree.h"
#include "ingest/language.h"
#include "ingest/record_batch.h"
#include "ingest/walk.h"

#include <string.h>

/* One ingest under way. */
struct ingest {
    const struct ingest_options *options;
    struct ingest_report *report;
    struct git_tree *git; /* NULL: a plain directory */
    struct ingest_batch batch;
    struct buffer content; /* of the file at hand */
    struct buffer shown;   /* its path for people */
    char cut[INGEST_CUT_BYTES];
};

/* Appends bytes as valid UTF-8: what is not becomes \xNN. */
static dobby_code append_shown(struct buffer *out, const char *bytes, struct dobby_error *err)
{
    size_t length = strlen(bytes);
    dobby_code code = DOBBY_OK;
    while (length > 0 && code == DOBBY_OK) {
        size_t valid = utf8_valid_prefix(bytes, length);
        code = buffer_append(out, bytes, valid, err);
        if (code == DOBBY_OK && valid < length) {
            code = buffer_append_format(out, err, "\\x%02X", (unsigned)(unsigned char)bytes[valid]);
            valid++;
        }
        bytes += valid;
        length -= valid;
    }
    return code;
}

static void count_reason(struct ingest_report *report, const char *reason)
{
    size_t i = 0;
    while (i < report->skipped_count && strcmp(report->skipped[i].reason, reason) != 0)
        i++;
    if (i == INGEST_REASONS_MAX)
        return;
    if (i == report->skipped_count)
        report->skipped[report->skipped_count++] = (struct ingest_reason){.reason = reason};
    report->skipped[i].files++;
    /* Most frequent first; of equals the one seen first. */
    for (; i > 0 && report->skipped[i].files > report->skipped[i - 1].files; i--) {
        struct ingest_reason other = report->skipped[i - 1];
        report->skipped[i - 1] = report->skipped[i];
        report->skipped[i] = other;
    }
}

static dobby_code ingest_text(struct ingest *ingest, struct ingest_file *file, struct dobby_error *err)
{
    struct chunk_list chunks = {0};
    file->language = language_of(file->raw_path, file->text, file->length);
    struct chunker_input input = {
        .text = file->text,
        .length = file->length,
        .language = file->language,
        .tokens_max = ingest->options->chunk_tokens_max,
        .tokenizer = ingest->options->tokenizer,
    };
    dobby_code code = chunker_split(chunker_for(file->language), &input, &chunks, err);
    if (code == DOBBY_OK)
        code = ingest_batch_add_chunks(&ingest->batch, file, &chunks, err);
    if (code == DOBBY_OK) {
        ingest->report->files_chunked++;
        ingest->report->chunks += chunks.count;
        ingest->report->bytes += file->length;
    }
    chunk_list_release(&chunks);
    return code;
}

/* Reads the file into ingest->content. *reason says why it is not summarised; *gone that it vanished. */
static dobby_code read_file(struct ingest *ingest, const struct walk_entry *entry, const char **reason,
                            bool *gone, struct dobby_error *err)
{
    struct dobby_error why = {0};
    buffer_clear(&ingest->content);
    dobby_code code = file_read(entry->absolute, false, LIMIT_FILE_BYTES, &ingest->content, &why);
    switch (code) {
    case DOBBY_OK:
        *reason = classify_content(entry->name, ingest->content.length > 0 ? ingest->content.bytes : "",
                                   ingest->content.length);
        return DOBBY_OK;
    case DOBBY_FILE_NOT_FOUND:
        *gone = true;
        return DOBBY_OK;
    case DOBBY_LIMIT_EXCEEDED:
        *reason = "oversized";
        return DOBBY_OK;
    case DOBBY_OUT_OF_MEMORY:
    case DOBBY_TOO_MANY_FILES:
        if (err != NULL)
            *err = why;
        return code;
    default:
        *reason = "unreadable";
        return DOBBY_OK;
    }
}

static dobby_code visit(void *context, const struct walk_entry *entry, struct dobby_error *err)
{
    struct ingest *ingest = context;
    const struct ingest_options *options = ingest->options;
    if (options->canceled != NULL && options->canceled(options->context))
        return DOBBY_FAIL(err, DOBBY_CANCELED, "before %s", entry->relative);
    if (classify_is_transient(entry->name))
        return DOBBY_OK;
    const char *reason = entry->reason;
    bool gone = false;
    dobby_code code = DOBBY_OK;
    if (reason == NULL)
        reason = classify_name(entry->name, entry->bytes);
    if (reason == NULL)
        code = read_file(ingest, entry, &reason, &gone, err);
    if (code != DOBBY_OK || gone)
        return code;
    buffer_clear(&ingest->shown);
    code = append_shown(&ingest->shown, entry->relative, err);
    if (code != DOBBY_OK)
        return code;
    struct ingest_file file = {
        .raw_path = entry->relative,
        .path = ingest->shown.length > 0 ? ingest->shown.bytes : "",
        .language = "",
        .text = ingest->content.bytes,
        .length = ingest->content.length,
    };
    ingest->report->files_seen++;
    if (reason == NULL)
        return ingest_text(ingest, &file, err);
    count_reason(ingest->report, reason);
    return ingest_batch_add_skipped(&ingest->batch, &file, reason, err);
}

static dobby_code select_entry(void *context, const char *relative, bool is_directory, bool *selected,
                               struct dobby_error *err)
{
    struct ingest *ingest = context;
    return git_tree_selects(ingest->git, relative, is_directory, selected, err);
}

/* Where a path lies. */
struct place {
    struct buffer path;   /* canonical */
    struct buffer root;   /* of the source */
    const char *relative; /* the path below the root; in path */
};

static dobby_code find_place(struct ingest *ingest, const char *path, struct place *place,
                             struct dobby_error *err)
{
    struct file_info info;
    struct buffer directory = {0};
    dobby_code code = file_realpath(path, &place->path, err);
    if (code == DOBBY_OK)
        code = file_stat(place->path.bytes, true, &info, err);
    if (code != DOBBY_OK)
        goto done;
    if (info.kind != FILE_DIRECTORY && info.kind != FILE_REGULAR) {
        code = DOBBY_FAIL(err, DOBBY_WRONG_FILE_TYPE, "%s is neither a directory nor a file", path);
        goto done;
    }
    size_t length = place->path.length;
    if (info.kind == FILE_REGULAR)
        length = (size_t)(strrchr(place->path.bytes, '/') - place->path.bytes);
    code = buffer_append(&directory, length > 0 ? place->path.bytes : "/", length > 0 ? length : 1, err);
    if (code == DOBBY_OK)
        code = git_tree_open(directory.bytes, &ingest->git, &place->root, err);
    if (code == DOBBY_OK && ingest->git == NULL)
        code = buffer_append(&place->root, directory.bytes, directory.length, err);
    if (code != DOBBY_OK)
        goto done;
    place->relative = place->path.bytes + (place->root.length > 1 ? place->root.length : 0);
    if (*place->relative == '/')
        place->relative++;
done:
    buffer_release(&directory);
    return code;
}

static dobby_code check_readable(const char *path, struct dobby_error *err)
{
    struct directory_list list = {0};
    struct file_info info;
    dobby_code code = file_stat(path, true, &info, err);
    if (code == DOBBY_OK && info.kind == FILE_DIRECTORY)
        code = directory_list_open(path, &list, err);
    directory_list_release(&list);
    return code;
}

/* Looks for a record at or below a place. */
struct search {
    const char *source, *scope; /* scope: "" is everything */
    bool found;
};

static dobby_code look(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct search *search = context;
    const size_t length = strlen(search->scope);
    (void)err;
    if (strcmp(row->source, search->source) != 0)
        return DOBBY_OK;
    search->found = length == 0 || (strncmp(row->path, search->scope, length) == 0 &&
                                    (row->path[length] == '\0' || row->path[length] == '/'));
    return search->found ? DOBBY_CANCELED : DOBBY_OK; /* ends the listing */
}

/* No file is there. Where none ever was, that is a mistake. Where records would go, it is brought up to date,
 * if it cannot be the mount point of a disk that is missing: the whole of a work tree brings its .git along.
 */
static dobby_code check_emptied(struct ingest *ingest, const struct place *place, const char *scope,
                                struct dobby_error *err)
{
    struct search search = {.source = ingest->report->source, .scope = scope};
    dobby_code code = store_list(ingest->batch.store, &(struct record_filter){0}, look, &search, err);
    if (code != DOBBY_OK && !search.found)
        return code;
    error_clear(err);
    if (!search.found)
        return DOBBY_FAIL(err, DOBBY_INGEST_NOTHING, "%s", place->path.bytes);
    if (!ingest->options->emptied && (ingest->git == NULL || scope[0] != '\0'))
        return DOBBY_FAIL(err, DOBBY_INGEST_EMPTIED, "%s", place->path.bytes);
    return DOBBY_OK;
}

static dobby_code synchronize(struct ingest *ingest, const struct place *place, struct dobby_error *err)
{
    struct walk walk = {
        .select = ingest->git != NULL ? select_entry : NULL, .visit = visit, .context = ingest};
    dobby_code code = walk_source(&walk, place->root.bytes, place->relative, err);
    buffer_clear(&ingest->shown);
    if (code == DOBBY_OK)
        code = append_shown(&ingest->shown, place->relative, err);
    const char *scope = ingest->shown.length > 0 ? ingest->shown.bytes : "";
    if (code == DOBBY_OK && ingest->report->files_seen == 0)
        code = check_emptied(ingest, place, scope, err);
    return code == DOBBY_OK ? ingest_batch_end(&ingest->batch, scope, err) : code;
}

dobby_code ingest_path(struct store *store, const char *path, const struct ingest_options *options,
                       struct ingest_report *report, struct dobby_error *err)
{
    *report = (struct ingest_report){0};
    struct ingest ingest = {.options = options, .report = report};
    struct place place = {0};
    struct buffer source = {0};
    dobby_code code = find_place(&ingest, path, &place, err);
    if (code == DOBBY_OK)
        code = check_readable(place.path.bytes, err);
    if (code == DOBBY_OK)
        code = append_shown(&source, place.root.bytes, err);
    if (code != DOBBY_OK)
        goto done;
    report->git = ingest.git != NULL;
    if (source.length >= sizeof(report->source)) {
        code = DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "the source's path has %zu bytes, at most %zu",
                          source.length, sizeof(report->source) - 1);
        goto done;
    }
    memcpy(report->source, source.bytes, source.length + 1);
    ingest_cut_text(options, ingest.cut);
    ingest_batch_init(&ingest.batch, store, report->source, ingest.cut, &report->records);
    code = synchronize(&ingest, &place, err);
done:
    if (code != DOBBY_OK)
        *report = (struct ingest_report){0};
    ingest_batch_release(&ingest.batch);
    git_tree_close(ingest.git);
    buffer_release(&ingest.content);
    buffer_release(&ingest.shown);
    buffer_release(&place.path);
    buffer_release(&place.root);
    buffer_release(&source);
    return code;
}
