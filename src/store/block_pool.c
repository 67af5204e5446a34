/* block_pool.c: keeps the memory of released blocks for the next ones.
 *
 * A search of a local file reads megabytes into blocks and releases them a moment later. malloc would return fresh
 * pages each time, and zeroing them takes longer than reading. The pool keeps the blocks that were released last;
 * a kept
 * block serves a request of at least half its size.
 */
#include "store/block_pool.h"

#include <pthread.h>

#include "base/alloc.h"

enum {
    LEAST_BYTES = 64 << 10, /* malloc reuses smaller blocks well enough */
    MOST_BYTES = 4 << 20,
    POOL_BYTES = 16 << 20,
    POOL_BLOCKS = 128
};

struct store_block_pool {
    pthread_mutex_t lock;                  /* guards everything below; a leaf */
    struct store_block *kept[POOL_BLOCKS]; /* [count] blocks in the order of their release */
    size_t count, bytes;
    size_t users; /* blocks in use, plus the owner */
};

struct store_block_pool *store_block_pool_new(void)
{
    struct store_block_pool *pool = mem_calloc(1, sizeof *pool);
    if (pool) {
        pthread_mutex_init(&pool->lock, NULL);
        pool->users = 1;
    }
    return pool;
}

/* Removes the i-th kept block. The caller holds the lock. */
static struct store_block *pool_take_out(struct store_block_pool *pool, size_t i)
{
    struct store_block *block = pool->kept[i];
    pool->bytes -= block->capacity;
    for (pool->count--; i < pool->count; i++)
        pool->kept[i] = pool->kept[i + 1];
    return block;
}

/* Removes a user; frees the pool after the last one. The caller holds the lock; this function releases it. */
static void pool_leave(struct store_block_pool *pool)
{
    size_t left = --pool->users;
    pthread_mutex_unlock(&pool->lock);
    if (left > 0)
        return;
    while (pool->count > 0)
        mem_free(pool_take_out(pool, pool->count - 1));
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

void store_block_pool_free(struct store_block_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool_leave(pool);
}

/* Takes out the most recently kept block of a fitting size and counts it as a user. Returns NULL if there is
 * none. */
static struct store_block *pool_take_kept(struct store_block_pool *pool, size_t len)
{
    struct store_block *block = NULL;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = pool->count; !block && i-- > 0;)
        if (pool->kept[i]->capacity >= len && pool->kept[i]->capacity / 2 <= len)
            block = pool_take_out(pool, i);
    pool->users += block != NULL;
    pthread_mutex_unlock(&pool->lock);
    return block;
}

struct store_block *store_block_pool_take(struct store_block_pool *pool, size_t len)
{
    if (len < LEAST_BYTES || len > MOST_BYTES)
        return store_block_new(len);
    struct store_block *block = pool_take_kept(pool, len);
    size_t capacity = block ? block->capacity : (len + LEAST_BYTES - 1) / LEAST_BYTES * LEAST_BYTES;
    if (!block) {
        block = mem_alloc(sizeof *block + capacity);
        if (!block)
            return NULL;
        pthread_mutex_lock(&pool->lock);
        pool->users++;
        pthread_mutex_unlock(&pool->lock);
    }
    store_block_init(block, len, pool, capacity);
    return block;
}

void store_block_pool_give(struct store_block_pool *pool, struct store_block *block)
{
    struct store_block *old[POOL_BLOCKS];
    size_t n = 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->count > 0 && (pool->count == POOL_BLOCKS || pool->bytes + block->capacity > POOL_BYTES))
        old[n++] = pool_take_out(pool, 0);
    pool->kept[pool->count++] = block;
    pool->bytes += block->capacity;
    pool_leave(pool);
    while (n > 0)
        mem_free(old[--n]);
}
