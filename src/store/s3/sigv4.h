/* store/s3/sigv4.h: AWS Signature Version 4, in a header or in a presigned URL.
 *
 * The signature is HMAC-SHA256 over a canonical form of the request. Source: "Create a signed AWS API request",
 * IAM User Guide; for S3, "Authenticating Requests (AWS Signature Version 4)". Each step is a function, because
 * the published test suite (tests/data/aws-signing-test-suite) compares the result of each step.
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
    SIGV4_PAIRS_MAX = 64,                 /* maximum query parameters, and maximum headers, of one request */
    SIGV4_DATE_LEN = 16,                  /* "20150830T123600Z" */
    SIGV4_SIGNATURE_LEN = 64,             /* hexadecimal SHA-256 */
    SIGV4_EXPIRES_MAX_SECONDS = 7 * 86400 /* maximum lifetime of a presigned URL */
};

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct sigv4_pair {
    struct span name, value;
};

/* A request before escaping. The signature covers all these headers; Host must be among them. */
struct sigv4_request {
    struct span method; /* "GET" */
    struct span path;   /* begins with '/'; not escaped: signing escapes it once */
    const struct sigv4_pair *query;
    size_t query_count;
    const struct sigv4_pair *headers; /* values as the request sends them; signing trims white space */
    size_t header_count;
    struct span payload_hash; /* hexadecimal SHA-256 of the body, or SIGV4_UNSIGNED_PAYLOAD */
    bool normalize_path;      /* signing resolves ".", ".." and doubled slashes; false for S3 */
};

/* The keys, region, service and time of a signature. */
struct sigv4_signer {
    struct span access_key_id, secret_access_key;
    struct span session_token; /* sigv4_presign puts it into the query; empty: no token */
    struct span region, service;
    char date[SIGV4_DATE_LEN + 1];
};

/* Writes Unix milliseconds as the date of a signature. */
void sigv4_date(int64_t wall_ms, char date[SIGV4_DATE_LEN + 1]);

/* Appends "?a=b&c=" escaped, in the order given; nothing if there are no pairs. An empty value keeps its '='. */
void sigv4_query(struct buffer *out, const struct sigv4_pair *query, size_t count);

/* The three steps of a signature. Each fails with DP_NOMEM, or DP_INVALID for more pairs than SIGV4_PAIRS_MAX. */
enum dp_status sigv4_canonical_request(const struct sigv4_request *request, struct arena *arena,
                                       struct buffer *out, struct dp_error *error);
enum dp_status sigv4_string_to_sign(const struct sigv4_signer *signer, struct span canonical_request,
                                    struct buffer *out, struct dp_error *error);
enum dp_status sigv4_signature(const struct sigv4_signer *signer, struct span string_to_sign,
                               char out[SIGV4_SIGNATURE_LEN + 1], struct dp_error *error);

/* Appends the value of the Authorization header. The request's headers must hold X-Amz-Date with the signer's
 * date, and X-Amz-Security-Token and X-Amz-Content-Sha256 if the service requires them. */
enum dp_status sigv4_authorization(const struct sigv4_signer *signer, const struct sigv4_request *request,
                                   struct arena *arena, struct buffer *out, struct dp_error *error);

/* Sets *query, in the arena, to the request's query followed by the signature's parameters. Anybody with the URL
 * may send the request until `expires_seconds` after the signer's date. Sets *canonical, unless canonical is NULL,
 * to the canonical request. */
enum dp_status sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                             unsigned expires_seconds, struct arena *arena, struct sigv4_pair **query,
                             size_t *query_count, struct span *canonical, struct dp_error *error);

#endif
