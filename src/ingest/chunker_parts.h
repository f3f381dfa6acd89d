/* What the chunkers share among themselves. */
#ifndef INGEST_CHUNKER_PARTS_H
#define INGEST_CHUNKER_PARTS_H

#include "ingest/chunker.h"

/* Appends a chunk; chunker_split fills in its lines. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code chunk_list_append(struct chunk_list *list, size_t offset, size_t length,
                                             struct dobby_error *err);

#endif
