/* store/block_pool.h: keeps the memory of released blocks for the next ones, because zeroing fresh pages dominates
 * the cost of large blocks. Any thread may use a pool. It keeps only blocks of 64 KiB to 4 MiB, and 16 MiB in all.
 */
#ifndef STORE_BLOCK_POOL_H
#define STORE_BLOCK_POOL_H

#include "store/block.h"

struct store_block_pool *store_block_pool_new(void); /* NULL when out of memory */
/* Ends the owner's use. The pool lives on until the last of its blocks is released. NULL is fine. */
void store_block_pool_free(struct store_block_pool *pool);
/* Makes a block as store_block_new does, with memory of the pool if possible. The caller must not resize it. */
struct store_block *store_block_pool_take(struct store_block_pool *pool, size_t len);
/* Takes back a block that has no references any more. Only store_block_release calls this. */
void store_block_pool_give(struct store_block_pool *pool, struct store_block *block);

#endif
