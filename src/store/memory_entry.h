/* What the memory store keeps, for its files alone. */
#ifndef STORE_MEMORY_ENTRY_H
#define STORE_MEMORY_ENTRY_H

#include "store/store_ops.h"

struct entry {
    char *id, *source, *path, *language, *content;
    size_t content_length;
    uint8_t content_sha256[SHA256_BYTES];
    uint32_t first_line, last_line, position;
    enum record_state state;
    bool excluded; /* SKIPPED by the source's reader, not by a run */
    uint32_t attempt, tries;
    char *owner; /* LEASED: whose lease; else NULL */
    int64_t lease_until_us;
    char *error_id, *reason;
    int64_t state_us;
    struct summary *summary; /* its strings are ours; NULL where none */
    int64_t summary_us;
    bool seen; /* put since sync_begin */
};

struct memory_store {
    struct store store; /* first: a memory store is a store */
    struct entry **entries;
    size_t count, capacity;
    char *source; /* of the synchronisation */
};

/* The record as it is when it is new; NULL when out of memory. */
struct entry *entry_new(const struct record_input *input, const char *source, int64_t now_us);
void entry_free(struct entry *entry);                     /* NULL is fine */
struct summary *summary_copy(const struct summary *from); /* NULL when out of memory */
void summary_free(struct summary *summary);               /* NULL is fine */
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

#endif
