/* test_workspace.c: one function first counts the parts of a workspace and then hands them out. */
#include "test_support.h"

#include <string.h>

#include "base/workspace.h"

struct arrays {
    uint8_t *bytes;
    double *numbers;
    char *none;
    uint8_t *last;
};

static void lay_out(struct workspace *w, size_t count, struct arrays *out)
{
    out->bytes = workspace_take(w, count, 1);
    out->numbers = workspace_take(w, count, sizeof(double));
    out->none = workspace_take(w, 0, 8);
    out->last = workspace_take(w, 64, 1);
}

static void test_base_workspace_counts_then_hands_out(void **state)
{
    (void)state;
    struct workspace w = {0};
    struct arrays a;
    lay_out(&w, 65, &a);
    assert_null(a.bytes);
    assert_null(a.last);
    assert_int_equal(w.size, 128 + 576 + 0 + 64);
    assert_true(workspace_allocate(&w));
    lay_out(&w, 65, &a);
    assert_ptr_equal(a.bytes, w.memory);
    assert_ptr_equal(a.numbers, w.memory + 128);
    assert_ptr_equal(a.none, a.last); /* an empty part takes no room */
    assert_ptr_equal(a.last, w.memory + 128 + 576);
    assert_int_equal((uintptr_t)w.memory % WORKSPACE_ALIGNMENT, 0);
    memset(w.memory, 1, w.size); /* sanitizers check that all bytes belong to it */
    workspace_deinit(&w);
    assert_null(w.memory);
    workspace_deinit(&w);
}

static void test_base_workspace_refuses_sizes_that_overflow(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{SIZE_MAX / 2, 3}, {SIZE_MAX, 1}, {SIZE_MAX - 62, 1}, {SIZE_MAX - 127, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct workspace w = {0};
        assert_null(workspace_take(&w, 65, 1)); /* 128 bytes: the last size overflows only with them */
        assert_null(workspace_take(&w, sizes[i][0], sizes[i][1]));
        assert_null(workspace_take(&w, 1, 1)); /* after an overflow all parts fail */
        assert_false(workspace_allocate(&w));
        workspace_deinit(&w);
    }
}

static void test_base_workspace_survives_a_failed_allocation(void **state)
{
    (void)state;
    struct workspace w = {0};
    struct arrays a;
    lay_out(&w, 10, &a);
    test_alloc_fail_at(1);
    assert_false(workspace_allocate(&w));
    test_alloc_fail_at(0);
    workspace_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_workspace_counts_then_hands_out),
        cmocka_unit_test(test_base_workspace_refuses_sizes_that_overflow),
        cmocka_unit_test(test_base_workspace_survives_a_failed_allocation),
    };
    return test_run(tests);
}
