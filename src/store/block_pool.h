/* store/block_pool.h: keeps the memory of released blocks for the next ones, because zeroing fresh pages dominates the cost
 * of large blocks. Any thread may use a pool. It keeps only blocks of 64 KiB to 4 MiB, and 16 MiB in all.
 */
#ifndef STORE_BLOCK_POOL_H
#define STORE_BLOCK_POOL_H

#include "store/block.h"

struct store_block_pool *store_block_pool_new(void); /* NULL when out of memory */
/* Ends the owner's use; blocks that are still in use keep the pool until the last of them is released. NULL is fine. */
void store_block_pool_free(struct store_block_pool *pool);
/* Makes a block as store_block_new does, from the pool. Such a block is never resized. */
struct store_block *store_block_pool_take(struct store_block_pool *pool, size_t len);
/* Takes back a block without references; for store_block_release. */
void store_block_pool_give(struct store_block_pool *pool, struct store_block *block);

#endif
