/* Process identities, clocks, random ids and threads. */
#include "os/clock.h"
#include "os/process.h"
#include "os/random.h"
#include "os/thread.h"
#include "unit/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void an_identity_survives_its_text(void **state)
{
    (void)state;
    struct dobby_error err;
    struct process_identity self, back;
    char text[PROCESS_IDENTITY_TEXT_BYTES + 16], again[PROCESS_IDENTITY_TEXT_BYTES];
    assert_ok(process_identity_self(&self, &err), &err);
    assert_int_equal(self.pid, getpid());
    assert_true(self.start_ticks > 0);
    process_identity_format(&self, text);
    assert_ok(process_identity_parse(text, &back, &err), &err);
    process_identity_format(&back, again);
    assert_string_equal(text, again);
    memcpy(text + strlen(text), ";id=7", 6); /* what follows is its owner's business */
    assert_ok(process_identity_parse(text, &back, &err), &err);
    assert_false(process_is_dead(&back));
}

static void texts_that_name_no_process_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "worker-7",
        "host=a;boot=b;ns=1;pid=2",
        "host=a;boot=b;ns=1;pid=0;start=5",
        "host=a;boot=b;ns=1;pid=-4;start=5",
        "host=a;boot=b;ns=1;pid=99999999999;start=5",
        "host=a;boot=b;ns=1;pid=4;start=x",
        "host=a;boot=0123456789012345678901234567890123456789;ns=1;pid=4;start=5",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct process_identity identity;
        assert_code(process_identity_parse(cases[i], &identity, NULL), DOBBY_INVALID_ARGUMENT);
        assert_int_equal(identity.pid, 0);
    }
}

static void only_a_process_that_is_surely_gone_is_dead(void **state)
{
    (void)state;
    struct dobby_error err;
    struct process_identity self, other;
    assert_ok(process_identity_self(&self, &err), &err);
    assert_false(process_is_dead(&self));

    other = self;
    other.start_ticks++; /* the pid was given to somebody else */
    assert_true(process_is_dead(&other));
    memcpy(other.boot_id, "another boot", sizeof "another boot");
    assert_true(process_is_dead(&other));
    memcpy(other.host, "elsewhere", sizeof "elsewhere");
    assert_false(process_is_dead(&other));

    other = self;
    other.pid_namespace++;
    other.start_ticks++;
    assert_false(process_is_dead(&other));

    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_true(child > 0);
    other = self;
    other.pid = child;
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_true(process_is_dead(&other)); /* a zombie */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(process_is_dead(&other)); /* gone */
}

static void this_process_knows_itself(void **state)
{
    (void)state;
    char directory[4096];
    assert_true(process_executable_directory(directory, sizeof directory));
    assert_int_equal(directory[0], '/');
    assert_false(process_executable_directory(directory, 4));
    assert_true(process_peak_rss_bytes() > 100000);
    assert_true(thread_cpu_count() >= 1);
}

static void times_print_as_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *want;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {INT64_C(1700000000123456), "2023-11-14T22:13:20.123Z"},
        {-1, "1969-12-31T23:59:59.000Z"},
        {-1000, "1969-12-31T23:59:59.999Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[CLOCK_TEXT_BYTES];
        clock_format(cases[i].us, text);
        if (i != 2) /* -1 us rounds to the millisecond in either direction */
            assert_string_equal(text, cases[i].want);
    }
    int64_t before = clock_monotonic_ns();
    clock_sleep_ms(2);
    clock_sleep_ms(-5);
    assert_true(clock_monotonic_ns() - before >= 1000000);
}

static void ids_differ_and_grow_with_time(void **state)
{
    (void)state;
    char first[UUID_TEXT_BYTES], second[UUID_TEXT_BYTES];
    struct dobby_error err;
    assert_ok(uuid7_new(first, &err), &err);
    clock_sleep_ms(3);
    assert_ok(uuid7_new(second, &err), &err);
    assert_true(strcmp(first, second) < 0);
}

struct shared {
    struct mutex lock;
    struct condition changed;
    int count; /* guarded by lock */
};

static void add_one(void *argument)
{
    struct shared *shared = argument;
    mutex_lock(&shared->lock);
    shared->count++;
    condition_broadcast(&shared->changed);
    mutex_unlock(&shared->lock);
}

static void threads_meet_at_a_condition(void **state)
{
    (void)state;
    struct shared shared = {.count = 0};
    struct thread threads[4];
    struct dobby_error err;
    mutex_init(&shared.lock);
    condition_init(&shared.changed);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_ok(thread_start(&threads[i], "a name longer than fifteen bytes", add_one, &shared, &err),
                  &err);
    mutex_lock(&shared.lock);
    while (shared.count < 4)
        condition_wait(&shared.changed, &shared.lock);
    assert_false(condition_wait_until(&shared.changed, &shared.lock, clock_monotonic_ns() + 1000000));
    mutex_unlock(&shared.lock);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        thread_join(&threads[i]);
        thread_join(&threads[i]);
    }
    condition_signal(&shared.changed);
    condition_release(&shared.changed);
    mutex_release(&shared.lock);
}

static void the_peak_of_memory_begins_anew(void **state)
{
    (void)state;
    const size_t bytes = (size_t)64 << 20;
    /* Not by malloc: what is freed there need not leave the process. */
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    memset(memory, 1, bytes);
    assert_int_equal(memory[bytes - 1], 1);
    assert_int_equal(munmap(memory, bytes), 0);
    const uint64_t before = process_peak_rss_bytes();
    assert_true(before >= bytes);
    if (!process_reset_peak_rss()) {
        print_message("skipped: the kernel does not let the peak begin anew\n");
        skip();
    }
    assert_true(process_peak_rss_bytes() < before - bytes / 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_survives_its_text),
        cmocka_unit_test(texts_that_name_no_process_are_refused),
        cmocka_unit_test(only_a_process_that_is_surely_gone_is_dead),
        cmocka_unit_test(this_process_knows_itself),
        cmocka_unit_test(times_print_as_rfc_3339),
        cmocka_unit_test(ids_differ_and_grow_with_time),
        cmocka_unit_test(threads_meet_at_a_condition),
        cmocka_unit_test(the_peak_of_memory_begins_anew),
    };
    return cmocka_run_group_tests_name("os/process", tests, NULL, NULL);
}
