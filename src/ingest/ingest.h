/* Files to records: walk, classify, split into chunks, put into the store. */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "infer/tokenizer/tokenizer.h"
#include "store/store.h"

struct ingest_options {
    uint32_t chunk_tokens_max;         /* of a chunk's content */
    bool emptied;                      /* a known source that has no file may be meant so */
    const struct tokenizer *tokenizer; /* counts the tokens */
    bool (*canceled)(void *context);   /* asked between files; NULL: never */
    void *context;
};

struct ingest_reason {
    const char *reason; /* static: "binary", "generated", ... */
    uint64_t files;
};
enum { INGEST_REASONS_MAX = 24 };

struct ingest_report {
    uint64_t files_seen, files_chunked, chunks, bytes;
    struct ingest_reason skipped[INGEST_REASONS_MAX]; /* most frequent first */
    size_t skipped_count;
    struct put_counts records;
    bool git; /* the source is a git work tree */
    char source[4096];
};

/* Brings the store's records of path (a directory or a file, in a git work tree or not) up to date in one
 * synchronisation. In a git work tree the source is the tree's root and only what lies at or below path
 * is touched: tracked files and untracked ones that are not ignored. Elsewhere the source is the
 * directory itself. A file that is not summarised becomes a SKIPPED record with its reason. Where no
 * file is left of what was ingested before, its records go: of a whole work tree at once, elsewhere, where a
 * disk may just not be mounted, if options say that it is emptied. Fails: FILE_NOT_FOUND, WRONG_FILE_TYPE,
 * PERMISSION_DENIED, INGEST_NOTHING (no file, and no record), INGEST_EMPTIED (store untouched in both),
 * GIT_FAILED, CANCELED (what was put stays, nothing was removed), and as store_put. */
DOBBY_NODISCARD dobby_code ingest_path(struct store *store, const char *path,
                                       const struct ingest_options *options, struct ingest_report *report,
                                       struct dobby_error *err);

#endif
