/* store/auth/oauth.h: parses what token endpoints and metadata services answer (RFC 6749, section 5), for stores that
 * take bearer tokens. Pure: no I/O.
 */
#ifndef STORE_AUTH_OAUTH_H
#define STORE_AUTH_OAUTH_H

#include "store/auth/secret.h"

/* Parses {"access_token":…,"expires_in":…}. The life is `expires_in` (seconds) or `expires_on` (Unix seconds), each a
 * number or a string of digits; `now_ms` is the time of the answer in Unix milliseconds. A token without a life counts as
 * one of five minutes. DP_IO for other texts; no message quotes the answer. */
enum dp_status oauth_token_parse(const char *from, struct span body, int64_t now_ms, struct arena *arena,
                                 struct bearer_token **out, struct dp_error *error);

/* An error answer: {"error":"invalid_grant","error_description":…}, or Google's
 * {"error":{"status":"PERMISSION_DENIED","message":…}}. Spans live in `body` or in the arena. */
struct oauth_error {
    struct span code, message; /* printable; empty if missing */
};
/* Returns false if `body` is not such an answer. */
bool oauth_error_parse(struct span body, struct arena *arena, struct oauth_error *out);

/* Fails because `from` answered with `code` instead of a token: DP_UNAVAILABLE for 429 and 5xx, else DP_DENIED. Quotes the
 * error in the body, if it is one. */
enum dp_status oauth_refused(const char *from, int code, struct span body, struct arena *arena,
                             struct dp_error *error);

#endif
