/* What a store holds after runs, as a table that two of them can be compared by. */
#ifndef TESTS_PROPERTY_TABLE_HELPER_H
#define TESTS_PROPERTY_TABLE_HELPER_H

#include "store/store_runs.h"

struct table_row {
    char id[24];
    enum record_state state;
    uint32_t tries;
    char text[256], reason[256], error_id[24], sampling[192];
    uint8_t key[SHA256_BYTES];
    uint32_t tokens_in, tokens_out;
    double confidence;
    bool reused; /* which of several equal ones was inferred is no part of a result: not compared */
};

struct table {
    struct table_row *rows; /* in the order of their position */
    size_t count;
};

void table_read(struct store *store, struct table *out);
void table_release(struct table *table);
/* Fails the test with the first row that differs. */
void tables_assert_equal(const struct table *want, const struct table *have, const char *what);

/* The counters of all runs of the store together; total is the last one's. */
struct run_counts runs_sum(struct store *store);
/* Fails the test unless the runs' counters are what the table holds. */
void counts_assert_match(const struct run_counts *counts, const struct table *table, const char *what);

/* A fresh SQLite store in a directory that files_release removes. */
struct store *files_open(void);
void files_release(void);

uint64_t bits_of(uint64_t number); /* SplitMix64 (Steele, Lea, Flood 2014) */

#endif
