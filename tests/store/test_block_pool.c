/* test_block_pool.c: a pool reuses the memory of blocks, within bounds. A held block outlives its pool. */
#include "test_support.h"

#include "store/block_pool.h"
#include "test_alloc.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

static void test_store_pool_gives_the_same_memory_again(void **state)
{
    (void)state;
    struct store_block_pool *pool = store_block_pool_new();
    struct store_block *block = store_block_pool_take(pool, 200 * KIB);
    const uint8_t *data = store_block_data(block);
    struct store_bytes part = store_block_bytes(block, 100, 50);
    store_block_release(block);
    struct store_block *other = store_block_pool_take(pool, 200 * KIB); /* `part` still holds the first block */
    assert_ptr_not_equal(store_block_data(other), data);
    store_block_release(other);
    store_bytes_release(&part);
    block = store_block_pool_take(pool, 150 * KIB);
    assert_ptr_equal(store_block_data(block), data);
    assert_int_equal(store_block_len(block), 150 * KIB);
    memset(store_block_data(block), 7, store_block_len(block));
    store_block_release(block);
    /* A kept block serves neither a much smaller request nor a larger one. */
    block = store_block_pool_take(pool, 70 * KIB);
    other = store_block_pool_take(pool, 300 * KIB);
    assert_ptr_not_equal(store_block_data(block), data);
    assert_ptr_not_equal(store_block_data(other), data);
    store_block_release(block);
    store_block_release(other);
    store_block_pool_free(pool);
}

static void test_store_pool_lives_as_long_as_its_blocks(void **state)
{
    (void)state;
    struct store_block_pool *pool = store_block_pool_new();
    struct store_block *kept = store_block_pool_take(pool, MIB), *held = store_block_pool_take(pool, MIB);
    store_block_release(kept);
    store_block_pool_free(pool);
    memset(store_block_data(held), 1, store_block_len(held));
    store_block_release(held);
    store_block_pool_free(NULL);
}

/* Releases all blocks, then takes blocks without new memory: the pool has kept 16 of them. */
static void test_store_pool_keeps_a_bounded_amount(void **state)
{
    enum { BLOCKS = 40 };
    (void)state;
    struct store_block_pool *pool = store_block_pool_new();
    struct store_block *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        assert_non_null(blocks[i] = store_block_pool_take(pool, MIB));
    for (int i = 0; i < BLOCKS; i++)
        store_block_release(blocks[i]);
    size_t taken = 0;
    test_alloc_fail_at(1);
    while (taken < BLOCKS && (blocks[taken] = store_block_pool_take(pool, MIB)) != NULL)
        taken++;
    test_alloc_fail_at(0);
    assert_int_equal(taken, 16);
    while (taken > 0)
        store_block_release(blocks[--taken]);
    store_block_pool_free(pool);
}

static void test_store_pool_leaves_other_sizes_alone(void **state)
{
    (void)state;
    struct store_block_pool *pool = store_block_pool_new();
    for (size_t len = 0; len <= 9 * MIB; len = 3 * len + 1) {
        struct store_block *block = store_block_pool_take(pool, len);
        assert_int_equal(store_block_len(block), len);
        memset(store_block_data(block), 1, len);
        store_block_release(block);
    }
    store_block_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_pool_gives_the_same_memory_again),
        cmocka_unit_test(test_store_pool_lives_as_long_as_its_blocks),
        cmocka_unit_test(test_store_pool_keeps_a_bounded_amount),
        cmocka_unit_test(test_store_pool_leaves_other_sizes_alone),
    };
    return test_run(tests);
}
