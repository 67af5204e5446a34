/* key.c: creates, checks and hashes keys; bcrypt is libxcrypt's. Copies of a key are wiped after use. */
#include "account/key.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/hex.h"
#include "os/random.h"

static bool is_key_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

enum dp_status key_check_scheme(struct span scheme, struct dp_error *error)
{
    bool good = scheme.len >= 1 && scheme.len <= KEY_SCHEME_MAX;
    for (size_t i = 0; good && i < scheme.len; i++) {
        uint8_t c = scheme.data[i];
        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    }
    if (!good)
        return dp_fail(error, DP_INVALID,
                       "the prefix of keys is \"%.*s\", but must be 1 to %d characters of A-Z a-z 0-9 _ -",
                       SPAN_FMT(scheme), KEY_SCHEME_MAX);
    return DP_OK;
}

enum dp_status key_generate(struct span scheme, char out[KEY_TEXT_MAX + 1], struct dp_error *error)
{
    uint8_t bytes[KEY_DIGITS / 2];
    enum dp_status status = os_random(bytes, sizeof bytes, error);
    if (status != DP_OK)
        return status;
    memcpy(out, scheme.data, scheme.len);
    hex_encode(span_of(bytes, sizeof bytes), out + scheme.len);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return DP_OK;
}

bool key_is_well_formed(struct span scheme, struct span text)
{
    bool good = text.len == scheme.len + KEY_DIGITS && span_starts_with(text, scheme);
    for (size_t i = scheme.len; good && i < text.len; i++)
        good = is_key_digit(text.data[i]);
    return good;
}

struct span key_prefix(struct span scheme, struct span text)
{
    return span_of(text.data + scheme.len, KEY_PREFIX_LEN);
}

/* Hashes a key by crypt(3) with a setting; the result lies in `data`. NULL on failure. */
static const char *hash_under(struct span text, const char *setting, struct crypt_data *data)
{
    char phrase[KEY_TEXT_MAX + 1];
    if (text.len > KEY_TEXT_MAX)
        return NULL;
    memcpy(phrase, text.data, text.len);
    phrase[text.len] = '\0';
    const char *hash = crypt_r(phrase, setting, data);
    OPENSSL_cleanse(phrase, sizeof phrase);
    return hash && hash[0] == '$' ? hash : NULL;
}

static void wipe_crypt_data(struct crypt_data *data)
{
    OPENSSL_cleanse(data, sizeof *data);
    mem_free(data);
}

enum dp_status key_hash(struct span text, unsigned cost, char out[KEY_HASH_MAX + 1], struct dp_error *error)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], salt[16];
    enum dp_status status = os_random(salt, sizeof salt, error);
    if (status != DP_OK)
        return status;
    if (!crypt_gensalt_rn("$2b$", cost, salt, sizeof salt, setting, sizeof setting))
        return dp_fail(error, DP_INVALID, "bcrypt does not know a cost of %u", cost);
    struct crypt_data *data = mem_calloc(1, sizeof *data);
    if (!data)
        return dp_fail_nomem(error, "the hash of a key");
    const char *hash = hash_under(text, setting, data);
    if (hash && strlen(hash) == KEY_HASH_MAX)
        memcpy(out, hash, KEY_HASH_MAX + 1);
    else
        status = dp_fail(error, DP_INVALID, "a key of %zu bytes cannot be hashed", text.len);
    wipe_crypt_data(data);
    return status;
}

/* Whether a hash is bcrypt's ("$2b$12$…") and its cost is at most KEY_COST_MAX. */
static bool is_bearable(struct span hash)
{
    const uint8_t *h = hash.data;
    if (hash.len != KEY_HASH_MAX || h[0] != '$' || h[1] != '2' || !memchr("aby", h[2], 3) || h[3] != '$' ||
        h[6] != '$')
        return false;
    int cost = (h[4] - '0') * 10 + (h[5] - '0');
    return cost >= KEY_COST_TESTS && cost <= KEY_COST_MAX && memchr(h, 0, hash.len) == NULL;
}

enum dp_status key_verify(struct span text, struct span hash, bool *matches, struct dp_error *error)
{
    char setting[KEY_HASH_MAX + 1];
    *matches = false;
    if (!is_bearable(hash))
        return DP_OK;
    memcpy(setting, hash.data, KEY_HASH_MAX);
    setting[KEY_HASH_MAX] = '\0';
    struct crypt_data *data = mem_calloc(1, sizeof *data);
    if (!data)
        return dp_fail_nomem(error, "the hash of a key");
    const char *made = hash_under(text, setting, data);
    *matches = made && strlen(made) == KEY_HASH_MAX && CRYPTO_memcmp(made, setting, KEY_HASH_MAX) == 0;
    wipe_crypt_data(data);
    return DP_OK;
}

void key_digest(struct span text, char out[KEY_DIGEST_LEN + 1])
{
    uint8_t digest[KEY_DIGEST_LEN / 2];
    sha256(text, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

bool key_digest_matches(struct span text, struct span digest)
{
    char own[KEY_DIGEST_LEN + 1];
    key_digest(text, own);
    return digest.len == KEY_DIGEST_LEN && CRYPTO_memcmp(own, digest.data, KEY_DIGEST_LEN) == 0;
}
