/* What the memory store keeps, for its files alone. */
#ifndef STORE_MEMORY_ENTRY_H
#define STORE_MEMORY_ENTRY_H

#include "store/store_ops.h"

/* One summary of a record. */
struct version {
    struct summary *summary;              /* its strings are ours */
    uint8_t content_sha256[SHA256_BYTES]; /* of what it summarises */
    int64_t created_us;
    uint64_t number; /* over the whole store, in the order of storing */
};

struct entry {
    char *id, *source, *path, *language, *content;
    char *cut; /* NULL: whole */
    size_t content_length;
    uint8_t content_sha256[SHA256_BYTES];
    uint32_t first_line, last_line, position;
    enum record_state state;
    bool excluded; /* SKIPPED by the source's reader, not by a run */
    uint32_t attempt, tries;
    char *owner; /* LEASED: whose lease; else NULL */
    int64_t lease_until_us;
    int64_t retry_us; /* PENDING: not before then; else 0 */
    char *error_id, *reason;
    int64_t state_us;
    struct version *versions; /* the oldest first */
    size_t version_count, version_capacity;
    size_t current; /* of versions; version_count where none is */
    bool seen;      /* put since sync_begin */
};

struct memory_store {
    struct store store; /* first: a memory store is a store */
    struct entry **entries;
    size_t count, capacity;
    char *source;   /* of the synchronisation */
    char **sources; /* all that were ever synchronised, sorted */
    size_t source_count;
    uint64_t version_number;
    uint32_t attempt_floor; /* the largest attempt of all removed records: new ones begin with it */
    struct run_row *runs;   /* the oldest first; their strings are ours */
    size_t run_count, run_capacity;
};

/* The record as it is when it is new; NULL when out of memory. */
struct entry *entry_new(const struct record_input *input, const char *source, int64_t now_us);
void entry_free(struct entry *entry);                     /* NULL is fine */
struct summary *summary_copy(const struct summary *from); /* NULL when out of memory */
void summary_free(struct summary *summary);               /* NULL is fine */
/* The current summary's version; NULL where there is none. */
struct version *entry_current(const struct entry *entry);
/* Room for one version more; false when out of memory. */
bool entry_reserve_version(struct entry *entry);
/* The version with this result key; version_count where there is none. */
size_t entry_find_version(const struct entry *entry, const uint8_t result_key[SHA256_BYTES]);
void run_row_release(struct run_row *row);
/* NULL begins everything. */
bool text_begins_with(const char *text, const char *prefix);
/* Copies text to *copy; NULL stays NULL. False when out of memory. */
bool text_copy(char **copy, const char *text);
void text_swap(char **a, char **b);
/* The index of the record with this id; count where there is none. */
size_t memory_find(const struct memory_store *memory, const char *id);

/* ---- the operations in files of their own ---- */

/* memory_work.c */
dobby_code memory_claim(struct store *, const char *owner, int64_t now_unix_us, int64_t lease_until_unix_us,
                        size_t limit, struct record_batch *, struct dobby_error *);
dobby_code memory_renew(struct store *, const char *owner, int64_t lease_until_unix_us, uint64_t *renewed,
                        struct dobby_error *);
dobby_code memory_settle(struct store *, struct outcome *, size_t count, int64_t now_unix_us,
                         struct dobby_error *);
dobby_code memory_owners(struct store *, struct owner_list *, struct dobby_error *);
dobby_code memory_release_owner(struct store *, const char *owner, int64_t now_unix_us, uint64_t *released,
                                struct dobby_error *);
/* memory_read.c */
dobby_code memory_count(struct store *, struct store_counts *, struct dobby_error *);
dobby_code memory_reasons(struct store *, struct reason_counts *, struct dobby_error *);
dobby_code memory_list(struct store *, const struct record_filter *, record_visit_fn *, void *context,
                       struct dobby_error *);
dobby_code memory_get(struct store *, const char *id, record_visit_fn *, void *context, struct dobby_error *);
dobby_code memory_examine(struct store *, bool thorough, struct store_health *, struct dobby_error *);
/* Whether the filter, but for its limit, chooses the record. */
bool memory_matches(const struct entry *entry, const struct record_filter *filter);
/* The one record whose id is or begins with id. */
dobby_code memory_find_one(struct memory_store *memory, const char *id, struct entry **found,
                           struct dobby_error *err);
/* memory_runs.c */
dobby_code memory_run_begin(struct store *, const struct run_row *, struct dobby_error *);
dobby_code memory_run_update(struct store *, const struct run_row *, enum run_command *,
                             struct dobby_error *);
dobby_code memory_run_poll(struct store *, const char *id, enum run_command *, struct dobby_error *);
dobby_code memory_run_command(struct store *, const char *id_prefix, enum run_command, int64_t now_unix_us,
                              struct dobby_error *);
void memory_run_count(struct memory_store *, const struct outcome *);
dobby_code memory_run_lost(struct store *, const char *owner, int64_t now_unix_us, uint64_t *lost,
                           struct dobby_error *);
dobby_code memory_run_list(struct store *, const struct run_filter *, run_visit_fn *, void *context,
                           struct dobby_error *);
/* memory_versions.c */
dobby_code memory_find_results(struct store *, const uint8_t (*keys)[SHA256_BYTES], size_t count,
                               summary_visit_fn *, void *context, struct dobby_error *);
dobby_code memory_stale_count(struct store *, const struct provenance_key *, uint64_t *count,
                              struct dobby_error *);
dobby_code memory_cuts(struct store *, const char *want, cut_visit_fn *, void *context, struct dobby_error *);
dobby_code memory_requeue_stale(struct store *, const struct provenance_key *, int64_t now_unix_us,
                                uint64_t limit, struct stale_counts *, struct dobby_error *);
dobby_code memory_requeue(struct store *, const struct record_filter *, int64_t now_unix_us, uint64_t *count,
                          struct dobby_error *);

#endif
