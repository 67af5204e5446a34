/* account/key.h: the text of an API key, and its hash.
 *
 * A key is a prefix that the settings name ("fe_") and 64 hexadecimal digits: 256 random bits. What is stored is its
 * bcrypt hash, which other programs read and write too, the first 8 digits, by which the hash is found, and beside the
 * hash a SHA-256 digest: nobody can guess 256 random bits, so a fast function serves as well as a slow one. bcrypt sees 72 bytes and no more, so the settings'
 * prefix has at most KEY_SCHEME_MAX. */
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
    KEY_COST_MAX = 15,   /* a stored hash that costs more is refused: it would hold up all others */
    KEY_COST_TESTS = 4,  /* the least that bcrypt knows */
};

/* What the settings say comes before the digits: 1 to KEY_SCHEME_MAX of A-Z a-z 0-9 _ -. DP_INVALID. */
enum dp_status key_check_scheme(struct span scheme, struct dp_error *error);

enum dp_status key_generate(struct span scheme, char out[KEY_TEXT_MAX + 1], struct dp_error *error);
/* Whether the text is of a key's form; the first thing asked of what a client sends. */
bool key_is_well_formed(struct span scheme, struct span text);
/* The 8 digits that a well-formed key is found by. */
struct span key_prefix(struct span scheme, struct span text);

/* "$2b$12$…" of a key, of at most KEY_TEXT_MAX bytes. Takes a fraction of a second of processor time by design. */
enum dp_status key_hash(struct span text, unsigned cost, char out[KEY_HASH_MAX + 1], struct dp_error *error);
/* Whether the hash is this key's, compared in constant time; `*matches` is false for a hash that is none of bcrypt's or
 * costs too much. DP_NOMEM. */
enum dp_status key_verify(struct span text, struct span hash, bool *matches, struct dp_error *error);

/* SHA-256 of a key's text in small hexadecimal digits. */
void key_digest(struct span text, char out[KEY_DIGEST_LEN + 1]);
/* Whether the digest is this key's, compared in constant time. */
bool key_digest_matches(struct span text, struct span digest);

#endif
