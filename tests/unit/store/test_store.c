#include "store/store.h"
#include "unit/test.h"

static void state_names_read_back(void **state)
{
    (void)state;
    for (enum record_state s = RECORD_PENDING; s < RECORD_STATE_COUNT; s++)
        assert_int_equal(record_state_parse(record_state_name(s)), s);
}

static void other_names_are_no_state(void **state)
{
    static const char *const names[] = {"", "unknown", "Pending", "pending ", "done"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(record_state_parse(names[i]), RECORD_UNKNOWN);
    assert_int_equal(record_state_parse(NULL), RECORD_UNKNOWN);
    assert_string_equal(record_state_name(RECORD_STATE_COUNT), "unknown");
    assert_string_equal(record_state_name((enum record_state) - 1), "unknown");
}

static void nothing_can_be_released(void **state)
{
    struct record_batch batch = {0};
    struct reason_counts reasons = {0};
    struct owner_list owners = {0};
    (void)state;
    record_batch_release(&batch);
    reason_counts_release(&reasons);
    owner_list_release(&owners);
    store_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_names_read_back),
        cmocka_unit_test(other_names_are_no_state),
        cmocka_unit_test(nothing_can_be_released),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
