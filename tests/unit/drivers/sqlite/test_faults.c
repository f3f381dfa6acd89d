/* Every call is made to fail at each of its allocations, writes, fsyncs, reads and mappings in turn. After
 * each failure the store is as it was, and the same call then works on the same handle. */
#include "contract/store_calls.h"
#include "fault_helper.h"
#include "sqlite_helper.h"

static char *directory;

static dobby_code open_path(const char *name, struct store **store, struct dobby_error *err)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    struct store_sqlite_options options = {
        .path = path, .access = SQLITE_ACCESS_CREATE, .busy_timeout_ms = 0};
    return store_sqlite_open(&options, store, err);
}

static struct store *prepare(const char *name)
{
    struct store *store = NULL;
    ASSERT_OK(open_path(name, &store, err));
    prepare_store(store);
    return store;
}

static const struct fault_case {
    const char *name;
    enum fault_kind kind;
    dobby_code want;
} faults[] = {
    {"memory", FAULT_MEMORY, DOBBY_OUT_OF_MEMORY}, {"disk full", FAULT_DISK_FULL, DOBBY_STORE_FULL},
    {"write", FAULT_WRITE, DOBBY_STORE_FAILED},    {"sync", FAULT_SYNC, DOBBY_STORE_FAILED},
    {"read", FAULT_READ, DOBBY_STORE_FAILED},      {"shared map", FAULT_SHARED_MAP, DOBBY_STORE_FAILED},
};

static void assert_dump(struct store *store, const char *want, const char *call,
                        const struct fault_case *fault, unsigned n)
{
    char *got = dump_store(store);
    if (strcmp(got, want) != 0)
        fail_msg("%s, %s fault %u: the store is\n%s\nnot\n%s", call, fault->name, n, got, want);
    free(got);
}

/* Fails call at its n-th opportunity, for n = 1 and up until it runs through. Returns the failures. */
static unsigned fail_everywhere(size_t which, const struct fault_case *fault)
{
    const char *name = store_calls[which].name;
    struct store *store = prepare("undisturbed.db");
    char *before = dump_store(store);
    ASSERT_OK(store_calls[which].call(store, err));
    char *after = dump_store(store);
    store_close(store);

    unsigned failures = 0;
    bool happened = true;
    store = prepare("a.db");
    for (unsigned n = 1; happened; n++) {
        struct dobby_error failure = {0};
        fault_arm(fault->kind, n);
        dobby_code code = store_calls[which].call(store, &failure);
        happened = fault_disarm();
        if (code != DOBBY_OK) {
            failures++;
            assert_true(happened);
            if (code != fault->want)
                fail_msg("%s, %s fault %u: %s: %s", name, fault->name, n, dobby_code_name(code),
                         failure.detail);
            assert_dump(store, before, name, fault, n);
            continue;
        }
        /* Not every failure need be noticed: then the call did all its work. */
        assert_dump(store, after, name, fault, n);
        store_close(store);
        test_remove(test_path(directory, "a.db"));
        store = prepare("a.db");
    }
    /* One failure more, then on the same handle the same call as if nothing had been. */
    fault_arm(fault->kind, 1);
    dobby_code first_try = store_calls[which].call(store, NULL);
    (void)fault_disarm();
    if (first_try != DOBBY_OK)
        ASSERT_OK(store_calls[which].call(store, err));
    assert_dump(store, after, name, fault, 0);
    store_close(store);
    test_remove(test_path(directory, "a.db"));
    test_remove(test_path(directory, "undisturbed.db"));
    free(before);
    free(after);
    return failures;
}

static void calls_fail_wholly(void **state)
{
    const struct fault_case *fault = *state;
    unsigned failures = 0;
    for (size_t i = 0; i < STORE_CALL_COUNT; i++)
        failures += fail_everywhere(i, fault);
    print_message("%s: %u failures\n", fault->name, failures);
    /* The reads of so small a store all come from the cache. */
    if (fault->kind != FAULT_READ && fault->kind != FAULT_SHARED_MAP)
        assert_int_not_equal(failures, 0);
}

/* Making a database fails at each opportunity; a later try finishes what there is. */
static void opening_fails_wholly(void **state)
{
    const struct fault_case *fault = *state;
    unsigned failures = 0;
    bool happened = true;
    /* Opening allocates five thousand times, mostly to parse: of those every seventh is enough. */
    for (unsigned n = 1; happened; n += n < 100 ? 1 : 7) {
        struct store *store = NULL;
        struct dobby_error failure = {0};
        fault_arm(fault->kind, n);
        dobby_code code = open_path("open.db", &store, &failure);
        happened = fault_disarm();
        assert_int_equal(store == NULL, code != DOBBY_OK);
        if (code != DOBBY_OK) {
            failures++;
            assert_true(happened);
            assert_int_equal(failure.code, code);
            ASSERT_OK(open_path("open.db", &store, err));
        }
        char *text = dump_store(store);
        assert_non_null(strstr(text, "total=0"));
        free(text);
        store_close(store);
        test_remove(test_path(directory, "open.db"));
    }
    print_message("%s: %u failures\n", fault->name, failures);
    assert_int_not_equal(failures, 0);
}

int main(void)
{
    enum { FAULTS = sizeof faults / sizeof faults[0] };
    static char names[2 * FAULTS][64];
    struct CMUnitTest tests[2 * FAULTS];
    fault_install();
    directory = test_directory_open();

    for (size_t i = 0; i < FAULTS; i++) {
        (void)snprintf(names[2 * i], sizeof names[0], "calls, %s", faults[i].name);
        (void)snprintf(names[2 * i + 1], sizeof names[0], "opening, %s", faults[i].name);
        tests[2 * i] = (struct CMUnitTest){
            .name = names[2 * i], .test_func = calls_fail_wholly, .initial_state = (void *)&faults[i]};
        tests[2 * i + 1] = (struct CMUnitTest){
            .name = names[2 * i + 1], .test_func = opening_fails_wholly, .initial_state = (void *)&faults[i]};
    }
    int failed = _cmocka_run_group_tests("sqlite faults", tests, 2 * FAULTS, NULL, NULL);
    test_directory_close(directory);
    return failed;
}
