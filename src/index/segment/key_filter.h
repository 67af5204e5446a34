/* index/segment/key_filter.h: a split-block Bloom filter, which says which ids a segment may hold.
 *
 * Blocks of 32 bytes, eight 32-bit words each; a key sets one bit in each word of one block, so a look-up touches one
 * cache line. (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007; the layout and salts
 * are those of Apache Parquet's specification.) The hash is XXH3-64 of the id's key.
 */
#ifndef INDEX_KEY_FILTER_H
#define INDEX_KEY_FILTER_H

#include "base/span.h"

enum { KEY_FILTER_BLOCK = 32 };

/* Bytes for n keys: ten bits each, at most 2 MiB. (A denser filter answers "maybe" more often.) */
size_t key_filter_len(uint64_t n);
/* filter: len bytes, zeroed at first; len is a positive multiple of KEY_FILTER_BLOCK. */
void key_filter_add(uint8_t *filter, size_t len, struct span key);
/* False when the key was not added; true when it may have been. */
bool key_filter_maybe(struct span filter, struct span key);

#endif
