/* test_clock.c: time, random bytes and ULIDs. */
#include "test_support.h"

#include <string.h>

#include "os/clock.h"
#include "os/random.h"

static void test_os_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t before = os_now_ns();
    for (int i = 0; i < 1000; i++) {
        int64_t now = os_now_ns();
        assert_true(now >= before);
        before = now;
    }
    before = os_boot_ns();
    for (int i = 0; i < 1000; i++) {
        int64_t now = os_boot_ns();
        assert_true(now >= before);
        before = now;
    }
}

static void test_os_clock_counts_processor_time(void **state)
{
    (void)state;
    int64_t before = os_cpu_ns(), begin = os_now_ns(), used = 0;
    assert_true(before > 0);
    while (used == 0) /* computing takes processor time */
        used = os_cpu_ns() - before;
    assert_true(used > 0);
    assert_true(os_now_ns() >= begin);
}

static void test_os_clock_formats_utc(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1769860800123, "2026-01-31T12:00:00.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[25];
        os_format_utc(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_os_random_differs(void **state)
{
    (void)state;
    static uint8_t a[70000], b[70000]; /* more bytes than one getrandom() call returns */
    struct dp_error error;
    assert_int_equal(os_random(a, sizeof a, &error), DP_OK);
    assert_int_equal(os_random(b, sizeof b, &error), DP_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - 16, b + sizeof b - 16, 16);
    assert_int_equal(os_random(NULL, 0, &error), DP_OK);
}

static void test_os_ulids_are_unique_and_sort_by_time(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char before[ULID_LEN + 1], ulid[ULID_LEN + 1];
    int64_t first_ms = os_wall_ms();
    assert_int_equal(os_ulid(before, NULL), DP_OK);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(os_ulid(ulid, NULL), DP_OK);
        assert_int_equal(strlen(ulid), ULID_LEN);
        assert_int_equal(strspn(ulid, alphabet), ULID_LEN);
        assert_true(memcmp(before, ulid, 10) <= 0);
        assert_string_not_equal(before, ulid);
        memcpy(before, ulid, sizeof ulid);
    }
    int64_t ms = 0;
    for (int i = 0; i < 10; i++)
        ms = ms * 32 + (strchr(alphabet, ulid[i]) - alphabet);
    assert_in_range(ms, first_ms, os_wall_ms());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_clock_never_goes_back),
        cmocka_unit_test(test_os_clock_counts_processor_time),
        cmocka_unit_test(test_os_clock_formats_utc),
        cmocka_unit_test(test_os_random_differs),
        cmocka_unit_test(test_os_ulids_are_unique_and_sort_by_time),
    };
    return test_run(tests);
}
