/* What every test includes: cmocka with the headers it wants, and short forms for fallible calls. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Fails the test with the error's id and detail. */
#define assert_ok(call, err)                                                                                 \
    do {                                                                                                     \
        dobby_code assert_ok_code = (call);                                                                  \
        if (assert_ok_code != DOBBY_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, dobby_code_name(assert_ok_code), (err)->detail);                   \
    } while (0)

#define assert_code(call, wanted)                                                                            \
    do {                                                                                                     \
        dobby_code assert_code_got = (call);                                                                 \
        if (assert_code_got != (wanted))                                                                     \
            fail_msg("%s: got %s, want %s", #call, dobby_code_name(assert_code_got),                         \
                     dobby_code_name(wanted));                                                               \
    } while (0)

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#endif
