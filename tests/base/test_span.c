/* test_span.c: spans, and the cursor that reads within bounds. */
#include "test_support.h"

#include <string.h>

#include "base/buffer.h"
#include "base/span.h"

static void test_base_span_compares_bytes(void **state)
{
    (void)state;
    struct span none = span_of(NULL, 0);
    assert_true(span_equal(none, span_str("")));
    assert_true(span_equal_str(span_of("abc", 3), "abc"));
    assert_false(span_equal_str(span_of("abc", 2), "abc"));
    assert_true(span_starts_with(span_str("abc"), none));
    assert_true(span_starts_with(span_str("abc"), span_str("ab")));
    assert_false(span_starts_with(span_str("a"), span_str("ab")));
    assert_int_equal(span_compare(none, none), 0);
    assert_true(span_compare(none, span_str("a")) < 0);
    assert_true(span_compare(span_str("ab"), span_str("a")) > 0);
    assert_true(span_compare(span_str("a\x7f"), span_str("a\x80")) < 0);
    assert_true(span_compare(span_str("b"), span_str("ab")) > 0);
}

static void test_base_span_one_of_and_trim(void **state)
{
    (void)state;
    static const char *const names[] = {"one", "two"};
    assert_true(span_one_of(span_str("two"), names, 2));
    assert_false(span_one_of(span_str("two"), names, 1));
    assert_false(span_one_of(span_str("tw"), names, 2));
    assert_false(span_one_of(span_of(NULL, 0), names, 0));
    assert_true(span_equal_str(span_trim(span_str(" \t a b\t "), " \t"), "a b"));
    assert_true(span_equal_str(span_trim(span_str("\ta "), " "), "\ta"));
    assert_int_equal(span_trim(span_str("   "), " ").len, 0);
    assert_int_equal(span_trim(span_of(NULL, 0), " ").len, 0);
    assert_int_equal(span_trim(span_of("\0 ", 2), " ").len, 1);
}

static void test_base_span_sub_stays_inside(void **state)
{
    (void)state;
    struct span part = {0}, whole = span_str("0123456789");
    assert_true(span_sub(whole, 2, 3, &part));
    assert_true(span_equal_str(part, "234"));
    assert_true(span_sub(whole, 10, 0, &part));
    assert_int_equal(part.len, 0);
    assert_false(span_sub(whole, 11, 0, &part));
    assert_false(span_sub(whole, 0, 11, &part));
    assert_false(span_sub(whole, 5, UINT64_MAX, &part));
    assert_false(span_sub(whole, UINT64_MAX, 5, &part));
}

static void test_base_cursor_reads_what_a_buffer_wrote(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_u8(&b, 0xfe);
    buffer_u16(&b, 0xfedc);
    buffer_u32(&b, 0xfedcba98);
    buffer_u64(&b, 0xfedcba9876543210);
    buffer_u32(&b, (uint32_t)-5);
    buffer_u64(&b, (uint64_t)-6);
    buffer_f32(&b, -1.5f);
    buffer_f64(&b, 1e300);
    buffer_append_str(&b, "text");
    static const uint64_t varints[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
    enum { VARINTS = sizeof varints / sizeof *varints };
    for (size_t i = 0; i < VARINTS; i++)
        buffer_varint(&b, varints[i]);
    assert_int_equal(buffer_check(&b, "x", NULL), DP_OK);
    assert_int_equal(b.data[1], 0xdc); /* the least significant byte first */

    struct cursor c = cursor_over(buffer_span(&b));
    assert_int_equal(cursor_u8(&c), 0xfe);
    assert_int_equal(cursor_u16(&c), 0xfedc);
    assert_int_equal(cursor_u32(&c), 0xfedcba98);
    assert_true(cursor_u64(&c) == 0xfedcba9876543210);
    assert_int_equal(cursor_i32(&c), -5);
    assert_true(cursor_i64(&c) == -6);
    assert_true(cursor_f32(&c) == -1.5f);
    assert_true(cursor_f64(&c) == 1e300);
    assert_true(span_equal_str(cursor_bytes(&c, 4), "text"));
    for (size_t i = 0; i < VARINTS; i++)
        assert_true(cursor_varint(&c) == varints[i]);
    assert_int_equal(c.rest.len, 0);
    assert_int_equal(c.offset, b.len);
    assert_false(c.failed);
    buffer_deinit(&b);
}

static void test_base_cursor_failure_sticks(void **state)
{
    (void)state;
    struct cursor c = cursor_over(span_of("\x01\x02\x03", 3));
    assert_int_equal(cursor_u32(&c), 0);
    assert_true(c.failed);
    assert_int_equal(cursor_u8(&c), 0);
    assert_int_equal(cursor_bytes(&c, 0).len, 0);
    assert_int_equal(c.rest.len, 3);
    assert_int_equal(c.offset, 0);

    c = cursor_over(span_of(NULL, 0));
    assert_int_equal(cursor_bytes(&c, 0).len, 0);
    assert_false(c.failed);
    assert_null(cursor_bytes(&c, UINT64_MAX).data);
    assert_true(c.failed);
}

static void test_base_cursor_refuses_bad_varints(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {"\x80", 1},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, /* more than 64 bits */
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cursor c = cursor_over(span_of(bad[i].bytes, bad[i].len));
        assert_int_equal(cursor_varint(&c), 0);
        assert_true(c.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_span_compares_bytes),
        cmocka_unit_test(test_base_span_one_of_and_trim),
        cmocka_unit_test(test_base_span_sub_stays_inside),
        cmocka_unit_test(test_base_cursor_reads_what_a_buffer_wrote),
        cmocka_unit_test(test_base_cursor_failure_sticks),
        cmocka_unit_test(test_base_cursor_refuses_bad_varints),
    };
    return test_run(tests);
}
