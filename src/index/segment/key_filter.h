/* index/segment/key_filter.h: a split-block Bloom filter, which tells which ids a segment may hold.
 *
 * A block has 32 bytes, which are eight 32-bit words. An id key sets one bit in each word of one block, so a
 * look-up touches one cache line (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters",
 * 2007). The layout and the salts are from the specification of Apache Parquet. The hash is XXH3-64 of the id key.
 */
#ifndef INDEX_KEY_FILTER_H
#define INDEX_KEY_FILTER_H

#include "base/span.h"

enum { KEY_FILTER_BLOCK = 32 };

/* Returns the bytes of a filter for n keys: ten bits for each key. */
size_t key_filter_len(uint64_t n);
/* Adds a key to `filter` of len bytes, which are zero before the first key. len is a positive multiple of
 * KEY_FILTER_BLOCK. */
void key_filter_add(uint8_t *filter, size_t len, struct span key);
/* Returns false if the filter certainly does not have the key, true if it may have it. */
bool key_filter_maybe(struct span filter, struct span key);

#endif
