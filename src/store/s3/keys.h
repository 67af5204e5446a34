/* store/s3/keys.h: a set of keys that sign requests to S3, and the parsers of answers that contain such a set.
 *
 * A set is a secret (store/auth/secret.h): immutable, shared, counted and wiped.
 */
#ifndef STORE_AWS_KEYS_H
#define STORE_AWS_KEYS_H

#include "store/auth/secret.h"

struct aws_keys {
    struct secret base;
    struct span access_key_id, secret_access_key;
    struct span session_token; /* empty: none */
    size_t text_len;
    uint8_t text[];
};

/* Copies the texts into a new set with one reference. Fails with DP_INVALID if a key is empty, too long, or has a
 * control character, which would break its header. `from` names the source of the keys in messages. */
enum dp_status aws_keys_new(const char *from, struct span access_key_id, struct span secret_access_key,
                            struct span session_token, int64_t expires_ms, struct aws_keys **out,
                            struct dp_error *error);
struct aws_keys *aws_keys_retain(struct aws_keys *keys);
void aws_keys_release(struct aws_keys *keys); /* NULL is fine */

/* Parses the JSON from the container's endpoint and the instance metadata:
 * {"AccessKeyId":…,"SecretAccessKey":…,"Token":…,"Expiration":…,"Code":…}. DP_UNAVAILABLE if "Code" is not
 * Success, DP_IO for other texts. */
enum dp_status aws_keys_from_json(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                  struct dp_error *error);
/* Parses the JSON that a credential_process prints: {"Version":1,"AccessKeyId":…,"SecretAccessKey":…,
 * "SessionToken":…,"Expiration":…}. */
enum dp_status aws_keys_from_process(const char *from, struct span output, struct arena *arena,
                                     struct aws_keys **out, struct dp_error *error);
/* Parses the JSON of SSO's GetRoleCredentials: {"roleCredentials":{"accessKeyId":…,…}}. */
enum dp_status aws_keys_from_sso(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                 struct dp_error *error);
/* Parses the XML that STS answers to AssumeRole and AssumeRoleWithWebIdentity. */
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
