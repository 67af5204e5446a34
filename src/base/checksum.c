/* checksum.c: XXH3-64 from the xxHash header, SHA-256 from OpenSSL's EVP interface. */
#include "base/checksum.h"

#include <assert.h>
#include <openssl/evp.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"

struct sha256_state {
    EVP_MD_CTX *context;
};

uint64_t checksum64(struct span bytes)
{
    return XXH3_64bits(bytes.len ? bytes.data : (const uint8_t *)"", bytes.len);
}

void sha256(struct span bytes, uint8_t digest[32])
{
    int done =
        EVP_Digest(bytes.len ? bytes.data : (const uint8_t *)"", bytes.len, digest, NULL, EVP_sha256(), NULL);
    assert(done == 1);
    (void)done;
}

struct sha256_state *sha256_new(void)
{
    struct sha256_state *s = mem_alloc(sizeof *s);
    if (!s)
        return NULL;
    s->context = EVP_MD_CTX_new();
    if (!s->context || EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(s->context);
        mem_free(s);
        return NULL;
    }
    return s;
}

void sha256_update(struct sha256_state *s, struct span bytes)
{
    if (bytes.len == 0)
        return;
    int done = EVP_DigestUpdate(s->context, bytes.data, bytes.len);
    assert(done == 1);
    (void)done;
}

void sha256_final_free(struct sha256_state *s, uint8_t digest[32])
{
    if (!s)
        return;
    if (digest) {
        int done = EVP_DigestFinal_ex(s->context, digest, NULL);
        assert(done == 1);
        (void)done;
    }
    EVP_MD_CTX_free(s->context);
    mem_free(s);
}

void hex_encode(struct span bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        *out++ = digits[bytes.data[i] >> 4];
        *out++ = digits[bytes.data[i] & 15];
    }
    *out = '\0';
}
