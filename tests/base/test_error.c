/* test_error.c: filling the caller's error. */
#include "test_support.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

static void test_base_error_records_status_and_sentence(void **state)
{
    (void)state;
    struct dp_error error = {0};
    assert_int_equal(dp_fail(&error, DP_CORRUPT, "list %d of %s", 7, "index"), DP_CORRUPT);
    assert_int_equal(error.status, DP_CORRUPT);
    assert_string_equal(error.message, "list 7 of index");
    dp_error_clear(&error);
    assert_int_equal(error.status, DP_OK);
    assert_string_equal(error.message, "");
}

static void test_base_error_may_be_null(void **state)
{
    (void)state;
    assert_int_equal(dp_fail(NULL, DP_IO, "x"), DP_IO);
    assert_int_equal(dp_fail_nomem(NULL, "x"), DP_NOMEM);
    assert_int_equal(dp_fail_errno(NULL, ENOENT, "open", "x"), DP_NOT_FOUND);
    dp_error_prefix(NULL, "x");
    dp_error_clear(NULL);
}

static void test_base_error_may_quote_itself(void **state)
{
    (void)state;
    struct dp_error error = {0};
    dp_fail(&error, DP_IO, "inner");
    dp_fail(&error, DP_UNAVAILABLE, "outer (%s)", error.message);
    assert_string_equal(error.message, "outer (inner)");
}

static void test_base_error_prefix_keeps_the_status(void **state)
{
    (void)state;
    struct dp_error error = {0};
    dp_fail(&error, DP_STALE, "changed");
    dp_error_prefix(&error, "segment %d", 3);
    assert_int_equal(error.status, DP_STALE);
    assert_string_equal(error.message, "segment 3: changed");
}

static void test_base_error_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    struct dp_error error = {0};
    char text[2 * DP_ERROR_MESSAGE_MAX];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 5);
        dp_fail(&error, DP_INVALID, "%s", text);
        size_t len = strlen(error.message);
        assert_in_range(len, DP_ERROR_MESSAGE_MAX - 5, DP_ERROR_MESSAGE_MAX - 1);
        assert_true(utf8_valid(span_str(error.message)));
    }
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    dp_fail(&error, DP_INVALID, "%s", text);
    assert_int_equal(strlen(error.message), DP_ERROR_MESSAGE_MAX - 1);
}

static void test_base_error_names_the_meaning_of_errno(void **state)
{
    (void)state;
    struct dp_error error = {0};
    assert_int_equal(dp_fail_errno(&error, ENOENT, "open", "/a/b"), DP_NOT_FOUND);
    assert_string_equal(error.message, "cannot open /a/b: No such file or directory");
    assert_int_equal(dp_fail_errno(&error, EACCES, "open", "x"), DP_DENIED);
    assert_int_equal(dp_fail_errno(&error, EPERM, "open", "x"), DP_DENIED);
    assert_int_equal(dp_fail_errno(&error, EROFS, "open", "x"), DP_DENIED);
    assert_int_equal(dp_fail_errno(&error, ENOSPC, "open", "x"), DP_FULL);
    assert_int_equal(dp_fail_errno(&error, EDQUOT, "open", "x"), DP_FULL);
    assert_int_equal(dp_fail_errno(&error, ENOMEM, "open", "x"), DP_NOMEM);
    assert_int_equal(dp_fail_errno(&error, EIO, "open", "x"), DP_IO);
}

static void test_base_error_every_status_has_its_own_name(void **state)
{
    (void)state;
    assert_string_equal(dp_status_name(DP_OK), "ok");
    assert_string_equal(dp_status_name(DP_NOT_FOUND), "not_found");
    for (int a = DP_NOT_DURABLE; a <= DP_OK; a++)
        for (int b = DP_NOT_DURABLE; b < a; b++)
            assert_string_not_equal(dp_status_name((enum dp_status)a), dp_status_name((enum dp_status)b));
    assert_string_equal(dp_status_name((enum dp_status)99), "unknown_status");
}

static void test_base_error_restatus_keeps_the_sentence(void **state)
{
    (void)state;
    struct dp_error error;
    dp_fail(&error, DP_NOT_FOUND, "no %s", "profile");
    assert_int_equal(dp_restatus(&error, DP_DENIED), DP_DENIED);
    assert_int_equal(error.status, DP_DENIED);
    assert_string_equal(error.message, "no profile");
    assert_int_equal(dp_restatus(NULL, DP_IO), DP_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_error_records_status_and_sentence),
        cmocka_unit_test(test_base_error_may_be_null),
        cmocka_unit_test(test_base_error_may_quote_itself),
        cmocka_unit_test(test_base_error_prefix_keeps_the_status),
        cmocka_unit_test(test_base_error_is_cut_at_a_whole_character),
        cmocka_unit_test(test_base_error_names_the_meaning_of_errno),
        cmocka_unit_test(test_base_error_every_status_has_its_own_name),
        cmocka_unit_test(test_base_error_restatus_keeps_the_sentence),
    };
    return test_run(tests);
}
