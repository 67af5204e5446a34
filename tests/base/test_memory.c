/* test_memory.c: the replaceable allocator, arenas and buffers. */
#include "test_support.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"

static void test_base_alloc_uses_the_allocator_of_the_tests(void **state)
{
    (void)state;
    size_t live = test_alloc_live(), made = test_alloc_count();
    void *blocks[4] = {mem_alloc(0), mem_calloc(3, 5), mem_aligned_alloc(64, 100), mem_realloc(NULL, 7)};
    assert_int_equal(test_alloc_live(), live + 4);
    assert_int_equal(test_alloc_count(), made + 4);
    assert_int_equal((uintptr_t)blocks[2] % 64, 0);
    assert_memory_equal(blocks[1], "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
    blocks[3] = mem_realloc(blocks[3], 70000);
    assert_int_equal(test_alloc_live(), live + 4);
    for (int i = 0; i < 4; i++)
        mem_free(blocks[i]);
    mem_free(NULL);
    assert_int_equal(test_alloc_live(), live);
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
}

static void test_base_alloc_fails_at_the_chosen_call(void **state)
{
    (void)state;
    test_alloc_fail_at(3);
    void *a = mem_alloc(1), *b = mem_alloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_false(test_alloc_fired());
    assert_null(mem_realloc(b, 2));
    assert_true(test_alloc_fired());
    void *c = mem_alloc(1); /* only one allocation fails */
    assert_non_null(c);
    test_alloc_fail_at(0);
    assert_false(test_alloc_fired());
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void test_base_arena_blocks_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    uint8_t *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = arena_alloc(&a, i);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal(blocks[i][j], (uint8_t)i);
    const uint8_t *zeros = arena_calloc(&a, 10, 10);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    struct span copy = arena_copy(&a, span_str("copied"));
    assert_true(span_equal_str(copy, "copied"));
    assert_int_equal(copy.data[copy.len], '\0');
    assert_non_null(arena_copy(&a, span_of(NULL, 0)).data);
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_deinit(&a);
    arena_deinit(&a);
}

static void test_base_arena_keeps_to_its_maximum(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 10000);
    assert_null(arena_alloc(&a, 10000)); /* no room for the chunk's header */
    assert_non_null(arena_alloc(&a, 9900));
    assert_null(arena_alloc(&a, 200));
    assert_true(a.used <= a.max);
    arena_deinit(&a);

    arena_init(&a, 3 << 20); /* chunks double up to 1 MiB; the last one takes the rest of the maximum */
    size_t taken = 0;
    while (arena_alloc(&a, 1000))
        taken += 1000;
    assert_in_range(taken, (3 << 20) * 95 / 100, 3 << 20);
    assert_true(a.used <= a.max);
    arena_deinit(&a);

    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 20));
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 4));
    assert_null(arena_copy(&a, span_of("", SIZE_MAX)).data);
    arena_deinit(&a);

    arena_init(&a, 0);
    assert_null(arena_alloc(&a, 0));
    assert_null(arena_printf(&a, "x"));
    arena_deinit(&a);
}

static void test_base_arena_reset_settles_without_allocating(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 24);
    for (int round = 0; round < 10; round++) {
        size_t made = test_alloc_count();
        for (int i = 0; i < 1000; i++)
            assert_non_null(arena_alloc(&a, 100));
        if (round >= 2)
            assert_int_equal(test_alloc_count(), made);
        arena_reset(&a);
    }
    assert_non_null(arena_alloc(&a, 3 << 20)); /* larger than the memory that a reset keeps */
    size_t live = test_alloc_live();
    arena_reset(&a);
    assert_int_equal(test_alloc_live(), live - 1);
    assert_true(a.used <= 1 << 20);
    arena_deinit(&a);
    arena_reset(&a);
}

static void test_base_arena_adopts_the_blocks_of_another(void **state)
{
    (void)state;
    struct arena to, from;
    arena_init(&to, 1 << 16);
    arena_init(&from, 1 << 16);
    assert_true(arena_adopt(&to, &from)); /* neither has a block */
    for (int round = 0; round < 3; round++) {
        char *small = arena_alloc(&from, 100), *large = arena_alloc(&from, 10000);
        memset(small, 'a', 100);
        memset(large, 'b', 10000);
        const size_t used = to.used + from.used;
        assert_true(arena_adopt(&to, &from));
        assert_int_equal(to.used, used);
        assert_int_equal(from.used, 0);
        memset(arena_alloc(&to, 50), 'c', 50);
        memset(arena_alloc(&from, 50), 'd', 50);
        assert_int_equal(small[0] + small[99], 'a' + 'a');
        assert_int_equal(large[0] + large[9999], 'b' + 'b');
        arena_reset(&from);
    }
    assert_non_null(arena_alloc(&from, 60000));
    assert_false(arena_adopt(&to, &from)); /* over the maximum */
    arena_deinit(&to);
    arena_deinit(&from);
}

static void test_base_buffer_grows_to_its_maximum(void **state)
{
    (void)state;
    struct buffer b;
    struct dp_error error = {0};
    buffer_init(&b, 1000);
    for (int i = 0; i < 100; i++)
        buffer_append_str(&b, "0123456789");
    assert_int_equal(buffer_check(&b, "a thing", &error), DP_OK);
    assert_int_equal(b.len, 1000);
    assert_int_equal(b.cap, 1000);
    buffer_append(&b, span_of(NULL, 0));
    assert_int_equal(b.status, DP_OK);
    buffer_u8(&b, 1);
    assert_int_equal(b.len, 1000);
    assert_int_equal(buffer_check(&b, "a thing", &error), DP_TOO_LARGE);
    assert_string_equal(error.message, "a thing is larger than the limit of 1000 bytes");
    assert_null(buffer_reserve(&b, 0));
    buffer_clear(&b);
    assert_int_equal(buffer_check(&b, "a thing", &error), DP_OK);
    buffer_u8(&b, 1);
    assert_int_equal(b.len, 1);
    assert_null(buffer_reserve(&b, SIZE_MAX));
    buffer_deinit(&b);
}

