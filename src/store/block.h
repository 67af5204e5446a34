/* store/block.h: blocks of bytes that were read, shared by reference counting. Any thread may retain or release one. */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include <stdatomic.h>

#include "store/store.h"

struct store_block_pool;

/* For block.c and block_pool.c; others call the functions below. */
struct store_block {
    _Atomic size_t references;
    size_t len;
    struct store_block_pool *pool; /* takes the block back; NULL: it is freed */
    size_t capacity;
    _Alignas(16) uint8_t data[];
};

/* Sets a new block's fields, with one reference. */
void store_block_init(struct store_block *block, size_t len, struct store_block_pool *pool, size_t capacity);

/* Makes a block of `len` bytes with one reference. Its bytes are not set. NULL when out of memory. */
struct store_block *store_block_new(size_t len);
/* Resizes a block that has one reference (NULL: makes a new one) and keeps its first bytes. When out of memory, returns
 * NULL and leaves `block` as it was. */
struct store_block *store_block_resize(struct store_block *block, size_t len);
uint8_t *store_block_data(struct store_block *block);
size_t store_block_len(const struct store_block *block);
void store_block_release(struct store_block *block); /* NULL is fine */
/* A part of the block as bytes that hold a reference. The part must lie inside. */
struct store_bytes store_block_bytes(struct store_block *block, uint64_t offset, uint64_t len);

#endif
