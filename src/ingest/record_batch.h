/* Collects records with copies of their bytes and puts them into the store in batches. */
#ifndef INGEST_RECORD_BATCH_H
#define INGEST_RECORD_BATCH_H

#include "base/arena.h"
#include "ingest/chunker.h"
#include "store/store.h"

struct ingest_batch {
    struct store *store;
    const char *source; /* valid UTF-8; borrowed */
    const char *cut;    /* of all chunks; borrowed */
    struct arena arena; /* the records and all they point to */
    struct record_input *records;
    size_t count, content_bytes;
    bool in_sync; /* store_sync_begin was called */
    struct put_counts *counts;
};

/* What all records of one file share. */
struct ingest_file {
    const char *raw_path; /* below the source; any bytes */
    const char *path;     /* as shown: valid UTF-8 */
    const char *language;
    const char *text;
    size_t length;
};

void ingest_batch_init(struct ingest_batch *batch, struct store *store, const char *source, const char *cut,
                       struct put_counts *counts);
void ingest_batch_release(struct ingest_batch *batch);
/* Adds the file's chunks. Fails: OUT_OF_MEMORY, CRYPTO_FAILED, and as store_put. */
DOBBY_NODISCARD dobby_code ingest_batch_add_chunks(struct ingest_batch *batch, const struct ingest_file *file,
                                                   const struct chunk_list *chunks, struct dobby_error *err);
/* Adds a record that says why the file is not summarised. */
DOBBY_NODISCARD dobby_code ingest_batch_add_skipped(struct ingest_batch *batch,
                                                    const struct ingest_file *file, const char *reason,
                                                    struct dobby_error *err);
/* Puts what is left and ends the synchronisation; scope as in store_sync_end. */
DOBBY_NODISCARD dobby_code ingest_batch_end(struct ingest_batch *batch, const char *scope,
                                            struct dobby_error *err);

#endif
