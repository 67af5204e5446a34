/* store/azure/shared_key.h: signs requests with the key of a storage account.
 *
 * The signature is HMAC-SHA256 over a canonical form of the request. Source: "Authorize with Shared Key", Azure
 * Storage REST API reference, for version 2015-02-21 and later. All functions are pure.
 */
#ifndef STORE_AZURE_SHARED_KEY_H
#define STORE_AZURE_SHARED_KEY_H

#include "base/buffer.h"
#include "store/http/request.h"

enum { SHARED_KEY_HEADERS_MAX = 24, SHARED_KEY_PARAMETERS_MAX = 16 };

/* A parameter of a URL's query, not escaped. */
struct azure_parameter {
    struct span name, value;
};

/* A request as it is sent, with all its headers but Host, Content-Length and Authorization. */
struct shared_key_request {
    struct span method;
    struct span path; /* of the URL, percent-encoded */
    const struct azure_parameter *query;
    size_t query_count;
    const struct transport_header *headers;
    size_t header_count;
    uint64_t body_len;
};

/* Appends the text to sign. DP_INVALID if the request has more headers or parameters than the maximum. */
enum dp_status shared_key_string(struct span account, const struct shared_key_request *request, struct buffer *out,
                                 struct dp_error *error);
/* Appends the value of the header Authorization. `key` is the account's key, decoded. */
enum dp_status shared_key_authorization(struct span account, struct span key,
                                        const struct shared_key_request *request, struct buffer *out,
                                        struct dp_error *error);

#endif
