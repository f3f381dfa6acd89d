/* The store: records in, leases out, results back. Drivers implement it; store_memory.c is the
 * reference; tests/contract/test_store.c holds them all to this text.
 *
 * A record's states, with the function on each edge:
 *
 *   (new)     -> PENDING    [store_put]          (new)   -> SKIPPED   [store_put, skip_reason given]
 *   PENDING   -> LEASED     [store_claim]        attempt + 1
 *   LEASED    -> COMPLETED, DEGRADED, FAILED, SKIPPED     [store_settle, same attempt]
 *   LEASED    -> PENDING    [store_settle RELEASED or RETRY, same attempt; store_release_owner]
 *   LEASED    -> LEASED     [store_claim, when the lease has expired]        attempt + 1
 *   FAILED, DEGRADED, SKIPPED -> PENDING                [store_requeue]
 *   COMPLETED, DEGRADED -> PENDING                      [store_requeue_stale]
 *   COMPLETED, DEGRADED -> COMPLETED, DEGRADED          [store_requeue_stale, with a version that is there]
 *   any       -> PENDING    [store_put, new content]
 *   any       -> (gone)     [store_sync_end, its content is no longer in the source]
 *   SKIPPED   -> PENDING    [store_put without skip_reason]
 *
 * 1. A result and its record's new state commit in one transaction, guarded by the lease's attempt.
 * 2. A call either applies wholly or not at all.
 * 3. A record whose attempt has moved on is not touched: store_settle reports it as stale. No id sees an
 * attempt twice, also when its record is removed and put again.
 * 4. Times are the caller's (unix microseconds), so that tests own the clock. They order nothing and guard
 *    nothing: a clock that jumps can make a lease expire too early (its result is refused as stale and the
 *    record done again) or too late (store_release_owner ends it as soon as its owner is known to be dead),
 *    but never lose a record or store a result twice.
 *
 * A store handle serves one thread at a time; open one handle per thread. A visitor must not use the
 * handle that calls it. Every call checks its arguments and fails with INVALID_ARGUMENT or LIMIT_EXCEEDED
 * before it does anything. Ids are unique over all sources of a store. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/id.h"

enum record_state {
    RECORD_UNKNOWN,
    RECORD_PENDING,
    RECORD_LEASED,
    RECORD_COMPLETED,
    RECORD_DEGRADED,
    RECORD_FAILED,
    RECORD_SKIPPED,
    RECORD_STATE_COUNT
};
const char *record_state_name(enum record_state state); /* "pending" ... */
enum record_state record_state_parse(const char *name); /* RECORD_UNKNOWN when no state has this name */

/* What ingest puts. All strings borrowed for the call; text is valid UTF-8 except content. */
struct record_input {
    const char *id;       /* at most LIMIT_RECORD_ID_BYTES */
    const char *path;     /* below the source, for people; '' where there is none */
    const char *language; /* "c", "python", ...; '' where unknown */
    uint32_t first_line;  /* 1-based, inclusive; 0 where there are no lines */
    uint32_t last_line;
    uint32_t position;   /* of this chunk in its file, from 0 */
    const void *content; /* any bytes */
    size_t content_length;
    const char *skip_reason; /* NULL: to be summarised. Else the record is stored as SKIPPED */
    const char *cut; /* the settings that cut it out of its file, as canonical text; NULL: it is whole */
};

struct put_counts {
    uint64_t added, updated, unchanged, removed;
};

/* One claimed record. Everything borrowed from the batch. */
struct record {
    const char *id;
    const char *source;
    const char *path;
    const char *language;
    uint32_t first_line, last_line, position;
    const char *content;
    size_t content_length;
    uint32_t attempt; /* of this lease; no other lease of this id has it, ever */
    uint32_t tries;   /* this lease included: leases that count against the record */
};

struct record_batch {
    struct record *records;
    size_t count;
    void *memory; /* owns all of the above */
    /* When fewer than asked for: the earliest time at which there may be more, an OUTCOME_RETRY's or the end
     * of another owner's lease; 0 when nothing is waited for. */
    int64_t next_unix_us;
};
void record_batch_release(struct record_batch *batch);

/* A finished summary. Strings borrowed. */
struct summary {
    char id[UUID_TEXT_BYTES];
    uint8_t result_key[SHA256_BYTES];
    const char *text;              /* valid UTF-8 */
    double confidence;             /* 0..1, mean probability of the generated tokens, end token included */
    const char *model;             /* for people */
    const char *model_fingerprint; /* SHA-256 hex of the model's bytes */
    const char *precision;         /* "q8_0", "bf16", ... */
    const char *sampling;          /* canonical text of the sampling settings */
    const char *template_id;       /* "nano@1"; a file's is its SHA-256 */
    const char *engine;            /* engine version and kernel set: provenance */
    uint32_t tokens_in, tokens_out;
    int64_t inference_ms; /* from admission to the last token */
    bool reused;          /* an equal result of another record: nothing was inferred */
    /* Why it is not good enough, NULL where it is. Set on what the store hands out; store_settle takes the
     * outcome's kind and reason instead. */
    const char *degraded_reason;
};

