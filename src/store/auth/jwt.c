/* auth/jwt.c: signed JSON Web Tokens (see auth/jwt.h). */
#include "store/auth/jwt.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/base64.h"

enum { SIGNATURE_MAX = 2048 }; /* of an RSA key of 16,384 bits */

/* Appends the base64url of `bytes`, without padding. */
static void append_base64url(struct buffer *out, struct span bytes)
{
    size_t from = out->len;
    base64_encode(bytes, out);
    if (out->status != DP_OK)
        return;
    while (out->len > from && out->data[out->len - 1] == '=')
        out->len--;
    for (size_t i = from; i < out->len; i++)
        out->data[i] = out->data[i] == '+' ? '-' : out->data[i] == '/' ? '_' : out->data[i];
}

/* Reads an RSA key. Returns NULL if `pem` holds none. */
static EVP_PKEY *read_key(struct span pem)
{
    static char no_password[] = "";
    BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    /* A password keeps OpenSSL from asking on the terminal for one. */
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password) : NULL;
    BIO_free(bio);
    if (key && EVP_PKEY_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

enum dp_status jwt_sign_rs256(const char *from, struct span pem, struct span header, struct span claims,
                              struct buffer *out, struct dp_error *error)
{
    uint8_t signature[SIGNATURE_MAX];
    size_t len = sizeof signature, begin = out->len;
    EVP_PKEY *key = read_key(pem);
    if (!key) {
        ERR_clear_error();
        return dp_fail(error, DP_INVALID, "%s: the private key is not an RSA key in PEM", from);
    }
    append_base64url(out, header);
    buffer_append_str(out, ".");
    append_base64url(out, claims);
    enum dp_status status = buffer_check(out, "a signed token", error);
    EVP_MD_CTX *context = status == DP_OK ? EVP_MD_CTX_new() : NULL;
    if (status == DP_OK && !context)
        status = dp_fail_nomem(error, "a signature");
    if (status == DP_OK && (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
                            EVP_DigestSign(context, signature, &len, out->data + begin, out->len - begin) != 1)) {
        ERR_clear_error();
        status = dp_fail(error, DP_INVALID, "%s: the private key does not sign", from);
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (status != DP_OK)
        return status;
    buffer_append_str(out, ".");
    append_base64url(out, span_of(signature, len));
    return buffer_check(out, "a signed token", error);
}
