/* store/block.h: blocks of bytes that were read, shared by reference counting. Any thread may retain or release
 * one. */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include <stdatomic.h>

#include "store/store.h"

struct store_block_pool;

/* Only block.c and block_pool.c use the fields; everyone else calls the functions below. */
struct store_block {
    _Atomic size_t references;
    size_t len;
    /* takes the block back after its last release; NULL: the last release frees it */
    struct store_block_pool *pool;
    size_t capacity;
    _Alignas(16) uint8_t data[];
};

/* Sets a new block's fields, with one reference. */
void store_block_init(struct store_block *block, size_t len, struct store_block_pool *pool, size_t capacity);

/* Makes a block of `len` bytes with one reference. Its bytes are not initialised. Returns NULL when out of
 * memory. */
struct store_block *store_block_new(size_t len);
/* Resizes a block that has one reference (NULL: makes a new one) and keeps its first bytes. When out of memory,
 * returns NULL and leaves `block` as it was. */
struct store_block *store_block_resize(struct store_block *block, size_t len);
uint8_t *store_block_data(struct store_block *block);
size_t store_block_len(const struct store_block *block);
size_t store_block_capacity(const struct store_block *block); /* the memory that it holds: at least its length */
void store_block_release(struct store_block *block);          /* NULL is fine */
/* Returns a part of the block as bytes, with a new reference (none for 0 bytes). The part must lie inside the
 * block. */
struct store_bytes store_block_bytes(struct store_block *block, uint64_t offset, uint64_t len);

#endif
