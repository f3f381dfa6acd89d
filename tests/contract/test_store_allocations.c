/* On every backend each call is made to fail at each of its allocations in turn. After each failure the store
 * is as it was, nothing leaks, and the same call then works on the same handle. */
#include "allocation.h"
#include "contract/store_calls.h"
#include "contract/suite_helper.h"

static struct store *prepare(const struct backend *backend)
{
    struct store *store = backend->open();
    prepare_store(store);
    return store;
}

static void assert_dump(struct store *store, const char *want, const char *call, unsigned n)
{
    char *got = dump_store(store);
    if (strcmp(got, want) != 0)
        fail_msg("%s, allocation %u: the store is\n%s\nnot\n%s", call, n, got, want);
    free(got);
}

/* Fails the call at its n-th allocation, for n = 1 and up until it has no more. Returns the failures. */
static unsigned fail_everywhere(const struct backend *backend, const struct store_call *call)
{
    struct store *undisturbed = prepare(backend);
    char *before = dump_store(undisturbed);
    ASSERT_OK(call->call(undisturbed, err));
    char *after = dump_store(undisturbed);
    store_close(undisturbed);

    unsigned failures = 0;
    bool happened = true;
    struct store *store = prepare(backend);
    for (unsigned n = 1; happened; n++) {
        struct dobby_error failure = {0};
        allocation_fail(n);
        dobby_code code = call->call(store, &failure);
        happened = allocation_succeed();
        if (happened && code != DOBBY_OUT_OF_MEMORY)
            fail_msg("%s, allocation %u: %s: %s", call->name, n, dobby_code_name(code), failure.detail);
        if (!happened)
            assert_int_equal(code, DOBBY_OK);
        assert_dump(store, happened ? before : after, call->name, n);
        failures += happened;
    }
    store_close(store);
    free(before);
    free(after);
    return failures;
}

static void calls_fail_wholly(void **state)
{
    const struct backend *backend = *state;
    unsigned failures = 0;
    for (size_t i = 0; i < STORE_CALL_COUNT; i++)
        failures += fail_everywhere(backend, &store_calls[i]);
    print_message("    %s: %u failures\n", backend->name, failures);
    assert_int_not_equal(failures, 0);
}

static void opening_fails_wholly(void **state)
{
    const struct backend *backend = *state;
    bool happened = true;
    unsigned failures = 0;
    for (unsigned n = 1; happened; n++) {
        struct store *store = NULL;
        struct dobby_error failure = {0};
        allocation_fail(n);
        dobby_code code = backend->try_open(&store, &failure);
        happened = allocation_succeed();
        assert_int_equal(code, happened ? DOBBY_OUT_OF_MEMORY : DOBBY_OK);
        assert_int_equal(store == NULL, happened);
        store_close(store);
        failures += happened;
    }
    print_message("    %s: %u failures\n", backend->name, failures);
    assert_int_not_equal(failures, 0);
}

int main(void)
{
    static char names[BACKEND_COUNT][2][64];
    struct CMUnitTest tests[BACKEND_COUNT][2];
    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        (void)snprintf(names[i][0], sizeof names[i][0], "%s: calls", backends[i].name);
        (void)snprintf(names[i][1], sizeof names[i][1], "%s: opening", backends[i].name);
        tests[i][0] = (struct CMUnitTest){
            .name = names[i][0], .test_func = calls_fail_wholly, .initial_state = (void *)&backends[i]};
        tests[i][1] = (struct CMUnitTest){
            .name = names[i][1], .test_func = opening_fails_wholly, .initial_state = (void *)&backends[i]};
    }
    int failed =
        _cmocka_run_group_tests("store, allocations", tests[0], (size_t)2 * BACKEND_COUNT, NULL, NULL);
    backends_release();
    return failed;
}
