/* What the store holds that would be cut otherwise today: with the configured chunk size, the present chunker
 * and the configured model's tokenizer. */
#ifndef APP_CUTS_H
#define APP_CUTS_H

#include "app/config.h"
#include "base/json_writer.h"
#include "store/store_versions.h"

/* One source's records that were cut alike, and otherwise than now. */
struct cuts_row {
    char *source;
    char *difference; /* "chunk_tokens 400, now 800" */
    uint64_t records, results;
    bool known; /* else put by a version that did not keep how it cut: it may be as now */
};
struct cuts {
    struct cuts_row *rows; /* by source */
    size_t count;
    uint64_t results; /* of those that are known */
};
/* A zeroed struct is empty. */
void cuts_release(struct cuts *cuts);
/* Without the configured model there is nothing to compare with, which is no failure: a null engine needs
 * none. Fails: as store_cuts; OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code cuts_read(const struct config *config, struct store *store, struct cuts *out,
                                     struct dobby_error *err);
/* For people, a line a row: "5 results of /src are stale: cut with chunk_tokens 400, now 800; ingesting
 * it again cuts anew". */
DOBBY_NODISCARD dobby_code cuts_append_text(const struct cuts *cuts, struct buffer *out,
                                            struct dobby_error *err);
/* The same in one line at most: that of the only row, or how many there are of how many sources. */
DOBBY_NODISCARD dobby_code cuts_append_line(const struct cuts *cuts, struct buffer *out,
                                            struct dobby_error *err);
/* The members "stale_cut" and "cut_otherwise" of an object; null where cuts is NULL. */
void cuts_put_json(const struct cuts *cuts, struct json_writer *json);

#endif
