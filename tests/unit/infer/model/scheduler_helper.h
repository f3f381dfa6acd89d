/* A scheduler over the tiny model whose thread can be held within a pass, so that a test decides what waits
 * when the next step is planned. */
#ifndef TESTS_UNIT_INFER_MODEL_SCHEDULER_HELPER_H
#define TESTS_UNIT_INFER_MODEL_SCHEDULER_HELPER_H

#include "infer/model/scheduler.h"
#include "unit/infer/model/tiny_model_helper.h"

enum { HELPER_WAIT_MS = 60000 };

/* setup and teardown of a cmocka group */
int helper_open(void **state);
int helper_close(void **state);

struct scheduler *helper_scheduler(uint32_t sessions, uint32_t pages);
uint64_t helper_page_bytes(void);

/* Between the two calls no pass ends: what is submitted to a scheduler that runs something stays queued. */
void helper_hold(void);
void helper_let_go(void);
/* Submits a request and returns when the held scheduler runs it. */
void helper_occupy(struct scheduler *scheduler, const struct engine_request *request);

struct helper_prompt {
    int32_t tokens[TINY_POSITIONS];
    size_t count;
};
/* The first `common` tokens depend on `family` alone, the others on `number`, too. */
struct helper_prompt helper_prompt(uint32_t family, size_t common, uint32_t number, size_t count);
struct engine_request helper_request(uint64_t tag, const struct helper_prompt *prompt, uint32_t tokens_max);
dobby_code helper_submit(struct scheduler *scheduler, const struct engine_request *request);
/* Waits for one result; fails the test when none comes. Release it. */
struct engine_result helper_result(struct scheduler *scheduler);
struct engine_stats helper_stats(struct scheduler *scheduler);
void helper_assert_same(const struct engine_result *a, const struct engine_result *b, const char *what);

#endif
