/* Verdicts of contracts by their figures. No figure of this machine is a test. */
#include "app/contracts.h"
#include "unit/test.h"

#include <math.h>
#include <string.h>

static void verdicts_follow_the_figures(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool at_least;
        double limit, measured;
        enum contract_verdict want;
    } rows[] = {
        {"below", false, 10, 9.99, CONTRACT_MET},
        {"the limit itself is too much", false, 10, 10, CONTRACT_BROKEN},
        {"above", false, 10, 11, CONTRACT_BROKEN},
        {"nothing is below", false, 1, 0, CONTRACT_MET},
        {"as much as asked for", true, 99, 99, CONTRACT_MET},
        {"more", true, 10, 12, CONTRACT_MET},
        {"less", true, 10, 9.99, CONTRACT_BROKEN},
        {"no number, at most", false, 10, NAN, CONTRACT_BROKEN},
        {"no number, at least", true, 10, NAN, CONTRACT_BROKEN},
    };
    struct contract_list list = {.count = 0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct contract contract = {.row = "0",
                                          .what = rows[i].name,
                                          .engine = "",
                                          .unit = "s",
                                          .at_least = rows[i].at_least,
                                          .limit = rows[i].limit,
                                          .measured = rows[i].measured,
                                          .verdict = CONTRACT_NOT_MEASURED};
        contract_add(&list, &contract);
        if (list.rows[i].verdict != rows[i].want)
            fail_msg("%s: %s", rows[i].name, contract_verdict_name(list.rows[i].verdict));
    }
    assert_int_equal(contract_count(&list, CONTRACT_MET), 4);
    assert_int_equal(contract_count(&list, CONTRACT_BROKEN), 5);
}

static void what_is_not_measured_is_not_met(void **state)
{
    (void)state;
    struct contract_list list = {.count = 0};
    const struct contract contract = {.row = "0",
                                      .what = "x",
                                      .engine = "",
                                      .unit = "s",
                                      .limit = 10,
                                      .measured = 1,
                                      .verdict = CONTRACT_MET};
    contract_add_missing(&list, &contract, "there is no clock");
    assert_int_equal(list.rows[0].verdict, CONTRACT_NOT_MEASURED);
    assert_string_equal(list.rows[0].note, "there is no clock");
    assert_int_equal(contract_count(&list, CONTRACT_MET), 0);
    assert_int_equal(contract_count(&list, CONTRACT_NOT_MEASURED), 1);
}

static void a_failure_on_the_way_fails_the_call(void **state)
{
    (void)state;
    struct dobby_error err = {0};
    struct contract_list list = {.count = 0};
    struct config config;
    const struct config_source source = {.origin = CONFIG_FROM_FLAG, .name = "--model"};
    assert_ok(config_init(&config, &err), &err);
    assert_ok(config_set(&config, CONFIG_MODEL_PATH, "/nonexistent/model.gguf", &source, &err), &err);
    const struct contract_options nowhere = {.config = &config, .directory = "/nonexistent"},
                                  options = {.config = &config, .directory = "/tmp"};
    assert_code(contracts_store(&nowhere, &list, &err), DOBBY_FILE_NOT_FOUND);
    assert_code(contracts_run(&nowhere, "embedded", &list, &err), DOBBY_FILE_NOT_FOUND);
    assert_code(contracts_backpressure(&nowhere, &list, &err), DOBBY_FILE_NOT_FOUND);
    assert_code(contracts_engine(&options, &list, &err), DOBBY_MODEL_NOT_FOUND);
    assert_code(contracts_run(&options, "embedded", &list, &err), DOBBY_MODEL_NOT_FOUND);
    assert_int_equal(list.count, 0);
    config_release(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_follow_the_figures),
        cmocka_unit_test(what_is_not_measured_is_not_met),
        cmocka_unit_test(a_failure_on_the_way_fails_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