enum outcome_kind {
    OUTCOME_UNKNOWN,
    OUTCOME_COMPLETED, /* summary */
    OUTCOME_DEGRADED,  /* summary, reason */
    OUTCOME_FAILED,    /* error_id, reason */
    OUTCOME_SKIPPED,   /* reason */
    OUTCOME_RELEASED,  /* back to PENDING; this attempt is not counted against the record */
    OUTCOME_RETRY      /* error_id, reason, retry_unix_us: back to PENDING, not before then; counted */
};

struct outcome {
    const char *record_id;
    uint32_t attempt;
    enum outcome_kind kind;
    const struct summary *summary; /* COMPLETED, DEGRADED; else NULL */
    const char *error_id;          /* FAILED, RETRY: "INFER-0005"; else NULL */
    const char *reason;            /* FAILED, RETRY, SKIPPED, DEGRADED; else NULL */
    int64_t retry_unix_us;         /* RETRY; else 0 */
    const char *run_id;            /* of the run whose row counts it; NULL: none */
    bool stale;                    /* out: the lease was no longer this attempt's; nothing was stored */
};

struct store_counts {
    uint64_t by_state[RECORD_STATE_COUNT];
    uint64_t total;
    uint64_t summaries;
    uint64_t tokens_in, tokens_out; /* of the current summaries */
};
/* Reasons of a kind: what stands before the colon is equal, "ungrounded: 'x' is not in the source". */
struct reason_count {
    char *kind;
    char *example; /* one whole reason, the first in byte order; the kind where that is all */
    enum record_state state;
    uint64_t count;
};
struct reason_counts { /* most frequent first, then by kind */
    struct reason_count *rows;
    size_t count;
};
void reason_counts_release(struct reason_counts *counts);

struct owner_list {
    char **owners;
    size_t count;
};
void owner_list_release(struct owner_list *list);

/* A record as listed and exported. Borrowed for the call of the visitor. */
struct record_row {
    const char *id, *source, *path, *language;
    uint32_t first_line, last_line, position;
    enum record_state state;
    uint32_t attempt;              /* number of its last lease; only grows, so that it guards results */
    uint32_t tries;                /* leases that count against it: all but those settled as RELEASED */
    const char *error_id, *reason; /* NULL where none */
    uint8_t content_sha256[SHA256_BYTES];
    size_t content_length;
    const char *content;           /* only when the filter asks for it, else NULL */
    int64_t state_unix_us;         /* when it entered the state */
    int64_t retry_unix_us;         /* PENDING after a RETRY: not before then; else 0 */
    const struct summary *summary; /* the current one; NULL where none */
    int64_t summary_unix_us;
    bool summary_current;            /* false only in a listing with_versions */
    bool summary_of_present_content; /* false: of what the record held before */
};
struct record_filter {
    enum record_state state; /* RECORD_UNKNOWN: all */
    const char *path_glob;   /* SQLite GLOB rules: * crosses '/'; NULL: all */
    const char *id_prefix;   /* NULL: all */
    bool id_whole;           /* id_prefix is a whole id: what it merely begins is not meant */
    uint64_t limit;          /* 0: all; counts visits */
    bool with_content;
    bool with_versions; /* a record is visited once for each of its summaries, the newest first, or once */
};
/* Returns OK to go on; another code stops the listing and is returned from store_list. */
typedef dobby_code record_visit_fn(void *context, const struct record_row *row, struct dobby_error *err);

struct store;

/* Closes and frees; NULL is fine. Leases stay. */
void store_close(struct store *store);

/* ---- ingest: one synchronisation of one source at a time per handle ---- */

/* A source of which a synchronisation was ever begun. Borrowed for the call of the visitor. */
struct source_row {
    const char *name;
    bool empty; /* it has no record */
};
typedef dobby_code source_visit_fn(void *context, const struct source_row *row, struct dobby_error *err);
/* Visits the sources in byte order of their names. Reads only. */
DOBBY_NODISCARD dobby_code store_sources(struct store *store, source_visit_fn *visit, void *context,
                                         struct dobby_error *err);
/* Starts a synchronisation of `source`. What store_put puts until store_sync_end is what the source
 * holds now. Nothing is removed before store_sync_end; without it (a crash) nothing is lost. Of two handles
 * that synchronise one source the later one goes on; the earlier one's store_put and store_sync_end fail with
 * STORE_SYNC_LOST. */
DOBBY_NODISCARD dobby_code store_sync_begin(struct store *store, const char *source, int64_t now_unix_us,
                                            struct dobby_error *err);
