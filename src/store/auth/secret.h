/* store/auth/secret.h: what every secret that opens a store has in common, and the simplest of them, a bearer token.
 *
 * Secrets are immutable, shared and counted. The last release wipes their memory, and no message ever holds a part
 * of them. A kind of secret is a struct that begins with a struct secret; AWS's keys (store/s3/keys.h) are another.
 */
#ifndef STORE_AUTH_SECRET_H
#define STORE_AUTH_SECRET_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

/* Maximum length of each text of a secret, in bytes. AWS's session tokens are the longest. */
enum { SECRET_TEXT_MAX = 16384 };

struct secret {
    _Atomic size_t references;
    uint64_t serial;    /* number that a secret_cache gives each secret that it fetches; 0 before that */
    int64_t expires_ms; /* Unix milliseconds; INT64_MAX: never */
    size_t size;        /* bytes of the whole struct with its texts */
};

/* Allocates a zeroed secret of `size` bytes with one reference. Returns NULL if memory runs out. */
struct secret *secret_new(size_t size, int64_t expires_ms);
struct secret *secret_retain(struct secret *secret);
void secret_release(struct secret *secret); /* NULL is fine */

/* Checks that a text can stand in a header: printable ASCII without blanks, at most SECRET_TEXT_MAX bytes. `what`
 * and `from` name the text and its source in the message of DP_INVALID. */
enum dp_status secret_check_text(const char *from, const char *what, struct span text, struct dp_error *error);

/* Parses a time of expiry, "2026-01-31T12:00:00Z", as Unix milliseconds. A fraction of seconds may precede the Z; UTC, or
 * an offset such as +01:00 or +0100, may stand for it. Returns false for anything else. */
bool secret_time_parse(struct span text, int64_t *wall_ms);

/* A token for the header "Authorization: Bearer …". */
struct bearer_token {
    struct secret base;
    struct span text;
    uint8_t bytes[];
};

/* Copies a token into a new secret. DP_INVALID if it is empty or cannot stand in a header. */
enum dp_status bearer_token_new(const char *from, struct span text, int64_t expires_ms, struct bearer_token **out,
                                struct dp_error *error);

#endif
