/* test_spill.c: bytes that exceed memory_max go into an unnamed file, and spill_view gives all bytes as one
 * span. */
#include "test_support.h"

#include <stdlib.h>
#include <string.h>

#include "os/spill.h"

enum { MEGABYTE = 1 << 20 };

static void test_os_spill_gives_back_what_it_was_given(void **state)
{
    (void)state;
    struct spill s;
    struct dp_error error;
    struct span all;
    static uint8_t piece[3 * MEGABYTE];
    static const size_t sizes[] = {100, 70000, MEGABYTE - 1, 3 * MEGABYTE, 1, MEGABYTE, 5};
    spill_init(&s, MEGABYTE);
    for (int round = 0; round < 2; round++) {
        uint64_t total = 0;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            memset(piece, (int)i + round * 16 + 1, sizes[i]);
            assert_int_equal(spill_append(&s, span_of(piece, sizes[i]), &error), DP_OK);
            total += sizes[i];
            assert_int_equal(spill_view(&s, &all, &error), DP_OK); /* works after every append */
            assert_int_equal(all.len, total);
        }
        size_t at = 0;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (size_t j = 0; j < sizes[i]; j++, at++)
                assert_int_equal(all.data[at], i + (size_t)round * 16 + 1);
        }
        assert_true(s.fd >= 0);
        spill_clear(&s);
        assert_int_equal(spill_view(&s, &all, &error), DP_OK);
        assert_int_equal(all.len, 0);
    }
    spill_deinit(&s);
}

static void test_os_spill_reads_parts_from_memory_and_from_its_file(void **state)
{
    (void)state;
    struct spill s;
    struct dp_error error;
    struct span all;
    static uint8_t bytes[3 * MEGABYTE], part[MEGABYTE];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 251);
    spill_init(&s, MEGABYTE);
    for (int round = 0; round < 2; round++) {
        size_t len = round == 0 ? 1000 : sizeof bytes;
        assert_int_equal(spill_append(&s, span_of(bytes, len), &error), DP_OK);
        assert_int_equal(spill_view(&s, &all, &error), DP_OK);
        assert_int_equal(spill_in_memory(&s), round == 0);
        assert_int_equal(spill_read(&s, len / 3, len / 3, part, &error), DP_OK);
        assert_memory_equal(part, bytes + len / 3, len / 3);
        spill_unload(&s);
        assert_memory_equal(all.data, bytes, len);
        if (round)
            assert_int_not_equal(spill_read(&s, len - 1, 2, part, &error), DP_OK);
        spill_clear(&s);
    }
    spill_deinit(&s);
}

static void test_os_spill_says_where_it_cannot_write(void **state)
{
    (void)state;
    struct spill s;
    struct dp_error error;
    static uint8_t piece[2 * MEGABYTE];
    const char *before = getenv("TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    setenv("TMPDIR", "/nonexistent/folder", 1);
    spill_init(&s, MEGABYTE);
    assert_int_equal(spill_append(&s, span_of(piece, sizeof piece), &error), DP_NOT_FOUND);
    assert_non_null(strstr(error.message, "/nonexistent/folder"));
    spill_deinit(&s);
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_spill_gives_back_what_it_was_given),
        cmocka_unit_test(test_os_spill_reads_parts_from_memory_and_from_its_file),
        cmocka_unit_test(test_os_spill_says_where_it_cannot_write),
    };
    return test_run(tests);
}