static void test_base_buffer_failure_sticks(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 8);
    buffer_append_str(&b, "123456789");
    buffer_append_str(&b, "1"); /* it would fit, but bytes before it are missing */
    assert_int_equal(b.len, 0);
    buffer_append_zeros(&b, 1);
    buffer_printf(&b, "%d", 1);
    buffer_varint(&b, 1);
    assert_int_equal(b.len, 0);
    buffer_deinit(&b);
}

static void test_base_buffer_prints_and_aligns(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 16);
    buffer_printf(&b, "%s", "");
    buffer_printf(&b, "%d/%s", 12, "ab");
    assert_true(span_equal_str(buffer_span(&b), "12/ab"));
    buffer_align(&b, 8);
    assert_int_equal(b.len, 8);
    buffer_align(&b, 8);
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.data, "12/ab\0\0\0", 8);
    buffer_printf(&b, "%08d", 42); /* to the last byte: no room for printf's NUL */
    assert_int_equal(b.status, DP_OK);
    assert_memory_equal(b.data + 8, "00000042", 8);
    buffer_printf(&b, "x");
    assert_int_equal(b.status, DP_TOO_LARGE);
    buffer_deinit(&b);
}

/* Arenas and buffers report any failed allocation and leak nothing. */
static void test_base_memory_survives_failed_allocations(void **state)
{
    (void)state;
    size_t before = test_alloc_live();
    for (size_t n = 1;; n++) {
        struct arena a;
        struct buffer b;
        arena_init(&a, 1 << 20);
        buffer_init(&b, 4096);
        test_alloc_fail_at(n);
        bool good = true;
        for (int i = 0; i < 30; i++)
            good &= arena_alloc(&a, 500) != NULL;
        for (int i = 0; i < 4; i++)
            buffer_append_zeros(&b, 1000);
        buffer_printf(&b, "%096d", 1);
        good &= buffer_check(&b, "x", NULL) == DP_OK;
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(good, !fired);
        arena_deinit(&a);
        buffer_deinit(&b);
        assert_int_equal(test_alloc_live(), before);
        if (!fired)
            break;
    }
}

static void test_base_array_doubles(void **state)
{
    (void)state;
    uint32_t *array = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t *grown = array_reserve(array, i, &capacity, sizeof *grown, 3);
        assert_non_null(grown);
        array = grown;
        array[i] = i;
    }
    assert_int_equal(capacity, 192);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(array[i], i);
    mem_free(array);
}

static void test_base_array_refuses_sizes_that_overflow(void **state)
{
    (void)state;
    struct arena arena;
    char array[1];
    size_t capacity = SIZE_MAX / 2 + 1;
    arena_init(&arena, 1 << 12);
    assert_null(array_reserve(array, capacity, &capacity, 1, 1));
    assert_null(arena_reserve(&arena, array, capacity, &capacity, 1, 1));
    capacity = SIZE_MAX / 8;
    assert_null(array_reserve(array, capacity, &capacity, 8, 1));
    assert_null(arena_reserve(&arena, array, capacity, &capacity, 8, 1));
    assert_int_equal(capacity, SIZE_MAX / 8);
    arena_deinit(&arena);
}

static void test_base_array_stays_valid_when_memory_runs_out(void **state)
{
    (void)state;
    struct arena arena;
    size_t capacity = 0;
    arena_init(&arena, 1 << 12);
    uint64_t *array = array_reserve(NULL, 0, &capacity, sizeof *array, 1);
    assert_non_null(array);
    array[0] = 7;
    test_alloc_fail_at(1);
    assert_null(array_reserve(array, 1, &capacity, sizeof *array, 1));
    test_alloc_fail_at(0);
    assert_int_equal(capacity, 1);
    assert_int_equal(array[0], 7);
    uint64_t *moved = arena_reserve(&arena, array, 1, &capacity, sizeof *array, 1);
    assert_non_null(moved);
    assert_int_equal(moved[0], 7);
    assert_int_equal(capacity, 2);
    assert_ptr_equal(arena_reserve(&arena, moved, 1, &capacity, sizeof *moved, 1), moved);
    assert_null(arena_reserve(&arena, moved, 1 << 10, &capacity, 1 << 12, 1)); /* the arena's maximum */
    assert_int_equal(capacity, 2);
    mem_free(array);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_alloc_uses_the_allocator_of_the_tests),
        cmocka_unit_test(test_base_alloc_fails_at_the_chosen_call),
        cmocka_unit_test(test_base_arena_blocks_are_aligned_and_apart),
        cmocka_unit_test(test_base_arena_keeps_to_its_maximum),
        cmocka_unit_test(test_base_arena_reset_settles_without_allocating),
        cmocka_unit_test(test_base_arena_adopts_the_blocks_of_another),
        cmocka_unit_test(test_base_buffer_grows_to_its_maximum),
        cmocka_unit_test(test_base_buffer_failure_sticks),
        cmocka_unit_test(test_base_buffer_prints_and_aligns),
        cmocka_unit_test(test_base_memory_survives_failed_allocations),
        cmocka_unit_test(test_base_array_doubles),
        cmocka_unit_test(test_base_array_refuses_sizes_that_overflow),
        cmocka_unit_test(test_base_array_stays_valid_when_memory_runs_out),
    };
    return test_run(tests);
}
