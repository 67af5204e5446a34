/* checksum.c: XXH3-64 from the xxHash header, SHA-256 from OpenSSL.
 *
 * SHA-256 uses OpenSSL's oldest interface, although it is deprecated: the EVP interface allocates and looks up its
 * method, which takes longer than hashing a short text. The embedding cache hashes short texts to make its cache
 * keys. */
#include "base/checksum.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(struct sha256_state) == sizeof(SHA256_CTX), "a state is OpenSSL's own");

static SHA256_CTX *context_of(struct sha256_state *s)
{
    return (SHA256_CTX *)(void *)s;
}

uint64_t checksum64(struct span bytes)
{
    return XXH3_64bits(bytes.len ? bytes.data : (const uint8_t *)"", bytes.len);
}

_Static_assert(sizeof(struct checksum64_state) >= sizeof(XXH3_state_t), "a state holds that of XXH3");

void checksum64_begin(struct checksum64_state *s)
{
    XXH3_state_t *state = (void *)s;
    *s = (struct checksum64_state){0};
    XXH3_64bits_reset(state);
}

void checksum64_update(struct checksum64_state *s, struct span bytes)
{
    if (bytes.len)
        XXH3_64bits_update((void *)s, bytes.data, bytes.len);
}

uint64_t checksum64_end(const struct checksum64_state *s)
{
    return XXH3_64bits_digest((const void *)s);
}

void sha256(struct span bytes, uint8_t digest[32])
{
    struct sha256_state s;
    sha256_begin(&s);
    sha256_update(&s, bytes);
    sha256_end(&s, digest);
}

void sha256_begin(struct sha256_state *s)
{
    SHA256_Init(context_of(s));
}

void sha256_update(struct sha256_state *s, struct span bytes)
{
    if (bytes.len)
        SHA256_Update(context_of(s), bytes.data, bytes.len);
}

void sha256_end(struct sha256_state *s, uint8_t digest[32])
{
    SHA256_Final(digest, context_of(s));
}

bool hmac_sha256(struct span key, struct span text, uint8_t out[32])
{
    static const uint8_t none[1];
    unsigned len = 32;
    /* OpenSSL takes key lengths as int, and NULL as "the key of the last call". */
    return key.len <= INT32_MAX &&
           HMAC(EVP_sha256(), key.len ? key.data : none, (int)key.len, text.data, text.len, out, &len);
}
