/* account/key.h: the text of an API key, and its hash.
 *
 * A key is a prefix from the settings ("fe_") and 64 hexadecimal digits: 256 random bits. The database stores its
 * bcrypt hash, which other programs read and write too; its first 8 digits, which find the hash; and beside the hash
 * a SHA-256 digest: nobody can guess 256 random bits, so a fast hash is as safe as a slow one. bcrypt reads 72 bytes
 * at most, so the prefix has at most KEY_SCHEME_MAX. */
#ifndef ACCOUNT_KEY_H
#define ACCOUNT_KEY_H

#include "base/error.h"
#include "base/span.h"

enum {
    KEY_DIGITS = 64,
    KEY_PREFIX_LEN = 8,
    KEY_SCHEME_MAX = 8,
    KEY_TEXT_MAX = KEY_SCHEME_MAX + KEY_DIGITS,
    KEY_HASH_MAX = 60,   /* characters of a bcrypt hash */
    KEY_DIGEST_LEN = 64, /* characters of a digest: SHA-256 in hexadecimal */
    KEY_COST = 12,       /* of new hashes: 2^12 rounds */
    KEY_COST_MAX = 15,   /* a more expensive stored hash is refused: it would delay all other keys */
    KEY_COST_TESTS = 4,  /* bcrypt's minimum */
};

/* Checks the prefix from the settings: 1 to KEY_SCHEME_MAX of A-Z a-z 0-9 _ -. DP_INVALID. */
enum dp_status key_check_scheme(struct span scheme, struct dp_error *error);

enum dp_status key_generate(struct span scheme, char out[KEY_TEXT_MAX + 1], struct dp_error *error);
/* Whether the text has the form of a key; the first check of what a client sends. */
bool key_is_well_formed(struct span scheme, struct span text);
/* The 8 digits that find the hash of a well-formed key. */
struct span key_prefix(struct span scheme, struct span text);

/* Hashes a key of at most KEY_TEXT_MAX bytes to "$2b$12$…". Takes a fraction of a second of processor time by design.
 */
enum dp_status key_hash(struct span text, unsigned cost, char out[KEY_HASH_MAX + 1], struct dp_error *error);
/* Whether the hash is this key's, compared in constant time. *matches is false for a text that is not a bcrypt hash
 * or costs too much. DP_NOMEM. */
enum dp_status key_verify(struct span text, struct span hash, bool *matches, struct dp_error *error);

/* SHA-256 of a key's text in lower-case hexadecimal digits. */
void key_digest(struct span text, char out[KEY_DIGEST_LEN + 1]);
/* Whether the digest is this key's, compared in constant time. */
bool key_digest_matches(struct span text, struct span digest);

#endif
