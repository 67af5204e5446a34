/* base/checksum.h: XXH3 checksums of stored bytes, SHA-256 fingerprints and HMACs. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include "base/span.h"

/* Returns XXH3-64 with seed 0: the checksum of sections and entries in our formats. */
uint64_t checksum64(struct span bytes);

/* The state of a checksum64() of bytes that come in pieces. */
struct checksum64_state {
    _Alignas(64) uint64_t words[72];
};
void checksum64_begin(struct checksum64_state *s);
void checksum64_update(struct checksum64_state *s, struct span bytes);
uint64_t checksum64_end(const struct checksum64_state *s);

/* Computes the SHA-256 of `bytes`, with OpenSSL. */
void sha256(struct span bytes, uint8_t digest[32]);

/* The state of a SHA-256 that is computed in pieces. It is plain bytes and may be copied, so a caller can hash the
 * common beginning of many texts once. */
struct sha256_state {
    uint64_t words[14];
};
void sha256_begin(struct sha256_state *s);
void sha256_update(struct sha256_state *s, struct span bytes);
void sha256_end(struct sha256_state *s, uint8_t digest[32]);

/* Computes the HMAC-SHA256 of `text` (RFC 2104). Returns false if OpenSSL cannot compute it. `out` may be the
 * memory of `key`. */
bool hmac_sha256(struct span key, struct span text, uint8_t out[32]);

#endif
