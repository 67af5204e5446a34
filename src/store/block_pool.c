/* block_pool.c: the memory of released blocks, for the next ones.
 *
 * A search of a local file reads megabytes into blocks and lets them go a moment later. From malloc they would come
 * as fresh pages each time, whose clearing takes longer than the reading. Kept are the blocks that were given back
 * last; a block serves a request of at least half its size.
 */
#include "store/block_pool.h"

#include <pthread.h>

#include "base/alloc.h"

enum {
    LEAST_BYTES = 64 << 10, /* smaller ones come from malloc's own stock */
    MOST_BYTES = 4 << 20,
    POOL_BYTES = 16 << 20,
    POOL_BLOCKS = 128
};

struct store_block_pool {
    pthread_mutex_t lock;                  /* guards everything below; a leaf */
    struct store_block *kept[POOL_BLOCKS]; /* the first `count`, given back longest ago first */
    size_t count, bytes;
    size_t users; /* blocks in use, and the owner */
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

/* Takes the i-th kept block out. The caller holds the lock. */
static struct store_block *pool_take_out(struct store_block_pool *pool, size_t i)
{
    struct store_block *block = pool->kept[i];
    pool->bytes -= block->capacity;
    for (pool->count--; i < pool->count; i++)
        pool->kept[i] = pool->kept[i + 1];
    return block;
}

/* One user less; frees the pool with its last. The caller holds the lock, which is gone afterwards. */
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

/* The block given back last that is large enough and not much too large, or NULL; counted as a user. */
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
