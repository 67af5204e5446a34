/* account/key.h: the text of an API key, and its hash.
 *
 * A key is a prefix from the settings ("fe_") and 64 hexadecimal digits: 256 random bits. The database stores the
 * key's bcrypt hash, which other programs read and write too; the key's first 8 digits, by which the hash is
 * found; and the key's SHA-256 digest. Nobody can guess 256 random bits, so the fast digest is as safe as the slow
 * hash. bcrypt reads at most 72 bytes, so the prefix has at most KEY_SCHEME_MAX bytes. */
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
    KEY_COST = 12,       /* bcrypt's cost of new hashes: 2^12 rounds */
    KEY_COST_MAX = 15,   /* a more expensive stored hash is refused: it would delay all other keys */
    KEY_COST_TESTS = 4,  /* for tests: bcrypt's minimum */
};

/* Checks the prefix from the settings: 1 to KEY_SCHEME_MAX characters of A-Z a-z 0-9 _ -. Errors: DP_INVALID. */
enum dp_status key_check_scheme(struct span scheme, struct dp_error *error);

/* Makes a new random key with the prefix `scheme`. */
enum dp_status key_generate(struct span scheme, char out[KEY_TEXT_MAX + 1], struct dp_error *error);
/* Returns whether the text has the form of a key. Servers check this before they ask the database. */
bool key_is_well_formed(struct span scheme, struct span text);
/* Returns the first 8 digits of a well-formed key, by which the database finds its hash. */
struct span key_prefix(struct span scheme, struct span text);

/* Hashes a key of at most KEY_TEXT_MAX bytes to "$2b$12$…". Takes a fraction of a second of processor time by
 * design. */
enum dp_status key_hash(struct span text, unsigned cost, char out[KEY_HASH_MAX + 1], struct dp_error *error);
/* Sets *matches to whether the hash is this key's; compares in constant time. *matches is false if `hash` is no
 * bcrypt hash or costs more than KEY_COST_MAX. Errors: DP_NOMEM. */
enum dp_status key_verify(struct span text, struct span hash, bool *matches, struct dp_error *error);

/* Writes the SHA-256 of a key's text in lower-case hexadecimal digits. */
void key_digest(struct span text, char out[KEY_DIGEST_LEN + 1]);
/* Returns whether the digest is this key's; compares in constant time. */
bool key_digest_matches(struct span text, struct span digest);

#endif
