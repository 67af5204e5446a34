/* store/s3/sigv4.h: AWS Signature Version 4, in a header or in a presigned URL.
 *
 * The signature is HMAC-SHA256 over a canonical form of the request. Source: "Create a signed AWS API request",
 * IAM User Guide; for S3, "Authenticating Requests (AWS Signature Version 4)". The steps are functions of their own,
 * because the published test suite (tests/data/aws-signing-test-suite) compares each of them.
 *
 * All functions are pure: no clock, no I/O; results go to buffers and arenas of the caller.
 */
#ifndef STORE_SIGV4_H
#define STORE_SIGV4_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/span.h"
#include "base/url.h"

enum {
    SIGV4_PAIRS_MAX = 64,                 /* query parameters, or headers, of one request */
    SIGV4_DATE_LEN = 16,                  /* "20150830T123600Z" */
    SIGV4_SIGNATURE_LEN = 64,             /* hexadecimal SHA-256 */
    SIGV4_EXPIRES_MAX_SECONDS = 7 * 86400 /* of a presigned URL */
};

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct sigv4_pair {
    struct span name, value;
};

/* A request before it is escaped. Every header that is listed is signed; Host must be among them. */
struct sigv4_request {
    struct span method; /* "GET" */
    struct span path;   /* begins with '/'; is escaped once */
    const struct sigv4_pair *query;
    size_t query_count;
    const struct sigv4_pair *headers; /* values as they are sent; white space is trimmed here */
    size_t header_count;
    struct span payload_hash; /* hexadecimal SHA-256 of the body, or SIGV4_UNSIGNED_PAYLOAD */
    bool normalize_path;      /* resolves "." and ".." and doubled slashes: not for S3 */
};

/* Who signs, when, and for what. */
struct sigv4_signer {
    struct span access_key_id, secret_access_key;
    struct span session_token; /* for presigning: goes into the query; empty: none */
    struct span region, service;
    char date[SIGV4_DATE_LEN + 1];
};

/* Unix milliseconds as the date of a signature. */
void sigv4_date(int64_t wall_ms, char date[SIGV4_DATE_LEN + 1]);

/* Appends "?a=b&c" escaped, in the order given; nothing for no pairs. A value that is empty keeps its '='. */
void sigv4_query(struct buffer *out, const struct sigv4_pair *query, size_t count);

/* Each fails with DP_NOMEM, or DP_INVALID for more pairs than SIGV4_PAIRS_MAX. */
enum dp_status sigv4_canonical_request(const struct sigv4_request *request, struct arena *arena,
                                       struct buffer *out, struct dp_error *error);
enum dp_status sigv4_string_to_sign(const struct sigv4_signer *signer, struct span canonical_request,
                                    struct buffer *out, struct dp_error *error);
enum dp_status sigv4_signature(const struct sigv4_signer *signer, struct span string_to_sign,
                               char out[SIGV4_SIGNATURE_LEN + 1], struct dp_error *error);

/* Appends the value of the Authorization header. The request's headers must hold X-Amz-Date (the signer's) and, as
 * the service wants them, X-Amz-Security-Token and X-Amz-Content-Sha256. */
enum dp_status sigv4_authorization(const struct sigv4_signer *signer, const struct sigv4_request *request,
                                   struct arena *arena, struct buffer *out, struct dp_error *error);

/* The request's query with the signature's parameters behind it, in the arena: whoever has the URL may send the
 * request until `expires_seconds` after the signer's date. *canonical (may be NULL) is the request that was signed. */
enum dp_status sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                             unsigned expires_seconds, struct arena *arena, struct sigv4_pair **query,
                             size_t *query_count, struct span *canonical, struct dp_error *error);

#endif
