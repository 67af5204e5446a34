/* store/s3/keys.h: a set of keys that requests are signed with, and the answers that bring one.
 *
 * Keys are immutable, shared and counted. Their memory is wiped when the last owner releases it, and no message
 * ever holds a part of them.
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
    uint64_t serial;    /* tells fetched keys apart; 0 until somebody numbers them */
    int64_t expires_ms; /* Unix milliseconds; INT64_MAX: never */
    struct span access_key_id, secret_access_key;
    struct span session_token; /* empty: none */
    size_t size;
    uint8_t text[];
};

/* Copies the texts, with one reference. DP_INVALID for an empty key, one that is too long, or one with a control
 * character (it would break the header that it goes into); `from` says where they are from. */
enum dp_status aws_keys_new(const char *from, struct span access_key_id, struct span secret_access_key,
                            struct span session_token, int64_t expires_ms, struct aws_keys **out,
                            struct dp_error *error);
struct aws_keys *aws_keys_retain(struct aws_keys *keys);
void aws_keys_release(struct aws_keys *keys); /* NULL is fine */

/* "2026-01-31T12:00:00Z", with a fraction of seconds or without, as Unix milliseconds; false for anything else. */
bool aws_time_parse(struct span text, int64_t *wall_ms);

/* The JSON that the container endpoint and the instance metadata answer with:
 * {"AccessKeyId":…,"SecretAccessKey":…,"Token":…,"Expiration":…,"Code":…}. DP_UNAVAILABLE for a "Code" that is not
 * Success, DP_IO for what is no such answer. */
enum dp_status aws_keys_from_json(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                  struct dp_error *error);
/* The XML that STS answers AssumeRoleWithWebIdentity with. */
enum dp_status aws_keys_from_sts(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                 struct dp_error *error);

/* An error answer of S3 or STS: <Error> alone or inside <ErrorResponse>. Spans live in `body` or in the arena;
 * empty where the answer says nothing. False when `body` is no such answer. */
struct aws_error {
    struct span code, message, region, bucket;
    uint64_t size; /* <ActualObjectSize>, with a range that lies behind it */
    bool size_known;
};
bool aws_error_parse(struct span body, struct arena *arena, struct aws_error *out);

#endif