/* One transaction for all. A record that is there with equal content keeps its state and summary; its
 * position, lines, path, language and cut follow the input; a cut alone is no update. New content under an
 * old id (a table's row), or a skip_reason that comes, goes or changes, makes it new again, PENDING or
 * SKIPPED, with no current summary: the old one stays as a version. A record that store_settle skipped stays
 * so. What is unchanged is not written. Adds to *counts. count at most LIMIT_BATCH_RECORDS. Fails:
 * INVALID_ARGUMENT (also when an id is another source's), STORE_BUSY, STORE_FULL, STORE_READ_ONLY,
 * STORE_FAILED, LIMIT_EXCEEDED, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code store_put(struct store *store, const struct record_input *records, size_t count,
                                     int64_t now_unix_us, struct put_counts *counts, struct dobby_error *err);
/* Removes the source's records that were not put since store_sync_begin, with their summaries. Of
 * those only the ones whose path is path_scope or lies below it ("" is everything). */
DOBBY_NODISCARD dobby_code store_sync_end(struct store *store, const char *path_scope,
                                          struct put_counts *counts, struct dobby_error *err);

/* ---- work ---- */

/* Leases up to limit (at most LIMIT_BATCH_RECORDS, and LIMIT_BATCH_CONTENT_BYTES of content) records to owner
 * until lease_until_unix_us; attempt + 1 and tries + 1 each. Candidates are PENDING ones in the order in
 * which they were put, PENDING ones whose retry has come, PENDING ones whose retry is more than
 * LIMIT_RETRY_WAIT_MS ahead, and LEASED ones whose lease has expired, these three in the order of those
 * times; limit of each, then what was put first. An empty batch means that there is nothing to claim before
 * out->next_unix_us, and when that is 0, that nothing is left. */
DOBBY_NODISCARD dobby_code store_claim(struct store *store, const char *owner, int64_t now_unix_us,
                                       int64_t lease_until_unix_us, size_t limit, struct record_batch *out,
                                       struct dobby_error *err);
/* Moves the end of owner's leases to lease_until_unix_us; *renewed counts them. */
DOBBY_NODISCARD dobby_code store_renew(struct store *store, const char *owner, int64_t lease_until_unix_us,
                                       uint64_t *renewed, struct dobby_error *err);
/* Settles up to LIMIT_BATCH_RECORDS leases in one transaction and sets each outcome's stale. Where the record
 * has a summary with the same result key, that one becomes current, with its id, text and engine; the rest of
 * its provenance follows the outcome. The counts of each outcome's run, where there is such a row, grow in
 * the same transaction by what run_counts_add says: so they are exact whenever the run dies. */
DOBBY_NODISCARD dobby_code store_settle(struct store *store, struct outcome *outcomes, size_t count,
                                        int64_t now_unix_us, struct dobby_error *err);
/* The owners that hold leases, in byte order. */
DOBBY_NODISCARD dobby_code store_owners(struct store *store, struct owner_list *out, struct dobby_error *err);
/* Returns all of owner's leases to PENDING; *released counts them. Their tries stay: it is for owners that
 * died, perhaps of the record; who gives up leases while alive settles them as RELEASED. */
DOBBY_NODISCARD dobby_code store_release_owner(struct store *store, const char *owner, int64_t now_unix_us,
                                               uint64_t *released, struct dobby_error *err);

/* ---- reading ---- */

/* Costs the same at any number of records. */
DOBBY_NODISCARD dobby_code store_count(struct store *store, struct store_counts *out,
                                       struct dobby_error *err);
/* Why records are failed, skipped or degraded: the LIMIT_REASON_ROWS most frequent kinds of reasons. */
DOBBY_NODISCARD dobby_code store_reasons(struct store *store, struct reason_counts *out,
                                         struct dobby_error *err);
/* Visits in the order of source, path, position. Streams: memory does not grow with the rows; takes no lease
 * and writes nothing. */
DOBBY_NODISCARD dobby_code store_list(struct store *store, const struct record_filter *filter,
                                      record_visit_fn *visit, void *context, struct dobby_error *err);
/* Visits the one record whose id is or begins with id. Fails: STORE_NOT_FOUND, STORE_AMBIGUOUS_ID. */
DOBBY_NODISCARD dobby_code store_get(struct store *store, const char *id, record_visit_fn *visit,
                                     void *context, struct dobby_error *err);

/* ---- health ---- */

struct store_health {
    uint32_t schema_version;            /* 0 where there is no schema */
    uint64_t database_bytes, log_bytes; /* log: the WAL's, 0 where there is none */
    uint64_t free_bytes;                /* within the database, to be used again */
    char problem[256];                  /* the first thing found wrong; "" where nothing is */
};
/* Looks for damage. Reads the whole database when thorough (a second for each few hundred MB), else only
 * what opening it needs. A damaged store is no failure of the call: out->problem says what is wrong. */
DOBBY_NODISCARD dobby_code store_examine(struct store *store, bool thorough, struct store_health *out,
                                         struct dobby_error *err);

#endif
