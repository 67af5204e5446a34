/* block.c: store blocks: bytes read from a store, shared by reference counting.
 *
 * A block is one allocation: first its fields, then the bytes, aligned to 16 bytes. Any thread may retain or
 * release it. The last release frees the block, or gives it back to its pool (block_pool.c).
 */
#include "store/block.h"

#include <assert.h>

#include "base/alloc.h"
#include "store/block_pool.h"

struct store_block *store_block_new(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct store_block))
        return NULL;
    struct store_block *block = mem_alloc(sizeof *block + len);
    if (!block)
        return NULL;
    store_block_init(block, len, NULL, len);
    return block;
}

void store_block_init(struct store_block *block, size_t len, struct store_block_pool *pool, size_t capacity)
{
    atomic_init(&block->references, 1);
    block->len = len;
    block->pool = pool;
    block->capacity = capacity;
}

struct store_block *store_block_resize(struct store_block *block, size_t len)
{
    if (!block)
        return store_block_new(len);
    assert(atomic_load_explicit(&block->references, memory_order_relaxed) == 1 && !block->pool);
    if (len > SIZE_MAX - sizeof(struct store_block))
        return NULL;
    struct store_block *moved = mem_realloc(block, sizeof *block + len);
    if (moved)
        moved->len = moved->capacity = len;
    return moved;
}

uint8_t *store_block_data(struct store_block *block)
{
    return block->data;
}

size_t store_block_len(const struct store_block *block)
{
    return block->len;
}

size_t store_block_capacity(const struct store_block *block)
{
    return block->capacity;
}

void store_block_release(struct store_block *block)
{
    if (!block || atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) != 1)
        return;
    if (block->pool)
        store_block_pool_give(block->pool, block);
    else
        mem_free(block);
}

struct store_bytes store_block_bytes(struct store_block *block, uint64_t offset, uint64_t len)
{
    if (len == 0)
        return (struct store_bytes){0};
    assert(offset <= block->len && len <= block->len - offset);
    atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    return (struct store_bytes){span_of(block->data + offset, (size_t)len), block};
}

struct store_bytes store_bytes_retain(struct store_bytes b)
{
    if (b.block)
        atomic_fetch_add_explicit(&b.block->references, 1, memory_order_relaxed);
    return b;
}

void store_bytes_release(struct store_bytes *b)
{
    store_block_release(b->block);
    *b = (struct store_bytes){0};
}
