/* store/gcs/credentials_file.h: parses the JSON files that hold Google's credentials. Pure: no I/O.
 *
 * Sources: "Service account credentials" and AIP-4110 to 4117 (google.aip.dev/auth).
 */
#ifndef STORE_GCS_CREDENTIALS_FILE_H
#define STORE_GCS_CREDENTIALS_FILE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum google_kind {
    GOOGLE_SERVICE_ACCOUNT,  /* a private key, which signs requests for tokens */
    GOOGLE_AUTHORIZED_USER,  /* a refresh token of a person */
    GOOGLE_EXTERNAL_ACCOUNT, /* workload identity federation: another token, exchanged at STS */
    GOOGLE_IMPERSONATED      /* other credentials, which may take the role of a service account */
};

enum { GOOGLE_HEADERS_MAX = 8, GOOGLE_DELEGATES_MAX = 8 };

/* The values of a file; missing ones are empty. Spans live in the file's text or in the arena. */
struct google_file {
    enum google_kind kind;
    struct span token_url;                                 /* "token_uri" or "token_url" */
    struct span client_email, private_key, private_key_id; /* of a service account */
    struct span client_id, client_secret, refresh_token;   /* of a person; the first two also for STS */
    /* of an external account */
    struct span audience, subject_token_type, workforce_pool_user_project;
    struct span source_file, source_url; /* where its own token is */
    struct {
        struct span name, value;
    } source_headers[GOOGLE_HEADERS_MAX];
    size_t source_header_count;
    bool source_is_json;
    struct span source_field; /* the key of the token in that JSON */
    /* of an external account that becomes a service account, and of impersonated credentials */
    struct span impersonation_url;
    uint64_t impersonation_seconds; /* life of its tokens; 0: not set */
    struct span delegates[GOOGLE_DELEGATES_MAX];
    size_t delegate_count;
    struct span source_credentials; /* JSON of the credentials behind impersonated ones */
};

/* Parses a file. `from` names it in messages, which quote no value. DP_INVALID if it is malformed or a value is missing;
 * DP_UNSUPPORTED for another kind of credentials, or another source of an external account's token. */
enum dp_status google_file_parse(const char *from, struct span text, struct arena *arena, struct google_file *out,
                                 struct dp_error *error);

/* Reads the string `field` of a JSON object. DP_IO if it is missing; `from` names the text. */
enum dp_status google_field_parse(const char *from, struct span text, struct span field, struct arena *arena,
                                  struct span *out, struct dp_error *error);

#endif
