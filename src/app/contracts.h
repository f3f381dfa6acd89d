/* The contracts of speed, size and reliability that Dobby promises, and what is measured of them here.
 *
 * Each measuring function adds its rows. What cannot be measured is added as such, with the reason; what
 * fails on the way fails the call, so that no row is met by accident. */
#ifndef APP_CONTRACTS_H
#define APP_CONTRACTS_H

#include "app/bench_pipeline.h"

enum contract_verdict { CONTRACT_UNKNOWN, CONTRACT_MET, CONTRACT_BROKEN, CONTRACT_NOT_MEASURED };
const char *contract_verdict_name(enum contract_verdict verdict); /* "met", "broken", "not measured" */

enum { CONTRACTS_MAX = 64, CONTRACT_NOTE_BYTES = 120 };

struct contract {
    const char *row;    /* of the list of requirements: "1.9" */
    const char *what;   /* static */
    const char *engine; /* "embedded", "null"; "" where none takes part */
    const char *unit;   /* "ms", "s", "MB", "%", "records", "records/s" */
    bool at_least;      /* measured must not be below the limit; else not reach it */
    double limit, measured;
    enum contract_verdict verdict;
    char note[CONTRACT_NOTE_BYTES]; /* why it is not measured, or how it is; "" for nothing */
};
struct contract_list {
    struct contract rows[CONTRACTS_MAX];
    size_t count;
};
/* Adds a row and its verdict by the figures. */
void contract_add(struct contract_list *list, const struct contract *contract);
/* Adds a row that is not measured; the note says why. */
void contract_add_missing(struct contract_list *list, const struct contract *contract, const char *why);
size_t contract_count(const struct contract_list *list, enum contract_verdict verdict);

struct contract_options {
    const struct config *config;
    const char *directory; /* databases are made in it, and removed */
    bool full;             /* what takes many minutes too */
};
/* 1.9: the store. */
DOBBY_NODISCARD dobby_code contracts_store(const struct contract_options *options, struct contract_list *list,
                                           struct dobby_error *err);
/* 2.13: the engine, with the configured model. */
DOBBY_NODISCARD dobby_code contracts_engine(const struct contract_options *options,
                                            struct contract_list *list, struct dobby_error *err);
/* 3.5: a run whose store is slowed to a crawl, with the engine that the configuration says: the null engine,
 * since nothing else keeps the store busy all the time. */
DOBBY_NODISCARD dobby_code contracts_backpressure(const struct contract_options *options,
                                                  struct contract_list *list, struct dobby_error *err);
/* 3.15: whole runs, with the engine that the configuration says; label is "embedded" or "null". */
DOBBY_NODISCARD dobby_code contracts_run(const struct contract_options *options, const char *label,
                                         struct contract_list *list, struct dobby_error *err);

#endif
