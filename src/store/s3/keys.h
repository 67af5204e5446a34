/* store/s3/keys.h: a set of keys that sign requests to S3, and the parsers of answers that contain such a set.
 *
 * Keys are immutable, shared and counted. The last release wipes their memory, and no message ever holds a part of
 * them.
 */
#ifndef STORE_AWS_KEYS_H
#define STORE_AWS_KEYS_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

/* Maximum length of each text of a set, in bytes. Session tokens are the longest. */
enum { AWS_KEY_MAX_BYTES = 16384 };

struct aws_keys {
    _Atomic size_t references;
    uint64_t serial;    /* number that credentials.c gives each set that it fetches; 0 before that */
    int64_t expires_ms; /* Unix milliseconds; INT64_MAX: never */
    struct span access_key_id, secret_access_key;
    struct span session_token; /* empty: none */
    size_t size;
    uint8_t text[];
};

/* Copies the texts into a new set with one reference. Fails with DP_INVALID if a key is empty, too long, or has a
 * control character, which would break its header. `from` names the source of the keys in messages. */
enum dp_status aws_keys_new(const char *from, struct span access_key_id, struct span secret_access_key,
                            struct span session_token, int64_t expires_ms, struct aws_keys **out,
                            struct dp_error *error);
struct aws_keys *aws_keys_retain(struct aws_keys *keys);
void aws_keys_release(struct aws_keys *keys); /* NULL is fine */

/* Parses "2026-01-31T12:00:00Z", with or without a fraction of seconds, as Unix milliseconds. Returns false for
 * anything else. */
bool aws_time_parse(struct span text, int64_t *wall_ms);

/* Parses the JSON from the container's endpoint and the instance metadata:
 * {"AccessKeyId":…,"SecretAccessKey":…,"Token":…,"Expiration":…,"Code":…}. DP_UNAVAILABLE if "Code" is not
 * Success, DP_IO for other texts. */
enum dp_status aws_keys_from_json(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                  struct dp_error *error);
/* Parses the XML that STS answers to AssumeRoleWithWebIdentity. */
enum dp_status aws_keys_from_sts(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                 struct dp_error *error);

/* An error answer of S3 or STS: <Error>, alone or inside <ErrorResponse>. Spans live in `body` or in the arena;
 * the span of a missing element is empty. aws_error_parse returns false if `body` is not such an answer. */
struct aws_error {
    struct span code, message, region, bucket;
    uint64_t size; /* <ActualObjectSize> in bytes; S3 sends it if the range lies past the end */
    bool size_known;
};
bool aws_error_parse(struct span body, struct arena *arena, struct aws_error *out);

#endif
