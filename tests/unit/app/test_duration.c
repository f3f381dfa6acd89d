#include "app/duration.h"
#include "unit/test.h"

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } rows[] = {
        {"90", 90000},
        {"90s", 90000},
        {"45m", 2700000},
        {"8h", 28800000},
        {"1h30m", 5400000},
        {"1.5h", 5400000},
        {"2d", 172800000},
        {"500ms", 500},
        {"1s500ms", 1500},
        {"0.5", 500},
        {"1d2h3m4s5ms", 93784005},
        {"366d", 31622400000},
        {"", 0},
        {"0", 0},
        {"0s", 0},
        {"367d", 0},
        {"-5s", 0},
        {"+5s", 0},
        {" 5s", 0},
        {"5s ", 0},
        {"5 s", 0},
        {"s", 0},
        {"5x", 0},
        {"5S", 0},
        {"30m1h", 0},
        {"1h1h", 0},
        {"1h30", 0},
        {"1e3", 0},
        {"0x10", 0},
        {"inf", 0},
        {"nan", 0},
        {"1.", 0},
        {".5s", 0},
        {"1..5s", 0},
        {"1.5.5s", 0},
        {"99999999999999999999999", 0},
        {"five minutes", 0},
        {"5\xC3\xA4", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err = {0};
        int64_t ms = -1;
        dobby_code code = duration_parse("max-time", rows[i].text, &ms, &err);
        if (ms != rows[i].ms || (code == DOBBY_OK) != (rows[i].ms > 0))
            fail_msg("'%s': %lld ms, want %lld", rows[i].text, (long long)ms, (long long)rows[i].ms);
        if (rows[i].ms == 0)
            assert_int_equal(err.code, DOBBY_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(durations)};
    return cmocka_run_group_tests_name("durations", tests, NULL, NULL);
}
