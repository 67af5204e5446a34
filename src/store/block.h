/* block.h: a block of bytes as block.c and block_pool.c see it; private to them. */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include <stdatomic.h>

#include "store/implement.h"

struct store_block {
    _Atomic size_t references;
    size_t len;
    struct store_block_pool *pool; /* that it goes back to; NULL: it is freed */
    size_t capacity;               /* of one with a pool */
    _Alignas(16) uint8_t data[];
};

/* A new block's fields, with one reference. */
void store_block_init(struct store_block *block, size_t len, struct store_block_pool *pool, size_t capacity);
/* Gives back a block that nobody holds any more. */
void store_block_pool_give(struct store_block_pool *pool, struct store_block *block);

#endif
