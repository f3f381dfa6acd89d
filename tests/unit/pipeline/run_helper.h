/* A store with records, a fake engine and a run over both. */
#ifndef TESTS_UNIT_PIPELINE_RUN_HELPER_H
#define TESTS_UNIT_PIPELINE_RUN_HELPER_H

#include "pipeline/run.h"
#include "unit/pipeline/fake_engine_helper.h"
#include "unit/pipeline/faulty_store_helper.h"

enum { FIXTURE_TOKENS_MAX = 20 };

struct fixture {
    struct store *memory;
    struct faulty_store store;
    struct fake_engine engine;
    struct prompt_template *prompt; /* "{content}" */
    struct run_options options;
    struct run_progress progress;
    struct dobby_error err;
    char run_id[UUID_TEXT_BYTES]; /* of the last run */
    struct run_progress told;     /* the last that was told */
    uint32_t told_count;
    dobby_code outage;                        /* the last that was told; OK: none */
    uint32_t phases;                          /* bits of the phases that were told */
    void (*on_told)(struct fixture *fixture); /* NULL: nothing */
    uint32_t asked;                           /* for requests */
    uint32_t drain_at, stop_at;               /* ask so after so many questions; 0: never */
};

void fixture_open(struct fixture *fixture, uint32_t sessions);
void fixture_close(struct fixture *fixture);
/* Puts records r000, r001, ... with these contents; NULL: "content of <id>". */
void fixture_put(struct fixture *fixture, size_t count, const char *const *contents);
dobby_code fixture_run(struct fixture *fixture);
uint64_t fixture_count(struct fixture *fixture, enum record_state state);

/* What the tests look at in a record. */
struct row_copy {
    enum record_state state;
    uint32_t attempt, tries;
    char text[512], reason[512], error_id[32];
    uint8_t key[SHA256_BYTES];
    struct summary summary; /* its strings are gone */
    char sampling[256], template_id[128], engine[128], model[64];
};
/* The run's row in the store. */
struct run_copy {
    enum run_state state;
    struct run_counts counts;
    bool ended;
    char reason[512], metrics[16384], settings[2048];
};
void fixture_run_row(struct fixture *fixture, struct run_copy *out);
void fixture_row(struct fixture *fixture, size_t number, struct row_copy *out);

#endif
