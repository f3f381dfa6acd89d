/* The settings that decide how files are cut into records, as a text that the store keeps with each record:
 * so that one can tell, without reading a file, what would be cut otherwise today. */
#ifndef INGEST_CUT_H
#define INGEST_CUT_H

#include "base/buffer.h"
#include "ingest/ingest.h"

enum { INGEST_CUT_BYTES = 160 };

/* "chunker=layout@1 rules=1 chunk_tokens=400 file_bytes=4194304 tokenizer=0123456789abcdef": whatever decides
 * which files become records and where they are cut, but for the files. */
void ingest_cut_text(const struct ingest_options *options, char out[INGEST_CUT_BYTES]);
/* Appends how one such text differs from another, for people: "chunk_tokens 400, now 800". `was` may be any
 * text; "" is one that is not known. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code ingest_cut_difference(const char *was, const char *now, struct buffer *out,
                                                 struct dobby_error *err);

#endif
