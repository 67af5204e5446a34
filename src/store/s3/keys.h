/* store/s3/keys.h: a set of keys that sign requests, and the parsers of answers that bring one.
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

/* Longest text of one key; session tokens are the long ones. */
enum { AWS_KEY_MAX_BYTES = 16384 };

struct aws_keys {
    _Atomic size_t references;
    uint64_t serial;    /* identifies fetched keys; 0 until credentials.c numbers them */
    int64_t expires_ms; /* Unix milliseconds; INT64_MAX: never */
    struct span access_key_id, secret_access_key;
    struct span session_token; /* empty: none */
    size_t size;
    uint8_t text[];
};

/* Copies the texts, with one reference. DP_INVALID for an empty or too long key, or one with a control character,
 * which would break its header. `from` names the source, for messages. */
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
 * missing ones are empty. Returns false when `body` is not such an answer. */
struct aws_error {
    struct span code, message, region, bucket;
    uint64_t size; /* <ActualObjectSize>, when the range lies behind the end */
    bool size_known;
};
bool aws_error_parse(struct span body, struct arena *arena, struct aws_error *out);

#endif
