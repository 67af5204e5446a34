/* key_filter.c: the split-block Bloom filter; words are little endian. */
#include "index/segment/key_filter.h"

#include "base/checksum.h"

enum { BITS_PER_KEY = 10 };

static const uint32_t salts[8] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                                  0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};

size_t key_filter_len(uint64_t n)
{
    uint64_t blocks = (n * BITS_PER_KEY / 8 + KEY_FILTER_BLOCK - 1) / KEY_FILTER_BLOCK;
    return (size_t)(blocks ? blocks : 1) * KEY_FILTER_BLOCK;
}

/* The byte and bit of word `i` in the key's block. */
static size_t place_of_bit(uint64_t hash, size_t len, int i, uint8_t *bit)
{
    size_t block = (size_t)((hash >> 32) * (len / KEY_FILTER_BLOCK) >> 32);
    uint32_t at = (uint32_t)((uint32_t)hash * salts[i]) >> 27;
    *bit = (uint8_t)(1u << (at % 8));
    return block * KEY_FILTER_BLOCK + (size_t)i * 4 + at / 8;
}

void key_filter_add(uint8_t *filter, size_t len, struct span key)
{
    uint64_t hash = checksum64(key);
    for (int i = 0; i < 8; i++) {
        uint8_t bit;
        size_t at = place_of_bit(hash, len, i, &bit);
        filter[at] |= bit;
    }
}

bool key_filter_maybe(struct span filter, struct span key)
{
    uint64_t hash = checksum64(key);
    for (int i = 0; i < 8; i++) {
        uint8_t bit;
        size_t at = place_of_bit(hash, filter.len, i, &bit);
        if (!(filter.data[at] & bit))
            return false;
    }
    return true;
}
