/* What the parts of the contract suite share. */
#ifndef CONTRACT_SUITE_HELPER_H
#define CONTRACT_SUITE_HELPER_H

#include "contract/backend_helper.h"
#include "contract/store_testing.h"

enum { SECOND = 1000000 };

struct suite_test {
    const char *name;
    CMUnitTestFunction test; /* *state is a new, empty store */
};
#define SUITE_TEST(name)                                                                                     \
    {                                                                                                        \
#name, name                                                                                          \
    }
/* Runs every test on every backend; what main returns. */
int suite_run(const char *name, const struct suite_test *tests, size_t count);

/* Claims up to limit records at now_us for 60 s and compares them with "id:attempt id:attempt ". */
void assert_claims(struct store *store, const char *owner, int64_t now_us, size_t limit, const char *want);
/* Settles one lease, with the summary of this number; returns whether it was stale. */
bool settle(struct store *store, const char *id, uint32_t attempt, enum outcome_kind kind, uint32_t number,
            int64_t now_us);
/* Brings the source "/src" to these inputs and compares the counts. */
void assert_put(struct store *store, const struct record_input *inputs, size_t count, const char *scope,
                struct put_counts want);
/* Puts count records r00, r01, ..., at most 64. */
void put_many(struct store *store, size_t count);

/* What a visitor saw last, "-" for what was NULL, and how often it was called. */
struct seen_row {
    unsigned count;
    enum record_state state;
    uint32_t attempt, tries, first_line, position;
    char path[64], reason[64], error_id[64], summary[64];
    char content[64];
    int64_t state_us, summary_us, retry_us;
    bool reused;
};

dobby_code see_row(void *context, const struct record_row *row, struct dobby_error *err);
/* The one record of this id. */
struct seen_row get_row(struct store *store, const char *id);

/* Claims what there is at now_us, completes the record with the summary of this number and releases the
 * others. */
void complete(struct store *store, const char *id, uint32_t number, int64_t now_us);

#endif
